#include <errno.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"
#include "base/text.h"
#include "observe/endpoint.h"
#include "observe/probe-kind.h"

/* Connects, and hangs up. 0, or the negative errno that the other side or the clock gave. */
static int connect_once(const Endpoint *to, uint64_t timeout_usec) {
        _cleanup_close_ int fd =
                        socket(to->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t size = sizeof(int);
        int r, error = 0;

        if (fd < 0)
                return -errno;
        if (connect(fd, &to->address.any, to->size) == 0)
                return 0;
        if (errno != EINPROGRESS)
                return -errno; /* a unix socket whose backlog is full says EAGAIN: nobody takes the connections */
        r = fiber_await_fd(fd, EPOLLOUT, timeout_usec);
        if (r < 0)
                return r;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                return -errno;
        return -error;
}

int probe_tcp(const ProbeContext *c _unused_, const ProbeSpec *s, ProbeResult *ret, Error *e) {
        char is[CLOCK_TEXT_MAX], allowed[CLOCK_TEXT_MAX];
        uint64_t start = clock_monotonic();
        Endpoint to;
        int r;

        r = endpoint_from_string(s->target, &to);
        if (r < 0)
                return error_set(e, ERROR_USAGE, r, "'%s' is no address to connect to", s->target);
        ret->asked = text_format("connect to %s", s->target);
        if (!ret->asked)
                return -ENOMEM;
        r = connect_once(&to, s->timeout_usec);
        ret->latency_usec = clock_monotonic() - start;
        if (r == -ECANCELED || r == -ENOMEM)
                return r;
        if (r == -ETIMEDOUT)
                return probe_verdict(ret, PROBE_NO_ANSWER,
                                text_format("%s did not take the connection within %s", s->target,
                                                span_to_text(ret->latency_usec, is)));
        if (r < 0)
                return probe_verdict(ret, PROBE_NO_ANSWER,
                                text_format("cannot connect to %s: %s", s->target, strerror(-r)));
        ret->answered = strdup("connected");
        if (!ret->answered)
                return -ENOMEM;
        if (ret->latency_usec > s->max_latency_usec)
                return probe_verdict(ret, PROBE_BAD,
                                text_format("it took %s, MaxLatency= is %s",
                                                span_to_text(ret->latency_usec, is),
                                                span_to_text(s->max_latency_usec, allowed)));
        ret->verdict = PROBE_GOOD;
        return 0;
}
