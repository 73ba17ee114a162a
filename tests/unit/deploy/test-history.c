#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/scratch.h"

#include "base/text.h"
#include "deploy/history.h"

#define FILE_NAME "history.jsonl"

static json_t *entry(const char *id, const char *verdict) {
        return json_pack("{ss ss}", "id", id, "verdict", verdict);
}

static void append(Scratch *s, const char *id, const char *verdict) {
        _cleanup_json_ json_t *j = entry(id, verdict);

        assert_int_equal(history_append(s->fd, j, NULL), 0);
}

/* The ids of the last @max entries, newest first, each behind a space. */
static char *tail(Scratch *s, size_t max) {
        _cleanup_json_ json_t *list = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        json_t *value;
        size_t i;

        assert_int_equal(history_tail(s->fd, max, &list, NULL, NULL), 0);
        json_array_foreach(list, i, value)
                assert_int_equal(text_addf(&t, " %s", json_get_string(value, "id")), 0);
        return text_take(&t);
}

static void check_tail(Scratch *s, size_t max, const char *expected) {
        _cleanup_free_ char *ids = tail(s, max);

        assert_string_equal(ids, expected);
}

static void test_tail(void **state) {
        Scratch *s = *state;

        check_tail(s, 10, "");
        append(s, "a", "ok");
        append(s, "b", "ok");
        append(s, "c", "ok");
        check_tail(s, 10, " c b a");
        check_tail(s, 2, " c b");
        check_tail(s, 0, "");
}

/* The end of a deployment may be said again after a crash, and once more when it is not what it was. */
static void test_told_once(void **state) {
        Scratch *s = *state;

        append(s, "a", "stuck");
        append(s, "a", "stuck");
        check_tail(s, 10, " a");
        append(s, "a", "taken-back");
        append(s, "a", "taken-back");
        check_tail(s, 10, " a a");
}

/* Lines of every length around the size of what is read at once, and far more than that. */
static void test_long_lines(void **state) {
        Scratch *s = *state;
        _cleanup_free_ char *filler = calloc(1, 70000);
        _cleanup_text_ Text expected = TEXT_INIT;
        static const size_t sizes[] = {0, 1, 16300, 16340, 16350, 16360, 16384, 32768, 65536, 7};

        for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
                _cleanup_free_ char *id = text_format("%zu", i);
                _cleanup_json_ json_t *j = NULL;

                memset(filler, 'x', sizes[i]);
                filler[sizes[i]] = 0;
                j = json_pack("{ss ss}", "id", id, "filler", filler);
                assert_int_equal(history_append(s->fd, j, NULL), 0);
        }
        for (size_t i = ELEMENTS_OF(sizes); i-- > 0;)
                assert_int_equal(text_addf(&expected, " %zu", i), 0);
        check_tail(s, 100, expected.data);
}

/* Cut off at every byte: the whole lines are read, and the next append stands on a line of its own. */
static void test_torn_at_every_offset(void **state) {
        static const char text[] = "{\"id\":\"a\",\"n\":1}\n{\"id\":\"b\",\"n\":2}\n{\"id\":\"c\"}\n";
        static const struct {
                size_t from;
                const char *ids;
        } known[] = {{0, ""}, {16, " a"}, {33, " b a"}, {44, " c b a"}};
        Scratch *s = *state;

        for (size_t cut = 0; cut < sizeof(text); cut++) {
                _cleanup_free_ char *expected = NULL;
                const char *ids = "";

                for (size_t i = 0; i < ELEMENTS_OF(known); i++)
                        if (cut >= known[i].from)
                                ids = known[i].ids;
                scratch_write(s, FILE_NAME, text, cut);
                check_tail(s, 10, ids);
                append(s, "next", "ok");
                expected = text_format(" next%s", ids);
                check_tail(s, 10, expected);
        }
}

