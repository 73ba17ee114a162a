#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/table.h"

static const TableColumn columns[] = {{"VERSION", false}, {"SIZE", true}};

/* Prints @t and gives the text. */
static char *printed(Table *t) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        assert_int_equal(table_print(t, f), 0);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void test_aligned(void **state _unused_) {
        _cleanup_(table_free_p) Table *t = NULL;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(table_new(columns, ELEMENTS_OF(columns), false, &t), 0);
        assert_int_equal(table_add(t, (const char *[]){"1.0.0", "7"}), 0);
        assert_int_equal(table_colour(t, 0, "red"), 0);
        assert_int_equal(table_add(t, (const char *[]){NULL, "12345"}), 0);
        text = printed(t);
        assert_string_equal(text, "VERSION  SIZE\n1.0.0       7\n        12345\n");
}

static void test_colour(void **state _unused_) {
        _cleanup_(table_free_p) Table *t = NULL;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(table_new(columns, ELEMENTS_OF(columns), true, &t), 0);
        assert_int_equal(table_add(t, (const char *[]){"1.0.0", "7"}), 0);
        assert_int_equal(table_colour(t, 0, "green"), 0);
        text = printed(t);
        assert_non_null(strstr(text, "\033[32m1.0.0"));
}

/* What comes from a repository or a database cannot write to the terminal's controls. */
static void test_controls_are_not_passed_on(void **state _unused_) {
        _cleanup_(table_free_p) Table *t = NULL;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(table_new(columns, ELEMENTS_OF(columns), false, &t), 0);
        assert_int_equal(table_add(t, (const char *[]){"\033[2J\a", "x\ny"}), 0);
        text = printed(t);
        assert_null(strchr(text, '\033'));
        assert_null(strchr(text, '\a'));
}

static void test_free_takes_null(void **state _unused_) {
        assert_null(table_free(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_aligned),
                        cmocka_unit_test(test_colour),
                        cmocka_unit_test(test_controls_are_not_passed_on),
                        cmocka_unit_test(test_free_takes_null),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
