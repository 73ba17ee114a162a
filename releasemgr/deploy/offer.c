#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/version.h"
#include "deploy/offer.h"
#include "fetch/refresh.h"
#include "trust/updater.h"

/* Before an expiry, people are told for so long: time for somebody to come back from a weekend. */
#define WARN_EXPIRY_USEC (UINT64_C(3) * 86400 * USEC_PER_SEC)

struct Offer {
        const DeployOptions *o;
        bool offline;
        Updater *updater;
};

static void offered_file_clear(OfferedFile *f) {
        free(f->name);
        free(f->url);
        free(f->blocks_name);
        free(f->blocks_url);
        *f = (OfferedFile){0};
}

static void offered_patch_clear(OfferedPatch *p) {
        patch_info_free(p->info);
        offered_file_clear(&p->file);
        *p = (OfferedPatch){0};
}

OfferedBundle *offered_bundle_free(OfferedBundle *b) {
        if (!b)
                return NULL;
        bundle_info_free(b->info);
        offered_file_clear(&b->file);
        for (size_t i = 0; i < b->n_patches; i++)
                offered_patch_clear(&b->patches[i]);
        free(b->patches);
        free(b);
        return NULL;
}

/* Lets the updater have what it asks for, until it is done. */
static int drive(Offer *c, Error *e) {
        return refresh_run(c->updater, c->offline ? NULL : c->o->source, c->o->trust_fd, c->o->root_file, e);
}

int offer_open(const DeployOptions *o, bool offline, Offer **ret, Error *e) {
        _cleanup_(offer_free_p) Offer *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->o = o;
        c->offline = offline;
        r = updater_new(&(UpdaterOptions){.now_usec = clock_now(), .offline = offline}, &c->updater);
        if (r >= 0)
                r = drive(c, e);
        if (r < 0)
                return r;
        *ret = TAKE(c);
        return 0;
}

Offer *offer_free(Offer *c) {
        if (c) {
                updater_free(c->updater);
                free(c);
        }
        return NULL;
}

/* The target @name, borrowed until the next search; NULL where no role vouches for it. */
static int find_target(Offer *c, const char *name, const TargetFile **ret, Error *e) {
        int r = updater_find(c->updater, name, e);

        if (r >= 0)
                r = drive(c, e);
        if (r >= 0)
                *ret = updater_target(c->updater);
        return r;
}

static int target_path(Offer *c, const TargetFile *t, char **ret) {
        _cleanup_free_ char *url = NULL;
        int r;

        r = updater_target_url(c->updater, t, &url);
        if (r < 0)
                return r;
        *ret = text_format("targets/%s", url);
        return *ret ? 0 : -ENOMEM;
}

int offer_channel(Offer *c, const char *channel, char **ret, Error *e) {
        _cleanup_free_ char *name = target_channel(c->o->app, channel);
        _cleanup_(channel_info_free_p) ChannelInfo *info = NULL;
        const TargetFile *t = NULL;
        int r;

        if (!name)
                return -ENOMEM;
        r = find_target(c, name, &t, e);
        if (r < 0)
                return r;
        if (!t) {
                error_set(e, ERROR_FAILED, -ENOENT, "the repository has no channel \"%s\" for %s", channel,
                                c->o->app);
                return error_hint(e, -ENOENT, "its publisher makes one with repo publish or repo promote");
        }
        r = channel_info_from_json(target_facts(t->custom), &info, e);
        if (r < 0)
                return r;
        *ret = TAKE(info->version);
        return 0;
}

static const TargetFile *find_listed(const TargetFile *l, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(l[i].name, name))
                        return &l[i];
        return NULL;
}

/* The target @t and its block list, which is in the same list. */
static int take_file(Offer *c, const TargetFile *t, const TargetFile *l, size_t n, OfferedFile *f, Error *e) {
        const TargetFile *blocks;
        int r;

        f->name = strdup(t->name);
        f->blocks_name = target_blocks(t->name);
        if (!f->name || !f->blocks_name)
                return -ENOMEM;
        f->length = t->length;
        if (!hashes_get_sha256(&t->hashes, &f->digest))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "the repository states no SHA-256 of %s",
                                f->name);
        blocks = find_listed(l, n, f->blocks_name);
        if (!blocks)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "the repository has %s without its block list",
                                f->name);
        f->blocks_length = blocks->length;
        f->blocks_hashes = blocks->hashes;
        r = target_path(c, t, &f->url);
        return r < 0 ? r : target_path(c, blocks, &f->blocks_url);
}

