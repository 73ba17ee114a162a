/* The step that brings the target to the host: a copy, a patch or the bundle;
 * download, verify, unpack, seal. Its undo discards what is not sealed; a
 * release that was sealed stays, and is the first that retention lets go. */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "deploy/fetch.h"
#include "deploy/inquiry.h"
#include "deploy/retain.h"
#include "fetch/download.h"
#include "store/blocks.h"
#include "store/copy.h"
#include "store/extract.h"
#include "store/staging.h"

typedef struct Fetch {
        Deploy *d;
        Extract *extract;
} Fetch;

static int on_bytes(void *userdata, const void *data, size_t size, Error *e) {
        return extract_push(((Fetch *) userdata)->extract, data, size, e);
}

static void on_progress(void *userdata, uint64_t done, uint64_t total) {
        progress_bytes(((Fetch *) userdata)->d->o->progress, done, total);
}

int fetch_routes(Deploy *d, FetchRoutes *ret, Error *e) {
        RetainSpace space;
        int r = store_list(d->o->store, &ret->here, &ret->n_here, NULL, e);

        if (r >= 0)
                r = retain_measure(d, &space, e);
        if (r < 0)
                return r;
        return route_list(d->bundle, ret->here, ret->n_here, space.room_bytes, &ret->list, &ret->n);
}

void fetch_routes_clear(FetchRoutes *f) {
        release_info_free_many(f->here, f->n_here);
        free(f->list);
        *f = (FetchRoutes){0};
}

/* What the partial file is called; NULL where the disk has no room for it beside what is made of it. */
static int choose_partial(Deploy *d, const OfferedFile *file, char buffer[static DOWNLOAD_PARTIAL_MAX],
                const char **ret, Error *e) {
        const char *name = download_partial_name(&file->digest, buffer);
        struct stat there = {0};
        RetainSpace space;
        int r;

        r = retain_measure(d, &space, e);
        if (r < 0)
                return r;
        (void) fstatat(store_releases_dirfd(d->o->store), name, &there, AT_SYMLINK_NOFOLLOW);
        *ret = space.room_bytes + (uint64_t) there.st_blocks * 512 >= file->length ? name : NULL;
        return 0;
}

/* Downloads a bundle or patch into @x, and counts it. */
static int receive(Deploy *d, const OfferedFile *file, Extract *x, DownloadReport *sum, Error *e) {
        char buffer[DOWNLOAD_PARTIAL_MAX];
        const char *partial;
        Fetch fetch = {.d = d, .extract = x};
        DownloadReport report = {0};
        int r;

        r = choose_partial(d, file, buffer, &partial, e);
        if (r < 0)
                return r;
        r = download_blocks(d->o->source,
                        &(DownloadFile){
                                        .path = file->url,
                                        .name = file->name,
                                        .length = file->length,
                                        .block_size = BLOCK_SIZE,
                                        .list = &(DownloadList){.path = file->blocks_url,
                                                        .name = file->blocks_name,
                                                        .length = file->blocks_length,
                                                        .hashes = &file->blocks_hashes},
                        },
                        &(DownloadOptions){
                                        .sink = on_bytes,
                                        .progress = on_progress,
                                        .userdata = &fetch,
                                        .partial_dirfd = store_releases_dirfd(d->o->store),
                                        .partial_name = partial,
                        },
                        &report, e);
        sum->fetched += report.fetched;
        sum->resumed += report.resumed;
        return r;
}

/* The release between the two patches of a chain, as the tar stream in a file. */
static int make_between(Deploy *d, const OfferedPatch *first, int old, DownloadReport *sum, Error *e) {
        const BundleInfo between = {
                        .tar_length = first->info->tar_length, .tar_digest = first->info->tar_digest};
        _cleanup_close_ int tar = staging_scratch(d->o->store, e);
        _cleanup_(extract_free_p) Extract *x = NULL;
        int r = tar;

        if (r >= 0)
                r = extract_begin_first(tar, &between, old, &x, e);
        if (r >= 0)
                r = receive(d, &first->file, x, sum, e);
        if (r >= 0)
                r = extract_finish(x, e);
        return r < 0 ? r : TAKE_FD(tar);
}

