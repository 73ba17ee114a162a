#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "deploy/progress.h"

/* Collects the events. */
static void listen(const json_t *event, void *userdata) {
        assert_int_equal(json_array_append_new(userdata, json_deep_copy(event)), 0);
}

static const json_t *event(const json_t *events, size_t i, const char *name) {
        const json_t *e = json_array_get(events, i);

        assert_string_equal(json_get_string(e, "event"), name);
        return e;
}

static void test_story(void **state _unused_) {
        _cleanup_(progress_free_p) Progress *p = NULL;
        _cleanup_json_ json_t *events = json_array(), *stages = NULL,
                              *end = json_pack("{ss si}", "verdict", "taken-back", "exit", 3);
        _cleanup_error_ Error error = ERROR_INIT;
        const json_t *e;

        assert_int_equal(progress_new(&p), 0);
        progress_listen(p, listen, events);
        progress_begin(p, "the-id", "activate", "1.0", NULL);
        progress_stage(p, "fetch", 1, 2);
        progress_bytes(p, 5, 10);
        progress_bytes(p, 6, 10); /* too soon after the last */
        progress_bytes(p, 10, 10);
        progress_summary(p, "%d bytes", 10);
        progress_done(p);
        progress_stage(p, "prove", 2, 2);
        error_set(&error, ERROR_FAILED, -EIO, "it answered 500");
        error_hint(&error, -EIO, "look there");
        progress_failed(p, &error, -EIO);
        progress_back(p, "it answered 500");
        progress_note(p, "a note with %s", "\xff");
        progress_warn(p, "a warning");
        progress_warn_error(p, &error, -EIO);
        progress_warn_error(p, NULL, -EINVAL);
        progress_end(p, end);

        e = event(events, 0, "begin");
        assert_string_equal(json_get_string(e, "id"), "the-id");
        assert_string_equal(json_get_string(e, "version"), "1.0");
        assert_null(json_object_get(e, "from"));
        e = event(events, 1, "stage");
        assert_int_equal(json_get_integer(e, "of", 0), 2);
        assert_int_equal(json_get_integer(event(events, 2, "bytes"), "done", 0), 5);
        assert_int_equal(json_get_integer(event(events, 3, "bytes"), "done", 0), 10);
        e = event(events, 4, "done");
        assert_string_equal(json_get_string(e, "text"), "10 bytes");
        assert_true(json_get_integer(e, "took", -1) >= 0);
        assert_true(json_get_integer(e, "at", -1) >= json_get_integer(e, "took", -1));
        event(events, 5, "stage");
        e = event(events, 6, "failed");
        assert_string_equal(json_get_string(e, "text"), "it answered 500");
        assert_string_equal(json_get_string(e, "hint"), "look there");
        event(events, 7, "back");
        assert_string_equal(json_get_string(event(events, 8, "note"), "text"), "a note with ?");
        event(events, 9, "warning");
        assert_string_equal(
                        json_get_string(event(events, 10, "warning"), "text"), "it answered 500; look there");
        assert_string_equal(json_get_string(event(events, 11, "warning"), "text"), "Invalid argument");
        e = event(events, 12, "end");
        assert_int_equal(json_get_integer(e, "exit", 0), 3);
        assert_string_equal(json_get_string(e, "verdict"), "taken-back");
        assert_int_equal(json_array_size(events), 13);

        stages = progress_stages(p);
        assert_int_equal(json_array_size(stages), 2);
        assert_string_equal(json_get_string(json_array_get(stages, 1), "stage"), "prove");
}

/* A summary is of one stage. */
static void test_summary_does_not_stay(void **state _unused_) {
        _cleanup_(progress_free_p) Progress *p = NULL;
        _cleanup_json_ json_t *events = json_array();

        assert_int_equal(progress_new(&p), 0);
        progress_listen(p, listen, events);
        progress_stage(p, "one", 1, 2);
        progress_summary(p, "of one");
        progress_done(p);
        progress_stage(p, "two", 2, 2);
        progress_done(p);
        assert_null(json_object_get(event(events, 3, "done"), "text"));
}

/* A deployment without anybody who listens, or without progress at all. */
static void test_nobody_listens(void **state _unused_) {
        _cleanup_(progress_free_p) Progress *p = NULL;
        _cleanup_json_ json_t *end = json_object();

        assert_int_equal(progress_new(&p), 0);
        for (int i = 0; i < 2; i++) {
                Progress *x = i == 0 ? p : NULL;

                progress_begin(x, "id", "pull", NULL, NULL);
                progress_stage(x, "one", 1, 1);
                progress_bytes(x, 1, 2);
                progress_summary(x, "s");
                progress_failed(x, NULL, -ENOMEM);
                progress_done(x);
                progress_back(x, "why");
                progress_note(x, "n");
                progress_warn(x, "w");
                progress_end(x, end);
        }
}

static void test_at_most_four(void **state _unused_) {
        _cleanup_(progress_free_p) Progress *p = NULL;
        _cleanup_json_ json_t *events = json_array();

        assert_int_equal(progress_new(&p), 0);
        for (int i = 0; i < 6; i++)
                progress_listen(p, listen, events);
        progress_note(p, "x");
        assert_int_equal(json_array_size(events), 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_story),
                        cmocka_unit_test(test_summary_does_not_stay),
                        cmocka_unit_test(test_nobody_listens),
                        cmocka_unit_test(test_at_most_four),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
