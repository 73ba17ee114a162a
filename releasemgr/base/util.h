#pragma once

/* The few macros that every file may use: cleanup by scope, and the handing on of ownership. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_       __attribute__((unused))
#define _sentinel_     __attribute__((sentinel))
#define ELEMENTS_OF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b)   ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b)   ((a) > (b) ? (a) : (b))

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_INFINITY UINT64_MAX

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)

/* Hands a value on: the variable it stood in is left zero, so that its cleanup does nothing. */
#define TAKE(v)                                                                                              \
        ({                                                                                                   \
                typeof(v) *_take = &(v);                                                                     \
                typeof(v) _taken = *_take;                                                                   \
                memset(_take, 0, sizeof(*_take));                                                            \
                _taken;                                                                                      \
        })

/* A cleanup function for variables of a pointer type, from a destructor that takes NULL and returns NULL. */
#define DEFINE_CLEANUP(type, destructor)                                                                     \
        static inline void destructor##_p(type **p) {                                                        \
                if (*p)                                                                                      \
                        *p = destructor(*p);                                                                 \
        }                                                                                                    \
        struct _unused_destructor_##destructor

static inline void free_p(void *p) {
        free(*(void **) p);
}

#define _cleanup_free_ _cleanup_(free_p)

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* As streq(), but NULL equals NULL alone. */
static inline bool streq_ptr(const char *a, const char *b) {
        return a == b || (a && b && streq(a, b));
}

static inline bool isempty(const char *s) {
        return !s || !*s;
}

/* The text behind @prefix in @s, or NULL where @s does not begin with it. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);
        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline bool endswith(const char *s, const char *suffix) {
        size_t n = strlen(s), m = strlen(suffix);
        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}
