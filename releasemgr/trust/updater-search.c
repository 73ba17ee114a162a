/*
 * The search for a target through the delegations (1.0.34 section 5.6.7)
 *
 * Pre-order, depth first, by a stack: a role that is visited puts the roles it delegates to on top, the first one
 * uppermost. A terminating delegation takes away what lies below it, so that only its own descendants are left. A role
 * is visited once in a search, and no more roles than the limit. A role that cannot be had ends the search as a
 * failure: going on would let whoever withholds it choose which role speaks.
 */

#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "trust/updater-internal.h"

int search_new(const Updater *u, const char *name, bool list, Search **ret) {
        _cleanup_(search_free_p) Search *s = calloc(1, sizeof(*s));

        if (!s || !(s->name = strdup(name)) || !(s->visited = json_object()))
                return -ENOMEM;
        s->list = list;
        s->roles_max = u->options.delegations_max;
        *ret = TAKE(s);
        return 0;
}

static void drop_stack(Search *s) {
        while (s->n_stack > 0)
                role_free(s->stack[--s->n_stack]);
}

Search *search_free(Search *s) {
        if (!s)
                return NULL;
        drop_stack(s);
        free(s->stack);
        role_free(s->current);
        json_decref(s->visited);
        free(s->name);
        free(s);
        return NULL;
}

static int push(Role *r, void *userdata) {
        Search *s = userdata;
        Role **grown = reallocarray(s->stack, s->n_stack + 1, sizeof(Role *));

        if (!grown)
                return -ENOMEM;
        s->stack = grown;
        s->stack[s->n_stack++] = role_ref(r);
        /* 1 ends the visit: nothing that follows counts. Among so many, even where some were visited before, are as many
         * as may be visited: bins can be four thousand millions. */
        return (!s->list && role_is_terminating(r)) || s->n_stack - s->below == 2 * (size_t) s->roles_max;
}

/* What was pushed from @from on comes in the order of trust; the next to be popped is the last. */
static void reverse(Search *s, size_t from) {
        for (size_t i = from, j = s->n_stack; i + 1 < j; i++) {
                Role *r = s->stack[--j];

                s->stack[j] = s->stack[i];
                s->stack[i] = r;
        }
}

/* Takes the roles below @from off the stack. */
static void keep_from(Search *s, size_t from) {
        for (size_t i = 0; i < from; i++)
                role_free(s->stack[i]);
        memmove(s->stack, s->stack + from, (s->n_stack - from) * sizeof(Role *));
        s->n_stack -= from;
}

int search_visit(Search *s, const Metadata *m, const json_t **ret) {
        const Delegations *d = metadata_delegations(m);
        const json_t *entry = s->list ? NULL : metadata_target(m, s->name);
        int r;

        if (entry) {
                *ret = entry;
                return 1;
        }
        if (!d)
                return 0;
        s->below = s->n_stack;
        r = s->list ? delegations_visit_prefix(d, s->name, push, s) : delegations_visit(d, s->name, push, s);
        if (r < 0)
                return r;
        if (r > 0) {
                keep_from(s, s->below);
                s->below = 0;
        }
        reverse(s, s->below);
        return 0;
}

Role *search_pop(Search *s) {
        while (s->n_stack > 0) {
                Role *r = s->stack[--s->n_stack];

                if (json_object_get(s->visited, role_name(r))) {
                        role_free(r);
                        continue;
                }
                if (s->n_visited == s->roles_max ||
                                json_object_set_new(s->visited, role_name(r), json_true()) < 0) {
                        role_free(r);
                        return NULL;
                }
                s->n_visited++;
                return r;
        }
        return NULL;
}

/* --- roles in memory --- */

static Delegated *find_delegated(const Updater *u, const char *name) {
        for (size_t i = 0; i < u->n_delegated; i++)
                if (streq(u->delegated[i].name, name))
                        return &u->delegated[i];
        return NULL;
}

static int add_verified(Delegated *d, Role *role) {
        Role **grown = reallocarray(d->verified, d->n_verified + 1, sizeof(Role *));

        if (!grown)
                return -ENOMEM;
        d->verified = grown;
        d->verified[d->n_verified++] = role_ref(role);
        return 0;
}

const Metadata *updater_delegated(Updater *u, Role *role) {
        Delegated *d = find_delegated(u, role_name(role));

        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_verified; i++)
                if (d->verified[i] == role)
                        return d->metadata;
        if (metadata_verify(d->metadata, role, NULL) < 0 || add_verified(d, role) < 0)
                return NULL;
        return d->metadata;
}

/* Keeps @m (taken, also on failure), in the place of an older copy of the same role. */
static int keep_delegated(Updater *u, Role *role, Metadata *m) {
        Delegated *d = find_delegated(u, role_name(role)), *grown;

        if (!d) {
                grown = reallocarray(u->delegated, u->n_delegated + 1, sizeof(Delegated));
                if (!grown) {
                        metadata_free(m);
                        return -ENOMEM;
                }
                u->delegated = grown;
                d = &u->delegated[u->n_delegated];
                *d = (Delegated){.name = strdup(role_name(role))};
                if (!d->name) {
                        metadata_free(m);
                        return -ENOMEM;
                }
                u->n_delegated++;
        }
        for (; d->n_verified > 0; d->n_verified--)
                role_free(d->verified[d->n_verified - 1]);
        metadata_free(d->metadata);
        d->metadata = m;
        return add_verified(d, role);
}

