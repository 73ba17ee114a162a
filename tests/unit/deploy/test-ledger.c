#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/scratch.h"

#include "base/clock.h"
#include "base/text.h"
#include "deploy/ledger.h"

#define NOW (UINT64_C(1795463660) * USEC_PER_SEC) /* 2026-11-23T19:54:20Z */

static Ledger *load(Scratch *s) {
        Ledger *l;

        assert_int_equal(ledger_load(s->fd, &l, NULL), 0);
        return l;
}

static bool all_exist(const char *version _unused_, void *userdata _unused_) {
        return true;
}

static bool but(const char *version, void *userdata) {
        return !streq(version, userdata);
}

static void prove(Ledger *l, const char *version) {
        assert_int_equal(ledger_prove(l, version, NOW, NULL), 0);
}

static void test_rollback_target(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state);

        assert_null(ledger_rollback_target(l, "1", all_exist, NULL));
        assert_null(ledger_rollback_target(l, NULL, all_exist, NULL));
        prove(l, "1");
        assert_null(ledger_rollback_target(l, "1", all_exist, NULL)); /* nothing before it */
        prove(l, "2");
        prove(l, "3");
        assert_string_equal(ledger_rollback_target(l, "3", all_exist, NULL), "2");
        assert_string_equal(ledger_rollback_target(l, "2", all_exist, NULL), "1");
        /* one that never was healthy is none of ours: the newest that was */
        assert_string_equal(ledger_rollback_target(l, "4", all_exist, NULL), "3");
        assert_string_equal(ledger_rollback_target(l, NULL, all_exist, NULL), "3");
        /* what is not on this host is passed over */
        assert_string_equal(ledger_rollback_target(l, "3", but, (void *) "2"), "1");
}

/* From 3 back to 2, and back again: not to 3, which was left for a reason, but further back. */
static void test_rollback_twice(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state);

        prove(l, "1");
        prove(l, "2");
        prove(l, "3");
        assert_int_equal(ledger_abandon(l, "3", NULL), 0);
        prove(l, "2"); /* it passed its health again: now the newest */
        assert_string_equal(ledger_rollback_target(l, "2", all_exist, NULL), "1");
        /* activated again, 3 is as good as any */
        prove(l, "3");
        prove(l, "4");
        assert_string_equal(ledger_rollback_target(l, "4", all_exist, NULL), "3");
        assert_int_equal(ledger_abandon(l, "unknown", NULL), 0);
}

static void test_forget(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state), *again = NULL;

        prove(l, "1");
        prove(l, "2");
        prove(l, "3");
        assert_int_equal(ledger_forget(l, "2", NULL), 0);
        assert_int_equal(ledger_forget(l, "2", NULL), 0);
        again = load(*state);
        assert_string_equal(ledger_rollback_target(again, "3", all_exist, NULL), "1");
}

static void count_one(const char *digest _unused_, const char *version, const char *reason, const char *since,
                void *userdata) {
        assert_string_equal(version, "2");
        assert_true(startswith(reason, "reason "));
        assert_string_equal(since, "2026-11-23T19:54:20Z");
        ++*(int *) userdata;
}

static void test_quarantine(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state), *again = NULL;
        int n = 0;

        assert_null(ledger_quarantine_reason(l, "aa"));
        assert_int_equal(ledger_quarantine(l, "aa", "2", "reason a", NOW, NULL), 0);
        assert_int_equal(ledger_quarantine(l, "bb", "2", "reason b", NOW, NULL),
                        0); /* built anew, bad again */
        again = load(*state);
        assert_string_equal(ledger_quarantine_reason(again, "aa"), "reason a");
        assert_null(ledger_quarantine_reason(again, "cc"));
        ledger_each_quarantined(again, count_one, &n);
        assert_int_equal(n, 2);
        assert_int_equal(ledger_lift(again, "1", NULL), 0);
        assert_int_equal(ledger_lift(again, "2", NULL), 2);
        assert_int_equal(ledger_lift(again, "2", NULL), 0);
        ledger_free(l);
        l = load(*state);
        assert_null(ledger_quarantine_reason(l, "aa"));
}

static void test_hold(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state), *again = NULL;
        const char *by, *since;

        assert_null(ledger_hold_reason(l, &by, &since));
        assert_int_equal(ledger_unhold(l, NULL), 0);
        assert_int_equal(ledger_hold(l, "alice", "rolled back by hand", NOW, NULL), 0);
        again = load(*state);
        assert_string_equal(ledger_hold_reason(again, &by, &since), "rolled back by hand");
        assert_string_equal(by, "alice");
        assert_string_equal(since, "2026-11-23T19:54:20Z");
        assert_int_equal(ledger_unhold(again, NULL), 0);
        assert_null(ledger_hold_reason(again, NULL, NULL));
        ledger_free(again);
        again = load(*state);
        assert_null(ledger_hold_reason(again, NULL, NULL));
}

