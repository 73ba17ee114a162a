#pragma once

/* For the tests of store/: a private directory, shell commands in it, and small files. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/text.h"

static char tree_path[64];

/* Runs a command with the private directory as its own, and returns its exit status. */
static inline _printf_(1, 2) int shell(const char *format, ...) {
        _cleanup_free_ char *text = NULL, *command = NULL;
        va_list ap;
        int status;

        va_start(ap, format);
        assert_true(vasprintf(&text, format, ap) >= 0);
        va_end(ap);
        command = text_format("cd %s && { %s\n} >&2", tree_path, text);
        status = system(command);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int tree_setup(void **state _unused_) {
        snprintf(tree_path, sizeof(tree_path), "/tmp/store-test-XXXXXX");
        (void) umask(022);
        return mkdtemp(tree_path) ? 0 : -1;
}

static inline int tree_teardown(void **state _unused_) {
        return fs_remove_tree(AT_FDCWD, tree_path);
}

/* A path in the private directory; the last eight stay valid. */
static inline const char *in_tree(const char *name) {
        static char buffers[8][256];
        static unsigned next;
        char *b = buffers[next++ % 8];

        snprintf(b, sizeof(buffers[0]), "%s/%s", tree_path, name);
        return b;
}

static inline int open_tree(const char *name) {
        int fd = fs_open_directory(AT_FDCWD, in_tree(name));

        assert_true(fd >= 0);
        return fd;
}

/* One of everything that a release may hold. */
static inline void make_sample(const char *name) {
        assert_int_equal(shell("D=$(printf 'd%%.0s' $(seq 120))/$(printf 'e%%.0s' $(seq 120)) F=$(printf "
                               "'f%%.0s' $(seq 200))\n"
                               "mkdir -p %1$s/bin %1$s/empty %1$s/a/b %1$s/z \"%1$s/$D\" && cd %1$s || exit "
                               "1\n"
                               "echo one >a/b/one; echo two >a-b; echo three >a.b; : >zero; echo x >z/x; seq "
                               "100000 >numbers\n"
                               "printf '#!/bin/sh\\necho hi\\n' >bin/run; chmod 755 bin/run; ln bin/run "
                               "a/b/again\n"
                               "ln -s ../a/b/one bin/link; echo ü >'name with spaces [and] #ümläut='\n"
                               "printf long >\"$D/$F\"; ln -s \"$D/$F\" longlink; ln \"$D/$F\" zz-hard",
                                         name),
                        0);
}
