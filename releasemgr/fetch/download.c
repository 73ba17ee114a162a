#include <errno.h>

#include "base/clock.h"
#include "fetch/lane.h"

#define BLOCK_MAX (4 * MIB)

size_t download_block_size(const Download *d, size_t i) {
        return MIN_OF(d->file->block_size, d->file->length - i * d->file->block_size);
}

static void download_end(Download *d) {
        d->ending = true;
        for (size_t i = 0; i < LANES_MAX; i++)
                d->lanes[i].fiber = fiber_stop(d->lanes[i].fiber);
        d->list_fiber = fiber_stop(d->list_fiber);
        for (size_t i = 0; i < WINDOW; i++)
                free(d->slots[i].data);
        partial_close(&d->partial);
        error_clear(&d->error);
        text_clear(&d->list);
        free(d->etag);
        free(d->encoding);
        free(d);
}

static void download_end_p(Download **d) {
        if (*d)
                download_end(*d);
}

void download_fail(Download *d, int r, Error *e) {
        if (d->failure < 0 || d->ending)
                return;
        d->failure = r;
        error_move(&d->error, e);
        wakeup_set(&d->ready);
}

static void download_wake_lanes(Download *d) {
        for (size_t i = 0; i < LANES_MAX; i++)
                wakeup_set(&d->lanes[i].wakeup);
}

/* Whether all lanes that shall work do: before, there is nothing to measure. */
static bool download_is_at_work(const Download *d) {
        for (size_t i = 0; i < d->n_lanes; i++)
                if (!d->lanes[i].worked)
                        return false;
        return true;
}

/* A lane that was alone leaves to the others what is more than its share of the window, or they would only fetch what is
 * behind it, at its pace. Its answer is given up at the new end. */
static void download_share(Download *d) {
        Lane *l = &d->lanes[0];
        size_t end = MAX_OF(l->at + 1, MIN_OF(l->at + WINDOW / (2 * d->n_lanes), d->head + WINDOW));

        if (l->end == d->next && l->end > end)
                l->end = d->next = end;
}

/* As many lanes as pay, by what comes in over all of them: what is handed on is for long what one of them brings. One that is
 * too many stops by itself when its run is done. */
static int download_adapt(Download *d, uint64_t usec, uint64_t reader_usec) {
        uint64_t came = d->report.fetched - d->counted, held = source_held_usec(d->source) - d->held_usec;
        int r;

        d->counted += came;
        d->held_usec += held;
        if (d->no_ranges)
                return 0;
        if (download_is_at_work(d))
                d->n_lanes = adapt_count(&d->adapt, came, usec, reader_usec + held);
        if (d->n_lanes > 1)
                download_share(d);
        for (size_t i = 0; i < d->n_lanes && d->next < d->n_blocks; i++) {
                r = lane_start(d, &d->lanes[i]);
                if (r < 0)
                        return r;
        }
        d->report.ranges = MAX_OF(d->report.ranges, d->n_lanes);
        return 0;
}

/* Hands on the block at the head, which is FULL. */
static int download_hand_on(Download *d, Error *e) {
        Slot *slot = &d->slots[d->head % WINDOW];
        size_t size = slot->filled;
        int r;

        d->reading = true;
        r = d->options->sink(d->options->userdata, slot->data, size, e);
        d->reading = false;
        if (r < 0)
                return r;
        slot->state = SLOT_FREE;
        slot->filled = 0;
        d->head++;
        if (d->options->progress)
                d->options->progress(d->options->userdata,
                                MIN_OF(d->head * d->file->block_size, d->file->length), d->file->length);
        return 0;
}

