#pragma once

/* The history of an app: history.jsonl, one line a deployment, for good. */

#include "base/json.h"

/* Appends one line, durably. A line with the "id" and the "verdict" of the last one is not written again, so that a
 * deployment whose end is repeated after a crash stands there once. */
int history_append(int dirfd, const json_t *entry, Error *e);

#define HISTORY_FILE "history.jsonl"

/* Lines that were passed over because they are no JSON objects: torn by a crash, or written by somebody else. */
typedef struct HistoryDamage {
        size_t lines;
        uint64_t offset; /* where in the file the last of them begins */
} HistoryDamage;

/* The last @max entries as an array, the newest first; fewer where there are fewer. Reads the file from its end, so the
 * cost is that of the lines wanted. @ret_damage, which may be NULL, is about the lines that were read. */
int history_tail(int dirfd, size_t max, json_t **ret, HistoryDamage *ret_damage, Error *e);

/* The entry whose id is @id, or begins with it where only one does; the newest where there are
 * several of one id. -ENOENT, or -ENOTUNIQ. */
int history_find(int dirfd, const char *id, json_t **ret, Error *e);
