#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"

/* What the host is at the end of says what helps, unless somebody knows better. */
static void test_advice(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_INIT;

        assert_non_null(strstr(error_advice(&e, -EMFILE), "ulimit"));
        assert_null(error_advice(&e, -EPERM));
        assert_int_equal(error_errno(&e, -ENOSPC, "cannot write"), -ENOSPC);
        assert_non_null(strstr(error_advice(&e, -ENOSPC), "df"));
        error_hint(&e, -ENOSPC, "prune");
        assert_string_equal(error_advice(&e, -ENOSPC), "prune");
        /* an errno as a code of our own is nothing that the disk did */
        error_set(&e, ERROR_FAILED, -EIO, "it is not well");
        assert_null(error_advice(&e, -EIO));
        assert_int_equal(error_errno(&e, -ENOENT, "cannot open"), -ENOENT);
        assert_null(e.hint);
}

static void test_set(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(error_set(&e, ERROR_REFUSED, -EPERM, "no %s", "way"), -EPERM);
        assert_int_equal(e.class, ERROR_REFUSED);
        assert_string_equal(e.message, "no way");
        assert_null(e.hint);
        assert_int_equal(error_hint(&e, -EPERM, "go %d", 1), -EPERM);
        assert_int_equal(error_hint(&e, -EPERM, "%s, then stop", e.hint), -EPERM);
        assert_string_equal(e.hint, "go 1, then stop");
        assert_int_equal(error_prefix(&e, -EPERM, "%s:%d: ", "file", 3), -EPERM);
        assert_string_equal(e.message, "file:3: no way");

        /* the arguments may come from the error that is replaced, and its hint does not outlive it */
        assert_int_equal(error_set(&e, ERROR_FAILED, -EIO, "again: %s", e.message), -EIO);
        assert_string_equal(e.message, "again: file:3: no way");
        assert_null(e.hint);
        assert_int_equal(e.class, ERROR_FAILED);
}

static void test_errno(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(error_errno(&e, -ENOENT, "cannot open %s", "/x"), -ENOENT);
        assert_string_equal(e.message, "cannot open /x: No such file or directory");
        assert_int_equal(e.class, ERROR_FAILED);
}

static void test_nobody_listens(void **state _unused_) {
        Error from = ERROR_INIT;

        assert_int_equal(error_set(NULL, ERROR_FAILED, -EIO, "x"), -EIO);
        assert_int_equal(error_errno(NULL, -EIO, "x"), -EIO);
        assert_int_equal(error_hint(NULL, -EIO, "x"), -EIO);
        assert_int_equal(error_prefix(NULL, -EIO, "x"), -EIO);
        assert_int_equal(error_set(&from, ERROR_FAILED, -EIO, "x"), -EIO);
        error_move(NULL, &from); /* what nobody wants is freed */
        assert_null(from.message);
}

static void test_message(void **state _unused_) {
        Error e = ERROR_INIT;

        assert_string_equal(error_message(NULL, -ENOMEM), "Cannot allocate memory");
        assert_string_equal(error_message(&e, ENOMEM), "Cannot allocate memory");
        error_prefix(&e, 0, "nothing to put it before");
        assert_null(e.message);
        error_set(&e, ERROR_FAILED, -EIO, "words");
        assert_string_equal(error_message(&e, -EIO), "words");
        error_clear(&e);
        assert_int_equal(e.class, ERROR_NONE);
}

static void test_move(void **state _unused_) {
        _cleanup_error_ Error to = ERROR_INIT, from = ERROR_INIT;

        error_set(&to, ERROR_FAILED, -EIO, "old");
        error_set(&from, ERROR_LOCKED, -EBUSY, "new");
        error_hint(&from, -EBUSY, "wait");
        error_move(&to, &from);
        assert_int_equal(to.class, ERROR_LOCKED);
        assert_string_equal(to.message, "new");
        assert_string_equal(to.hint, "wait");
        assert_null(from.message);
        assert_null(from.hint);
        assert_int_equal(from.class, ERROR_NONE);
}

/* A server's message may be in any character set; the journal and the history are JSON. */
static void test_message_is_utf8(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_INIT;

        error_set(&e, ERROR_FAILED, -EIO, "server: %s", "T\xfcr \xe2\x82\xac \xe2\x82");
        assert_string_equal(e.message, "server: T?r \xe2\x82\xac ??");
        error_hint(&e, -EIO, "%s", "\xed\xa0\x80");
        assert_string_equal(e.hint, "???");
        assert_null(utf8_mend(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_set),
                        cmocka_unit_test(test_advice),
                        cmocka_unit_test(test_errno),
                        cmocka_unit_test(test_nobody_listens),
                        cmocka_unit_test(test_message),
                        cmocka_unit_test(test_move),
                        cmocka_unit_test(test_message_is_utf8),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
