#include <errno.h>

#include "base/text.h"
#include "deploy/facts.h"
#include "deploy/retain.h"
#include "host/instance.h"
#include "store/retention.h"

/* What stays free whatever comes: room for the journal, the history and the metadata. */
#define SPARE_BYTES  (16 * MIB)
#define SPARE_INODES 64

typedef struct Kept {
        ReleaseInfo **infos;
        RetentionRelease *releases;
        size_t n;
} Kept;

static void kept_clear(Kept *k) {
        release_info_free_many(k->infos, k->n);
        free(k->releases);
}

/* The units that run from a release of their own: what drains, too, and what an accident left. */
static int list_instances(const Deploy *d, char ***ret, Error *e) {
        if (d->o->strategy != STRATEGY_HANDOVER || !d->o->bus)
                return 0;
        return instances_running(d->o->bus, d->o->unit, ret, e);
}

static bool has_instance(const Deploy *d, char *const *running, const char *version) {
        char unit[UNIT_NAME_MAX];

        return running && deploy_unit(d->o, version, unit, NULL) >= 0 && strv_contains(running, unit);
}

static int kept_read(Deploy *d, Kept *k, Error *e) {
        _cleanup_strv_ char **running = NULL;
        _cleanup_free_ char *current = NULL;
        const char *way_back;
        int r;

        r = store_get_current(d->o->store, &current, e);
        if (r < 0 && r != -ENOENT && r != -EUCLEAN)
                return r;
        r = list_instances(d, &running, e);
        if (r >= 0)
                r = store_list(d->o->store, &k->infos, &k->n, NULL, e);
        if (r < 0)
                return r;
        k->releases = calloc(k->n + 1, sizeof(RetentionRelease));
        if (!k->releases)
                return -ENOMEM;
        way_back = ledger_rollback_target(d->ledger, current, facts_release_exists, d->o->store);
        for (size_t i = 0; i < k->n; i++) {
                const ReleaseInfo *info = k->infos[i];
                RetentionRelease *x = &k->releases[i];
                char digest[DIGEST_TEXT_MAX];

                x->version = info->version;
                x->sealed_usec = info->sealed_usec;
                release_usage(info->tar_length, info->entries, &x->bytes, &x->inodes);
                x->proven = ledger_proven(d->ledger, info->version);
                x->failed = ledger_quarantine_reason(d->ledger, digest_to_text(&info->tar_digest, digest));
                x->pinned = ledger_is_pinned(d->ledger, info->version);
                x->way_back = streq_ptr(way_back, info->version);
                x->current = streq_ptr(current, info->version);
                x->in_flight = streq_ptr(d->target, info->version) || streq_ptr(d->from, info->version) ||
                               has_instance(d, running, info->version);
        }
        return 0;
}

static int need_of(const Deploy *d, bool room, RetentionNeed *ret, Error *e) {
        *ret = (RetentionNeed){.keep = d->o->keep, .spare_bytes = SPARE_BYTES, .spare_inodes = SPARE_INODES};
        if (room && d->bundle)
                release_usage(d->bundle->info->tar_length, d->bundle->info->entries, &ret->need_bytes,
                                &ret->need_inodes);
        return store_get_space(d->o->store, &ret->free_bytes, &ret->free_inodes, e);
}

static uint64_t less_spare(uint64_t sum, uint64_t spare) {
        return sum > spare ? sum - spare : 0;
}

int retain_measure(Deploy *d, RetainSpace *ret, Error *e) {
        _cleanup_(kept_clear) Kept k = {0};
        RetentionVerdict verdict;
        RetentionNeed need;
        int r;

        r = kept_read(d, &k, e);
        if (r >= 0)
                r = need_of(d, true, &need, e);
        if (r < 0)
                return r;
        verdict = retention_decide(k.releases, k.n, &need);
        *ret = (RetainSpace){
                        .need_bytes = need.need_bytes,
                        .room_bytes = less_spare(need.free_bytes, SPARE_BYTES + need.need_bytes),
                        .have_bytes = less_spare(need.free_bytes + verdict.freed_bytes, SPARE_BYTES),
                        .need_inodes = need.need_inodes,
                        .have_inodes = need.free_inodes == UINT64_MAX
                                                       ? UINT64_MAX
                                                       : less_spare(need.free_inodes + verdict.freed_inodes,
                                                                         SPARE_INODES),
        };
        return 0;
}

int retain_prune(Deploy *d, bool room, Error *e) {
        _cleanup_(kept_clear) Kept k = {0};
        RetentionNeed need;
        int r, n = 0;

        r = store_clean(d->o->store, d->id, e);
        if (r >= 0)
                r = kept_read(d, &k, e);
        if (r >= 0)
                r = need_of(d, room, &need, e);
        if (r < 0)
                return r;
        if (room && need.free_bytes >= need.need_bytes + SPARE_BYTES &&
                        need.free_inodes >= need.need_inodes + SPARE_INODES)
                return 0;
        (void) retention_decide(k.releases, k.n, &need);
        for (size_t i = 0; i < k.n; i++) {
                const RetentionRelease *x = &k.releases[i];

                if (!x->prune)
                        continue;
                r = store_remove(d->o->store, x->version, e);
                if (r >= 0)
                        r = ledger_forget(d->ledger, x->version, e);
                if (r < 0)
                        return r;
                progress_note(d->o->progress, "removed release %s: %s", x->version, x->reason);
                n++;
        }
        return n;
}
