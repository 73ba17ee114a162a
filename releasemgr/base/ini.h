#pragma once

/* Configuration files as systemd writes them: [Section], Key=Value, # and ; comments. Read with inih. */

#include "base/error.h"

typedef struct IniEntry {
        const char *file; /* borrowed, as are the others, for the time of the call */
        unsigned line;
        const char *section;
        const char *key;
        const char *value; /* "" where nothing stands behind the = */
} IniEntry;

/* Called for each Key=Value in order. A negative return stops the reading and is passed on. The handler sets @e
 * without the place: ini_read() puts "FILE:LINE: " in front. */
typedef int (*IniHandler)(const IniEntry *entry, void *userdata, Error *e);

/* Reads one file. A malformed line is an error of class ERROR_USAGE. -ENOENT where there is no file. */
int ini_read(const char *path, IniHandler handler, void *userdata, Error *e);

/* Reads @path, then each .conf in @path.d in the order of their names. Only @path must exist. */
int ini_read_with_dropins(const char *path, IniHandler handler, void *userdata, Error *e);
