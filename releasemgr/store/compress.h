#pragma once

/* Compressor: bytes into one zstd stream in a file, with the file's block list. Level 19, a window of at most 4 MiB so
 * that any host has the memory to read it, a checksum, one thread, so that the same bytes compress alike. */

#include "base/error.h"

typedef struct Compressor Compressor;

/* Makes the file @path (-EEXIST where it is there). It is removed again unless compressor_finish() succeeds. @dirfd and
 * @path are borrowed. */
int compressor_new(int dirfd, const char *path, Compressor **ret, Error *e);

/* @last: nothing comes behind this. */
int compressor_add(Compressor *c, const void *data, size_t size, bool last, Error *e);

/* Syncs the file, and writes and syncs its block list as the new file @blocks. */
int compressor_finish(Compressor *c, const char *blocks, Error *e);

Compressor *compressor_free(Compressor *c);

DEFINE_CLEANUP(Compressor, compressor_free);
