#pragma once

/* Decompressor: one zstd frame, with a window of at most 8 MiB, and nothing behind it. */

#include "store/sink.h"

typedef struct Decompressor Decompressor;

int decompressor_new(Decompressor **ret);
Decompressor *decompressor_free(Decompressor *d);

DEFINE_CLEANUP(Decompressor, decompressor_free);

/* Decompresses the next bytes into @sink. -EBADMSG with ERROR_UNTRUSTED where they are no such frame. */
int decompressor_push(Decompressor *d, const void *data, size_t size, const Sink *sink, Error *e);

/* The frame must be complete. */
int decompressor_finish(Decompressor *d, Error *e);
