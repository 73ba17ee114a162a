/* The matcher against the shortest one that is obviously right. Input: the pattern, a NUL, the path. */

#include "fuzz.h"
#include "trust/pattern.h"

/* More, and the obvious one takes for ever. */
#define STARS_MAX 5

static bool obvious(const char *pattern, const char *path) {
        if (*pattern == '*')
                return obvious(pattern + 1, path) || (*path && *path != '/' && obvious(pattern, path + 1));
        if (*pattern == '?')
                return *path && *path != '/' && obvious(pattern + 1, path + 1);
        return *pattern == *path && (!*path || obvious(pattern + 1, path + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char text[64] = "";
        const char *path;
        size_t stars = 0;

        if (size > 40)
                return 0;
        for (size_t i = 0; i < size; i++)
                text[i] = (char) (data[i] & 0x7f); /* the obvious one counts bytes, ours counts characters */
        path = text + strlen(text) + 1;
        for (const char *p = text; *p; p++)
                stars += *p == '*';
        INVARIANT(stars > STARS_MAX || pattern_matches(text, path) == obvious(text, path));
        if (pattern_matches(text, path))
                for (size_t n = 0; n <= strlen(path); n++) {
                        char prefix[64];

                        memcpy(prefix, path, n);
                        prefix[n] = 0;
                        INVARIANT(pattern_may_match_prefix(text, prefix));
                }
        return 0;
}
