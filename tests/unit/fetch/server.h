#pragma once

/* Starts server.py for a test program, and ends it with it. */

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "base/text.h"
#include "fetch/http.h"

typedef struct Server {
        pid_t pid;
        int stop; /* its standard input */
        unsigned port;
        char directory[32];
        char socket[48];
} Server;

static inline int server_start(Server *s, const char *script) {
        int in[2], out[2];
        char text[16] = "";

        strcpy(s->directory, "/tmp/test-fetch-XXXXXX");
        if (!mkdtemp(s->directory) || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                return -1;
        snprintf(s->socket, sizeof(s->socket), "%s/socket", s->directory);
        s->pid = fork();
        if (s->pid == 0) {
                dup2(in[0], STDIN_FILENO);
                dup2(out[1], STDOUT_FILENO);
                execl("/usr/bin/python3", "python3", "-B", script, s->directory, s->socket, NULL);
                _exit(127);
        }
        close(in[0]);
        close(out[1]);
        s->stop = in[1];
        for (size_t n = 0; n < sizeof(text) - 1 && !strchr(text, '\n'); n++)
                if (s->pid < 0 || read(out[0], text + n, 1) <= 0)
                        return -1;
        s->port = strtoul(text, NULL, 10);
        close(out[0]);
        return s->port > 0 ? 0 : -1;
}

static inline void server_end(Server *s) {
        s->stop = fd_close(s->stop);
        waitpid(s->pid, NULL, 0);
        fs_remove_tree(AT_FDCWD, s->directory);
}

/* The same bytes as server.py's content(). */
static inline char *server_content(size_t length) {
        char *data = malloc(length + 1);

        for (size_t i = 0; data && i < length; i++)
                data[i] = (char) ((uint64_t) (i & 0xfffff) * 2654435761u >> 13);
        return data;
}

/* A scene is a test in a fiber. Each test program has its own run_scene(), which makes and frees what its scenes share. */
typedef int (*Scene)(void *userdata);

static int run_scene(void *userdata);

static inline void test_scene(void **state) {
        assert_int_equal(fiber_run(run_scene, state), 0);
}

#define SCENE(f)                                                                                             \
        { .name = #f, .test_func = test_scene, .initial_state = f }
