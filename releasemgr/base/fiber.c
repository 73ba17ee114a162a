#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/fiber.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif

/* AddressSanitizer keeps a shadow of the stack and must be told of each change of stacks. */
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#define stack_leave(save, bottom, size) __sanitizer_start_switch_fiber((save), (bottom), (size))
#define stack_enter(save, bottom, size) __sanitizer_finish_switch_fiber((save), (bottom), (size))
#else
#define stack_leave(save, bottom, size) ((void) (bottom), (void) (size))
#define stack_enter(save, bottom, size) ((void) (bottom), (void) (size))
#endif

/* Pages are only taken as they are touched: the size costs address space alone. */
#define FIBER_STACK (512 * 1024)

typedef enum FiberState {
        FIBER_READY,
        FIBER_RUNNING,
        FIBER_WAITING,
        FIBER_DONE,
} FiberState;

struct Fiber {
        char *name;
        sd_event *event;
        sd_event_source *turn; /* a defer source: on while the fiber is READY */
        FiberEntry entry;
        void *userdata;
        FiberState state;
        bool cancelled; /* said, not yet delivered */
        int wakeup;     /* what the wait in progress will return */
        int result;
        Fiber *joiner; /* the fiber that waits for this one's end */
        void (*done)(Fiber *f, void *userdata);
        void *done_userdata;

        ucontext_t context;
        void *stack; /* a guard page, then FIBER_STACK bytes */
        size_t stack_size;
        void *fake_stack; /* AddressSanitizer's */
};

/* The loop's side of the switch in progress. One thread has one loop. */
static _Thread_local struct {
        Fiber *current;
        ucontext_t context;
        const void *bottom;
        size_t size;
} loop;

/* The mask of signals is the thread's, not the stack's: a change of stacks must not bring an old one back. */
static void keep_mask(ucontext_t *to) {
        (void) sigprocmask(SIG_BLOCK, NULL, &to->uc_sigmask);
}

static void fiber_main(void) {
        Fiber *f = loop.current;

        stack_enter(NULL, &loop.bottom, &loop.size);
        f->result = f->entry(f->userdata);
        f->state = FIBER_DONE;
        stack_leave(NULL, loop.bottom, loop.size); /* NULL: this stack is not coming back */
        keep_mask(&loop.context);
        (void) setcontext(&loop.context);
        abort();
}

static void fiber_set_ready(Fiber *f) {
        f->state = FIBER_READY;
        if (sd_event_source_set_enabled(f->turn, SD_EVENT_ONESHOT) < 0)
                abort(); /* only a corrupt source can refuse this */
}

/* The loop's turn: goes over to the fiber until it waits or ends. */
static int fiber_turn(sd_event_source *s _unused_, void *userdata) {
        Fiber *f = userdata;
        void *fake_stack _unused_ = NULL;

        if (f->state != FIBER_READY)
                return 0;
        f->state = FIBER_RUNNING;
        loop.current = f;
        stack_leave(&fake_stack, (char *) f->stack + f->stack_size - FIBER_STACK, FIBER_STACK);
        keep_mask(&f->context);
        (void) swapcontext(&loop.context, &f->context);
        stack_enter(fake_stack, NULL, NULL);
        loop.current = NULL;

        if (f->state == FIBER_DONE) {
                if (f->joiner)
                        fiber_resume(f->joiner, 0);
                if (f->done)
                        f->done(f, f->done_userdata);
        }
        return 0;
}