static void test_damage_is_passed_over(void **state) {
        static const char text[] = "{\"id\":\"a\"}\n\0\0\0\0\n[1]\n{\"id\":\"b\"\n\n{\"id\":\"c\"}\n";

        _cleanup_json_ json_t *list = NULL;
        HistoryDamage damage;
        Scratch *s = *state;

        scratch_write(s, FILE_NAME, text, sizeof(text) - 1);
        check_tail(s, 10, " c a");
        assert_int_equal(history_tail(s->fd, 10, &list, &damage, NULL), 0);
        assert_int_equal(damage.lines, 3);
        assert_int_equal(damage.offset, 20); /* {"id":"b", without its end */
}

/* Megabytes without a line's end cost no more than to read them once. */
static void test_damage_without_an_end(void **state) {
        static const size_t size = 8 * MIB;
        char *noise = calloc(1, size);
        _cleanup_json_ json_t *list = NULL;
        HistoryDamage damage;
        Scratch *s = *state;

        assert_non_null(noise);
        memset(noise, 'x', size);
        append(s, "a", "ok");
        append(s, "b", "ok");
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_close_ int fd = openat(s->fd, FILE_NAME, O_WRONLY | O_APPEND | O_CLOEXEC);

                assert_int_equal(fd_write_all(fd, noise, size), 0);
                append(s, i == 0 ? "c" : "d", "ok");
        }
        check_tail(s, 10, " d c b a");
        assert_int_equal(history_tail(s->fd, 10, &list, &damage, NULL), 0);
        assert_int_equal(damage.lines, 2);
        free(noise);
}

/* What fits of a line on a full disk is taken off again. */
static void test_full_disk(void **state) {
        _cleanup_json_ json_t *j = entry("second", "ok");
        _cleanup_error_ Error e = ERROR_INIT;
        Scratch *s = *state;
        struct rlimit was;
        struct stat before, after;
        int r;

        append(s, "first", "ok");
        assert_int_equal(fstatat(s->fd, FILE_NAME, &before, 0), 0);
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){before.st_size + 5, was.rlim_max}), 0);
        r = history_append(s->fd, j, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        assert_int_equal(r, -EFBIG);
        assert_string_equal(e.message, "cannot write to history.jsonl: File too large");
        assert_int_equal(fstatat(s->fd, FILE_NAME, &after, 0), 0);
        assert_int_equal(after.st_size, before.st_size);
        append(s, "second", "ok");
        check_tail(s, 10, " second first");
}

static int find(Scratch *s, const char *id, const char **ret_verdict, Error *e) {
        _cleanup_json_ json_t *found = NULL;
        int r = history_find(s->fd, id, &found, e);

        *ret_verdict = r < 0 ? NULL : streq(json_get_string(found, "verdict"), "taken-back") ? "back" : "ok";
        return r;
}

static void test_find(void **state) {
        Scratch *s = *state;
        _cleanup_error_ Error e = ERROR_INIT;
        const char *verdict;

        assert_int_equal(find(s, "2026", &verdict, &e), -ENOENT);
        assert_string_equal(e.message, "there is no deployment \"2026\"");
        assert_string_equal(e.hint, "releasemgr history names them");
        append(s, "20261123-aa", "ok");
        append(s, "20261124-bb", "stuck");
        append(s, "20261124-bb", "taken-back");
        assert_int_equal(find(s, "20261123", &verdict, NULL), 0);
        assert_string_equal(verdict, "ok");
        assert_int_equal(find(s, "20261124-bb", &verdict, NULL), 0); /* the newest of the two */
        assert_string_equal(verdict, "back");
        assert_int_equal(find(s, "20261124", &verdict, NULL), 0); /* two lines, but one deployment */
        assert_string_equal(verdict, "back");
        assert_int_equal(find(s, "202611", &verdict, &e), -ENOTUNIQ);
        assert_string_equal(e.message, "more than one deployment's id begins with \"202611\"");
        assert_int_equal(e.class, ERROR_USAGE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        scratch_test(test_tail),
                        scratch_test(test_told_once),
                        scratch_test(test_long_lines),
                        scratch_test(test_torn_at_every_offset),
                        scratch_test(test_damage_is_passed_over),
                        scratch_test(test_damage_without_an_end),
                        scratch_test(test_full_disk),
                        scratch_test(test_find),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
