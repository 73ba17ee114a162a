#pragma once

/* Links: the first name of every file that has several. */

#include <sys/stat.h>

#include "store/entry.h"

typedef struct Links Links;

int links_new(Links **ret);
Links *links_free(Links *l);

DEFINE_CLEANUP(Links, links_free);

/* Remembers @entry (copied) as the first name of @st's inode. */
int links_add(Links *l, const struct stat *st, const Entry *entry);

/* The entry remembered for @st's inode, borrowed, or NULL. */
const Entry *links_find(const Links *l, const struct stat *st);
