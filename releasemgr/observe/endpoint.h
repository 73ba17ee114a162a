#pragma once

/* Where a bare TCP or unix probe goes: read from text without asking a name server. No I/O. */

#include <sys/socket.h>
#include <sys/un.h>

#include "base/util.h"

typedef struct Endpoint {
        union {
                struct sockaddr any;
                struct sockaddr_un un;
                struct sockaddr_storage storage;
        } address;
        socklen_t size;
} Endpoint;

/* "127.0.0.1:80", "[::1]:80", "localhost:80" (127.0.0.1), "unix:/run/app.sock", "unix:@abstract". -EINVAL. */
int endpoint_from_string(const char *s, Endpoint *ret);