/* The patches to @version among the targets. One that is not as we know them is none. */
static int take_patches(Offer *c, const char *version, const TargetFile *l, size_t n, OfferedBundle *b) {
        OfferedPatch *grown = reallocarray(b->patches, b->n_patches + n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        memset(grown + b->n_patches, 0, (n + 1) * sizeof(*grown));
        b->patches = grown;
        for (size_t i = 0; i < n; i++) {
                const json_t *facts = target_facts(l[i].custom);
                OfferedPatch *p = &b->patches[b->n_patches];
                int r;

                if (!streq_ptr(target_kind(facts), "patch"))
                        continue;
                r = patch_info_from_json(facts, &p->info, NULL);
                if (r >= 0)
                        r = take_file(c, &l[i], l, n, &p->file, NULL);
                if (r == -ENOMEM)
                        return r;
                if (r >= 0 && streq(p->info->app, b->info->app) && streq(p->info->version, version))
                        b->n_patches++;
                else
                        offered_patch_clear(p);
        }
        return 0;
}

static int take_bundle(Offer *c, const char *version, const TargetFile *t, const TargetFile *l, size_t n,
                OfferedBundle *b, Error *e) {
        int r = bundle_info_from_json(target_facts(t->custom), &b->info, e);

        if (r < 0)
                return r;
        if (!streq(b->info->app, c->o->app) || !streq(b->info->version, version))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s says that it is release %s of %s", t->name,
                                b->info->version, b->info->app);
        r = take_file(c, t, l, n, &b->file, e);
        return r < 0 ? r : take_patches(c, version, l, n, b);
}

/* What is published in the folder of @version, borrowed until the next search. */
static int list_folder(Offer *c, const char *version, const TargetFile **ret, size_t *ret_n, Error *e) {
        _cleanup_free_ char *folder = text_format("%s/%s/", c->o->app, version);
        int r = folder ? updater_list(c->updater, folder, e) : -ENOMEM;

        if (r >= 0)
                r = drive(c, e);
        if (r >= 0)
                *ret_n = updater_targets(c->updater, ret);
        return r;
}

/* The patches to the releases that those to @b start from. */
static int take_earlier_patches(Offer *c, OfferedBundle *b, Error *e) {
        size_t direct = b->n_patches, n;
        int r = 0;

        for (size_t i = 0; i < direct && r >= 0; i++) {
                const char *between = b->patches[i].info->from;
                const TargetFile *l;

                r = list_folder(c, between, &l, &n, e);
                if (r >= 0)
                        r = take_patches(c, between, l, n, b);
        }
        return r;
}

int offer_find(Offer *c, const char *version, OfferedBundle **ret, Error *e) {
        _cleanup_(offered_bundle_free_p) OfferedBundle *b = calloc(1, sizeof(*b));
        _cleanup_free_ char *name = target_bundle(c->o->app, version);
        const TargetFile *l, *t;
        size_t n;
        int r;

        if (!b || !name)
                return -ENOMEM;
        r = list_folder(c, version, &l, &n, e);
        if (r < 0)
                return r;
        t = find_listed(l, n, name);
        if (!t) {
                error_set(e, ERROR_FAILED, -ENOENT, "the repository has no release %s of %s", version,
                                c->o->app);
                return error_hint(e, -ENOENT, "releasemgr list --refresh shows what it has");
        }
        r = take_bundle(c, version, t, l, n, b, e);
        if (r >= 0)
                r = take_earlier_patches(c, b, e);
        if (r < 0)
                return r;
        *ret = TAKE(b);
        return 0;
}

static int compare_bundles(const void *a, const void *b) {
        return version_compare((*(BundleInfo *const *) a)->version, (*(BundleInfo *const *) b)->version);
}

int offer_list(Offer *c, BundleInfo ***ret, size_t *ret_n, Error *e) {
        _cleanup_free_ char *prefix = text_format("%s/", c->o->app);
        const TargetFile *targets;
        BundleInfo **l;
        size_t all, n = 0;
        int r;

        if (!prefix)
                return -ENOMEM;
        r = updater_list(c->updater, prefix, e);
        if (r >= 0)
                r = drive(c, e);
        if (r < 0)
                return r;
        all = updater_targets(c->updater, &targets);
        l = calloc(all + 1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < all; i++) {
                const json_t *facts = target_facts(targets[i].custom);

                if (streq_ptr(target_kind(facts), "bundle")) {
                        r = bundle_info_from_json(facts, &l[n], e);
                        n += r >= 0;
                }
        }
        if (r < 0) {
                while (n > 0)
                        bundle_info_free(l[--n]);
                free(l);
                return r;
        }
        qsort(l, n, sizeof(*l), compare_bundles);
        *ret = l;
        *ret_n = n;
        return 0;
}

uint64_t offer_expires(const Offer *c, const char **ret_role) {
        return updater_expires(c->updater, ret_role);
}

int offer_warning(const Offer *c, uint64_t now_usec, char **ret) {
        char text[CLOCK_TEXT_MAX];
        const char *role = NULL;
        uint64_t expires = offer_expires(c, &role);

        *ret = NULL;
        if (!role || (expires > now_usec && expires - now_usec >= WARN_EXPIRY_USEC))
                return 0;
        *ret = expires > now_usec ? text_format("the repository's %s expires in %s", role,
                                                    span_to_text(expires - now_usec, text))
                                  : text_format("the repository's %s expired on %s", role,
                                                    clock_to_text(expires, text));
        return *ret ? 0 : -ENOMEM;
}
