#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "fetch/lane.h"

/* A lane that has waited so long for the head of the window may take it over. */
#define STEAL_USEC (500 * USEC_PER_MSEC)

/* So many bytes make a failed try a partial success. */
#define PROGRESS (16 * KIB)

static Slot *download_slot(Download *d, size_t i) {
        return &d->slots[i % WINDOW];
}

static bool lane_is_lone(const Lane *l) {
        const Download *d = l->download;

        for (size_t i = 0; i < LANES_MAX; i++)
                if (&d->lanes[i] != l && d->lanes[i].fiber && !fiber_is_done(d->lanes[i].fiber))
                        return false;
        return d->n_lanes == 1;
}

/* Makes room for block @i, which is inside the window. */
static int slot_prepare(Download *d, size_t i) {
        Slot *slot = download_slot(d, i);

        if (!slot->data)
                slot->data = malloc(d->file->block_size);
        return slot->data ? 0 : -ENOMEM;
}

/* Waits until it is known what the blocks must be. */
static int lane_await_list(Lane *l) {
        Download *d = l->download;
        int r = 0;

        while (!d->blocks && r >= 0)
                r = wakeup_wait(&l->wakeup, USEC_INFINITY);
        return r;
}

/* Takes what the partial file has from the window's next blocks. 1 where the next one has to be fetched, 0 where there
 * is none or no room. */
static int download_take_partial(Download *d) {
        while (d->next < d->n_blocks && d->next < d->head + WINDOW) {
                if (!d->resumes)
                        return 1;

                size_t size = download_block_size(d, d->next);
                Slot *slot = download_slot(d, d->next);
                Digest digest;
                int r;

                r = slot_prepare(d, d->next);
                if (r < 0)
                        return r;
                memcpy(&digest, d->blocks + d->next * DIGEST_SIZE, DIGEST_SIZE);
                if (!partial_read(&d->partial, d->next, slot->data, size, &digest))
                        return 1;
                slot->state = SLOT_FULL;
                slot->filled = size;
                d->report.resumed += size;
                d->next++;
                wakeup_set(&d->ready);
        }
        return 0;
}

static size_t lane_run_length(const Lane *l) {
        const Download *d = l->download;

        if (lane_is_lone(l))
                return d->n_blocks - d->next;
        return MIN_OF(MAX_OF(WINDOW / (2 * d->n_lanes), 1u), d->head + WINDOW - d->next);
}

/* How long a lane waits for the head before it takes it over: longer each time, or two would take it from each other for
 * ever where the server is just slow. */
static uint64_t download_patience(const Download *d) {
        return d->stolen_head == d->head ? STEAL_USEC << MIN_OF(d->steals, 10u) : STEAL_USEC;
}

/* Whether it would be long until @l brings the head. */
static bool lane_is_slow(const Lane *l, uint64_t patience) {
        const Download *d = l->download;
        const Slot *slot = &d->slots[d->head % WINDOW];
        uint64_t age = clock_monotonic() - l->since_usec, left;

        if (l->at != d->head || l->at >= l->end || l->stolen || slot->state != SLOT_CLAIMED)
                return false;
        left = download_block_size(d, d->head) - slot->filled;
        return l->brought == 0 ? age > patience : left * age / l->brought > 2 * patience;
}

/* One slow connection does not hold the others: whoever finds no room because of it asks for the head anew. */
static bool lane_steal(Lane *l, uint64_t waited_usec) {
        Download *d = l->download;
        uint64_t patience = download_patience(d);

        if (waited_usec < patience || d->reading)
                return false;
        for (size_t i = 0; i < LANES_MAX; i++) {
                Lane *from = &d->lanes[i];

                if (from == l || !from->download || !lane_is_slow(from, patience))
                        continue;
                l->at = from->at;
                l->end = from->end;
                from->at = from->end = 0;
                from->stolen = true;
                fiber_cancel(from->fiber);
                d->steals = d->stolen_head == d->head ? d->steals + 1 : 1;
                d->stolen_head = d->head;
                return true;
        }
        return false;
}

static void lane_take_run(Lane *l) {
        Download *d = l->download;
        size_t length = lane_run_length(l), stop;

        l->worked = true;

        stop = MIN_OF(d->next + length, d->n_blocks);
        stop = partial_next_data(&d->partial, d->next + 1, stop);
        l->at = d->next;
        l->end = d->next = stop;
        for (size_t i = l->at; i < MIN_OF(l->end, d->head + WINDOW); i++)
                *download_slot(d, i) = (Slot){.state = SLOT_CLAIMED, .data = download_slot(d, i)->data};
}

