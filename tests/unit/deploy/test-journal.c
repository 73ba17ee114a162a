#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/scratch.h"

#include "base/text.h"
#include "deploy/journal.h"

#define FILE_NAME "journal"

static void append(Journal *j, RecordType type, const char *step) {
        assert_int_equal(journal_append(j, &(RecordNew){type, step, NULL}, 1, NULL), 0);
}

static Journal *create(Scratch *p) {
        _cleanup_json_ json_t *data = json_pack("{ss}", "id", "x");
        Journal *j;

        assert_int_equal(journal_create(p->fd, FILE_NAME, data, "first", &j, NULL), 0);
        return j;
}

/* BEGIN, INTENT first | DONE first + INTENT second | DONE second + COMMIT + INTENT third | END */
static void write_whole(Scratch *p) {
        const RecordNew two[] = {{RECORD_DONE, "first", NULL}, {RECORD_INTENT, "second", NULL}};
        const RecordNew three[] = {{RECORD_DONE, "second", NULL}, {RECORD_COMMIT, NULL, NULL},
                        {RECORD_INTENT, "third", NULL}};
        Journal *j = create(p);

        assert_int_equal(journal_append(j, two, 2, NULL), 0);
        assert_int_equal(journal_append(j, three, 3, NULL), 0);
        append(j, RECORD_END, NULL);
        assert_int_equal(journal_synced_writes(j), 4);
        assert_true(journal_is_finished(j));
        journal_free(j);
}

static char *read_all(Scratch *p, size_t *ret_size) {
        char *text;

        assert_int_equal(fs_read_file(p->fd, FILE_NAME, MIB, &text, ret_size), 0);
        return text;
}

/* How many whole lines stand in the first @size bytes, and where the last of them ends. */
static size_t whole_lines(const char *text, size_t size, size_t *ret_end) {
        size_t n = 0;

        *ret_end = 0;
        for (size_t i = 0; i < size; i++)
                if (text[i] == '\n') {
                        *ret_end = i + 1;
                        n++;
                }
        return n;
}

static void test_reads_what_it_wrote(void **state) {
        _cleanup_(journal_free_p) Journal *j = NULL;
        const Record *records;
        size_t n;

        write_whole(*state);
        assert_int_equal(journal_open(((Scratch *) *state)->fd, FILE_NAME, &j, NULL), 0);
        records = journal_records(j, &n);
        assert_int_equal(n, 8);
        assert_int_equal(records[0].type, RECORD_BEGIN);
        assert_string_equal(json_get_string(journal_begin(j), "id"), "x");
        assert_int_equal(records[3].type, RECORD_INTENT);
        assert_string_equal(records[3].step, "second");
        assert_true(journal_has(j, RECORD_COMMIT, NULL));
        assert_true(journal_has(j, RECORD_DONE, "second"));
        assert_false(journal_has(j, RECORD_DONE, "third"));
        assert_false(journal_has(j, RECORD_ABORT, NULL));
        assert_null(journal_data(j, RECORD_ABORT));
        assert_true(journal_is_finished(j));
}

/* Cut off at every byte: what is left is the whole records, the file ends behind them, and it can be gone on with. */
static void test_torn_at_every_offset(void **state) {
        Scratch *p = *state;
        _cleanup_free_ char *text = NULL;
        size_t size, end, n_read;

        write_whole(p);
        text = read_all(p, &size);
        for (size_t cut = 0; cut < size; cut++) {
                _cleanup_(journal_free_p) Journal *j = NULL, *again = NULL;
                _cleanup_error_ Error e = ERROR_INIT;
                size_t n = whole_lines(text, cut, &end);
                struct stat st;

                scratch_write(p, FILE_NAME, text, cut);
                if (n == 0) { /* it is made whole: a file without BEGIN is none of ours */
                        assert_int_equal(journal_open(p->fd, FILE_NAME, &j, &e), -EUCLEAN);
                        assert_non_null(strstr(e.message, "journal: damaged at offset 0"));
                        continue;
                }
                assert_int_equal(journal_open(p->fd, FILE_NAME, &j, NULL), 0);
                (void) journal_records(j, &n_read);
                assert_int_equal(n_read, n);
                assert_int_equal(fstatat(p->fd, FILE_NAME, &st, 0), 0);
                assert_int_equal(st.st_size, end);
                append(j, RECORD_UNDONE, "first");
                assert_int_equal(journal_open(p->fd, FILE_NAME, &again, NULL), 0);
                (void) journal_records(again, &n_read);
                assert_int_equal(n_read, n + 1);
        }
}

