#pragma once

/* Taking addresses apart (RFC 3986), as far as we must know before libcurl is there. What it refuses, libcurl may still
 * take. Pure. */

#include "base/util.h"

typedef struct Address {
        const char *host; /* into the address; with the brackets of an IPv6 one; may be empty with file:// */
        size_t host_size;
        const char *path; /* behind host and port; may be empty */
        size_t path_size; /* up to the query or fragment */
} Address;

/* False for what is no "scheme://[user@]host[:port][/path]", or has control characters or blanks. */
bool address_split(const char *url, Address *ret);

/* @size bytes of @text with each %XX decoded, but for control characters, which stay as they are. Owned by the caller,
 * NULL when memory ran out. */
char *uri_unquote(const char *text, size_t size);
