#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "db/judge.h"

/* The class, then one letter a fact: (d)estructive (a)lters (c)reates (r)enames (C)opies (B)locks (v)ariables, then the
 * objects. */
static void check(const char *text, const char *class, const char *facts, const char *objects) {
        _cleanup_judgement_ Judgement j = {0};
        char got[16] = "", names[200] = "";

        assert_int_equal(statement_judge(text, strlen(text), (SqlMode){0}, &j), 0);
        assert_string_equal(statement_class_name(j.class), class);
        (void) snprintf(got, sizeof(got), "%s%s%s%s%s%s%s", j.destructive ? "d" : "", j.alters ? "a" : "",
                        j.creates ? "c" : "", j.renames ? "r" : "", j.copies ? "C" : "", j.blocks ? "B" : "",
                        j.variables ? "v" : "");
        assert_string_equal(got, facts);
        for (size_t i = 0; i < j.n_objects; i++)
                (void) snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s%s%s",
                                i > 0 ? " " : "", j.objects[i].database ?: "",
                                j.objects[i].database ? "." : "", j.objects[i].name);
        assert_string_equal(names, objects);
}

static void test_tables(void **state _unused_) {
        check("CREATE TABLE t (a INT)", "schema", "c", "t");
        check("create or replace table if not exists `d``b`.`t` (a INT)", "schema", "dc", "d`b.t");
        check("CREATE TEMPORARY TABLE t (a INT)", "session", "", "t");
        check("ALTER TABLE t ADD COLUMN (a INT, b INT), ALGORITHM=COPY", "schema", "aC", "t");
        check("ALTER TABLE t ADD FULLTEXT INDEX i (a)", "schema", "aB", "t");
        check("ALTER TABLE t ADD a INT, LOCK = EXCLUSIVE", "schema", "aB", "t");
        check("ALTER TABLE t ADD a INT, DROP b", "schema", "da", "t");
        check("ALTER TABLE t DROP INDEX i, DROP FOREIGN KEY f, DROP PRIMARY KEY", "schema", "a", "t");
        check("ALTER TABLE t CHANGE a a BIGINT", "schema", "a", "t");
        check("ALTER TABLE t CHANGE COLUMN a b INT", "schema", "da", "t");
        check("ALTER TABLE t RENAME COLUMN a TO b", "schema", "da", "t");
        check("ALTER TABLE t RENAME INDEX a TO b", "schema", "a", "t");
        check("ALTER TABLE t RENAME TO u", "schema", "dacr", "t u");
        check("ALTER TABLE t TRUNCATE PARTITION p", "opaque", "da", "t");
        check("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", "opaque", "da", "t");
        check("RENAME TABLE a TO b, c.d TO e", "schema", "dcr", "a b c.d e");
        check("RENAME TABLE a TO old, b TO a", "schema", "dcr", "a old b a");
        check("RENAME TABLE a TO x, b TO a, x TO b", "opaque", "dcr", "a x b a x b");
        check("RENAME TABLE a TO c.a", "schema", "dcr", "a c.a");
        check("DROP TABLE IF EXISTS a, b.c", "schema", "d", "a b.c");
        check("TRUNCATE TABLE t", "opaque", "d", "t");
        check("CREATE UNIQUE INDEX i USING BTREE ON t (a)", "schema", "a", "t");
        check("CREATE FULLTEXT INDEX i ON t (a)", "schema", "aB", "t");
        check("DROP INDEX i ON t", "schema", "a", "t");
}

static void test_others(void **state _unused_) {
        check("CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN END", "schema", "", "p");
        check("CREATE ALGORITHM=MERGE VIEW v AS SELECT 1", "schema", "", "v");
        check("DROP VIEW v, w", "schema", "d", "v w");
        check("DROP PROCEDURE IF EXISTS p", "schema", "d", "p");
        check("DROP TRIGGER d.g", "schema", "d", "d.g");
        check("DROP EVENT e", "schema", "d", "e");
        check("DROP SEQUENCE s", "schema", "d", "s");
        check("CREATE OR REPLACE VIEW v AS SELECT 1", "schema", "", "v");
        check("CREATE OR REPLACE TEMPORARY TABLE v (a INT)", "session", "", "v");
        check("DROP DATABASE d", "schema", "d", "d");
        check("CREATE USER u", "opaque", "", "");
        check("CALL p()", "opaque", "", "");
        check("EXECUTE s", "opaque", "", "");
        check("BEGIN NOT ATOMIC SELECT 1; END", "opaque", "", "");
        check("GRANT ALL ON *.* TO u", "repeatable", "", "");
        check("INSERT IGNORE INTO d.t VALUES (1)", "data", "", "d.t");
        check("WITH a AS (SELECT 1) SELECT * FROM a", "data", "", "");
        check("SELECT 1 INTO @a", "data", "v", "");
        check("SELECT @a := 1", "data", "v", "");
        check("SET @a = 1, sql_mode = ''", "session", "v", "");
        check("SET @@sql_mode = ''", "session", "", "");
        check("SET GLOBAL x = 1", "repeatable", "", "");
        check("USE d", "session", "", "");
        check("SET STATEMENT a = (SELECT 1 FOR UPDATE), b = 2 FOR INSERT INTO t VALUES (1)", "data", "", "t");
        check("SET STATEMENT a = 1 FOR ALTER TABLE t DROP b", "schema", "da", "t");
        check("SET STATEMENT a = 1 FOR CALL p()", "opaque", "", "");
        check("BEGIN", "transaction", "", "");
        check("/*!40101 SET NAMES utf8 */", "session", "", "");
        check("LOCK TABLES t WRITE", "session", "", "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_tables),
                        cmocka_unit_test(test_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
