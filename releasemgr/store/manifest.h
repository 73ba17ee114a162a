#pragma once

/*
 * Manifest: what a tree holds, one line an entry, in the order of the tar stream (bytewise by path)
 *
 *    #mtree
 *    ./bin type=dir mode=0755
 *    ./bin/app type=file mode=0755 size=12 sha256digest=HEX
 *    ./bin/same type=file mode=0755 size=12 sha256digest=HEX link=./bin/app      a hard link to the first name
 *    ./lib type=link mode=0777 link=bin
 *
 * This is mtree(5), which bsdtar and mtree(8) read; the hard link's link= is our own use of that keyword. Everything
 * but letters, digits and a few signs is written as \ooo. We read only what we write, and read it line by line: a
 * manifest of any size needs the memory of one line.
 */

#include "base/error.h"
#include "base/text.h"
#include "store/entry.h"

#define MANIFEST_HEADER "#mtree\n"

/* Appends the line of @entry. */
int manifest_add(Text *t, const Entry *entry);

typedef struct Manifest Manifest;

/* Reads from the file @fd, which the manifest owns from then on (on failure too). */
int manifest_new(int fd, Manifest **ret, Error *e);
Manifest *manifest_free(Manifest *m);

DEFINE_CLEANUP(Manifest, manifest_free);

/* The next entry into @entry (which is cleared first): 1, or 0 at the end. -EBADMSG with ERROR_UNTRUSTED where a line is
 * not one of ours, or out of order: so no path comes twice. */
int manifest_next(Manifest *m, Entry *entry, Error *e);

/* Where the next line begins, in bytes, and going back to such a place. The order is not checked across a jump. */
uint64_t manifest_tell(const Manifest *m);
void manifest_seek(Manifest *m, uint64_t offset);

/* Bytes of the file, and its descriptor (borrowed). */
uint64_t manifest_size(const Manifest *m);
int manifest_fd(const Manifest *m);
