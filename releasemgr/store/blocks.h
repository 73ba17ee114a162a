#pragma once

/*
 * Block lists: the SHA-256 of every 256 KiB of a bundle or patch
 *
 * The list is a target of its own (NAME.blocks): 32 bytes for each block, in order, nothing else. The last block is as
 * long as what is left. A block goes to the decompressor only after its hash was found here, so that a download can
 * be streamed, resumed and fetched in parallel, and still nothing is parsed that nobody signed.
 *
 * Pure: no I/O.
 */

#include "base/error.h"
#include "base/text.h"
#include "trust/digest.h"

#define BLOCK_SIZE (256 * KIB)

typedef struct Blocks Blocks;

/* The length of the list of a file of @length bytes. */
uint64_t blocks_list_size(uint64_t length);

/* Takes the list (copied) of a file of @length bytes. -EBADMSG with ERROR_UNTRUSTED where the two do not fit. */
int blocks_parse(const void *data, size_t size, uint64_t length, Blocks **ret, Error *e);

size_t blocks_count(const Blocks *b);

/* The length of block @i: BLOCK_SIZE, but for the last. */
size_t blocks_size(const Blocks *b, size_t i);

/* Whether @data, of blocks_size(b, i) bytes, is block @i. -EBADMSG with ERROR_UNTRUSTED where it is not. */
int blocks_verify(const Blocks *b, size_t i, const void *data, size_t size, Error *e);

Blocks *blocks_free(Blocks *b);

DEFINE_CLEANUP(Blocks, blocks_free);

/* Makes a list from the file's bytes as they are written. */
typedef struct BlockLister BlockLister;

int block_lister_new(BlockLister **ret);
int block_lister_add(BlockLister *l, const void *data, size_t size);

/* The finished list, owned by the caller. */
int block_lister_finish(BlockLister *l, Text *ret);

BlockLister *block_lister_free(BlockLister *l);

DEFINE_CLEANUP(BlockLister, block_lister_free);
