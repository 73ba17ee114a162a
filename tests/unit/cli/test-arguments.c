#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/text.h"
#include "cli/verb.h"

/* A table of the test's own takes the place of the program's. */

const Option global_options[] = {
                {"app", "APP", "the app"},
                {"json", NULL, "JSON"},
                {"help", NULL, "help"},
                {0},
};

const Verb verbs[] = {
                {.name = "status", .arguments = "", .help = "shows"},
                {.name = "activate",
                                .arguments = "VERSION",
                                .min_arguments = 1,
                                .max_arguments = 1,
                                .help = "activates",
                                .options = {{"wait", "TIME", "waits"}, {"reason", "TEXT", "why"},
                                                {"quick", NULL, "quickly"}}},
                {.name = "repo init",
                                .arguments = "DIR",
                                .min_arguments = 1,
                                .max_arguments = 1,
                                .help = "inits"},
                {.name = "repo publish",
                                .arguments = "DIR...",
                                .max_arguments = -1,
                                .help = "publishes",
                                .options = {{"keys", "DIR", "keys"}, {"again", NULL, "again"}}},
                {0},
};

typedef struct Line {
        char **words;
        Arguments a;
        Error error;
        int r;
} Line;

/* Parses the words of @line. */
static Line parse(const char *line) {
        Line l = {0};

        assert_int_equal(strv_split(line, " ", &l.words), 0);
        l.r = arguments_parse((int) strv_length(l.words), l.words, &l.a, &l.error);
        return l;
}

static void line_clear(Line *l) {
        strv_free(l->words);
        error_clear(&l->error);
}

#define _cleanup_line_ _cleanup_(line_clear)

static void test_verbs(void **state _unused_) {
        _cleanup_line_ Line plain = parse("p status"), two = parse("p repo init /x"), none = parse("p");
        _cleanup_line_ Line many = parse("p repo publish a b c"), only = parse("p --help");

        assert_int_equal(plain.r, 0);
        assert_ptr_equal(plain.a.verb, &verbs[0]);
        assert_int_equal(plain.a.n_positional, 0);
        assert_ptr_equal(two.a.verb, &verbs[2]);
        assert_string_equal(two.a.positional[0], "/x");
        assert_null(two.a.positional[1]);
        assert_int_equal(none.r, 0);
        assert_null(none.a.verb);
        assert_int_equal(many.a.n_positional, 3);
        assert_string_equal(many.a.positional[2], "c");
        assert_null(only.a.verb);
        assert_true(arguments_flag(&only.a, "help"));
}

/* Options stand before the verb, behind it, and between its arguments; the last value counts. */
static void test_options(void **state _unused_) {
        _cleanup_line_ Line l =
                        parse("p --app=a --json activate --wait 5s 1.0 --app b --reason=x --reason y=z");

        assert_int_equal(l.r, 0);
        assert_string_equal(arguments_option(&l.a, "app"), "b");
        assert_string_equal(arguments_option(&l.a, "wait"), "5s");
        assert_true(arguments_flag(&l.a, "json"));
        assert_false(arguments_flag(&l.a, "quick"));
        assert_string_equal(arguments_option_at(&l.a, "reason", 0), "x");
        assert_string_equal(arguments_option_at(&l.a, "reason", 1), "y=z");
        assert_null(arguments_option_at(&l.a, "reason", 2));
        assert_int_equal(l.a.n_positional, 1);
        assert_string_equal(l.a.positional[0], "1.0");
}

/* They may even part the two words of a verb, whatever their values are. */
static void test_options_between_words(void **state _unused_) {
        _cleanup_line_ Line l =
                        parse("p --app a repo --keys init --again --keys=k --json publish x --keys last y");
        _cleanup_line_ Line other = parse("p repo --keys k init d");

        assert_int_equal(l.r, 0);
        assert_ptr_equal(l.a.verb, &verbs[3]);
        assert_string_equal(arguments_option_at(&l.a, "keys", 0), "init");
        assert_string_equal(arguments_option_at(&l.a, "keys", 1), "k");
        assert_string_equal(arguments_option(&l.a, "keys"), "last");
        assert_string_equal(arguments_option(&l.a, "app"), "a");
        assert_true(arguments_flag(&l.a, "again"));
        assert_true(arguments_flag(&l.a, "json"));
        assert_int_equal(l.a.n_positional, 2);
        assert_string_equal(l.a.positional[0], "x");
        assert_string_equal(l.a.positional[1], "y");
        assert_int_equal(other.r, -EINVAL);
        assert_string_equal(other.error.message, "repo init --keys: no such option, or it takes no value");
}

