#pragma once

/* Between what decides (shim.c) and the calls that it stands before (shim-files.c, shim-fds.c). */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum {
        SYNC = 1 << 0,
        RENAME = 1 << 1,
        SYMLINK = 1 << 2,
        UNLINK = 1 << 3,
        MKDIR = 1 << 4,
        TRUNCATE = 1 << 5,
        WRITE = 1 << 6,
        CREATE = 1 << 7,
        BUS = 1 << 8,
        NET = 1 << 9,
        FD = 1 << 10,
        READ = 1 << 11,
        OPEN = 1 << 12,
        ALL = SYNC | RENAME | SYMLINK | UNLINK | MKDIR | TRUNCATE | WRITE | BUS | NET,
};

typedef enum Verdict {
        PASS,
        FAIL,           /* without making the call */
        CALL_THEN_FAIL, /* it takes effect */
} Verdict;

/* Whether calls of @classes count. Where they do not, nothing need be found out about them. */
bool shim_counts(int classes);

/* Counts a call, and says what comes of it. Does not return where the process dies before it. */
Verdict shim_judge(int classes, const char *call, const char *what);

/* What comes behind a call that shim_judge() did not pass: death, or true with errno. */
bool shim_fails(void);

/* What is written: what counts from here on may be what comes behind a mark. */
void shim_look_for_mark(const void *data, size_t size);

/* Whether @fd is a regular file, where calls of @classes count: not a terminal, a pipe or an eventfd. */
bool shim_is_file(int classes, int fd);

/* The path of @fd, in @buffer; "" where nobody wants to know. */
const char *shim_path(int classes, int fd, char buffer[PATH_MAX]);

/* Makes the call, or what takes its place. @failure with errno where it fails. */
#define FAULT_OR(failure, classes, what, type, name, ...)                                                    \
        ({                                                                                                   \
                __typeof__(name) *next = (__typeof__(name) *) dlsym(RTLD_NEXT, #name);                       \
                int saved = errno;                                                                           \
                Verdict verdict = shim_judge(classes, #name, what);                                          \
                type result = failure;                                                                       \
                                                                                                             \
                errno = saved;                                                                               \
                if (verdict != FAIL)                                                                         \
                        result = next(__VA_ARGS__);                                                          \
                if (verdict != PASS && shim_fails())                                                         \
                        result = failure;                                                                    \
                result;                                                                                      \
        })

#define FAULT(classes, what, type, name, ...) FAULT_OR(-1, classes, what, type, name, __VA_ARGS__)

#define FD_CALL(classes, name, fd, ...)                                                                      \
        ({                                                                                                   \
                char path[PATH_MAX];                                                                         \
                FAULT(classes, shim_path(classes, fd, path), int, name, __VA_ARGS__);                        \
        })
