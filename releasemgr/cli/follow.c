#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "base/text.h"
#include "cli/follow.h"
#include "deploy/deploy.h"

/* How long nothing may come before the one who writes is looked at. */
#define QUIET_USEC USEC_PER_SEC

/* The release is healthy; that it is watched from here on needs nobody's terminal. */
static bool is_soak(const json_t *event) {
        return streq_ptr(json_get_string(event, "event"), "stage") &&
               streq_ptr(json_get_string(event, "stage"), DEPLOY_SOAK_STAGE);
}

static int show_soak(Screen *screen) {
        json_t *note = json_pack("{ss sI ss}", "event", "note", "at", (json_int_t) 0, "text",
                        "healthy, and taken back if it turns bad while it is watched: releasemgr status "
                        "follows it");

        if (!note)
                return -ENOMEM;
        screen_event(note, screen);
        json_decref(note);
        return 1;
}

typedef struct Follow {
        Screen *screen;
        const char *id;
        bool until_healthy;
        bool other; /* what is told is the recovery of another deployment, which comes first */
        bool ended;
        int exit_code;
} Follow;

/* What the deployment could not bring to its end is at once tried again by the recovery behind it, in the same unit, which
 * tells of it in the same file. */
static bool leaves_something(const json_t *event) {
        const char *verdict = json_get_string(event, "verdict");

        return streq_ptr(verdict, "stuck") || streq_ptr(verdict, "unfinished");
}

/* Shows the whole lines in @t and takes them out of it. 1 and the exit code where one was the end. */
static int show_lines(Follow *f, Text *t) {
        size_t begin = 0;
        char *end;
        int r = 0;

        while (r == 0 && begin < t->size && (end = memchr(t->data + begin, '\n', t->size - begin))) {
                _cleanup_json_ json_t *event = NULL;
                const char *name;

                r = json_parse("progress", t->data + begin, end - t->data - begin, &event, NULL);
                begin = end + 1 - t->data;
                if (r < 0)
                        return r;
                if (f->until_healthy && !f->other && is_soak(event)) {
                        f->exit_code = 0;
                        return show_soak(f->screen);
                }
                screen_event(event, f->screen);
                name = json_get_string(event, "event");
                if (streq_ptr(name, "begin"))
                        f->other = !streq_ptr(json_get_string(event, "id"), f->id);
                if ((streq_ptr(name, "end") && !f->other) || streq_ptr(name, "error")) {
                        f->exit_code = (int) json_get_integer(event, "exit", ERROR_FAILED);
                        f->ended = true;
                        r = !leaves_something(event);
                }
        }
        if (begin > 0) {
                memmove(t->data, t->data + begin, t->size - begin);
                t->size -= begin;
        }
        return r;
}

static int read_more(int fd, Text *t) {
        char buffer[4096];
        ssize_t n;

        while ((n = fd_read_full(fd, buffer, sizeof(buffer))) > 0)
                if (text_add(t, buffer, n) < 0)
                        return -ENOMEM;
        return (int) n;
}

/* Waits until the file was written to, or for a while. */
static int await_change(int watch) {
        char buffer[4096];
        int r = fiber_await_fd(watch, EPOLLIN, QUIET_USEC);

        if (r > 0)
                (void) !read(watch, buffer, sizeof(buffer));
        return r == -ETIMEDOUT ? 0 : r;
}

int follow_watch(int fd) {
        _cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        _cleanup_free_ char *path = text_format("/proc/self/fd/%d", fd);

        if (watch < 0)
                return -errno;
        if (!path)
                return -ENOMEM;
        if (inotify_add_watch(watch, path, IN_MODIFY) < 0)
                return -errno;
        return TAKE_FD(watch);
}

int follow_events(Screen *screen, const char *id, int fd, int watch, bool until_healthy,
                int (*alive)(void *userdata), void *userdata) {
        _cleanup_text_ Text t = TEXT_INIT;
        Follow f = {.screen = screen, .id = id, .until_healthy = until_healthy};
        bool dead = false;
        int r;

        for (;;) {
                r = read_more(fd, &t);
                if (r >= 0)
                        r = show_lines(&f, &t);
                if (r != 0)
                        return r < 0 ? r : f.exit_code;
                if (dead)
                        return f.ended ? f.exit_code : -EPIPE;
                r = await_change(watch);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                r = alive(userdata);
                if (r < 0)
                        return r;
                dead = r == 0;
        }
}
