#pragma once

/* Entries of a tree, and what may be one: the rules for names and links, the same for publisher and host. Pure. */

#include "base/util.h"
#include "trust/digest.h"

typedef enum EntryType {
        ENTRY_FILE,
        ENTRY_DIRECTORY,
        ENTRY_SYMLINK,
        ENTRY_HARDLINK, /* a file again, under another name */
} EntryType;

typedef struct Entry {
        EntryType type;
        bool executable; /* of files and hard links: 0755 rather than 0644 */
        uint64_t size;   /* of files and hard links */
        Digest digest;   /* of files and hard links: SHA-256 of the content */
        char *path;      /* relative, without "./"; owned */
        char *link;      /* where a symlink points; the first path of a hard-linked file; owned */
} Entry;

#define ENTRY_INIT ((Entry){0})

void entry_clear(Entry *entry);

#define _cleanup_entry_ _cleanup_(entry_clear)

/* Longer paths do not fit into PATH_MAX below any real store. */
#define ENTRY_PATH_MAX 3072

/* What is wrong with @path as the name of an entry, as the end of a sentence ("has a .. in it"), NULL where nothing
 * is. A good path is relative, in its simplest form, printable UTF-8, and not below .releasemgr. */
const char *entry_path_problem(const char *path);

/* The same for a symlink at @path that points to @target. A good target is relative and has ".." only at its
 * beginning, no more often than @path is deep. Since directories of the tree are real, the leading ".." then mean what
 * they say, and what follows only goes down or through other good links: no chain of good links leaves the tree. */
const char *entry_link_problem(const char *path, const char *target);

const char *entry_type_to_string(EntryType type);
