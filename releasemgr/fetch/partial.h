#pragma once

/* The partial file of a download: the verified blocks that are here, each in its place, and holes. For download.c. */

#include "base/error.h"
#include "trust/digest.h"

typedef struct Partial {
        int fd; /* -1: there is none, and nothing below does anything */
        uint64_t length;
        uint64_t block_size;
} Partial;

#define PARTIAL_INIT ((Partial){.fd = -1})

/* Opens or makes it. Where that is not possible there is none. */
void partial_open(Partial *p, int dirfd, const char *name, uint64_t length, uint64_t block_size);

/* Whether block @i, of @size bytes and with the hash @digest, is here: 1 with the bytes in @data, or 0. */
int partial_read(Partial *p, size_t i, void *data, size_t size, const Digest *digest);

/* The first block in [@from, @stop) of which anything is here; @stop where there is none. */
size_t partial_next_data(Partial *p, size_t from, size_t stop);

/* Keeps a block. What cannot be written (a full disk) ends the file: it gives its space back. */
void partial_write(Partial *p, size_t i, const void *data, size_t size);

/* Closes it, and leaves it where it is. */
void partial_close(Partial *p);
