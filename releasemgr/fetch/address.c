#include <ctype.h>

#include "base/text.h"
#include "fetch/address.h"
#include "fetch/http.h"

/* Bytes of @s up to one that is no part of a host's name: letters of other scripts are, as are percent signs. */
static size_t host_span(const char *s) {
        bool bracket = *s == '[';
        size_t n = bracket;

        while (isalnum((unsigned char) s[n]) || (unsigned char) s[n] >= 0x80 ||
                        (s[n] && strchr(bracket ? ":-._~%" : "-._~%", s[n])))
                n++;
        return !bracket ? n : s[n] == ']' ? n + 1 : 0;
}

bool address_split(const char *url, Address *ret) {
        size_t scheme = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
        const char *host = startswith(url + scheme, "://"), *at, *end, *p;

        if (!host || scheme == 0)
                return false;
        for (p = url; *p; p++)
                if ((unsigned char) *p <= ' ' || *p == 0x7f)
                        return false;
        end = host + strcspn(host, "/?#");
        at = memrchr(host, '@', end - host);
        host = at ? at + 1 : host;
        p = host + host_span(host);
        *ret = (Address){.host = host, .host_size = p - host, .path = end, .path_size = strcspn(end, "?#")};
        if (*p == ':')
                p += 1 + strspn(p + 1, "0123456789");
        return p == end && (ret->host_size > 0 || startswith(url, "file:"));
}

char *uri_unquote(const char *text, size_t size) {
        char *plain = malloc(size + 1), *p = plain;

        for (size_t i = 0; plain && i < size; i++) {
                char digits[3] = {0};
                long c;

                if (text[i] == '%' && i + 2 < size && isxdigit((unsigned char) text[i + 1]) &&
                                isxdigit((unsigned char) text[i + 2])) {
                        memcpy(digits, text + i + 1, 2);
                        c = strtol(digits, NULL, 16);
                        if (c >= ' ' && c != 0x7f) {
                                *p++ = (char) c;
                                i += 2;
                                continue;
                        }
                }
                *p++ = text[i];
        }
        if (plain)
                *p = 0;
        return plain;
}

char *http_url_for_people(const char *url) {
        Address a;

        /* What cannot be read may have its secrets anywhere. */
        if (!address_split(url, &a))
                return strdup("(an address that makes no sense)");
        return text_format("%.*s%.*s%s", (int) (strstr(url, "://") + 3 - url), url,
                        (int) (a.path + a.path_size - a.host), a.host, a.path_size == 0 ? "/" : "");
}
