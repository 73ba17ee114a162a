#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "deploy/ledger.h"

#define LEDGER_MAX (4 * MIB)

/* {"proven": [{"version", "since", "abandoned"}], "quarantine": {DIGEST: {"version", "reason", "since"}},
 *  "pins": [VERSION], "hold": {"by", "reason", "since"}, "schema": {"database", "level", "floor", "since"}} */
struct Ledger {
        int dirfd;
        json_t *root;
        int change_fd; /* the directory, locked while a change is under way; or -1 */
        int unsynced;  /* see ledger_unsynced() */
};

/* What is there, and cannot be read for a reason that will not go away by itself. */
static int call_it_damaged(const Ledger *l, const char *why, Error *e) {
        _cleanup_free_ char *path = fs_full_path(l->dirfd, LEDGER_FILE);

        error_set(e, ERROR_FAILED, -EUCLEAN, "%s is damaged: %s", path ?: LEDGER_FILE, why);
        return error_hint(e, -EUCLEAN, "releasemgr recover puts it aside and makes a new one of the history");
}

/* Replaces what is in memory by what is on disk. */
static int read_anew(Ledger *l, Error *e) {
        _cleanup_json_ json_t *root = NULL;
        _cleanup_error_ Error error = ERROR_INIT;
        int r = json_read_file(l->dirfd, LEDGER_FILE, LEDGER_MAX, &root, &error);

        if (r == -ENOENT)
                root = json_object();
        else if (r == -EINVAL || r == -EISDIR || r == -EFBIG || r == -ELOOP || r == -EIO)
                return call_it_damaged(l, error_message(&error, r), e);
        else if (r < 0) {
                error_move(e, &error);
                return r;
        }
        if (!root)
                return -ENOMEM;
        if (!json_is_object(root))
                return call_it_damaged(l, "it is no JSON object", e);
        json_decref(l->root);
        l->root = TAKE(root);
        return 0;
}

int ledger_new(int dirfd, Ledger **ret) {
        _cleanup_(ledger_free_p) Ledger *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->dirfd = dirfd;
        l->change_fd = -1;
        l->root = json_object();
        if (!l->root)
                return -ENOMEM;
        *ret = TAKE(l);
        return 0;
}

int ledger_load(int dirfd, Ledger **ret, Error *e) {
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        int r;

        r = ledger_new(dirfd, &l);
        if (r >= 0)
                r = read_anew(l, e);
        if (r < 0)
                return r;
        *ret = TAKE(l);
        return 0;
}

Ledger *ledger_free(Ledger *l) {
        if (l) {
                json_decref(l->root);
                free(l);
        }
        return NULL;
}

/* A change is made to what stands on disk now, not to what we read long ago: a hold that was set while a deployment ran
 * is not undone by its end. Between begin and end nobody else changes it; that is for the time of one write. */
static int change_begin(Ledger *l, Error *e) {
        int r = 0;

        l->change_fd = fs_open_directory(l->dirfd, ".");
        if (l->change_fd < 0)
                return error_errno(e, l->change_fd, "cannot open the directory of %s", LEDGER_FILE);
        while (r >= 0 && flock(l->change_fd, LOCK_EX) < 0)
                r = errno == EINTR ? 0 : error_errno(e, -errno, "cannot lock %s", LEDGER_FILE);
        if (r >= 0)
                r = read_anew(l, e);
        if (r < 0)
                l->change_fd = fd_close(l->change_fd);
        return r;
}

/* @r: 0 there is nothing to change after all, 1 write it, or the error that stopped the change. What could not be
 * written is forgotten. */
static int change_end(Ledger *l, int r, Error *e) {
        if (r > 0) {
                (void) fs_remove_temporaries(l->dirfd, LEDGER_FILE);
                r = json_write_file(l->dirfd, LEDGER_FILE, l->root, 0644);
                if (r < 0)
                        error_errno(e, r, "cannot write %s", LEDGER_FILE);
                else
                        l->unsynced = r > 0 ? -errno : 0;
        }
        if (r < 0)
                (void) read_anew(l, NULL);
        l->change_fd = fd_close(l->change_fd);
        return MIN_OF(r, 0);
}

int ledger_unsynced(const Ledger *l) {
        return l->unsynced;
}

