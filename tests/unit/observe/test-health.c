/* The waiter against real sockets on the same loop: a small service answers in a fiber. Units are waited for in
 * tests/integration/inside/test-health.c. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "fetch/http.h"
#include "observe/health.h"
#include "observe/prober.h"

typedef struct Service {
        int listener;
        uint16_t port;
        uint64_t opens_usec; /* answers before that say 503 */
        uint64_t pause_usec; /* before each answer */
        const char *good;    /* the body */
        unsigned questions;
        Fiber *fiber;
} Service;

static int service_answer(Service *s, int fd) {
        bool good = clock_monotonic() >= s->opens_usec;
        const char *body = good ? s->good : "{\"status\":\"starting\"}";
        _cleanup_free_ char *answer = NULL;
        char question[4096];
        int r;

        r = fiber_await_fd(fd, EPOLLIN, USEC_PER_SEC);
        if (r < 0)
                return r;
        if (read(fd, question, sizeof(question)) <= 0)
                return 0;
        s->questions++;
        r = fiber_sleep(s->pause_usec);
        if (r < 0)
                return r;
        answer = text_format("HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                        good ? "200 OK" : "503 No", strlen(body), body);
        (void) fd_write_all(fd, answer, strlen(answer));
        return 0;
}

static int service_main(void *userdata) {
        Service *s = userdata;
        int r;

        for (;;) {
                _cleanup_close_ int fd = -1;

                r = fiber_await_fd(s->listener, EPOLLIN, USEC_INFINITY);
                if (r < 0)
                        return r;
                fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                r = fd < 0 ? 0 : service_answer(s, fd);
                if (r == -ECANCELED)
                        return r;
        }
}

static void service_start(Service *s) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(in);

        s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(s->listener, (struct sockaddr *) &in, size), 0);
        assert_int_equal(listen(s->listener, 16), 0);
        assert_int_equal(getsockname(s->listener, (struct sockaddr *) &in, &size), 0);
        s->port = ntohs(in.sin_port);
        assert_int_equal(fiber_new(fiber_event(), "service", service_main, s, &s->fiber), 0);
}

static void service_clear(Service *s) {
        s->fiber = fiber_stop(s->fiber);
        s->listener = fd_close(s->listener);
}

#define GOOD "{\"status\":\"healthy\",\"version\":\"1.2.0\"}"

static int wait_for(const char *target, ProbeKind kind, const char *version, uint64_t deadline_usec,
                HealthReport *ret) {
        static const char *const members[] = {"status=healthy", NULL};
        _cleanup_(http_free_p) Http *http = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        ProbeSpec probe = PROBE_SPEC_DEFAULT;
        ProbeContext context = {.version = version};
        HealthSpec spec = {
                        .probes = &probe, .n_probes = 1, .deadline_usec = clock_monotonic() + deadline_usec};
        int r;

        assert_int_equal(http_new(fiber_event(), &http), 0);
        context.http = http;
        probe.kind = kind;
        probe.target = target;
        probe.expect_json = (char *const *) members;
        probe.expect_version = "version";
        probe.successes = 2;
        probe.interval_usec = 10 * USEC_PER_MSEC;
        assert_int_equal(probe_check(&probe, &e), 0);
        r = health_wait(&context, &spec, ret, &e);
        assert_true(r >= 0);
        return r;
}

static int becomes_healthy(void *userdata _unused_) {
        _cleanup_(health_report_clear) HealthReport report = {0};
        _cleanup_(service_clear)
                        Service s = {.good = GOOD, .opens_usec = clock_monotonic() + 150 * USEC_PER_MSEC};
        _cleanup_free_ char *url = NULL;

        service_start(&s);
        url = text_format("http://127.0.0.1:%u/health", s.port);
        assert_int_equal(wait_for(url, PROBE_HTTP, "1.2.0", 5 * USEC_PER_SEC, &report), 0);
        assert_true(report.healthy);
        assert_null(report.sentence);
        assert_true(report.took_usec >= 140 * USEC_PER_MSEC && report.took_usec < 2 * USEC_PER_SEC);
        assert_true(report.attempts >= 4 && report.attempts == s.questions);
        assert_int_equal(report.n_last, 1);
        assert_int_equal(report.last[0].verdict, PROBE_GOOD);
        assert_string_equal(report.last[0].answered, "200 " GOOD);
        assert_true(startswith(report.last[0].asked, "GET http://127.0.0.1:"));
        return 0;
}

