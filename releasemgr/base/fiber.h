#pragma once

/*
 * Fibers: straight-line code on the one loop
 *
 * There is one sd_event loop, made in main, and nobody nests it. A piece of work that must wait (for an answer
 * from the bus, for bytes from the network, for the database) runs in a fiber: a function with a stack of its
 * own, which gives the processor back to the loop while it waits, and goes on behind the same line when the loop
 * has what it waited for. Fibers are not threads: they all run in the loop's thread, one at a time, and change
 * places only inside the functions below (and functions whose header says "suspends").
 *
 *            fiber_new                 the loop turns
 *        (none) ----> READY ---------------------------> RUNNING --- entry returns ---> DONE
 *                       ^                                   |
 *                       +--- fiber_resume <--- WAITING <----+  fiber_suspend, fiber_await_*, fiber_sleep
 *
 * Invariants:
 *  1. A fiber is entered from the loop only, never from another fiber, so the stack of stacks is two deep.
 *  2. fiber_resume() and fiber_cancel() never switch: they make the fiber ready for the loop's next turn.
 *  3. Cancelling is said once: the wait in progress, or else the next one, returns -ECANCELED, and the waits
 *     after it work again. So a fiber can undo what it did, with the same functions, on its way out.
 *  4. Whoever made a fiber frees it, after it is DONE.
 */

#include <systemd/sd-event.h>

#include "base/util.h"

typedef struct Fiber Fiber;
typedef int (*FiberEntry)(void *userdata);

/* Makes a fiber that will run @entry(@userdata) from the loop's next turn on. @name (copied) is for debuggers.
 * Owned by the caller, who frees it with fiber_stop() or, once it is done, with fiber_free(). */
int fiber_new(sd_event *event, const char *name, FiberEntry entry, void *userdata, Fiber **ret);

/* The fiber that is running, NULL on the loop's own stack. */
Fiber *fiber_current(void);

/* The loop of the running fiber. */
sd_event *fiber_event(void);

/* Ends the wait in progress, or the next one, with -ECANCELED. */
void fiber_cancel(Fiber *f);

/* Takes a pending fiber_cancel() back from the running fiber. True where there was one. */
bool fiber_take_cancel(void);

bool fiber_is_done(const Fiber *f);

/* What the entry returned. The fiber must be done. */
int fiber_result(const Fiber *f);

/* Suspends until @f is done, returns its result; -ECANCELED where the *waiting* fiber was cancelled: ask
 * fiber_is_done(). */
int fiber_join(Fiber *f);

/* Frees a fiber that is done (or NULL). Returns NULL. */
Fiber *fiber_free(Fiber *f);

/* Cancels @f (or NULL), waits (suspends) until it is done, whatever happens meanwhile, and frees it. Returns
 * NULL. The destructor to use inside a fiber. */
Fiber *fiber_stop(Fiber *f);

DEFINE_CLEANUP(Fiber, fiber_stop);

/* Calls @done(@userdata) on the loop's own stack when @f is done, once. */
void fiber_on_done(Fiber *f, void (*done)(Fiber *f, void *userdata), void *userdata);

/* Suspends the running fiber until somebody calls fiber_resume() on it, and returns what that one said.
 * -ECANCELED where it was cancelled first: then the fiber_resume() to come must be prevented by the caller. */
int fiber_suspend(void);

/* Ends the fiber_suspend() of @f with @result. Called on the loop's stack or from another fiber. Ignored where
 * @f does not wait in fiber_suspend(). */
void fiber_resume(Fiber *f, int result);

/* Suspends until @fd shows one of @events (EPOLLIN, ...), for @timeout µs at most (USEC_INFINITY: for ever).
 * Returns the events seen (positive), -ETIMEDOUT, -ECANCELED, or an error of the loop. */
int fiber_await_fd(int fd, uint32_t events, uint64_t timeout_usec);

/* Suspends for @usec µs of CLOCK_MONOTONIC. Returns 0 or -ECANCELED. */
int fiber_sleep(uint64_t usec);

/* Runs @entry in a fiber of a loop of its own until it is done; returns its result. For tests and for programs
 * without a loop; never call it inside a fiber. */
int fiber_run(FiberEntry entry, void *userdata);