/* Finds work. 1 where there is some, 0 where there is none left for this lane. */
static int lane_claim(Lane *l) {
        Download *d = l->download;
        uint64_t start = clock_monotonic();
        int r;

        for (;;) {
                if (d->ending || l >= d->lanes + d->n_lanes)
                        return 0;
                r = d->resumes ? lane_await_list(l) : 0;
                if (r >= 0)
                        r = download_take_partial(d);
                if (r < 0)
                        return r;
                if (r > 0) {
                        lane_take_run(l);
                        return 1;
                }
                if (lane_steal(l, clock_monotonic() - start))
                        return 1;
                if (d->head == d->n_blocks)
                        return 0;
                r = wakeup_wait(&l->wakeup, STEAL_USEC);
                if (r < 0 && r != -ETIMEDOUT)
                        return r;
                if (r == 0)
                        start = clock_monotonic(); /* the head has moved */
        }
}

/* Waits until block @i is inside the window and its slot is ours. */
static int lane_await_slot(Lane *l, size_t i) {
        Download *d = l->download;
        Slot *slot = download_slot(d, i);
        int r;

        while (i >= d->head + WINDOW) {
                r = wakeup_wait(&l->wakeup, USEC_INFINITY);
                if (r < 0)
                        return r;
        }
        if (slot->state == SLOT_FREE) {
                slot->state = SLOT_CLAIMED;
                slot->filled = 0;
        }
        return slot_prepare(d, i);
}

/* Notices that the file is not the one that the download began with, or came in another form. */
static int lane_look_at_answer(Lane *l, HttpTransfer *t, Error *e) {
        const char *etag = http_header(http_transfer_headers(t), "ETag");
        const char *encoding = http_header(http_transfer_headers(t), "Content-Encoding");
        uint64_t total = http_transfer_total(t);
        Download *d = l->download;
        int r;

        if (etag && !d->etag && !(d->etag = strdup(etag)))
                return -ENOMEM;
        if (etag && !streq(etag, d->etag))
                d->changed = true;
        if (encoding && strcasecmp(encoding, "identity") != 0 && !d->encoding &&
                        !(d->encoding = strdup(encoding)))
                return -ENOMEM;
        if (total != UINT64_MAX && total != d->file->length && !d->encoding) {
                r = error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "%s has %" PRIu64 " bytes at %s, and %" PRIu64 " were signed", d->file->name,
                                total, source_name(d->source), d->file->length);
                return error_hint(e, r,
                                "Nothing of it was used; find out whether it was uploaded whole, or what "
                                "altered it");
        }
        return 0;
}

/* A server that sends everything: whoever works alone takes everything. Skips what is here already. */
static int lane_skip(Lane *l, HttpTransfer *t, Error *e) {
        uint64_t at = http_transfer_offset(t);
        Download *d = l->download;
        _cleanup_free_ char *piece = NULL;

        if (http_transfer_status(t) == 206)
                return 0;
        d->no_ranges = true;
        d->n_lanes = 1;
        if (lane_is_lone(l) && l->end == d->next)
                l->end = d->next = d->n_blocks;
        if (at < l->offset && !(piece = malloc(16 * KIB)))
                return -ENOMEM;
        while (at < l->offset) {
                ssize_t n = source_read(d->source, t, piece, MIN_OF(16 * KIB, l->offset - at), e);

                if (n < 0)
                        return n;
                if (n == 0)
                        return error_set(e, ERROR_FAILED, -ECONNRESET, "%s ended early", d->file->name);
                d->report.fetched += n;
                l->brought += n;
                at += n;
        }
        return 0;
}

static int lane_refuse_block(Lane *l, Error *e) {
        Download *d = l->download;
        int r;

        download_slot(d, l->at)->filled = 0;
        r = error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                        "Block %zu of %s from %s is not the one that was signed%s%s%s", l->at, d->file->name,
                        source_name(d->source), d->changed ? ", and the file changed there meanwhile" : "",
                        d->encoding ? ", and it came with Content-Encoding: " : "", d->encoding ?: "");
        return error_hint(e, r, "Nothing of it was used; %s",
                        d->encoding ? "let the server send the repository's files as they are"
                                    : "find out whether the repository or something on the way altered it");
}

