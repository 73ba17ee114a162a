#pragma once

/* A directory of a test's own: setup and teardown of cmocka, with the directory as the state. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"

typedef struct Scratch {
        char path[64];
        int fd;
} Scratch;

static int scratch_setup(void **state) {
        Scratch *s = calloc(1, sizeof(*s));

        assert_non_null(s);
        (void) snprintf(s->path, sizeof(s->path), "/tmp/releasemgr-unit-XXXXXX");
        assert_non_null(mkdtemp(s->path));
        s->fd = fs_open_directory(AT_FDCWD, s->path);
        assert_true(s->fd >= 0);
        *state = s;
        return 0;
}

static int scratch_teardown(void **state) {
        Scratch *s = *state;

        fd_close(s->fd);
        assert_int_equal(fs_remove_tree(AT_FDCWD, s->path), 0);
        free(s);
        return 0;
}

/* Replaces a file without further ado. */
static inline void scratch_write(const Scratch *s, const char *name, const void *data, size_t size) {
        _cleanup_close_ int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, size), 0);
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