/* What a file system may show of a write that did not come to its end: the right length, and zeros. */
static void test_torn_with_zeros(void **state) {
        _cleanup_(journal_free_p) Journal *j = NULL;
        Scratch *p = *state;
        _cleanup_free_ char *text = NULL;
        size_t size, end, n;

        write_whole(p);
        text = read_all(p, &size);
        n = whole_lines(text, size - 1, &end);
        memset(text + end, 0, size - end);
        scratch_write(p, FILE_NAME, text, size);
        assert_int_equal(journal_open(p->fd, FILE_NAME, &j, NULL), 0);
        (void) journal_records(j, &end);
        assert_int_equal(end, n);
}

/* Every byte before the last record, turned into each of several others: damage, at the record that it is in. */
static void test_damage_at_every_byte(void **state) {
        static const char flips[] = {1, 0x20, (char) 0x80};
        Scratch *p = *state;
        _cleanup_free_ char *text = NULL;
        size_t size, last, begin;

        write_whole(p);
        text = read_all(p, &size);
        (void) whole_lines(text, size - 1, &last);
        for (size_t i = 0; i < last; i++) {
                (void) whole_lines(text, i, &begin);
                for (size_t f = 0; f < sizeof(flips) + 2; f++) {
                        _cleanup_(journal_free_p) Journal *j = NULL;
                        _cleanup_error_ Error e = ERROR_INIT;
                        char was = text[i], place[64];

                        text[i] = f < sizeof(flips) ? was ^ flips[f] : f == sizeof(flips) ? '\n' : 0;
                        if (text[i] != was) {
                                scratch_write(p, FILE_NAME, text, size);
                                assert_int_equal(journal_open(p->fd, FILE_NAME, &j, &e), -EUCLEAN);
                                (void) snprintf(place, sizeof(place),
                                                "journal: damaged at offset %zu: ", begin);
                                if (!startswith(e.message, place))
                                        fail_msg("byte %zu, as %d: %s", i, text[i], e.message);
                        }
                        text[i] = was;
                }
        }
}

/* A record that is missing, doubled or out of place is damage too, though its own checksum is right. */
static void test_order_is_checked(void **state) {
        Scratch *p = *state;
        _cleanup_free_ char *text = NULL;
        size_t size, second, third, end;

        write_whole(p);
        text = read_all(p, &size);
        second = strcspn(text, "\n") + 1;
        third = second + strcspn(text + second, "\n") + 1;
        for (int i = 0; i < 3; i++) {
                _cleanup_(journal_free_p) Journal *j = NULL;
                _cleanup_text_ Text t = TEXT_INIT;

                if (i < 2) /* without the first, or the second */
                        assert_int_equal(text_add(&t, text, i == 0 ? 0 : second), 0);
                else /* the second twice */
                        assert_int_equal(text_add(&t, text, third), 0);
                end = i == 1 ? third : second;
                assert_int_equal(text_add(&t, text + end, size - end), 0);
                scratch_write(p, FILE_NAME, t.data, t.size);
                assert_int_equal(journal_open(p->fd, FILE_NAME, &j, NULL), -EUCLEAN);
        }
}