static int wrong_version(void *userdata _unused_) {
        _cleanup_(health_report_clear) HealthReport report = {0};
        _cleanup_(service_clear) Service s = {.good = GOOD};
        _cleanup_free_ char *url = NULL;

        service_start(&s);
        url = text_format("http://127.0.0.1:%u/", s.port);
        assert_int_equal(wait_for(url, PROBE_HTTP, "1.3.0", 100 * USEC_PER_MSEC, &report), 1);
        assert_false(report.healthy);
        assert_string_equal(report.probe, url);
        assert_non_null(strstr(report.sentence, "'version' is '1.2.0', expected '1.3.0', the release that "
                                                "was activated (not healthy after "));
        return 0;
}

/* The overall deadline ends a question that hangs. */
static int hangs(void *userdata _unused_) {
        _cleanup_(health_report_clear) HealthReport report = {0};
        _cleanup_(service_clear) Service s = {.good = GOOD, .pause_usec = 3600 * USEC_PER_SEC};
        _cleanup_free_ char *url = NULL;

        service_start(&s);
        url = text_format("http://127.0.0.1:%u/", s.port);
        assert_int_equal(wait_for(url, PROBE_HTTP, "1.2.0", 100 * USEC_PER_MSEC, &report), 1);
        assert_true(report.took_usec < 2 * USEC_PER_SEC);
        assert_non_null(strstr(report.sentence, ": no answer for "));
        assert_int_equal(report.last[0].verdict, PROBE_NOT_ASKED);
        return 0;
}

static int nobody_listens(void *userdata _unused_) {
        _cleanup_(health_report_clear) HealthReport report = {0}, tcp = {0};
        _cleanup_(service_clear) Service s = {.good = GOOD};
        _cleanup_free_ char *url = NULL, *address = NULL;

        service_start(&s);
        url = text_format("http://127.0.0.1:%u/", s.port);
        address = text_format("127.0.0.1:%u", s.port);
        assert_int_equal(wait_for(address, PROBE_TCP, NULL, 5 * USEC_PER_SEC, &tcp), 0);
        assert_int_equal(tcp.attempts, 2);
        health_report_clear(&tcp);
        service_clear(&s);
        assert_int_equal(wait_for(url, PROBE_HTTP, NULL, 100 * USEC_PER_MSEC, &report), 1);
        assert_int_equal(report.last[0].verdict, PROBE_NO_ANSWER);
        assert_true(report.attempts >= 3);
        assert_int_equal(wait_for(address, PROBE_TCP, NULL, 50 * USEC_PER_MSEC, &tcp), 1);
        assert_non_null(strstr(tcp.sentence, "Connection refused"));
        return 0;
}

#define IN_FIBER(name)                                                                                       \
        static void test_##name(void **state _unused_) {                                                     \
                assert_int_equal(fiber_run(name, NULL), 0);                                                  \
        }

IN_FIBER(becomes_healthy)
IN_FIBER(wrong_version)
IN_FIBER(hangs)
IN_FIBER(nobody_listens)

static void test_back_off(void **state _unused_) {
        const ProbeSpec s = PROBE_SPEC_DEFAULT;
        uint64_t pause = s.interval_usec;
        unsigned steps = 0;

        while (pause < s.interval_max_usec) {
                uint64_t next = prober_next_pause(&s, pause);

                assert_true(next > pause);
                pause = next;
                steps++;
        }
        assert_int_equal(pause, s.interval_max_usec);
        assert_int_equal(prober_next_pause(&s, pause), pause);
        assert_in_range(steps, 4, 8);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_becomes_healthy),
                        cmocka_unit_test(test_wrong_version),
                        cmocka_unit_test(test_hangs),
                        cmocka_unit_test(test_nobody_listens),
                        cmocka_unit_test(test_back_off),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
