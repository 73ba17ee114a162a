#include "fetch/curl.h"
#include "base/library.h"

#define SONAME "libcurl.so.4"

LIBRARY_NOTE("http", SONAME);

int curl_load(Curl *ret, Error *e) {
#define CURL_NAME(name) "curl_" #name,
        static const char *const names[] = {CURL_FUNCTIONS(CURL_NAME)};
#undef CURL_NAME

        _Static_assert(sizeof(*ret) == sizeof(names), "a pointer for each name");
        return library_open(SONAME, names, ELEMENTS_OF(names), (void **) ret, e);
}
