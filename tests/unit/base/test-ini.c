#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/ini.h"
#include "base/text.h"

typedef struct Fixture {
        char *directory;
        char *path;
        Text seen;          /* "section.key=value@line " for each entry */
        const char *refuse; /* the value that the handler does not like */
} Fixture;

static int on_entry(const IniEntry *entry, void *userdata, Error *e) {
        Fixture *x = userdata;

        if (streq_ptr(x->refuse, entry->value))
                return error_set(e, ERROR_USAGE, -EDOM, "not this one");
        return text_addf(&x->seen, "%s.%s=%s@%u ", entry->section, entry->key, entry->value, entry->line);
}

static int setup(void **state) {
        Fixture *x = calloc(1, sizeof(*x));
        char template[] = "/tmp/releasemgr-ini-XXXXXX";

        x->directory = strdup(mkdtemp(template));
        x->path = text_format("%s/app.conf", x->directory);
        *state = x;
        return 0;
}

static int teardown(void **state) {
        Fixture *x = *state;

        assert_int_equal(fs_remove_tree(AT_FDCWD, x->directory), 0);
        text_clear(&x->seen);
        free(x->directory);
        free(x->path);
        free(x);
        return 0;
}

static void put(Fixture *x, const char *name, const char *text) {
        _cleanup_free_ char *path = text_format("%s/%s", x->directory, name);

        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, text, strlen(text), 0600), 0);
}

static void test_reads_what_systemd_writes(void **state) {
        Fixture *x = *state;

        put(x, "app.conf",
                        "# comment\n; comment\n\n[Health]\nUrl = "
                        "http://[::1]:8/h?a=b&c=d#e\nEmpty=\n\n[Other One]\n"
                        "  Key=v\nKey=a;b\nLast=1");
        assert_int_equal(ini_read(x->path, on_entry, x, NULL), 0);
        assert_string_equal(x->seen.data, "Health.Url=http://[::1]:8/h?a=b&c=d#e@5 Health.Empty=@6 "
                                          "Other One.Key=v@9 Other One.Key=a;b@10 Other One.Last=1@11 ");
}

static void assert_fails(Fixture *x, int r, const char *where, const char *message) {
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *place = text_format("%s%s", x->path, where);

        assert_int_equal(ini_read_with_dropins(x->path, on_entry, x, &e), r);
        if (r != -ENOENT)
                assert_int_equal(e.class, ERROR_USAGE);
        assert_non_null(strstr(e.message, place));
        assert_non_null(strstr(e.message, message));
}

static void test_errors_name_the_place(void **state) {
        Fixture *x = *state;
        char line[400];

        assert_fails(x, -ENOENT, "", "No such file");
        put(x, "app.conf", "[A]\nk=1\nnonsense\n");
        assert_fails(x, -EINVAL, ":3: ", "expected");
        put(x, "app.conf", "[A\nk=1\n");
        assert_fails(x, -EINVAL, ":1: ", "expected");
        put(x, "app.conf", "\nk=1\n[A]\n");
        assert_fails(x, -EINVAL, ":2: ", "before any [Section]");
        x->refuse = "bad";
        put(x, "app.conf", "[A]\nk=good\nk=bad\nk=bad\n");
        assert_fails(x, -EDOM, ":3: ", "not this one");
        memset(line, 'x', sizeof(line));
        memcpy(line, "[A]\nk=", 6);
        line[sizeof(line) - 1] = 0;
        put(x, "app.conf", line);
        assert_fails(x, -EINVAL, ":2: ", "longer than");
}

static void test_a_nul_is_no_text(void **state) {
        Fixture *x = *state;
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(fs_write_file_atomic(AT_FDCWD, x->path, "[A]\nk=\0v\n", 10, 0600), 0);
        assert_int_equal(ini_read(x->path, on_entry, x, &e), -EINVAL);
        assert_non_null(strstr(e.message, "NUL"));
}

static void test_a_fifo_keeps_nobody_waiting(void **state) {
        Fixture *x = *state;
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(mkfifo(x->path, 0600), 0);
        assert_int_equal(ini_read(x->path, on_entry, x, &e), -EINVAL);
        assert_non_null(strstr(e.message, "not a regular file"));
}

static void test_dropins_in_order(void **state) {
        Fixture *x = *state;
        _cleanup_free_ char *directory = text_format("%s.d", x->path);

        assert_int_equal(fs_mkdir_parents(AT_FDCWD, directory, 0755), 0);
        put(x, "app.conf", "[A]\nk=main\n");
        put(x, "app.conf.d/20-b.conf", "[A]\nk=twenty\n");
        put(x, "app.conf.d/10-z.conf", "[A]\nk=ten\n");
        put(x, "app.conf.d/15.conf.bak", "[A]\nk=backup\n");
        assert_int_equal(ini_read_with_dropins(x->path, on_entry, x, NULL), 0);
        assert_string_equal(x->seen.data, "A.k=main@2 A.k=ten@2 A.k=twenty@2 ");

        x->refuse = "ten";
        assert_fails(x, -EDOM, ".d/10-z.conf:2: ", "not this one");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_reads_what_systemd_writes, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_errors_name_the_place, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_a_nul_is_no_text, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_a_fifo_keeps_nobody_waiting, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_dropins_in_order, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
