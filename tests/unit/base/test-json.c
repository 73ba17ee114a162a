#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"

static void assert_refused(const char *text, size_t size, const char *message) {
        _cleanup_error_ Error e = ERROR_INIT;
        json_t *j = NULL;

        assert_int_equal(json_parse("file.json", text, size, &j, &e), -EINVAL);
        assert_null(j);
        assert_int_equal(e.class, ERROR_FAILED);
        assert_true(startswith(e.message, "file.json:"));
        assert_non_null(strstr(e.message, message));
}

static void test_refused(void **state _unused_) {
        static const struct {
                const char *text, *message;
        } cases[] = {
                        {"", ":1:0: "},
                        {"{\"a\": 1, \"a\": 2}", "duplicate"},
                        {"{\"a\": 1.5}", "fraction"},
                        {"[[1e3]]", "fraction"},
                        {"-0.0", "fraction"},
                        {"[18446744073709551616]", "big"},
                        {"[1] x", ":1:"},
                        {"{\n\"a\":\n}", ":3:"},
                        {"[\"\\u0000\"]", "\\u0000"},
                        {"[\"\xff\"]", "decode byte"},
                        {"[\"\\ud800\"]", "Unicode"},
                        {"[01]", ":1:"},
                        {"[1,]", ":1:"},
                        {"{1:2}", ":1:"},
                        {"]]]][[[[", ":1:"},
                        {"NaN", ":1:"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                assert_refused(cases[i].text, strlen(cases[i].text), cases[i].message);
        assert_refused("[1]\0", 4, "not valid"); /* a NUL is no end */
}

static void test_depth(void **state _unused_) {
        for (int depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
                _cleanup_text_ Text t = TEXT_INIT;
                _cleanup_json_ json_t *j = NULL;
                _cleanup_error_ Error e = ERROR_INIT;

                for (int i = 0; i < depth; i++)
                        assert_int_equal(text_adds(&t, "["), 0);
                assert_int_equal(text_adds(&t, "\"[[[[[[[[\\\"[[[[[[\""), 0); /* no nesting inside a string */
                for (int i = 0; i < depth; i++)
                        assert_int_equal(text_adds(&t, "]"), 0);
                assert_int_equal(json_parse("deep", t.data, t.size, &j, &e),
                                depth <= JSON_DEPTH_MAX ? 0 : -EINVAL);
        }
}

static void test_members(void **state _unused_) {
        static const char text[] = "{\"s\": \"v\", \"i\": -5, \"t\": true, \"f\": false, \"n\": null}";
        _cleanup_json_ json_t *j = NULL;

        assert_int_equal(json_parse("x", text, strlen(text), &j, NULL), 0);
        assert_string_equal(json_get_string(j, "s"), "v");
        assert_null(json_get_string(j, "i"));
        assert_null(json_get_string(j, "missing"));
        assert_int_equal(json_get_integer(j, "i", 9), -5);
        assert_int_equal(json_get_integer(j, "s", 9), 9);
        assert_int_equal(json_get_integer(j, "missing", 9), 9);
        assert_true(json_get_boolean(j, "t", false));
        assert_false(json_get_boolean(j, "f", true));
        assert_true(json_get_boolean(j, "n", true));
        assert_null(json_get_string(NULL, "s")); /* as the member of what is not there */
}

static void test_any_value_may_be_a_document(void **state _unused_) {
        _cleanup_json_ json_t *j = NULL;

        assert_int_equal(json_parse("x", " 42 ", 4, &j, NULL), 0);
        assert_int_equal(json_integer_value(j), 42);
}

static void test_files(void **state _unused_) {
        char path[] = "/tmp/releasemgr-json-XXXXXX";
        _cleanup_json_ json_t *j = NULL, *again = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *text = NULL;

        assert_non_null(mkdtemp(path));
        j = json_pack("{s:s, s:[i,i]}", "name", "\xc3\xa4 \"quoted\"", "list", 1, 2);
        assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
        assert_int_equal(json_read_file(AT_FDCWD, path, 1000, &again, &e), -ENOENT);
        assert_non_null(strstr(e.message, path));
        assert_int_equal(json_write_file(AT_FDCWD, path, j, 0600), 0);
        assert_int_equal(json_read_file(AT_FDCWD, path, 1000, &again, &e), 0);
        assert_true(json_equal(j, again));
        assert_int_equal(fs_read_file(AT_FDCWD, path, 1000, &text, NULL), 0);
        assert_true(endswith(text, "}\n"));
        assert_int_equal(json_read_file(AT_FDCWD, path, 5, &again, &e), -EFBIG);
        assert_int_equal(unlink(path), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_depth),
                        cmocka_unit_test(test_members),
                        cmocka_unit_test(test_any_value_may_be_a_document),
                        cmocka_unit_test(test_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