/* @old is a release, or what is between the patches of a chain. */
static int begin(const Route *route, int staging, const BundleInfo *info, int old, Extract **ret, Error *e) {
        switch (route->kind) {
        case ROUTE_PATCH:
                return extract_begin_patch(staging, info, old, ret, e);
        case ROUTE_CHAIN:
                return extract_begin_second(staging, info, old, route->first->info->tar_length, ret, e);
        default:
                return extract_begin(staging, info, ret, e);
        }
}

/* Makes the whole tree, in a staging directory that is empty at first. */
static int take_route(Deploy *d, const Route *route, DownloadReport *sum, Error *e) {
        _cleanup_close_ int staging = -1, old = -1, between = -1;
        _cleanup_(extract_free_p) Extract *x = NULL;
        int r = 0;

        staging = staging_open(d->o->store, d->id, d->target, e);
        if (staging < 0)
                return staging;
        if (route->from)
                r = old = store_open_release(d->o->store, route->from, e);
        if (r >= 0 && route->kind == ROUTE_COPY)
                return copy_release(staging, d->bundle->info, old, e);
        if (r >= 0 && route->kind == ROUTE_CHAIN)
                r = between = make_between(d, route->first, old, sum, e);
        if (r >= 0)
                r = begin(route, staging, d->bundle->info, between >= 0 ? between : old, &x, e);
        if (r >= 0)
                r = receive(d, route->file, x, sum, e);
        return r < 0 ? r : extract_finish(x, e);
}

/* Takes the cheapest way, and where that turns out to lead nowhere, the next one. */
static int take_routes(
                Deploy *d, const FetchRoutes *routes, const Route **ret, DownloadReport *sum, Error *e) {
        for (size_t i = 0;; i++) {
                const Route *route = *ret = &routes->list[i];
                _cleanup_error_ Error why = ERROR_INIT;
                int r = take_route(d, route, sum, &why);

                if (r >= 0)
                        return r;
                if (i + 1 == routes->n || !route_may_go_on(r)) {
                        error_move(e, &why);
                        return r;
                }
                progress_note(d->o->progress, "no %s from %s: %s", route_kind_name(route->kind), route->from,
                                error_message(&why, r));
        }
}

static void sum_up(Deploy *d, const Route *route, const DownloadReport *sum) {
        static const char *const how[] = {
                        [ROUTE_COPY] = ", a copy of ",
                        [ROUTE_PATCH] = ", a patch from ",
                        [ROUTE_CHAIN] = ", a chain of patches from ",
                        [ROUTE_BUNDLE] = "",
        };
        char size[SIZE_TEXT_MAX], unpacked[SIZE_TEXT_MAX];

        progress_summary(d->o->progress, "%s fetched%s%s%s%s%s, %s in %llu files",
                        size_to_text(sum->fetched, size), sum->resumed > 0 ? " (resumed)" : "",
                        how[route->kind], route->from ?: "", route->first ? " by way of " : "",
                        route->first ? route->first->info->version : "",
                        size_to_text(d->bundle->info->unpacked, unpacked),
                        (unsigned long long) d->bundle->info->entries);
}

static int fetch_start(Deploy *d, Error *e) {
        _cleanup_(fetch_routes_clear) FetchRoutes routes = {0};
        DownloadReport report = {0};
        const Route *route = NULL;
        int r;

        inquiry_guard(d->inquiry);
        r = retain_prune(d, true, e);
        if (r >= 0)
                r = fetch_routes(d, &routes, e);
        if (r >= 0)
                r = take_routes(d, &routes, &route, &report, e);
        r = inquiry_settle(d->inquiry, r, e);
        if (r >= 0) /* all of it is unpacked: before the sync, or that would write it to the disk as well */
                r = download_partial_clean(store_releases_dirfd(d->o->store), NULL, e);
        if (r >= 0)
                r = staging_seal(d->o->store, d->id, d->bundle->info, &d->bundle->file.digest, d->o->shared,
                                e);
        if (r < 0)
                return r;
        sum_up(d, route, &report);
        return 0;
}

static int fetch_undo(Deploy *d, Error *e) {
        return staging_discard(d->o->store, d->id, d->target, e);
}

static int fetch_inspect(Deploy *d, Error *e _unused_) {
        return staging_is_sealed(d->o->store, d->target) > 0 ? 1 : -EUCLEAN;
}

const StepType step_fetch = {
                .name = "fetch", .start = fetch_start, .undo = fetch_undo, .inspect = fetch_inspect};
