#pragma once

/*
 * Patch: one tar stream from another
 *
 * Inside one zstd frame (as compress.h makes it), all numbers little-endian:
 *
 *    "RMPATCH1"  u64 length of the old stream  u64 length of the new stream
 *    segments, until the new stream is complete:
 *            seven u32, the bytes of each part that follows
 *            steps:    for each step the three LEB128 numbers COPY, EXTRA, SEEK (zigzag)
 *            marks:    one byte for each run of differences: how many copied bytes are right as they are before it (63:
 *                      as many, and a number more), plus 64 times its length less one (3: four, and a number more)
 *            numbers:  LEB128: what does not fit into its mark, first that of the bytes before, then that of the length
 *            singles:  the differences in runs of one
 *            pairs:    those in runs of two
 *            values:   those in longer runs
 *            text:     EXTRA bytes for each step
 *
 * A step moves the place in the old stream by SEEK, makes COPY bytes (the old ones, plus the differences modulo 256), and
 * then takes EXTRA bytes of text. The parts stand apart since each compresses best among its own: the low bytes of
 * addresses that moved (pairs, in programs) resemble each other, and not what was edited. A segment has 4 MiB at most, so
 * that applying needs the memory of one, whatever the sizes.
 */

#include "store/sink.h"

#define PATCH_MAGIC       "RMPATCH1"
#define PATCH_HEADER_SIZE 24
#define PATCH_SEGMENT_MAX (4 * MIB)

typedef enum PatchPart {
        PATCH_STEPS,
        PATCH_MARKS,
        PATCH_NUMBERS,
        PATCH_SINGLES,
        PATCH_PAIRS,
        PATCH_VALUES,
        PATCH_TEXT,
        PATCH_PARTS,
} PatchPart;

/* What a mark holds by itself: more right bytes, or a longer run, need a number. */
#define PATCH_MARK_SKIP 63u
#define PATCH_MARK_RUN  4u

/* The part that the differences of a run stand in. */
static inline PatchPart patch_part_of_run(uint64_t run) {
        return run == 1 ? PATCH_SINGLES : run == 2 ? PATCH_PAIRS : PATCH_VALUES;
}

/* Reads @size bytes at @offset of the old stream, which are inside of it. */
typedef int (*PatchOldReader)(void *userdata, uint64_t offset, void *data, size_t size, Error *e);

typedef struct Patcher Patcher;

/* @old_length and @new_length must be the patch's. */
int patcher_new(uint64_t old_length, uint64_t new_length, PatchOldReader read_old, void *userdata,
                Patcher **ret);
Patcher *patcher_free(Patcher *p);

DEFINE_CLEANUP(Patcher, patcher_free);

/* Takes the next decompressed bytes of the patch; what they make goes to @sink. -EBADMSG with ERROR_UNTRUSTED where they
 * are no patch, or not one between these two lengths. */
int patcher_push(Patcher *p, const void *data, size_t size, const Sink *sink, Error *e);

/* The new stream must be complete. */
int patcher_finish(Patcher *p, Error *e);
