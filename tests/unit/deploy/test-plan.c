/* Runs every tests/plan/NAME.test: facts, a line "---", and the plan or the refusal that is expected of them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/text.h"
#include "deploy/plan.h"

#define FOLDER "tests/plan"

#define HERE_MAX 8

/* What the facts point to. */
typedef struct Held {
        SchemaState schema; /* borrows from the file's text */
        PlanRelease here[HERE_MAX];
} Held;

/* The next word, NULL for "-". */
static char *read_version(char **rest) {
        char *word = strtok_r(NULL, " ", rest);

        assert_non_null(word);
        return streq(word, "-") ? NULL : word;
}

static SchemaRange read_range(char **rest) {
        const char *needs = read_version(rest);

        return (SchemaRange){needs, read_version(rest)};
}

/* "range NEEDS KNOWS", "schema LEVEL FLOOR", "here VERSION NEEDS KNOWS"; "-": none */
static bool read_schema_fact(PlanFacts *f, Held *held, char *line) {
        char *rest, *key;

        if (!startswith(line, "range ") && !startswith(line, "schema ") && !startswith(line, "here "))
                return false;
        key = strtok_r(line, " ", &rest);
        if (streq(key, "range"))
                f->range = read_range(&rest);
        else if (streq(key, "schema")) {
                held->schema.level = read_version(&rest);
                held->schema.floor = read_version(&rest);
                f->schema = &held->schema;
        } else {
                assert_true(f->n_here < HERE_MAX);
                held->here[f->n_here].version = read_version(&rest);
                held->here[f->n_here++].range = read_range(&rest);
                f->here = held->here;
        }
        return true;
}

/* Reads "KEY VALUE" or "KEY" into the facts. */
static void read_fact(PlanFacts *f, char *line) {
        char *value = strchr(line, ' ');
        const struct {
                const char *key;
                const char **place;
        } texts[] = {{"target", &f->target}, {"current", &f->current}, {"quarantine", &f->quarantine},
                        {"yanked", &f->yanked}, {"hold", &f->hold}, {"hold-by", &f->hold_by},
                        {"contracts", &f->contracts}};
        const struct {
                const char *key;
                bool *place;
        } flags[] = {{"serving", &f->serving}, {"sealed", &f->sealed}, {"database", &f->has_database},
                        {"soak", &f->soak}, {"contract", &f->contract}, {"proven", &f->proven}};
        const struct {
                const char *key;
                uint64_t *place;
        } numbers[] = {{"need-bytes", &f->need_bytes}, {"have-bytes", &f->have_bytes},
                        {"need-inodes", &f->need_inodes}, {"have-inodes", &f->have_inodes}};

        if (value)
                *value++ = 0;
        if (streq(line, "goal")) {
                assert_int_equal(plan_goal_from_name(value, &f->goal), 0);
                return;
        }
        if (streq(line, "strategy")) {
                assert_int_equal(strategy_from_name(value, &f->strategy), 0);
                return;
        }
        for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
                if (streq(texts[i].key, line)) {
                        *texts[i].place = value;
                        return;
                }
        for (size_t i = 0; i < ELEMENTS_OF(flags); i++)
                if (streq(flags[i].key, line)) {
                        *flags[i].place = true;
                        return;
                }
        for (size_t i = 0; i < ELEMENTS_OF(numbers); i++)
                if (streq(numbers[i].key, line)) {
                        assert_int_equal(parse_u64(value, UINT64_MAX, numbers[i].place), 0);
                        return;
                }
        fail_msg("unknown fact: %s", line);
}

/* The plan as the files write it. */
static char *plan_to_text(const PlanFacts *f) {
        _cleanup_error_ Error error = ERROR_INIT;
        _cleanup_text_ Text t = TEXT_INIT;
        Plan plan;
        int r = plan_make(f, &plan, &error);

        if (r < 0) {
                assert_int_equal(text_addf(&t, "%s %d: %s\nhint: %s\n",
                                                 plan_leaves_alone(f) ? "left alone" : "refused", error.class,
                                                 error.message, error.hint),
                                0);
                return text_take(&t);
        }
        if (plan.nothing)
                assert_int_equal(text_adds(&t, "nothing"), 0);
        for (size_t i = 0; i < plan.n; i++)
                assert_int_equal(text_addf(&t, "%s%s", i > 0 ? " " : "", plan_step_name(plan.steps[i])), 0);
        assert_int_equal(text_adds(&t, "\n"), 0);
        return text_take(&t);
}

static void run_file(const char *path) {
        _cleanup_free_ char *text = NULL, *got = NULL;
        PlanFacts f = {0};
        Held held = {0};
        char *expected, *line, *rest;

        assert_int_equal(fs_read_file(AT_FDCWD, path, 64 * KIB, &text, NULL), 0);
        expected = strstr(text, "---\n");
        assert_non_null(expected);
        *expected = 0;
        expected += strlen("---\n");
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                if (*line != '#' && !read_schema_fact(&f, &held, line))
                        read_fact(&f, line);
        got = plan_to_text(&f);
        if (!streq(got, expected))
                fail_msg("%s: expected\n%sgot\n%s", path, expected, got);
}

static void test_files(void **state _unused_) {
        _cleanup_strv_ char **names = NULL;
        size_t n = 0;

        assert_int_equal(fs_list_directory(AT_FDCWD, FOLDER, &names), 0);
        for (char **i = names; i && *i; i++) {
                _cleanup_free_ char *path = text_format("%s/%s", FOLDER, *i);

                if (!endswith(*i, ".test"))
                        continue;
                run_file(path);
                n++;
        }
        assert_true(n >= 10);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
