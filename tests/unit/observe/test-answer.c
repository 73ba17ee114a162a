#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/answer.h"

static void expect(
                const ProbeSpec *s, const char *version, Answer a, const char *body, const char *sentence) {
        _cleanup_free_ char *is = NULL;
        int r;

        a.body = body;
        a.size = strlen(body);
        r = answer_judge(s, version, &a, &is);
        if (!sentence) {
                assert_null(is);
                assert_int_equal(r, 1);
                return;
        }
        assert_int_equal(r, 0);
        assert_string_equal(is, sentence);
}

static void test_status(void **state _unused_) {
        ProbeSpec s = PROBE_SPEC_DEFAULT;

        expect(&s, NULL, (Answer){.status = 200}, "", NULL);
        expect(&s, NULL, (Answer){.status = 503}, "", "the status is 503, expected 200");
        s.expect_status = 0;
        expect(&s, NULL, (Answer){.status = 204}, "", NULL);
        expect(&s, NULL, (Answer){.status = 301}, "", "the status is 301, expected 200 to 299");
        s.expect_status = 401;
        expect(&s, "1.2", (Answer){.status = 401}, "no JSON asked for", NULL);
}

static void test_json(void **state _unused_) {
        static const char *const members[] = {
                        "status=healthy", "checks.1.ok=true", "load=0.25", "n=17", NULL};
        ProbeSpec s = PROBE_SPEC_DEFAULT;
        Answer a = {.status = 200};

        s.expect_json = (char *const *) members;
        expect(&s, NULL, a, "{\"status\":\"healthy\",\"checks\":[{},{\"ok\":true}],\"load\":0.25,\"n\":17}",
                        NULL);
        expect(&s, NULL, a, "{\"status\":\"unhealthy\"}", "'status' is 'unhealthy', expected 'healthy'");
        expect(&s, NULL, a, "{\"status\":{}}", "'status' is an object, expected 'healthy'");
        expect(&s, NULL, a, "{\"status\":null}", "'status' is null, expected 'healthy'");
        expect(&s, NULL, a, "{}", "the answer has no 'status', expected 'healthy'");
        expect(&s, NULL, a, "[]", "the answer has no 'status', expected 'healthy'");
        expect(&s, NULL, a, "{\"status\":\"healthy\",\"checks\":[1]}",
                        "the answer has no 'checks.1.ok', expected 'true'");
        expect(&s, NULL, a, "<html>",
                        "the answer is no JSON (answer:1:1: not valid JSON: invalid token near '<')");
        expect(&s, NULL, a, "",
                        "the answer is no JSON (answer:1:0: not valid JSON: unexpected token near end of "
                        "file)");
}

static void test_version(void **state _unused_) {
        ProbeSpec s = PROBE_SPEC_DEFAULT;
        Answer a = {.status = 200};

        s.expect_version = "build.version";
        expect(&s, "1.2.0", a, "{\"build\":{\"version\":\"1.2.0\"}}", NULL);
        expect(&s, "1.2.0", a, "{\"build\":{\"version\":\"1.1.0\"}}",
                        "'build.version' is '1.1.0', expected '1.2.0', the release that was activated");
        expect(&s, NULL, a, "not asked", NULL);
}

static void test_latency(void **state _unused_) {
        ProbeSpec s = PROBE_SPEC_DEFAULT;

        s.max_latency_usec = 200 * USEC_PER_MSEC;
        expect(&s, NULL, (Answer){.status = 200, .latency_usec = 200 * USEC_PER_MSEC}, "", NULL);
        expect(&s, NULL, (Answer){.status = 200, .latency_usec = 1300 * USEC_PER_MSEC}, "",
                        "it took 1.3s, MaxLatency= is 200ms");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_status),
                        cmocka_unit_test(test_json),
                        cmocka_unit_test(test_version),
                        cmocka_unit_test(test_latency),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
