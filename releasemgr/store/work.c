#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "store/work.h"

struct Work {
        WorkEntry entry;
        void *userdata;
        Error *error;
        int result;
        int ended; /* an eventfd */
        atomic_bool cancelled;
};

bool work_is_cancelled(Work *w) {
        return atomic_load(&w->cancelled);
}

static void *work_main(void *userdata) {
        Work *w = userdata;

        w->result = w->entry(w, w->userdata, w->error);
        (void) eventfd_write(w->ended, 1);
        return NULL;
}

/* Signals are for the loop's thread. */
static int start_thread(Work *w, pthread_t *ret) {
        sigset_t all, old;
        int r;

        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &old);
        r = -pthread_create(ret, NULL, work_main, w);
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        return r;
}

/* Suspends until the thread ended. It cannot be left alone, since it works on what belongs to the caller: so where the
 * loop fails us, this blocks. */
static void await_end(Work *w, pthread_t thread) {
        int r;

        do {
                r = fiber_await_fd(w->ended, EPOLLIN, USEC_INFINITY);
                if (r == -ECANCELED)
                        atomic_store(&w->cancelled, true);
        } while (r == -ECANCELED);
        (void) pthread_join(thread, NULL);
}

int work_run(WorkEntry entry, void *userdata, Error *e) {
        Work w = {.entry = entry, .userdata = userdata, .error = e, .ended = -1};
        pthread_t thread;
        int r;

        if (!fiber_current())
                return entry(&w, userdata, e);
        w.ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (w.ended < 0)
                return error_errno(e, -errno, "Cannot begin the work");
        r = start_thread(&w, &thread);
        if (r >= 0)
                await_end(&w, thread);
        else
                w.result = error_errno(e, r, "Cannot begin the work");
        fd_close(w.ended);
        if (w.result != -ECANCELED && atomic_load(&w.cancelled))
                fiber_cancel(fiber_current());
        return w.result;
}
