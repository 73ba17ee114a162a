#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "observe/mask.h"

static const char *const secret_names[] = {"password", "passwd", "passphrase", "secret", "token", "apikey",
                "api_key", "api-key", "access_key", "private_key", "authorization", "credential", "cookie",
                "session"};

static bool is_name_character(char c) {
        return isalnum((unsigned char) c) || c == '_' || c == '-';
}

/* Overwrites one value: up to the closing quote, or else up to a separator. Returns its end. */
static char *mask_value(char *p) {
        char quote = *p == '"' || *p == '\'' ? *p++ : 0;

        while (*p && (quote ? *p != quote : !strchr(" \t\r\n,;&}])\"'<>", *p))) {
                if (quote && *p == '\\' && p[1])
                        *p++ = '*';
                *p++ = '*';
        }
        return p;
}

/* @p stands behind a secret's name: masks the value if one follows. */
static char *mask_behind(char *p) {
        char *start = p;

        while (is_name_character(*p))
                p++;
        if (*p == '"' || *p == '\'')
                p++;
        while (*p == ' ')
                p++;
        if (*p != ':' && *p != '=')
                return start;
        do
                p++;
        while (*p == ' ');
        if (strncasecmp(p, "bearer ", 7) == 0 || strncasecmp(p, "basic ", 6) == 0)
                p = strchr(p, ' ') + 1;
        return mask_value(p);
}

static void mask_userinfo(char *text) {
        char *p = text, *at, *colon, *end;

        while ((p = strstr(p, "://"))) {
                p += 3;
                end = p + strcspn(p, "/?# \"'<>");
                at = memrchr(p, '@', end - p);
                colon = at ? memchr(p, ':', at - p) : NULL;
                if (colon)
                        memset(colon + 1, '*', at - colon - 1);
        }
}

void secrets_mask(char *text) {
        char *p = text;

        mask_userinfo(text);
        while (*p) {
                size_t n = 0;

                for (size_t i = 0; i < ELEMENTS_OF(secret_names) && n == 0; i++)
                        if (strncasecmp(p, secret_names[i], strlen(secret_names[i])) == 0)
                                n = strlen(secret_names[i]);
                p = n > 0 ? mask_behind(p + n) : p + 1;
        }
}

/* Blanks what a terminal could act on, and joins blanks. */
static void make_plain(char *s) {
        bool utf8 = utf8_is_valid(s, strlen(s)), blank = true;
        char *to = s;

        for (const char *p = s; *p; p++) {
                unsigned char c = *p;
                bool bad = c <= ' ' || c == 0x7f || (c >= 0x80 && !utf8) || /* C1 controls: 0xc2 0x80..0x9f */
                           (c == 0xc2 && (unsigned char) p[1] < 0xa0);

                if (c == 0xc2 && bad && utf8)
                        p++;
                if (!bad)
                        *to++ = c;
                else if (!blank)
                        *to++ = ' ';
                blank = bad;
        }
        if (to > s && blank)
                to--;
        *to = '\0';
}

/* The longest beginning of @s of at most @max bytes that does not cut a character. */
static size_t cut_at(const char *s, size_t max) {
        while (max > 0 && ((unsigned char) s[max] & 0xc0) == 0x80)
                max--;
        return max;
}

char *text_excerpt(const void *data, size_t size, size_t max) {
        _cleanup_free_ char *s = malloc(size + 1);

        if (!s)
                return NULL;
        memcpy(s, data, size);
        s[size] = '\0';
        for (char *nul; (nul = memchr(s, '\0', size));) /* binary: go on behind it */
                *nul = ' ';
        make_plain(s);
        secrets_mask(s); /* before the cut, which could take a name from its value */
        if (strlen(s) <= max)
                return TAKE(s);
        s[cut_at(s, max)] = '\0';
        return text_format("%s...", s);
}
