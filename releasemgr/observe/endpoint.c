#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/text.h"
#include "observe/endpoint.h"

static int endpoint_unix(const char *path, Endpoint *ret) {
        Endpoint e = {.address.un.sun_family = AF_UNIX};
        size_t n = strlen(path);

        if (n < 2 || n >= sizeof(e.address.un.sun_path) || (*path != '/' && *path != '@'))
                return -EINVAL;
        memcpy(e.address.un.sun_path, path, n);
        e.size = offsetof(struct sockaddr_un, sun_path) + n + (*path == '/');
        if (*path == '@') /* unix(7), abstract: a NUL first, and no NUL at the end */
                e.address.un.sun_path[0] = '\0';
        *ret = e;
        return 0;
}

static int endpoint_inet(const char *host, uint16_t port, Endpoint *ret) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

        *ret = (Endpoint){0};
        if (inet_pton(AF_INET, streq(host, "localhost") ? "127.0.0.1" : host, &in.sin_addr) == 1) {
                memcpy(&ret->address, &in, sizeof(in));
                ret->size = sizeof(in);
                return 0;
        }
        if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
                return -EINVAL;
        memcpy(&ret->address, &in6, sizeof(in6));
        ret->size = sizeof(in6);
        return 0;
}

int endpoint_from_string(const char *s, Endpoint *ret) {
        _cleanup_free_ char *copy = NULL;
        const char *path = startswith(s, "unix:");
        char *host, *colon;
        uint64_t port;

        if (path)
                return endpoint_unix(path, ret);
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        colon = strrchr(copy, ':');
        if (!colon || parse_u64(colon + 1, UINT16_MAX, &port) < 0 || port == 0)
                return -EINVAL;
        *colon = '\0';
        host = copy;
        if (*host == '[' && colon[-1] == ']') {
                colon[-1] = '\0';
                host++;
        } else if (strchr(host, ':'))
                return -EINVAL; /* an IPv6 address without brackets: where would the port begin? */
        return endpoint_inet(host, port, ret);
}
