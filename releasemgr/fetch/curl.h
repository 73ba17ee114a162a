#pragma once

/* The functions of libcurl that we call. It is loaded by the first request over a network: base/library.h says why. */

#include <curl/curl.h>

#include "base/error.h"

#define CURL_FUNCTIONS(f)                                                                                    \
        f(easy_cleanup) f(easy_getinfo) f(easy_init) f(easy_nextheader) f(easy_pause) f(easy_setopt)         \
                        f(easy_strerror) f(free) f(global_cleanup) f(global_init) f(multi_add_handle) f(     \
                                        multi_assign) f(multi_cleanup) f(multi_info_read) f(multi_init)      \
                                        f(multi_remove_handle) f(multi_setopt) f(multi_socket_action)        \
                                                        f(multi_strerror) f(slist_append) f(slist_free_all)  \
                                                                        f(url) f(url_cleanup) f(url_get)     \
                                                                                        f(url_set)

typedef struct Curl {
#define CURL_MEMBER(name) typeof(curl_##name) *name;
        CURL_FUNCTIONS(CURL_MEMBER)
#undef CURL_MEMBER
} Curl;

/* Loads it into @ret. -ELIBACC. */
int curl_load(Curl *ret, Error *e);
