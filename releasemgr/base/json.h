#pragma once

/* JSON, read strictly with jansson: no duplicate keys, no reals, nothing behind the value, a bounded depth. */

#include <jansson.h>

#include "base/error.h"

/* Nesting that is read at the most; our own documents need 8. jansson's copy and dump recurse without a bound
 * of their own, so the reader is the place to bound it. */
#define JSON_DEPTH_MAX 64

/* Parses @size bytes. @name (a file or an address) is for the message, which gives line and column.
 * -EINVAL with class ERROR_FAILED, -ENOMEM. The value is owned by the caller. */
int json_parse(const char *name, const void *data, size_t size, json_t **ret, Error *e);

/* As above, for what other programs say, where fractions and repeated keys are allowed (the last one counts). */
int json_parse_foreign(const char *name, const void *data, size_t size, json_t **ret, Error *e);

/* Reads and parses a file of at most @max bytes. -ENOENT and other errors of the file system pass through. */
int json_read_file(int dirfd, const char *path, size_t max, json_t **ret, Error *e);

/* Writes a value as fs_replace_file() does, one line per member, ended by a newline. */
int json_write_file(int dirfd, const char *path, const json_t *value, mode_t mode);

/* Member @key of an object, by type; NULL (or @otherwise) where it is missing or of another type. Borrowed. */
const char *json_get_string(const json_t *object, const char *key);
int64_t json_get_integer(const json_t *object, const char *key, int64_t otherwise);
bool json_get_boolean(const json_t *object, const char *key, bool otherwise);

static inline void json_decref_p(json_t **j) {
        json_decref(*j);
}

#define _cleanup_json_ _cleanup_(json_decref_p)