/* Member @key, made with @make where it is missing or of the wrong type. Borrowed. */
static json_t *section(Ledger *l, const char *key, json_t *(*make)(void) ) {
        json_t *v = json_object_get(l->root, key);

        if (v && (make == json_array ? json_is_array(v) : json_is_object(v)))
                return v;
        (void) json_object_set_new(l->root, key, make());
        return json_object_get(l->root, key);
}

static json_t *proven_entry(const Ledger *l, const char *version, size_t *ret_index) {
        json_t *entry;
        size_t i;

        json_array_foreach(json_object_get(l->root, "proven"), i, entry) {
                if (streq_ptr(json_get_string(entry, "version"), version)) {
                        if (ret_index)
                                *ret_index = i;
                        return entry;
                }
        }
        return NULL;
}

int ledger_prove(Ledger *l, const char *version, uint64_t now_usec, Error *e) {
        char since[CLOCK_TEXT_MAX];
        json_t *list;
        size_t i;
        int r;

        r = change_begin(l, e);
        if (r < 0)
                return r;
        list = section(l, "proven", json_array);
        if (proven_entry(l, version, &i))
                (void) json_array_remove(list, i);
        r = json_array_append_new(list,
                        json_pack("{ss ss}", "version", version, "since", clock_to_text(now_usec, since)));
        return change_end(l, r < 0 ? -ENOMEM : 1, e);
}

int ledger_abandon(Ledger *l, const char *version, Error *e) {
        json_t *entry;
        int r;

        r = change_begin(l, e);
        if (r < 0)
                return r;
        entry = proven_entry(l, version, NULL);
        r = entry ? json_object_set_new(entry, "abandoned", json_true()) : 0;
        return change_end(l, r < 0 ? -ENOMEM : entry != NULL, e);
}

int ledger_forget(Ledger *l, const char *version, Error *e) {
        bool known;
        size_t i;
        int r;

        r = change_begin(l, e);
        if (r < 0)
                return r;
        known = proven_entry(l, version, &i);
        if (known)
                (void) json_array_remove(json_object_get(l->root, "proven"), i);
        return change_end(l, known, e);
}

unsigned ledger_proven(const Ledger *l, const char *version) {
        size_t i;

        return proven_entry(l, version, &i) ? (unsigned) i + 1 : 0;
}

const char *ledger_rollback_target(const Ledger *l, const char *current,
                bool (*exists)(const char *version, void *userdata), void *userdata) {
        json_t *list = json_object_get(l->root, "proven");
        size_t i = json_array_size(list);

        if (current)
                (void) proven_entry(l, current, &i);
        while (i-- > 0) {
                json_t *entry = json_array_get(list, i);
                const char *version = json_get_string(entry, "version");

                if (version && !streq_ptr(version, current) && !json_get_boolean(entry, "abandoned", false) &&
                                exists(version, userdata))
                        return version;
        }
        return NULL;
}

/* {"KEY": TEXT, "reason", "since"} */
static json_t *describe(const char *key, const char *text, const char *reason, uint64_t now_usec) {
        char since[CLOCK_TEXT_MAX];

        return json_pack("{ss ss ss}", key, text, "reason", reason, "since", clock_to_text(now_usec, since));
}

int ledger_quarantine(Ledger *l, const char *digest, const char *version, const char *reason,
                uint64_t now_usec, Error *e) {
        int r;

        r = change_begin(l, e);
        if (r < 0)
                return r;
        r = json_object_set_new(section(l, "quarantine", json_object), digest,
                        describe("version", version, reason, now_usec));
        return change_end(l, r < 0 ? -ENOMEM : 1, e);
}

int ledger_lift(Ledger *l, const char *version, Error *e) {
        json_t *all, *entry;
        const char *digest;
        int n = 0, r;
        void *next;

        r = change_begin(l, e);
        if (r < 0)
                return r;
        all = json_object_get(l->root, "quarantine");
        json_object_foreach_safe(all, next, digest, entry) {
                if (streq_ptr(json_get_string(entry, "version"), version)) {
                        (void) json_object_del(all, digest);
                        n++;
                }
        }
        r = change_end(l, n > 0, e);
        return r < 0 ? r : n;
}

const char *ledger_quarantine_reason(const Ledger *l, const char *digest) {
        const json_t *entry = json_object_get(json_object_get(l->root, "quarantine"), digest);

        return entry ? json_get_string(entry, "reason") ?: "no reason was kept" : NULL;
}