static void test_pins(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state), *again = NULL;

        assert_int_equal(ledger_pin(l, "1", true, NULL), 0);
        assert_int_equal(ledger_pin(l, "2", true, NULL), 0);
        assert_int_equal(ledger_pin(l, "1", true, NULL), 0);
        assert_int_equal(ledger_pin(l, "2", false, NULL), 0);
        assert_int_equal(ledger_pin(l, "3", false, NULL), 0);
        again = load(*state);
        assert_true(ledger_is_pinned(again, "1"));
        assert_false(ledger_is_pinned(again, "2"));
        assert_int_equal(ledger_pin(again, "1", false, NULL), 0);
        assert_false(ledger_is_pinned(again, "1"));
}

/* A change that cannot be written did not happen, in memory neither: so it can be tried again. */
static void test_full_disk(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state), *again = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        struct rlimit was;
        int r[5];

        prove(l, "1");
        prove(l, "2");
        assert_int_equal(ledger_pin(l, "1", true, NULL), 0);
        assert_int_equal(ledger_hold(l, "alice", "why", NOW, NULL), 0);
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, was.rlim_max}), 0);
        r[0] = ledger_prove(l, "3", NOW, &e);
        r[1] = ledger_forget(l, "1", NULL);
        r[2] = ledger_pin(l, "1", false, NULL);
        r[3] = ledger_unhold(l, NULL);
        r[4] = ledger_unhold(l, NULL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        for (size_t i = 0; i < ELEMENTS_OF(r); i++)
                assert_int_equal(r[i], -EFBIG);
        assert_string_equal(e.message, "cannot write ledger.json: File too large");
        assert_string_equal(ledger_rollback_target(l, NULL, all_exist, NULL), "2");
        assert_true(ledger_is_pinned(l, "1"));
        assert_non_null(ledger_hold_reason(l, NULL, NULL));
        assert_int_equal(ledger_unhold(l, NULL), 0);
        again = load(*state);
        assert_null(ledger_hold_reason(again, NULL, NULL));
        assert_string_equal(ledger_rollback_target(again, "2", all_exist, NULL), "1");
}

/* What the history knows of a damaged ledger is in the new one, and what it does not know is taken to be so. */
static void test_mended(void **state) {
        static const char *const damages[] = {
                        "", "{", "[]", "\0\0\0\0", "{\"proven\": [1.5]}", "{\"proven\": []} x"};
        static const char history[] = /* as history_tail() has it: the newest first */
                        "[{\"verb\":\"rollback\",\"verdict\":\"succeeded\",\"version\":\"2\",\"from\":\"4\"},"
                        "{\"verb\":\"activate\",\"verdict\":\"succeeded\",\"version\":\"4\",\"from\":\"2\","
                        "\"ended\":\"E\"},"
                        "{\"verb\":\"activate\",\"verdict\":\"taken-back\",\"version\":\"3\",\"quarantined\":"
                        "\"aa\","
                        "\"text\":\"T\"},{\"verb\":\"activate\",\"verdict\":\"succeeded\",\"version\":\"2\"},"
                        "{},"
                        "{\"verb\":\"pull\",\"verdict\":\"succeeded\",\"version\":\"1\"},"
                        "{\"verb\":\"activate\",\"verdict\":\"succeeded\",\"version\":\"2\"}]";
        _cleanup_json_ json_t *told = json_loads(history, 0, NULL);
        char *here[] = {(char *) "1", (char *) "5", NULL};
        Scratch *s = *state;

        for (size_t i = 0; i < ELEMENTS_OF(damages); i++) {
                _cleanup_(ledger_free_p) Ledger *l = NULL;
                _cleanup_strv_ char **names = NULL;
                _cleanup_error_ Error e = ERROR_INIT;
                _cleanup_free_ char *kept = NULL;

                scratch_write(s, LEDGER_FILE, damages[i], i == 3 ? 4 : strlen(damages[i]));
                assert_int_equal(ledger_load(s->fd, &l, &e), -EUCLEAN);
                assert_non_null(strstr(e.message, s->path)); /* which file */
                assert_non_null(strstr(e.hint, "recover"));
                assert_int_equal(ledger_mend(s->fd, told, here, NOW + i, &kept, NULL), 0);
                l = load(s);
                assert_string_equal(ledger_rollback_target(l, "2", all_exist, NULL), "1");
                assert_string_equal(
                                ledger_rollback_target(l, NULL, all_exist, NULL), "2"); /* 4 was abandoned */
                assert_string_equal(ledger_quarantine_reason(l, "aa"), "T");
                assert_true(ledger_is_pinned(l, "1") && ledger_is_pinned(l, "5"));
                assert_false(ledger_is_pinned(l, "2"));
                assert_non_null(ledger_hold_reason(l, NULL, NULL));
                assert_int_equal(fs_list_directory(s->fd, ".", &names), 0);
                assert_int_equal(strv_length(names), 2 + i); /* and those put aside */
                assert_true(fs_exists(s->fd, kept));
        }
}

