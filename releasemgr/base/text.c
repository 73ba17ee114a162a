#include <errno.h>
#include <stdio.h>

#include "base/text.h"

int text_add(Text *t, const void *data, size_t size) {
        if (t->capacity - t->size <= size) {
                size_t capacity = MAX_OF(MAX_OF(t->capacity * 2, t->size + size + 1), (size_t) 64);
                char *p = realloc(t->data, capacity);

                if (!p)
                        return -ENOMEM;
                t->data = p;
                t->capacity = capacity;
        }
        if (size > 0)
                memcpy(t->data + t->size, data, size);
        t->size += size;
        t->data[t->size] = 0;
        return 0;
}

int text_adds(Text *t, const char *s) {
        return text_add(t, s, strlen(s));
}

_printf_(1, 0) static char *format_list(const char *format, va_list ap) {
        char *s;

        return vasprintf(&s, format, ap) < 0 ? NULL : s;
}

int text_addf(Text *t, const char *format, ...) {
        _cleanup_free_ char *s = NULL;
        va_list ap;

        va_start(ap, format);
        s = format_list(format, ap);
        va_end(ap);
        return s ? text_adds(t, s) : -ENOMEM;
}

char *text_take(Text *t) {
        char *s;

        if (!t->data && text_adds(t, "") < 0)
                return NULL;
        s = t->data;
        *t = TEXT_INIT;
        return s;
}

void text_clear(Text *t) {
        free(t->data);
        *t = TEXT_INIT;
}

char *text_format(const char *format, ...) {
        va_list ap;
        char *s;

        va_start(ap, format);
        s = format_list(format, ap);
        va_end(ap);
        return s;
}

size_t strv_length(char *const *l) {
        size_t n = 0;

        while (l && l[n])
                n++;
        return n;
}

int strv_add(char ***l, const char *s) {
        size_t n = strv_length(*l);
        char **grown, *copy;

        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        grown = reallocarray(*l, n + 2, sizeof(char *));
        if (!grown) {
                free(copy);
                return -ENOMEM;
        }
        grown[n] = copy;
        grown[n + 1] = NULL;
        *l = grown;
        return 0;
}

int strv_addf(char ***l, const char *format, ...) {
        _cleanup_free_ char *s = NULL;
        va_list ap;

        va_start(ap, format);
        s = format_list(format, ap);
        va_end(ap);
        return s ? strv_add(l, s) : -ENOMEM;
}

bool strv_contains(char *const *l, const char *s) {
        for (; l && *l; l++)
                if (streq(*l, s))
                        return true;
        return false;
}

int strv_split(const char *s, const char *separators, char ***ret) {
        _cleanup_strv_ char **l = NULL;

        for (s += strspn(s, separators); *s; s += strspn(s, separators)) {
                size_t n = strcspn(s, separators);
                _cleanup_free_ char *piece = strndup(s, n);

                if (!piece || strv_add(&l, piece) < 0)
                        return -ENOMEM;
                s += n;
        }
        *ret = TAKE(l);
        return 0;
}

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void strv_sort(char **l) {
        if (l)
                qsort(l, strv_length(l), sizeof(char *), compare_strings);
}

char **strv_free(char **l) {
        for (char **i = l; i && *i; i++)
                free(*i);
        free(l);
        return NULL;
}

int parse_u64(const char *s, uint64_t max, uint64_t *ret) {
        uint64_t n = 0;

        if (!*s)
                return -EINVAL;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t) (*s - '0'), &n))
                        return -ERANGE;
        }
        if (n > max)
                return -ERANGE;
        *ret = n;
        return 0;
}

int parse_size(const char *s, uint64_t *ret) {
        static const char units[] = "KMGT";
        size_t n = strlen(s);
        const char *unit = n > 0 && s[n - 1] ? strchr(units, s[n - 1]) : NULL;
        _cleanup_free_ char *digits = strndup(s, unit ? n - 1 : n);
        uint64_t value;
        int r;

        if (!digits)
                return -ENOMEM;
        r = parse_u64(digits, UINT64_MAX, &value);
        if (r < 0)
                return r;
        for (const char *u = units; unit && u <= unit; u++)
                if (__builtin_mul_overflow(value, KIB, &value))
                        return -ERANGE;
        *ret = value;
        return 0;
}

int parse_boolean(const char *s, bool *ret) {
        static const char *const words[][2] = {{"yes", "no"}, {"true", "false"}, {"on", "off"}, {"1", "0"}};

        for (size_t i = 0; i < ELEMENTS_OF(words); i++)
                for (size_t j = 0; j < 2; j++)
                        if (strcasecmp(s, words[i][j]) == 0) {
                                *ret = j == 0;
                                return 0;
                        }
        return -EINVAL;
}

int size_from_text(const char *s, uint64_t *ret) {
        static const char units[] = "KMGT";
        size_t n = strspn(s, "0123456789");
        _cleanup_free_ char *digits = strndup(s, n);
        uint64_t value, factor = 1;

        if (!digits)
                return -ENOMEM;
        for (const char *i = units; s[n]; i++) {
                if (!*i || s[n + 1])
                        return -EINVAL;
                factor *= 1024;
                if (*i == s[n])
                        break;
        }
        if (parse_u64(digits, UINT64_MAX / factor, &value) < 0)
                return -EINVAL;
        *ret = value * factor;
        return 0;
}

char *size_to_text(uint64_t size, char buffer[static SIZE_TEXT_MAX]) {
        static const char units[] = "BKMGTPE";
        size_t unit = 0;
        double value = (double) size;

        for (; value >= 1000 && units[unit + 1]; unit++)
                value /= 1024;
        (void) snprintf(buffer, SIZE_TEXT_MAX, unit > 0 && value < 100 ? "%.1f%c" : "%.0f%c", value,
                        units[unit]);
        return buffer;
}

/* The length of the well-formed character at @p, 0 where there is none. */
static size_t utf8_character(const unsigned char *p, const unsigned char *end) {
        /* the second byte has a narrower range after these four leaders */
        unsigned char low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
        unsigned char high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;
        size_t n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

        if ((size_t) (end - p) < n || (n > 1 && (p[1] < low || p[1] > high)))
                return 0;
        for (size_t i = 2; i < n; i++)
                if (p[i] < 0x80 || p[i] > 0xbf)
                        return 0;
        return n;
}

bool utf8_is_valid(const void *data, size_t size) {
        const unsigned char *p = data, *end = p + size;

        while (p < end) {
                size_t n = utf8_character(p, end);

                if (n == 0)
                        return false;
                p += n;
        }
        return true;
}

char *utf8_mend(char *s) {
        unsigned char *p = (unsigned char *) s, *end = s ? p + strlen(s) : p;

        while (p < end) {
                size_t n = utf8_character(p, end);

                if (n == 0)
                        *p = '?';
                p += MAX_OF(n, (size_t) 1);
        }
        return s;
}
