#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "trust/canonical.h"

static void check(const char *json, const char *expected) {
        _cleanup_text_ Text t = TEXT_INIT;
        _cleanup_json_ json_t *j = NULL;

        assert_int_equal(json_parse("test", json, strlen(json), &j, NULL), 0);
        assert_int_equal(canonical_write(j, &t), 0);
        assert_string_equal(t.data, expected);
        assert_int_equal(t.size, strlen(expected));
}

static void test_values(void **state _unused_) {
        check("{}", "{}");
        check("[]", "[]");
        check("\"\"", "\"\"");
        check(" [ 1 , -2, 0, true , false, null ] ", "[1,-2,0,true,false,null]");
        check("9223372036854775807", "9223372036854775807");
        check("-9223372036854775808", "-9223372036854775808");
        check("{\"a\": {\"b\": [ {} ]}}", "{\"a\":{\"b\":[{}]}}");
}

/* Only the quote and the backslash are escaped: a line feed in a key's PEM stands as it is. */
static void test_strings(void **state _unused_) {
        check("\"a\\\"b\\\\c\"", "\"a\\\"b\\\\c\"");
        check("\"\\n\\t\\u0001\\u007f\\/\"", "\"\n\t\001\177/\"");
        check("\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"");
        check("\"\\\\\"", "\"\\\\\"");
}

static void test_order(void **state _unused_) {
        check("{\"b\":1,\"a\":2,\"B\":3,\"\":4,\"aa\":5}", "{\"\":4,\"B\":3,\"a\":2,\"aa\":5,\"b\":1}");
        /* by bytes: U+FF61 (ef bd a1) comes before U+10000 (f0 90 80 80), though not in UTF-16 */
        check("{\"\\ud800\\udc00\":1,\"\\uff61\":2}", "{\"\xef\xbd\xa1\":2,\"\xf0\x90\x80\x80\":1}");
}

static void test_real(void **state _unused_) {
        _cleanup_text_ Text t = TEXT_INIT;
        _cleanup_json_ json_t *j = json_pack("{s:f}", "a", 1.5);

        assert_int_equal(canonical_write(j, &t), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_values),
                        cmocka_unit_test(test_strings),
                        cmocka_unit_test(test_order),
                        cmocka_unit_test(test_real),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
