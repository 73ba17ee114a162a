#include "store/retention.h"

/* Newer first: as they proved themselves one after the other, whatever the clock said; then by when they were sealed. */
static bool is_newer(const RetentionRelease *x, const RetentionRelease *y) {
        if (x->proven != y->proven)
                return x->proven > y->proven;
        if (x->sealed_usec != y->sealed_usec)
                return x->sealed_usec > y->sealed_usec;
        return strcmp(x->version, y->version) > 0;
}

/* Whether a release uses up one of the places of Keep=. */
static bool counts(const RetentionRelease *r) {
        return r->proven > 0 && !r->failed;
}

/* Why a release never goes, or NULL. */
static const char *protection(const RetentionRelease *r, const RetentionRelease *last_proven) {
        if (r->current)
                return "current";
        if (r->in_flight)
                return "in flight";
        if (r == last_proven)
                return "last proven";
        if (r->way_back)
                return "the way back";
        return r->pinned ? "pinned" : NULL;
}

/* The release that proved itself last but the current one: where a rollback goes, unless a person rolled back from it. */
static const RetentionRelease *find_last_proven(const RetentionRelease *releases, size_t n) {
        const RetentionRelease *best = NULL;

        for (size_t i = 0; i < n; i++) {
                const RetentionRelease *r = &releases[i];

                if (counts(r) && !r->current && (!best || is_newer(r, best)))
                        best = r;
        }
        return best;
}

/* How many of the places of Keep= others take before @r does: what stays anyway, and what is newer. */
static size_t count_before(const RetentionRelease *releases, size_t n, const RetentionRelease *r,
                const RetentionRelease *last_proven) {
        size_t before = 0;

        for (size_t i = 0; i < n; i++) {
                const RetentionRelease *other = &releases[i];

                before += other != r && counts(other) &&
                          (protection(other, last_proven) || is_newer(other, r));
        }
        return before;
}

static void judge(RetentionRelease *releases, size_t n, size_t i, const RetentionRelease *last_proven,
                unsigned keep) {
        RetentionRelease *r = &releases[i];
        const char *why = protection(r, last_proven);

        if (why) {
                r->prune = false;
                r->reason = why;
        } else if (!counts(r)) {
                r->prune = true;
                r->reason = r->failed ? "failed" : "never proven";
        } else {
                r->prune = count_before(releases, n, r, last_proven) >= keep;
                r->reason = r->prune ? "older than the ones to keep" : "kept";
        }
}

static uint64_t add(uint64_t a, uint64_t b) {
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t missing(uint64_t need, uint64_t spare, uint64_t available, uint64_t freed) {
        uint64_t want = need > 0 ? add(need, spare) : 0, have = add(available, freed);

        return want > have ? want - have : 0;
}

RetentionVerdict retention_decide(RetentionRelease *releases, size_t n, const RetentionNeed *need) {
        const RetentionRelease *last_proven = find_last_proven(releases, n);
        RetentionVerdict v = {0};

        for (size_t i = 0; i < n; i++) {
                judge(releases, n, i, last_proven, need->keep);
                if (!releases[i].prune)
                        continue;
                v.n_prune++;
                v.freed_bytes = add(v.freed_bytes, releases[i].bytes);
                v.freed_inodes = add(v.freed_inodes, releases[i].inodes);
        }
        v.short_bytes = missing(need->need_bytes, need->spare_bytes, need->free_bytes, v.freed_bytes);
        v.short_inodes = missing(need->need_inodes, need->spare_inodes, need->free_inodes, v.freed_inodes);
        return v;
}
