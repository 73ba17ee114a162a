#include "store/retention.h"
#include "tests/unit/store/tree.h"

/* A release by its letters: c current, p pinned, i in flight, f failed, w the way back; a digit is its place among the proven. */
static RetentionRelease release(const char *version, const char *letters) {
        RetentionRelease r = {.version = version, .bytes = 100, .inodes = 10, .sealed_usec = 1};

        for (; *letters; letters++) {
                r.current |= *letters == 'c';
                r.pinned |= *letters == 'p';
                r.in_flight |= *letters == 'i';
                r.failed |= *letters == 'f';
                r.way_back |= *letters == 'w';
                if (*letters >= '0' && *letters <= '9')
                        r.proven = *letters - '0';
        }
        return r;
}

typedef struct Case {
        const char *releases[8]; /* letters; version a, b, ... */
        unsigned keep;
        const char *pruned; /* versions */
} Case;

static const Case CASES[] = {
                {{"c1"}, 1, ""},
                {{"1", "2", "3", "c4"}, 2, "ab"}, /* current and the last proven */
                {{"1", "2", "3", "c4"}, 1,
                                "ab"}, /* the last proven stays though there is room for one only */
                {{"1", "2", "3", "c4"}, 3, "a"},
                {{"1", "2", "3", "c4"}, 9, ""},
                {{"c1", "2", "3", "4"}, 2, "bc"}, /* after a rollback: current is the oldest */
                {{"w1", "c2", "3"}, 2, ""}, /* and was rolled back from: where the next one goes stays */
                {{"p1", "2", "3", "c4"}, 2, "b"},   /* pinned */
                {{"p1", "2", "3", "c4"}, 3, "b"},   /* and counts */
                {{"1", "2f", "3f", "c4"}, 2, "bc"}, /* the failed do not use up the count */
                {{"1", "f", "f", "f", "2", "c3"}, 3, "bcd"},
                {{"1", "", "c2"}, 3, "b"}, /* never proven */
                {{"1", "i", "c2"}, 2, ""}, /* in flight */
                {{"1", "if", "c2"}, 2, ""},
                {{"1", "2", "c"}, 1, "a"}, /* current is not proven (yet): the one to go back to stays */
                {{"1", "2f", "cf"}, 1, "b"},
                {{"pf", "c1"}, 1, ""},
                {{NULL}, 1, ""},
};

static void test_cases(void **state _unused_) {
        static const char *const versions[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

        for (size_t i = 0; i < ELEMENTS_OF(CASES); i++) {
                RetentionRelease releases[8];
                RetentionNeed need = {.keep = CASES[i].keep};
                RetentionVerdict v;
                char pruned[9] = "";
                size_t n = 0;

                for (; n < 8 && CASES[i].releases[n]; n++)
                        releases[n] = release(versions[n], CASES[i].releases[n]);
                v = retention_decide(releases, n, &need);
                for (size_t k = 0; k < n; k++) {
                        assert_non_null(releases[k].reason);
                        if (releases[k].prune)
                                strcat(pruned, releases[k].version);
                }
                if (!streq(pruned, CASES[i].pruned))
                        fail_msg("case %zu: pruned \"%s\", not \"%s\"", i, pruned, CASES[i].pruned);
                assert_int_equal(v.n_prune, strlen(pruned));
                assert_int_equal(v.freed_bytes, 100 * v.n_prune);
                assert_int_equal(v.freed_inodes, 10 * v.n_prune);
                assert_int_equal(v.short_bytes + v.short_inodes, 0);
        }
}

static void test_space(void **state _unused_) {
        RetentionRelease l[] = {release("a", "1"), release("b", "2"), release("c", "c3")};
        RetentionNeed need = {
                        .keep = 2, .need_bytes = 150, .need_inodes = 15, .free_bytes = 60, .free_inodes = 6};
        RetentionVerdict v = retention_decide(l, 3, &need);

        assert_int_equal(v.freed_bytes, 100); /* of a: it fits by what goes */
        assert_int_equal(v.short_bytes, 0);
        assert_int_equal(v.short_inodes, 0);
        need.spare_bytes = 20;
        need.spare_inodes = 3;
        v = retention_decide(l, 3, &need);
        assert_int_equal(v.short_bytes, 10);
        assert_int_equal(v.short_inodes, 2);
        need.keep = 3;
        v = retention_decide(l, 3, &need);
        assert_int_equal(v.freed_bytes, 0);
        assert_int_equal(v.short_bytes, 110);
        need.need_bytes = need.need_inodes = 0; /* nothing to come */
        v = retention_decide(l, 3, &need);
        assert_int_equal(v.short_bytes, 0);
        need = (RetentionNeed){.keep = 1,
                        .need_bytes = UINT64_MAX,
                        .need_inodes = 1,
                        .free_bytes = UINT64_MAX - 50,
                        .free_inodes = UINT64_MAX,
                        .spare_bytes = UINT64_MAX};
        v = retention_decide(l, 3, &need); /* no sum wraps */
        assert_int_equal(v.short_bytes, 0);
        assert_int_equal(v.short_inodes, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_cases),
                        cmocka_unit_test(test_space),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