static void test_end_of_options(void **state _unused_) {
        _cleanup_line_ Line l = parse("p activate -- --json");

        assert_int_equal(l.r, 0);
        assert_string_equal(l.a.positional[0], "--json");
        assert_false(arguments_flag(&l.a, "json"));
}

static void test_help_needs_no_arguments(void **state _unused_) {
        _cleanup_line_ Line l = parse("p activate --help");

        assert_int_equal(l.r, 0);
        assert_true(arguments_flag(&l.a, "help"));
        assert_ptr_equal(l.a.verb, &verbs[1]);
}

static void test_errors(void **state _unused_) {
        static const struct {
                const char *line, *message, *hint;
        } wrong[] = {
                        {"p nonsense", "\"nonsense\" is not a verb", "see releasemgr --help"},
                        {"p stat", "\"stat\" is not a verb", "see releasemgr --help"},
                        {"p repo", "\"repo\" is not a verb", "behind \"repo\" stands one of: init, publish"},
                        {"p repo nonsense", "\"repo nonsense\" is not a verb",
                                        "behind \"repo\" stands one of: init, publish"},
                        {"p repo --keys init", "\"repo --keys\" is not a verb",
                                        "behind \"repo\" stands one of: init, publish"},
                        {"p activate", "activate: too few arguments", "usage: releasemgr activate VERSION"},
                        {"p activate 1 2", "activate: too many arguments",
                                        "usage: releasemgr activate VERSION"},
                        {"p status 1", "status: too many arguments", "usage: releasemgr status "},
                        {"p --nonsense status", "--nonsense: no such option, or it takes no value",
                                        "see releasemgr --help"},
                        {"p status --wait=1", "status --wait=1: no such option, or it takes no value",
                                        "see releasemgr status --help"},
                        {"p --json=1 status", "--json=1: no such option, or it takes no value",
                                        "see releasemgr --help"},
                        {"p activate 1 --wait", "activate --wait: the option needs a value",
                                        "see releasemgr activate --help"},
                        {"p --app", "--app: the option needs a value", "see releasemgr --help"},
                        {"p -x status", "-x: no such option, or it takes no value", "see releasemgr --help"},
                        {"p -xyz status", "-x: no such option, or it takes no value",
                                        "see releasemgr --help"},
                        {"p activate 1 -xyz", "activate -x: no such option, or it takes no value",
                                        "see releasemgr activate --help"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(wrong); i++) {
                _cleanup_line_ Line l = parse(wrong[i].line);

                assert_int_equal(l.r, -EINVAL);
                assert_int_equal(l.error.class, ERROR_USAGE);
                assert_string_equal(l.error.message, wrong[i].message);
                assert_string_equal(l.error.hint, wrong[i].hint);
        }
}

static void test_too_many_options(void **state _unused_) {
        _cleanup_text_ Text t = TEXT_INIT;

        assert_int_equal(text_adds(&t, "p status"), 0);
        for (size_t i = 0; i < ELEMENTS_OF(((Arguments *) NULL)->given); i++)
                assert_int_equal(text_adds(&t, " --json"), 0);
        {
                _cleanup_line_ Line l = parse(t.data);

                assert_int_equal(l.r, 0);
        }
        assert_int_equal(text_adds(&t, " --json"), 0);
        {
                _cleanup_line_ Line l = parse(t.data);

                assert_int_equal(l.r, -E2BIG);
                assert_string_equal(l.error.message, "more than 64 options");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_verbs),
                        cmocka_unit_test(test_options),
                        cmocka_unit_test(test_options_between_words),
                        cmocka_unit_test(test_end_of_options),
                        cmocka_unit_test(test_help_needs_no_arguments),
                        cmocka_unit_test(test_errors),
                        cmocka_unit_test(test_too_many_options),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