int ledger_hold(Ledger *l, const char *by, const char *reason, uint64_t now_usec, Error *e) {
        int r;

        r = change_begin(l, e);
        if (r < 0)
                return r;
        r = json_object_set_new(l->root, "hold", describe("by", by, reason, now_usec));
        return change_end(l, r < 0 ? -ENOMEM : 1, e);
}

int ledger_unhold(Ledger *l, Error *e) {
        int r;

        r = change_begin(l, e);
        return r < 0 ? r : change_end(l, json_object_del(l->root, "hold") >= 0, e);
}

const char *ledger_hold_reason(const Ledger *l, const char **ret_by, const char **ret_since) {
        const json_t *hold = json_object_get(l->root, "hold");

        if (!hold)
                return NULL;
        if (ret_by)
                *ret_by = json_get_string(hold, "by") ?: "unknown";
        if (ret_since)
                *ret_since = json_get_string(hold, "since") ?: "unknown";
        return json_get_string(hold, "reason") ?: "no reason was given";
}

int ledger_set_schema(
                Ledger *l, const char *database, const SchemaState *state, uint64_t now_usec, Error *e) {
        const json_t *known = json_object_get(l->root, "schema");
        char since[CLOCK_TEXT_MAX];
        int r;

        if (known && streq_ptr(json_get_string(known, "database"), database) &&
                        streq_ptr(json_get_string(known, "level"), state->level) &&
                        streq_ptr(json_get_string(known, "floor"), state->floor))
                return 0;
        r = change_begin(l, e);
        if (r < 0)
                return r;
        r = json_object_set_new(l->root, "schema",
                        json_pack("{ss ss* ss* ss}", "database", database, "level", state->level, "floor",
                                        state->floor, "since", clock_to_text(now_usec, since)));
        return change_end(l, r < 0 ? -ENOMEM : 1, e);
}

int ledger_get_schema(const Ledger *l, const char *database, SchemaState *ret, const char **ret_since) {
        const json_t *known = json_object_get(l->root, "schema");
        const char *level = json_get_string(known, "level"), *floor = json_get_string(known, "floor");
        SchemaState s = {0};

        if (!json_is_object(known) || !streq_ptr(json_get_string(known, "database"), database))
                return -ENOENT;
        if ((level && !(s.level = strdup(level))) || (floor && !(s.floor = strdup(floor)))) {
                schema_state_clear(&s);
                return -ENOMEM;
        }
        *ret_since = json_get_string(known, "since") ?: "unknown";
        *ret = s;
        return 0;
}

int ledger_set_floor(Ledger *l, const char *database, const char *floor, uint64_t now_usec, Error *e) {
        SchemaState known = {0}, raised;
        const char *since;
        int r;

        r = ledger_get_schema(l, database, &known, &since);
        if (r < 0 && r != -ENOENT)
                return r;
        raised = (SchemaState){.level = known.level, .floor = (char *) floor};
        r = schema_is_above(floor, known.floor) ? ledger_set_schema(l, database, &raised, now_usec, e) : 0;
        schema_state_clear(&known);
        return r;
}

static bool pin_index(const Ledger *l, const char *version, size_t *ret) {
        json_t *pin;
        size_t i;

        json_array_foreach(json_object_get(l->root, "pins"), i, pin) {
                if (streq_ptr(json_string_value(pin), version)) {
                        *ret = i;
                        return true;
                }
        }
        return false;
}

bool ledger_is_pinned(const Ledger *l, const char *version) {
        size_t i;

        return pin_index(l, version, &i);
}

int ledger_pin(Ledger *l, const char *version, bool pinned, Error *e) {
        json_t *pins;
        size_t i;
        int r;

        r = change_begin(l, e);
        if (r < 0)
                return r;
        pins = section(l, "pins", json_array);
        if (pin_index(l, version, &i) == pinned)
                return change_end(l, 0, e);
        r = pinned ? json_array_append_new(pins, json_string(version)) : json_array_remove(pins, i);
        return change_end(l, r < 0 ? -ENOMEM : 1, e);
}

void ledger_each_quarantined(const Ledger *l,
                void (*visit)(const char *digest, const char *version, const char *reason, const char *since,
                                void *userdata),
                void *userdata) {
        const char *digest;
        json_t *entry;

        json_object_foreach(json_object_get(l->root, "quarantine"), digest, entry)
                visit(digest, json_get_string(entry, "version") ?: "", json_get_string(entry, "reason") ?: "",
                                json_get_string(entry, "since") ?: "", userdata);
}