/* --- what was found --- */

void updater_drop_found(Updater *u) {
        for (size_t i = 0; i < u->n_found; i++) {
                free(u->found[i].name);
                json_decref(u->found[i].custom);
        }
        free(u->found);
        u->found = NULL;
        u->n_found = 0;
}

int updater_add_found(Updater *u, const char *name, const json_t *entry) {
        TargetFile *grown = reallocarray(u->found, u->n_found + 1, sizeof(TargetFile)), *t;
        int r;

        if (!grown)
                return -ENOMEM;
        u->found = grown;
        t = &u->found[u->n_found];
        *t = (TargetFile){.length = (uint64_t) json_get_integer(entry, "length", 0)};
        r = hashes_from_json(json_object_get(entry, "hashes"), &t->hashes, NULL);
        if (r < 0)
                return r;
        t->name = strdup(name);
        if (!t->name)
                return -ENOMEM;
        t->custom = json_incref(json_object_get(entry, "custom"));
        u->n_found++;
        return 0;
}

/* --- the phases of a search --- */

static const Phase phase_role_new;

/* Visits @m and says how it goes on. */
static int visit(Updater *u, const Metadata *m) {
        const json_t *entry;
        int r;

        r = search_visit(u->search, m, &entry);
        if (r < 0)
                return r;
        u->phase = r > 0 ? NULL : &phase_role_local;
        return r > 0 ? updater_add_found(u, u->search->name, entry) : 0;
}

static int role_local_ask(Updater *u, UpdaterStep *ret, Error *e) {
        Search *s = u->search;
        const Metadata *m;

        role_free(s->current);
        s->current = search_pop(s);
        if (!s->current) {
                u->phase = NULL;
                return s->list ? updater_finish_list(u, s->name) : 0;
        }
        m = updater_delegated(u, s->current);
        if (m)
                return visit(u, m);
        return updater_ask_local(u, ret, role_name(s->current), e);
}

static int role_local_missing(Updater *u, Error *e _unused_) {
        u->phase = &phase_role_new;
        return 0;
}

static int take_role(Updater *u, const void *data, size_t size, Error *e) {
        Metadata *m;
        int r;

        r = updater_read_targets(u, u->search->current, data, size, &m, e);
        if (r >= 0)
                r = keep_delegated(u, u->search->current, m);
        return r < 0 ? r : visit(u, m);
}

static int role_local_take(Updater *u, const void *data, size_t size, Error *e _unused_) {
        int r;

        r = take_role(u, data, size, NULL);
        if (r < 0)
                u->phase = &phase_role_new;
        return r == -ENOMEM ? r : 0;
}

const Phase phase_role_local = {role_local_ask, role_local_take, role_local_missing};

static int role_new_ask(Updater *u, UpdaterStep *ret, Error *e) {
        return updater_ask_targets(u, ret, role_name(u->search->current), e);
}

static int role_new_take(Updater *u, const void *data, size_t size, Error *e) {
        int r;

        r = take_role(u, data, size, e);
        return r < 0 ? r : updater_store(u, role_name(u->search->current), data, size);
}

static const Phase phase_role_new = {role_new_ask, role_new_take, updater_missing_remote};

/* --- the interface --- */

static int begin(Updater *u, const char *name, bool list, Error *e) {
        if (u->failed || u->phase || u->n_writes > 0 || !u->targets)
                return error_set(e, ERROR_FAILED, -EBUSY, "the metadata is not up to date yet");
        updater_drop_found(u);
        u->search = search_free(u->search);
        if (search_new(u, name, list, &u->search) < 0)
                return -ENOMEM;
        return visit(u, u->targets);
}

int updater_find(Updater *u, const char *target, Error *e) {
        return begin(u, target, false, e);
}

int updater_list(Updater *u, const char *prefix, Error *e) {
        return begin(u, prefix, true, e);
}

const TargetFile *updater_target(const Updater *u) {
        return u->search && !u->search->list && !u->phase && u->n_found > 0 ? &u->found[0] : NULL;
}

size_t updater_targets(const Updater *u, const TargetFile **ret) {
        bool listed = u->search && u->search->list && !u->phase;

        *ret = listed ? u->found : NULL;
        return listed ? u->n_found : 0;
}

int updater_target_url(const Updater *u, const TargetFile *t, char **ret) {
        const char *slash = strrchr(t->name, '/'), *base = slash ? slash + 1 : t->name;
        _cleanup_free_ char *directory = strndup(t->name, (size_t) (base - t->name)), *whole = NULL;
        char prefix[HASHES_PREFIX_MAX], *url;

        if (metadata_root_consistent_snapshot(u->root))
                whole = text_format("%s%s.%s", directory ?: "", hashes_prefix(&t->hashes, prefix), base);
        else
                whole = strdup(t->name);
        url = directory && whole ? updater_quote(whole, "/") : NULL;
        if (!url)
                return -ENOMEM;
        *ret = url;
        return 0;
}
