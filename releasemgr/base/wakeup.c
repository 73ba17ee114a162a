#include <errno.h>

#include "base/wakeup.h"

void wakeup_set(Wakeup *w) {
        w->set = true;
        if (w->waiter)
                fiber_resume(w->waiter, 0);
}

int wakeup_wait(Wakeup *w, uint64_t timeout_usec) {
        int r = 0;

        if (!w->set) {
                w->waiter = fiber_current();
                r = fiber_await_fd(-1, 0, timeout_usec);
                w->waiter = NULL;
        }
        if (r == 0 || (r == -ETIMEDOUT && w->set)) {
                w->set = false;
                return 0;
        }
        return r;
}