int fiber_new(sd_event *event, const char *name, FiberEntry entry, void *userdata, Fiber **ret) {
        size_t page = sysconf(_SC_PAGESIZE);
        Fiber *f;
        int r;

        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->event = sd_event_ref(event);
        f->entry = entry;
        f->userdata = userdata;
        f->state = FIBER_DONE; /* so that fiber_free() may have it until it is whole */
        f->name = strdup(name);
        f->stack_size = FIBER_STACK + page;
        f->stack = mmap(NULL, f->stack_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
        if (f->stack == MAP_FAILED)
                f->stack = NULL;
        if (!f->name || !f->stack || mprotect(f->stack, page, PROT_NONE) < 0 || getcontext(&f->context) < 0) {
                fiber_free(f);
                return -ENOMEM;
        }
        f->context.uc_stack.ss_sp = (char *) f->stack + page;
        f->context.uc_stack.ss_size = FIBER_STACK;
        makecontext(&f->context, fiber_main, 0);

        r = sd_event_add_defer(event, &f->turn, fiber_turn, f);
        if (r < 0) {
                fiber_free(f);
                return r;
        }
        (void) sd_event_source_set_description(f->turn, f->name);
        f->state = FIBER_READY;
        *ret = f;
        return 0;
}

Fiber *fiber_current(void) {
        return loop.current;
}

sd_event *fiber_event(void) {
        return loop.current->event;
}

bool fiber_is_done(const Fiber *f) {
        return f->state == FIBER_DONE;
}

int fiber_result(const Fiber *f) {
        return f->result;
}

void fiber_on_done(Fiber *f, void (*done)(Fiber *f, void *userdata), void *userdata) {
        f->done = done;
        f->done_userdata = userdata;
}

int fiber_suspend(void) {
        Fiber *f = loop.current;

        if (f->cancelled) {
                f->cancelled = false;
                return -ECANCELED;
        }
        f->state = FIBER_WAITING;
        loop.current = NULL;
        stack_leave(&f->fake_stack, loop.bottom, loop.size);
        keep_mask(&loop.context);
        (void) swapcontext(&f->context, &loop.context);
        stack_enter(f->fake_stack, &loop.bottom, &loop.size);
        return f->wakeup;
}

void fiber_resume(Fiber *f, int result) {
        if (f->state != FIBER_WAITING)
                return;
        f->wakeup = result;
        fiber_set_ready(f);
}

void fiber_cancel(Fiber *f) {
        if (f->state == FIBER_WAITING)
                fiber_resume(f, -ECANCELED);
        else if (f->state != FIBER_DONE)
                f->cancelled = true;
}

bool fiber_take_cancel(void) {
        bool was = loop.current->cancelled;

        loop.current->cancelled = false;
        return was;
}

int fiber_join(Fiber *f) {
        int r;

        if (f->state != FIBER_DONE) {
                f->joiner = loop.current;
                r = fiber_suspend();
                f->joiner = NULL;
                if (r < 0)
                        return r;
        }
        return f->result;
}

Fiber *fiber_free(Fiber *f) {
        if (!f)
                return NULL;
        if (f->state != FIBER_DONE)
                abort(); /* its stack may hold what others point into */
        sd_event_source_disable_unref(f->turn);
        sd_event_unref(f->event);
        if (f->stack)
                (void) munmap(f->stack, f->stack_size);
        free(f->name);
        free(f);
        return NULL;
}

Fiber *fiber_stop(Fiber *f) {
        bool again = false;

        if (!f)
                return NULL;
        fiber_cancel(f);
        while (f->state != FIBER_DONE)
                if (fiber_join(f) == -ECANCELED && f->state != FIBER_DONE)
                        again = true; /* ours, not its: keep it for the caller's next wait */
        if (again)
                loop.current->cancelled = true;
        return fiber_free(f);
}

static int on_io(sd_event_source *s _unused_, int fd _unused_, uint32_t revents, void *userdata) {
        fiber_resume(userdata, (int) revents);
        return 0;
}

static int on_time(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        fiber_resume(userdata, -ETIMEDOUT);
        return 0;
}

int fiber_await_fd(int fd, uint32_t events, uint64_t timeout_usec) {
        _cleanup_(sd_event_source_disable_unrefp) sd_event_source *io = NULL, *timer = NULL;
        Fiber *f = loop.current;
        int r;

        if (fd >= 0) {
                r = sd_event_add_io(f->event, &io, fd, events, on_io, f);
                if (r < 0)
                        return r;
        }
        if (timeout_usec != USEC_INFINITY) {
                r = sd_event_add_time_relative(
                                f->event, &timer, CLOCK_MONOTONIC, timeout_usec, 1, on_time, f);
                if (r < 0)
                        return r;
        }
        return fiber_suspend();
}

int fiber_sleep(uint64_t usec) {
        int r = fiber_await_fd(-1, 0, usec);

        return r == -ETIMEDOUT ? 0 : r;
}

static void exit_loop(Fiber *f, void *userdata _unused_) {
        (void) sd_event_exit(f->event, 0);
}

int fiber_run(FiberEntry entry, void *userdata) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Fiber *f;
        int r;

        r = sd_event_new(&event);
        if (r < 0)
                return r;
        r = fiber_new(event, "main", entry, userdata, &f);
        if (r < 0)
                return r;
        fiber_on_done(f, exit_loop, NULL);
        r = sd_event_loop(event);
        if (r < 0)
                abort(); /* the fiber is in the middle of its work and cannot be ended without a loop */
        r = f->result;
        fiber_free(f);
        return r;
}
