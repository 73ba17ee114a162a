#pragma once

/* Text that grows, and lists of text. */

#include <stdarg.h>

#include "base/util.h"

typedef struct Text {
        char *data; /* NUL-terminated once anything was added; owned */
        size_t size;
        size_t capacity;
} Text;

#define TEXT_INIT ((Text){0})

/* All return 0 or -ENOMEM, and leave @t as it was on failure. */
int text_add(Text *t, const void *data, size_t size);
int text_adds(Text *t, const char *s);
int text_addf(Text *t, const char *format, ...) _printf_(2, 3);

/* The text as a string of its own, @t is empty again. NULL when memory ran out. */
char *text_take(Text *t);

void text_clear(Text *t);

#define _cleanup_text_ _cleanup_(text_clear)

/* A string made as printf does, owned by the caller, or NULL. */
char *text_format(const char *format, ...) _printf_(1, 2);

/* A list of strings ended by NULL (argv style). NULL is the empty list. */
size_t strv_length(char *const *l);

/* Appends a copy of @s to @l. 0 or -ENOMEM. */
int strv_add(char ***l, const char *s);
int strv_addf(char ***l, const char *format, ...) _printf_(2, 3);

bool strv_contains(char *const *l, const char *s);

/* Splits at any of @separators; empty pieces are left out. */
int strv_split(const char *s, const char *separators, char ***ret);

/* In the order of strcmp(). */
void strv_sort(char **l);

char **strv_free(char **l);

static inline void strv_free_p(char ***l) {
        *l = strv_free(*l);
}

#define _cleanup_strv_ _cleanup_(strv_free_p)

/* Reads a decimal number that fills @s, without sign or space. -EINVAL, or -ERANGE above @max. */
int parse_u64(const char *s, uint64_t max, uint64_t *ret);

/* "512K", "20M", "3G" (powers of 1024) or a plain number of bytes. -EINVAL or -ERANGE. */
int parse_size(const char *s, uint64_t *ret);

/* yes/no, true/false, on/off, 1/0, as systemd reads them. -EINVAL. */
int parse_boolean(const char *s, bool *ret);

/* Reads a size in bytes, with K, M, G or T (powers of 1024) behind it where one is wanted. -EINVAL. */
int size_from_text(const char *s, uint64_t *ret);

/* "13.4M": a size for people, in powers of 1024, into @buffer; returns @buffer. */
#define SIZE_TEXT_MAX 16
char *size_to_text(uint64_t size, char buffer[static SIZE_TEXT_MAX]);

/* Whether all of @data is UTF-8 by RFC 3629 (no surrogates, no overlong forms). */
bool utf8_is_valid(const void *data, size_t size);

/* Puts a ? in the place of each byte of @s that is no part of UTF-8: texts of others (a server's message, a log line)
 * end up in JSON. Returns @s, which may be NULL. */
char *utf8_mend(char *s);
