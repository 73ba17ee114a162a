#pragma once

/*
 * The inside of a download, for download.c and lane.c alone
 *
 * The window is the next few blocks, each in the slot (number of the block) % WINDOW. Lanes, one fiber and connection
 * each, claim runs of blocks, fill and verify the slots; download.c hands them on in order.
 *
 *        FREE --claim--> CLAIMED --all bytes there and right--> FULL --handed on--> FREE
 *
 * Invariants:
 *  1. head <= next; blocks below head were handed on, those from next on are nobody's yet.
 *  2. A block in [head, next) is FULL, or in [at, end) of exactly one lane.
 *  3. With several lanes, a lane claims only blocks inside the window: what it asked for it can always take, and none of
 *     them waits for another. A lone lane claims all that is left, so that no question stands between two blocks, and
 *     waits for slots, its sender held back; it gives up what is beyond its share when others come.
 *  4. Only verified bytes make a slot FULL.
 */

#include "base/wakeup.h"
#include "fetch/adapt.h"
#include "fetch/download.h"
#include "fetch/partial.h"

#define WINDOW    16 /* blocks: 4 MiB */
#define LANES_MAX 8

typedef struct Download Download;

typedef enum SlotState {
        SLOT_FREE,
        SLOT_CLAIMED,
        SLOT_FULL,
} SlotState;

typedef struct Slot {
        SlotState state;
        size_t filled; /* bytes of a claimed block that are here already, not verified */
        uint8_t *data;
} Slot;

typedef struct Lane {
        Download *download;
        Fiber *fiber; /* NULL: never used */
        Wakeup wakeup;
        size_t at, end;      /* the claimed blocks that are still to come */
        bool stolen;         /* another lane took them over: give up the connection */
        uint64_t since_usec; /* clock_monotonic() of the request, and what it brought */
        uint64_t brought;
        uint64_t offset; /* where the request began */
        unsigned tries;  /* that failed since something came */
        size_t suspect;  /* the block that was wrong once, SIZE_MAX: none */
        bool worked;     /* has claimed a run since it was started */
} Lane;

struct Download {
        Source *source;
        const DownloadFile *file;
        const DownloadOptions *options;
        DownloadReport report;
        Partial partial;
        Adapt adapt;

        size_t n_blocks;
        const uint8_t *blocks; /* their hashes; NULL until the list of them is here */
        Text list;
        Fiber *list_fiber; /* which reads it; NULL: it was given */
        bool resumes;      /* the partial file has blocks to look at */
        size_t head;
        size_t next;
        Slot slots[WINDOW];
        Lane lanes[LANES_MAX];
        unsigned n_lanes;   /* that shall work */
        uint64_t counted;   /* of the bytes fetched, when their number was looked at last */
        uint64_t held_usec; /* by the source's rate, likewise: more connections are no help against it */

        char *etag;     /* of the first answer */
        bool changed;   /* another answer had another */
        bool no_ranges; /* the server ignores them */
        char *encoding; /* a Content-Encoding that nobody asked for */
        size_t suspect; /* the block that was wrong once, SIZE_MAX: none */

        size_t stolen_head; /* the head that was last taken over, and how often */
        unsigned steals;

        Wakeup ready; /* the head is FULL, or something failed */
        bool reading; /* the sink is at work */
        bool ending;  /* lanes stop */
        int failure;
        Error error;
};

/* The bytes of block @i: the last one may be shorter. */
size_t download_block_size(const Download *d, size_t i);

/* download.c: ends the download with the failure -@r, unless there was one before. Takes what @e holds. */
void download_fail(Download *d, int r, Error *e);

/* lane.c: starts the lane, if it does not run. */
int lane_start(Download *d, Lane *l);
