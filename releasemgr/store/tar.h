#pragma once

/*
 * Tar: the bytes that stand before and behind the content of an entry
 *
 * The tar stream is a format of ours with a signed SHA-256, which publisher and host must make alike for years: so its
 * headers are written here, and not by whichever library is installed, which promises no such thing. They are
 * ustar (POSIX.1-1988), with a pax extended header (POSIX.1-2001, pax(1) "pax Header Block") only where a path, a link
 * or a size does not fit, owner root, modes 0755 or 0644, and one constant time. Any tar reads them. Pure.
 */

#include "base/text.h"
#include "store/entry.h"

#define TAR_BLOCK 512

/* The end of the archive: two blocks of zeroes. */
#define TAR_END (2 * TAR_BLOCK)

/* The time that every entry has in the stream: 1980-01-01, the first one that zip and FAT can say too. On the host files
 * keep the time when they were installed: web servers make ETags of time and size, and with one constant time two
 * releases' files of equal size would look the same to a browser's cache. */
#define TAR_MTIME 315532800

/* Appends the header block, and a pax header before it where needed. */
int tar_add_header(Text *t, const Entry *entry);

/* The size that the header block at @header names; 0 where it is none. */
uint64_t tar_header_size(const char header[static TAR_BLOCK]);

/* Bytes of content in the stream behind the header, without padding: 0 for all but files. */
static inline uint64_t tar_content_size(const Entry *entry) {
        return entry->type == ENTRY_FILE ? entry->size : 0;
}

/* Bytes of zero behind @size bytes of content. */
static inline size_t tar_padding(uint64_t size) {
        return (size_t) (-size % TAR_BLOCK);
}
