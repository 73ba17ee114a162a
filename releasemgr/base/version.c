#include <ctype.h>

#include "base/version.h"

bool version_is_valid(const char *v) {
        size_t n = strlen(v);

        if (n == 0 || n > VERSION_MAX || !isalnum((unsigned char) *v))
                return false;
        for (; *v; v++)
                if (!isalnum((unsigned char) *v) && !strchr(".-+_", *v))
                        return false;
        return true;
}

/* Compares two identifiers: numbers by value (of any length), numbers before words, words bytewise. */
static int compare_identifiers(const char *a, size_t an, const char *b, size_t bn) {
        bool a_number = strspn(a, "0123456789") >= an, b_number = strspn(b, "0123456789") >= bn;
        int c;

        if (a_number != b_number)
                return a_number ? -1 : 1;
        if (a_number) {
                for (; an > 1 && *a == '0'; an--)
                        a++;
                for (; bn > 1 && *b == '0'; bn--)
                        b++;
                if (an != bn)
                        return an < bn ? -1 : 1;
        }
        c = memcmp(a, b, MIN_OF(an, bn));
        return c != 0 ? c : (an > bn) - (an < bn);
}

/* Compares dotted lists of identifiers. What is missing counts as @filler, or as smaller where that is NULL. */
static int compare_dotted(const char *a, size_t an, const char *b, size_t bn, const char *filler) {
        const char *a_end = a + an, *b_end = b + bn;

        while (a < a_end || b < b_end) {
                const char *a_dot = a < a_end ? memchr(a, '.', a_end - a) ?: a_end : NULL;
                const char *b_dot = b < b_end ? memchr(b, '.', b_end - b) ?: b_end : NULL;
                int c;

                if ((!a_dot || !b_dot) && !filler)
                        return a_dot ? 1 : -1;
                c = compare_identifiers(a_dot ? a : filler, a_dot ? (size_t) (a_dot - a) : 1,
                                b_dot ? b : filler, b_dot ? (size_t) (b_dot - b) : 1);
                if (c != 0)
                        return c;
                a = a_dot && a_dot < a_end ? a_dot + 1 : a_end;
                b = b_dot && b_dot < b_end ? b_dot + 1 : b_end;
        }
        return 0;
}

int version_compare(const char *a, const char *b) {
        size_t an = strcspn(a, "+"), bn = strcspn(b, "+"); /* without build metadata */
        const char *a_pre = memchr(a, '-', an), *b_pre = memchr(b, '-', bn);
        size_t a_core = a_pre ? (size_t) (a_pre - a) : an, b_core = b_pre ? (size_t) (b_pre - b) : bn;
        int c;

        c = compare_dotted(a, a_core, b, b_core, "0");
        if (c == 0 && (a_pre || b_pre)) {
                if (!a_pre || !b_pre)
                        return a_pre ? -1 : 1;
                c = compare_dotted(a_pre + 1, a + an - a_pre - 1, b_pre + 1, b + bn - b_pre - 1, NULL);
        }
        return c != 0 ? c : strcmp(a, b);
}