/* On a full disk an append takes nothing and leaves nothing, and what was reserved is there for the way back. */
static void full_disk(Scratch *p) {
        _cleanup_(journal_free_p) Journal *j = NULL, *again = NULL;
        _cleanup_close_ int fill = -1;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *big = calloc(1, 64 * KIB + 1);
        _cleanup_json_ json_t *data = NULL;
        size_t n;

        j = create(p);
        fill = openat(p->fd, "fill", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        memset(big, 'x', 64 * KIB);
        while (fd_write_all(fill, big, 4 * KIB) >= 0)
                ;
        data = json_pack("{ss}", "error", big);
        assert_int_equal(journal_append(j, &(RecordNew){RECORD_ABORT, NULL, data}, 1, &e), -ENOSPC);
        assert_string_equal(e.message, "cannot write to the journal journal: No space left on device");
        assert_false(journal_has(j, RECORD_ABORT, NULL));
        assert_false(journal_is_in_doubt(j));
        append(j, RECORD_UNDONE, "first");
        append(j, RECORD_END, NULL);
        assert_int_equal(journal_open(p->fd, FILE_NAME, &again, NULL), 0);
        (void) journal_records(again, &n);
        assert_int_equal(n, 4);
        /* the next one takes the room of this one: a rollback begins on a full disk */
        journal_free(TAKE(j));
        journal_free(TAKE(again));
        j = create(p);
        assert_false(journal_is_finished(j));
}

static void test_full_disk(void **state) {
        Scratch *p = *state, inside = {.fd = -1};

        if (mount("tmpfs", p->path, "tmpfs", 0, "size=64k") < 0) {
                print_message("cannot mount a tmpfs: %s\n", strerror(errno));
                skip();
        }
        inside.fd = fs_open_directory(AT_FDCWD, p->path);
        full_disk(&inside);
        fd_close(inside.fd);
        assert_int_equal(umount(p->path), 0);
}

/* Half of the append went through: RLIMIT_FSIZE cuts a write short as a full disk does. At every length. */
static void test_short_write_is_taken_off(void **state) {
        const RecordNew records[] = {{RECORD_DONE, "first", NULL}, {RECORD_COMMIT, NULL, NULL}};
        Scratch *p = *state;
        struct rlimit was;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
        (void) signal(SIGXFSZ, SIG_IGN);
        for (size_t more = 0; more < 90; more++) {
                _cleanup_(journal_free_p) Journal *j = create(p), *again = NULL;
                struct stat st;
                size_t n;
                int r;

                assert_int_equal(fstatat(p->fd, FILE_NAME, &st, 0), 0);
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){st.st_size + more, was.rlim_max}),
                                0);
                r = journal_append(j, records, 2, NULL);
                assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
                assert_int_equal(r, -EFBIG);
                assert_false(journal_has(j, RECORD_COMMIT, NULL));
                assert_int_equal(journal_open(p->fd, FILE_NAME, &again, NULL), 0);
                (void) journal_records(again, &n);
                assert_int_equal(n, 2);
                append(j, RECORD_ABORT, NULL);
        }
}

static void test_set_aside(void **state) {
        _cleanup_free_ char *name = NULL;
        _cleanup_(journal_free_p) Journal *j = NULL;
        Scratch *p = *state;

        write_whole(p);
        assert_int_equal(journal_set_aside(p->fd, FILE_NAME, 1234, &name), 0);
        assert_string_equal(name, "journal.damaged-1234");
        assert_true(fs_exists(p->fd, name));
        assert_int_equal(journal_open(p->fd, FILE_NAME, &j, NULL), -ENOENT);
        assert_int_equal(journal_set_aside(p->fd, FILE_NAME, 1234, &(char *){NULL}), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        scratch_test(test_reads_what_it_wrote),
                        scratch_test(test_torn_at_every_offset),
                        scratch_test(test_torn_with_zeros),
                        scratch_test(test_damage_at_every_byte),
                        scratch_test(test_order_is_checked),
                        scratch_test(test_full_disk),
                        scratch_test(test_short_write_is_taken_off),
                        scratch_test(test_set_aside),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
