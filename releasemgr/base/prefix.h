#pragma once

/* Where things are on a host: the one compiled-in table, which --root=DIR moves as a whole. */

#include "base/util.h"

typedef enum Prefix {
        PREFIX_CONFIG, /* /etc/releasemgr */
        PREFIX_APPS,   /* /opt */
        PREFIX_STATE,  /* /var/lib/releasemgr */
        PREFIX_RUN,    /* /run/releasemgr */
        PREFIX_UNITS,  /* /etc/systemd/system */
        _PREFIX_MAX,
} Prefix;

/* ROOT/PREFIX/..., the parts that follow (const char *, ended by NULL) joined by '/'. @root is "" for the host
 * itself. Owned by the caller; NULL when memory ran out. */
char *prefix_path(const char *root, Prefix prefix, ...) _sentinel_;
