#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/text.h"

static void test_text_grows(void **state _unused_) {
        _cleanup_text_ Text t = TEXT_INIT;
        _cleanup_free_ char *taken = NULL;

        for (int i = 0; i < 1000; i++)
                assert_int_equal(text_addf(&t, "%d,", i), 0);
        assert_int_equal(t.size, strlen(t.data));
        assert_true(startswith(t.data, "0,1,2,"));
        assert_true(endswith(t.data, ",998,999,"));
        assert_int_equal(text_add(&t, "a\0b", 3), 0);
        assert_memory_equal(t.data + t.size - 3, "a\0b", 4);
        taken = text_take(&t);
        assert_null(t.data);
        assert_int_equal(t.size, 0);
        assert_true(startswith(taken, "0,1"));
}

static void test_empty_text_is_a_string(void **state _unused_) {
        Text t = TEXT_INIT;
        _cleanup_free_ char *taken = text_take(&t);

        assert_string_equal(taken, "");
        assert_int_equal(text_add(&t, NULL, 0), 0);
        text_clear(&t);
        text_clear(&t);
        assert_null(t.data);
}

static void test_strv(void **state _unused_) {
        _cleanup_strv_ char **l = NULL;

        assert_int_equal(strv_length(l), 0);
        assert_false(strv_contains(l, ""));
        assert_int_equal(strv_add(&l, "b"), 0);
        assert_int_equal(strv_add(&l, "a"), 0);
        assert_int_equal(strv_addf(&l, "%c", 'B'), 0);
        assert_int_equal(strv_length(l), 3);
        assert_true(strv_contains(l, "B"));
        assert_false(strv_contains(l, "A"));
        strv_sort(l);
        assert_string_equal(l[0], "B");
        assert_string_equal(l[1], "a");
        assert_string_equal(l[2], "b");
        assert_null(l[3]);
        strv_sort(NULL);
        assert_null(strv_free(NULL));
}

static void test_split(void **state _unused_) {
        static const struct {
                const char *text, *separators, *pieces[4];
        } cases[] = {
                        {"", " ", {NULL}},
                        {"   ", " ", {NULL}},
                        {"one", " ", {"one"}},
                        {" one  two ", " ", {"one", "two"}},
                        {"a,b;c", ",;", {"a", "b", "c"}},
                        {"a,b", "", {"a,b"}},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_strv_ char **l = NULL;
                size_t n = 0;

                assert_int_equal(strv_split(cases[i].text, cases[i].separators, &l), 0);
                for (; cases[i].pieces[n]; n++)
                        assert_string_equal(l[n], cases[i].pieces[n]);
                assert_int_equal(strv_length(l), n);
        }
}

static void test_numbers(void **state _unused_) {
        static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x10", "1.0", "a"};
        uint64_t n = 7;

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_int_equal(parse_u64(bad[i], UINT64_MAX, &n), -EINVAL);
        assert_int_equal(parse_u64("18446744073709551616", UINT64_MAX, &n), -ERANGE);
        assert_int_equal(parse_u64("99999999999999999999999", UINT64_MAX, &n), -ERANGE);
        assert_int_equal(parse_u64("11", 10, &n), -ERANGE);
        assert_int_equal(n, 7); /* untouched by failure */
        assert_int_equal(parse_u64("18446744073709551615", UINT64_MAX, &n), 0);
        assert_true(n == UINT64_MAX);
        assert_int_equal(parse_u64("0010", 10, &n), 0);
        assert_int_equal(n, 10);
}

static void test_sizes(void **state _unused_) {
        static const struct {
                const char *text;
                int r;
                uint64_t size;
        } cases[] = {
                        {"0", 0, 0},
                        {"512K", 0, 512 * KIB},
                        {"20M", 0, 20 * MIB},
                        {"3G", 0, 3 * 1024 * MIB},
                        {"2T", 0, 2048 * 1024 * MIB},
                        {"16777216T", -ERANGE, 0},
                        {"", -EINVAL, 0},
                        {"K", -EINVAL, 0},
                        {"1KK", -EINVAL, 0},
                        {"1k", -EINVAL, 0},
                        {"-1K", -EINVAL, 0},
                        {"1.5G", -EINVAL, 0},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                uint64_t size = 0;

                assert_int_equal(parse_size(cases[i].text, &size), cases[i].r);
                assert_true(size == cases[i].size);
        }
}

static void test_booleans(void **state _unused_) {
        static const char *const yes[] = {"yes", "TRUE", "on", "1"}, *const no[] = {"no", "False", "off",
                                                                                     "0"};
        bool b;

        for (size_t i = 0; i < ELEMENTS_OF(yes); i++) {
                assert_int_equal(parse_boolean(yes[i], &b), 0);
                assert_true(b);
                assert_int_equal(parse_boolean(no[i], &b), 0);
                assert_false(b);
        }
        assert_int_equal(parse_boolean("", &b), -EINVAL);
        assert_int_equal(parse_boolean("y", &b), -EINVAL);
        assert_int_equal(parse_boolean("yes ", &b), -EINVAL);
}

static void test_sizes_for_people(void **state _unused_) {
        static const struct {
                uint64_t size;
                const char *text;
        } cases[] = {
                        {0, "0B"},
                        {999, "999B"},
                        {1000, "1.0K"},
                        {1024, "1.0K"},
                        {13 * MIB + 410 * KIB, "13.4M"},
                        {150 * MIB, "150M"},
                        {3 * 1024 * MIB, "3.0G"},
                        {UINT64_MAX, "16.0E"},
        };
        char buffer[SIZE_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                assert_string_equal(size_to_text(cases[i].size, buffer), cases[i].text);
}

static void test_sizes_from_people(void **state _unused_) {
        static const char *const wrong[] = {"", "K", "1KB", "1k", "-1", "1.5M", "16777216T", "1 M"};
        uint64_t size;

        assert_int_equal(size_from_text("0", &size), 0);
        assert_int_equal(size, 0);
        assert_int_equal(size_from_text("500K", &size), 0);
        assert_int_equal(size, 500 * KIB);
        assert_int_equal(size_from_text("3G", &size), 0);
        assert_int_equal(size, 3 * 1024 * MIB);
        assert_int_equal(size_from_text("16777215T", &size), 0);
        for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
                assert_int_equal(size_from_text(wrong[i], &size), -EINVAL);
}

/* RFC 3629 section 4, at the edges of each of its ranges. */
static void test_utf8(void **state _unused_) {
        static const char *const good[] = {"", "plain", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
                        "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
                        "\xf4\x8f\xbf\xbf", "a\xc3\xa4z"};
        static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2g",
                        "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
                        "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe", "ok\xc3"};

        for (size_t i = 0; i < ELEMENTS_OF(good); i++)
                assert_true(utf8_is_valid(good[i], strlen(good[i])));
        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
        assert_true(utf8_is_valid("a\0b", 3));
        assert_false(utf8_is_valid("\xe2\x82\xac", 2)); /* cut by the size, not by a NUL */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_text_grows),
                        cmocka_unit_test(test_empty_text_is_a_string),
                        cmocka_unit_test(test_strv),
                        cmocka_unit_test(test_split),
                        cmocka_unit_test(test_numbers),
                        cmocka_unit_test(test_sizes),
                        cmocka_unit_test(test_booleans),
                        cmocka_unit_test(test_sizes_for_people),
                        cmocka_unit_test(test_sizes_from_people),
                        cmocka_unit_test(test_utf8),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
