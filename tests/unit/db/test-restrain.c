#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/restrain.h"

static void check(const char *text, const char *algorithm, const char *expected) {
        _cleanup_free_ char *got = statement_restrain(text, strlen(text), (SqlMode){0}, algorithm);

        assert_string_equal(got, expected);
}

static void test_alter(void **state _unused_) {
        check("ALTER TABLE t ADD a INT", "INSTANT", "ALTER TABLE t ALGORITHM=INSTANT, ADD a INT");
        check("alter table `d`.`t` add a int, drop b", "INPLACE",
                        "alter table `d`.`t` ALGORITHM=INPLACE, LOCK=NONE, add a int, drop b");
        check("ALTER ONLINE TABLE IF EXISTS t /* the */ WAIT 5 ADD a INT", "NOCOPY",
                        "ALTER ONLINE TABLE IF EXISTS t /* the */ WAIT 5 ALGORITHM=NOCOPY, LOCK=NONE, ADD a "
                        "INT");
        check("ALTER TABLE t NOWAIT ADD a INT", "INSTANT",
                        "ALTER TABLE t NOWAIT ALGORITHM=INSTANT, ADD a INT");
        check("ALTER TABLE t PARTITION BY HASH (a)", "INPLACE",
                        "ALTER TABLE t ALGORITHM=INPLACE, LOCK=NONE PARTITION BY HASH (a)");
        check("ALTER TABLE t", "INSTANT", "ALTER TABLE t ALGORITHM=INSTANT");
        check("SET STATEMENT a = 1 FOR ALTER TABLE t ADD a INT", "INSTANT",
                        "SET STATEMENT a = 1 FOR ALTER TABLE t ALGORITHM=INSTANT, ADD a INT");
}

/* Behind a comment to the end of the line it would be part of that: then nothing would restrain the statement. */
static void test_comments(void **state _unused_) {
        check("ALTER TABLE t -- why\n ADD a INT # because", "INSTANT",
                        "ALTER TABLE t ALGORITHM=INSTANT, -- why\n ADD a INT # because");
        check("CREATE INDEX i ON t (a) -- why", "INPLACE",
                        "CREATE INDEX i ON t (a) ALGORITHM=INPLACE LOCK=NONE -- why");
        check("/* first */ DROP INDEX i ON t /* last */", "INSTANT",
                        "/* first */ DROP INDEX i ON t /* last */");
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_alter), cmocka_unit_test(test_comments)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
