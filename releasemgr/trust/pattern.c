#include "trust/pattern.h"

/* Behind the one character (UTF-8) that @p points at. */
static const char *next_character(const char *p) {
        do
                p++;
        while ((*p & 0xc0) == 0x80);
        return p;
}

/* No recursion: since '*' stops at '/', only the last '*' of the segment in hand can be made to take more, so the time
 * is at most the product of the two lengths. */
bool pattern_matches(const char *pattern, const char *path) {
        const char *star = NULL, *taken = NULL; /* the last '*' of this segment, and how far it reaches */

        for (;;) {
                if (*pattern == '*') {
                        star = pattern++;
                        taken = path;
                } else if (*path && *pattern == '?' && *path != '/') {
                        pattern++;
                        path = next_character(path);
                } else if (*path == *pattern) {
                        if (!*path)
                                return true;
                        if (*path == '/')
                                star = NULL;
                        pattern++;
                        path++;
                } else if (star && *taken && *taken != '/') {
                        pattern = star + 1;
                        path = taken = next_character(taken);
                } else
                        return false;
        }
}

bool pattern_may_match_prefix(const char *pattern, const char *prefix) {
        size_t literal = strcspn(pattern, "*?");

        if (pattern[literal])
                return strncmp(pattern, prefix, MIN_OF(literal, strlen(prefix))) == 0;
        return startswith(pattern, prefix);
}
