#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/metrics.h"

static json_t *report(const char *verdict) {
        return json_pack("{ss ss ss ss ss sI sI}", "verb", "activate", "version", "1.1.0", "from", "1.0.0",
                        "verdict", verdict, "ended", "2026-11-23T22:54:13Z", "took", (json_int_t) 1250000,
                        "outage", (json_int_t) 7);
}

static void test_succeeded(void **state _unused_) {
        _cleanup_json_ json_t *j = report("succeeded");
        _cleanup_text_ Text t = TEXT_INIT;

        assert_int_equal(metrics_format("shop", j, &t), 0);
        assert_non_null(strstr(t.data, "# TYPE releasemgr_release_info gauge\n"
                                       "releasemgr_release_info{app=\"shop\",version=\"1.1.0\"} 1\n"));
        assert_non_null(strstr(t.data, "releasemgr_deployment_verdict{app=\"shop\",verb=\"activate\","
                                       "version=\"1.1.0\",verdict=\"succeeded\"} 1\n"));
        assert_non_null(strstr(t.data, "verdict=\"taken-back\"} 0\n"));
        assert_non_null(strstr(t.data, "releasemgr_deployment_duration_seconds{app=\"shop\"} 1.250000\n"));
        assert_non_null(strstr(t.data, "releasemgr_deployment_outage_seconds{app=\"shop\"} 0.000007\n"));
        assert_non_null(strstr(t.data,
                        "releasemgr_deployment_end_timestamp_seconds{app=\"shop\"} 1795474453.000000\n"));
}

static void test_taken_back(void **state _unused_) {
        _cleanup_json_ json_t *j = report("taken-back");
        _cleanup_text_ Text t = TEXT_INIT;

        assert_int_equal(metrics_format("shop", j, &t), 0);
        assert_non_null(strstr(t.data, "releasemgr_release_info{app=\"shop\",version=\"1.0.0\"} 1\n"));
        assert_non_null(strstr(t.data, "verdict=\"taken-back\"} 1\n"));
        assert_non_null(strstr(t.data, "verdict=\"succeeded\"} 0\n"));
}

static void test_first_failed(void **state _unused_) {
        _cleanup_json_ json_t *j = report("failed");
        _cleanup_text_ Text t = TEXT_INIT;

        json_object_del(j, "from");
        assert_int_equal(metrics_format("shop", j, &t), 0);
        assert_null(strstr(t.data, "releasemgr_release_info{"));
}

/* What nobody measured is no figure. */
static void test_interrupted(void **state _unused_) {
        _cleanup_json_ json_t *j = report("taken-back");
        _cleanup_text_ Text t = TEXT_INIT;

        json_object_del(j, "outage");
        assert_int_equal(metrics_format("shop", j, &t), 0);
        assert_non_null(strstr(t.data, "verdict=\"taken-back\"} 1\n"));
        assert_null(strstr(t.data, "outage"));
}

static void test_lacking(void **state _unused_) {
        static const char *const needed[] = {"verb", "version", "verdict", "ended"};

        for (size_t i = 0; i < ELEMENTS_OF(needed); i++) {
                _cleanup_json_ json_t *j = report("succeeded");
                _cleanup_text_ Text t = TEXT_INIT;

                json_object_del(j, needed[i]);
                assert_int_equal(metrics_format("shop", j, &t), -EINVAL);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_succeeded),
                        cmocka_unit_test(test_taken_back),
                        cmocka_unit_test(test_first_failed),
                        cmocka_unit_test(test_interrupted),
                        cmocka_unit_test(test_lacking),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