/* A directory in its place, too. */
static void test_mended_where_it_is_no_file(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        _cleanup_free_ char *kept = NULL;
        Scratch *s = *state;

        assert_int_equal(mkdirat(s->fd, LEDGER_FILE, 0755), 0);
        assert_int_equal(ledger_load(s->fd, &l, NULL), -EUCLEAN);
        assert_int_equal(ledger_mend(s->fd, NULL, NULL, NOW, &kept, NULL), 0);
        l = load(s);
        assert_null(ledger_rollback_target(l, NULL, all_exist, NULL));
        assert_non_null(ledger_hold_reason(l, NULL, NULL));
}

/* A deployment holds its ledger open for as long as it runs; what others change meanwhile stays. */
static void test_two_at_once(void **state) {
        _cleanup_(ledger_free_p) Ledger *deployment = load(*state), *person = load(*state), *after = NULL;

        assert_int_equal(ledger_hold(person, "alice", "why", NOW, NULL), 0);
        assert_int_equal(ledger_pin(person, "1", true, NULL), 0);
        prove(deployment, "2");
        assert_int_equal(ledger_quarantine(person, "aa", "3", "reason", NOW, NULL), 0);
        after = load(*state);
        assert_non_null(ledger_hold_reason(after, NULL, NULL));
        assert_true(ledger_is_pinned(after, "1"));
        assert_string_equal(ledger_rollback_target(after, NULL, all_exist, NULL), "2");
        assert_non_null(ledger_quarantine_reason(after, "aa"));
}

/* A rollback without the database stands on this. */
static void test_schema(void **state) {
        _cleanup_(schema_state_clear) SchemaState got = {0};
        _cleanup_(ledger_free_p) Ledger *l = load(*state), *again = NULL;
        SchemaState said = {.level = (char *) "12", .floor = (char *) "7.1"};
        char text[CLOCK_TEXT_MAX];
        const char *since;

        assert_int_equal(ledger_get_schema(l, "shop at a:3306", &got, &since), -ENOENT);
        assert_int_equal(ledger_set_schema(l, "shop at a:3306", &said, NOW, NULL), 0);
        assert_int_equal(ledger_set_schema(l, "shop at a:3306", &said, NOW + USEC_PER_SEC, NULL),
                        0); /* nothing new */
        again = load(*state);
        assert_int_equal(ledger_get_schema(again, "shop at a:3306", &got, &since), 0);
        assert_string_equal(got.level, "12");
        assert_string_equal(got.floor, "7.1");
        assert_string_equal(since, clock_to_text(NOW, text));
        schema_state_clear(&got);
        assert_int_equal(
                        ledger_get_schema(again, "shop at b:3306", &got, &since), -ENOENT); /* not that one */
        assert_int_equal(ledger_set_schema(again, "shop at a:3306", &(SchemaState){0}, NOW, NULL), 0);
        assert_int_equal(ledger_get_schema(again, "shop at a:3306", &got, &since), 0);
        assert_null(got.level);
        assert_null(got.floor);
}

/* What a writer that was killed left behind goes with the next change. */
static void test_temporaries(void **state) {
        _cleanup_(ledger_free_p) Ledger *l = load(*state);
        Scratch *s = *state;

        scratch_write(s, ".#ledger.json.0123456789abcdef", "{", 1);
        scratch_write(s, ".#journal.0123456789abcdef", "{", 1);
        prove(l, "1");
        assert_false(fs_exists(s->fd, ".#ledger.json.0123456789abcdef"));
        assert_true(fs_exists(s->fd, ".#journal.0123456789abcdef")); /* not ours */
}

/* Members of other types than ours are passed over, not stumbled over. */
static void test_odd(void **state) {
        static const char text[] =
                        "{\"proven\": {\"a\": 1}, \"quarantine\": [1], \"pins\": 3, \"hold\": true}";
        _cleanup_(ledger_free_p) Ledger *l = NULL;

        scratch_write(*state, "ledger.json", text, strlen(text));
        l = load(*state);
        assert_null(ledger_rollback_target(l, NULL, all_exist, NULL));
        assert_null(ledger_quarantine_reason(l, "aa"));
        assert_non_null(ledger_hold_reason(l, NULL, NULL));
        prove(l, "1");
        assert_int_equal(ledger_pin(l, "1", true, NULL), 0);
        assert_int_equal(ledger_quarantine(l, "aa", "1", "reason", NOW, NULL), 0);
        assert_string_equal(ledger_rollback_target(l, NULL, all_exist, NULL), "1");
        assert_true(ledger_is_pinned(l, "1"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        scratch_test(test_rollback_target),
                        scratch_test(test_rollback_twice),
                        scratch_test(test_forget),
                        scratch_test(test_quarantine),
                        scratch_test(test_hold),
                        scratch_test(test_pins),
                        scratch_test(test_schema),
                        scratch_test(test_full_disk),
                        scratch_test(test_two_at_once),
                        scratch_test(test_temporaries),
                        scratch_test(test_mended),
                        scratch_test(test_mended_where_it_is_no_file),
                        scratch_test(test_odd),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