/* A block is complete. */
static int lane_check_block(Lane *l, Error *e) {
        Download *d = l->download;
        Slot *slot = download_slot(d, l->at);
        Digest digest;
        int r;

        r = digest_of(slot->data, slot->filled, &digest);
        if (r >= 0)
                r = lane_await_list(l);
        if (r < 0)
                return r;
        if (memcmp(digest.bytes, d->blocks + l->at * DIGEST_SIZE, DIGEST_SIZE) != 0)
                return lane_refuse_block(l, e);
        slot->state = SLOT_FULL;
        partial_write(&d->partial, l->at, slot->data, slot->filled);
        l->suspect = SIZE_MAX;
        l->tries = 0;
        if (l->at++ == d->head)
                wakeup_set(&d->ready);
        return 0;
}

static int lane_read_blocks(Lane *l, HttpTransfer *t, Error *e) {
        Download *d = l->download;

        while (l->at < l->end) {
                Slot *slot = download_slot(d, l->at);
                size_t size = download_block_size(d, l->at);
                int r;

                r = lane_await_slot(l, l->at);
                while (r >= 0 && slot->filled < size) {
                        ssize_t n = source_read(
                                        d->source, t, slot->data + slot->filled, size - slot->filled, e);

                        if (l->stolen)
                                return -ECANCELED;
                        if (n == 0)
                                return error_set(e, ERROR_FAILED, -ECONNRESET, "%s ended early",
                                                d->file->name);
                        if (n < 0)
                                return n;
                        slot->filled += n;
                        l->brought += n;
                        d->report.fetched += n;
                }
                if (r >= 0)
                        r = lane_check_block(l, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Where the next byte that is missing stands. */
static uint64_t lane_place(const Lane *l) {
        return l->at * l->download->file->block_size + download_slot(l->download, l->at)->filled;
}

/* One request for what is left of the run. */
static int lane_fetch(Lane *l, uint64_t *ret_retry_usec, Error *e) {
        _cleanup_(http_close_p) HttpTransfer *t = NULL;
        Download *d = l->download;
        uint64_t stop;
        int r;

        r = lane_await_slot(l, l->at);
        if (r < 0)
                return r;
        l->since_usec = clock_monotonic();
        l->brought = 0;
        l->offset = lane_place(l);
        stop = MIN_OF(l->end * d->file->block_size, d->file->length);
        r = source_open(d->source, d->file->path, l->offset, stop - l->offset, &t, ret_retry_usec, e);
        if (r == -ERANGE)
                r = error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s is shorter at %s than was signed",
                                d->file->name, source_name(d->source));
        if (r >= 0 && !l->stolen)
                r = lane_look_at_answer(l, t, e);
        if (r >= 0 && !l->stolen)
                r = lane_skip(l, t, e);
        if (r >= 0 && !l->stolen)
                r = lane_read_blocks(l, t, e);
        return l->stolen ? -ECANCELED : r;
}

/* Whether what failed is tried again: waits until it is time, and returns 0. */
static int lane_retry(Lane *l, int r, uint64_t retry_usec) {
        Download *d = l->download;
        int q;

        if (l->stolen && !d->ending) {
                l->stolen = false;
                (void) fiber_take_cancel();
                return 0;
        }
        if (r == -EBADMSG && l->suspect != l->at) {
                l->suspect = l->at; /* once more: something on the way may have damaged it */
                d->report.retries++;
                return 0;
        }
        if (!source_may_retry(r))
                return r;
        l->tries = lane_place(l) >= l->offset + PROGRESS ? 1 : l->tries + 1;
        q = source_back_off(d->source, l->tries, d->report.fetched > 0, retry_usec);
        if (q < 0 && !(l->stolen && !d->ending))
                return q == -ECANCELED ? q : r;
        l->stolen = false;
        d->report.retries++;
        return 0;
}

static int lane_work(Lane *l, Error *e) {
        int r;

        while ((r = lane_claim(l)) > 0)
                while (l->at < l->end) {
                        uint64_t retry_usec = 0;

                        r = lane_fetch(l, &retry_usec, e);
                        if (r < 0)
                                r = lane_retry(l, r, retry_usec);
                        if (r < 0)
                                return r;
                }
        return r;
}

static int lane_main(void *userdata) {
        _cleanup_error_ Error error = ERROR_INIT;
        Lane *l = userdata;
        Download *d = l->download;
        int r;

        r = lane_work(l, &error);
        if (r < 0)
                download_fail(d, r, &error);
        return r;
}

int lane_start(Download *d, Lane *l) {
        char name[32];

        if (l->fiber && !fiber_is_done(l->fiber))
                return 0;
        l->fiber = fiber_free(l->fiber);
        l->download = d;
        l->tries = 0;
        l->suspect = SIZE_MAX;
        l->worked = false;
        snprintf(name, sizeof(name), "lane %zu", (size_t) (l - d->lanes));
        return fiber_new(fiber_event(), name, lane_main, l, &l->fiber);
}