static int download_run(Download *d, Error *e) {
        uint64_t start = clock_monotonic(), reading, now;
        int r;

        while (d->head < d->n_blocks) {
                if (d->slots[d->head % WINDOW].state != SLOT_FULL) {
                        if (d->failure < 0) {
                                error_move(e, &d->error);
                                return d->failure;
                        }
                        r = wakeup_wait(&d->ready, USEC_INFINITY);
                        if (r < 0)
                                return r;
                        continue;
                }
                reading = clock_monotonic();
                r = download_hand_on(d, e);
                if (r < 0)
                        return r;
                now = clock_monotonic();
                r = download_adapt(d, now - start, now - reading);
                if (r < 0)
                        return r;
                start = now;
                download_wake_lanes(d);
        }
        return 0;
}

/* Takes the list of hashes, which must be one of this file. */
static int download_set_list(Download *d, const void *list, size_t size, Error *e) {
        if (size != d->n_blocks * DIGEST_SIZE)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The list of blocks does not fit %s",
                                d->file->name);
        d->blocks = list;
        download_wake_lanes(d);
        return 0;
}

/* The fiber that reads the list. What comes meanwhile waits for it, unverified and unused. */
static int read_list(void *userdata) {
        _cleanup_error_ Error error = ERROR_INIT;
        Download *d = userdata;
        const DownloadList *l = d->file->list;
        int r;

        r = download_small(d->source, l->path, l->name, l->length, l->hashes, &d->list, &error);
        if (r >= 0)
                r = download_set_list(d, d->list.data, d->list.size, &error);
        if (r < 0)
                download_fail(d, r, &error);
        return r;
}

static int download_begin_list(Download *d, Error *e) {
        const DownloadFile *f = d->file;

        if (f->blocks || d->n_blocks == 0)
                return download_set_list(d, f->blocks, f->blocks_size, e);
        return fiber_new(fiber_event(), "list of blocks", read_list, d, &d->list_fiber);
}

static int download_new(Source *s, const DownloadFile *file, const DownloadOptions *options, Download **ret,
                Error *e) {
        Download *d;

        if (file->block_size == 0 || file->block_size > BLOCK_MAX)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s has no blocks of a size that we take",
                                file->name);
        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->source = s;
        d->held_usec = source_held_usec(s);
        d->file = file;
        d->options = options;
        d->partial = PARTIAL_INIT;
        d->adapt = ADAPT_INIT(source_max_ranges(s));
        d->n_blocks = file->length / file->block_size + (file->length % file->block_size > 0);
        d->n_lanes = 1;
        d->stolen_head = SIZE_MAX;
        d->report.ranges = 1;
        if (options->partial_name)
                partial_open(&d->partial, options->partial_dirfd, options->partial_name, file->length,
                                file->block_size);
        d->resumes = partial_next_data(&d->partial, 0, d->n_blocks) < d->n_blocks;
        *ret = d;
        return 0;
}

int download_blocks(Source *s, const DownloadFile *file, const DownloadOptions *options,
                DownloadReport *ret_report, Error *e) {
        _cleanup_(download_end_p) Download *d = NULL;
        int r;

        r = download_new(s, file, options, &d, e);
        if (r < 0)
                return r;
        r = download_begin_list(d, e);
        if (r >= 0)
                r = lane_start(d, &d->lanes[0]);
        if (r >= 0)
                r = download_run(d, e);
        if (ret_report)
                *ret_report = d->report;
        return r;
}

int download_small(Source *s, const char *path, const char *name, uint64_t length, const Hashes *hashes,
                Text *ret, Error *e) {
        _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT;
        int r;

        for (unsigned tries = 1;; tries++) {
                source_file_clear(&file);
                r = source_get(s, path, length, NULL, &file, e);
                if (r < 0 && r != -EFBIG)
                        return r;
                if (r >= 0 && file.data.size == length && hashes_match(hashes, file.data.data, length) > 0)
                        break;
                if (tries == 2) {
                        r = error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                        "%s from %s is not the one that was signed", name, source_name(s));
                        return error_hint(e, r,
                                        "Nothing of it was used; find out whether the repository or "
                                        "something "
                                        "on the way altered it");
                }
        }
        *ret = TAKE(file.data);
        return 0;
}
