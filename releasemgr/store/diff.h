#pragma once

/*
 * Diff: which bytes of the new are nearly those of the old
 *
 * The approach of bsdiff (Colin Percival, "Naive differences of executable code", 2003): exact matches are found with a
 * suffix array and grown on both sides over bytes of which more than half agree. So code that only moved, and whose
 * addresses therefore changed, still is a copy, with a difference of mostly zeroes. Unlike bsdiff, of equal matches it takes
 * the nearest, and leaves short ones to the text. Pure.
 */

#include "base/util.h"

/* @copy bytes of the new from @new_offset on resemble those of the old from @old_offset on; behind them come @extra bytes
 * that resemble nothing. The pieces of a diff, one behind the other, are the new. */
typedef struct DiffPiece {
        uint64_t old_offset, new_offset;
        uint64_t copy, extra;
} DiffPiece;

/* A negative return ends the diff and is passed on. */
typedef int (*DiffHandler)(const DiffPiece *piece, void *userdata);

/* -ENOMEM, -EFBIG above DIFF_SIZE_MAX. Needs 4 bytes of memory a byte of the old, besides the two themselves. */
int diff_run(const uint8_t *old, size_t old_size, const uint8_t *new, size_t new_size, DiffHandler handler,
                void *userdata);

#define DIFF_SIZE_MAX ((size_t) INT32_MAX - 1)
