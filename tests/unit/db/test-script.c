#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/text.h"
#include "db/script.h"

/* All statements of @text, each ended by " | ". */
static char *split(const char *text, SqlMode mode) {
        Script s = script_init("test.sql", text, strlen(text), 1, mode);
        _cleanup_text_ Text t = TEXT_INIT;
        _cleanup_error_ Error e = ERROR_INIT;
        int r;

        for (;;) {
                _cleanup_statement_ Statement statement = {0};

                r = script_next(&s, &statement, &e);
                if (r == 0)
                        return text_take(&t) ?: strdup("");
                if (r < 0)
                        return text_format("! %s", e.message);
                assert_int_equal(strlen(statement.text), statement.size);
                assert_int_equal(text_addf(&t, "%s | ", statement.text), 0);
        }
}

static void check_mode(const char *text, SqlMode mode, const char *expected) {
        _cleanup_free_ char *got = split(text, mode);

        assert_string_equal(got, expected);
}

static void check(const char *text, const char *expected) {
        check_mode(text, (SqlMode){0}, expected);
}

static void test_plain(void **state _unused_) {
        check("", "");
        check(" \n\t", "");
        check("-- nothing\n# at all\n/* here */", "");
        check("SELECT 1", "SELECT 1 | ");
        check("SELECT 1;SELECT 2 ;\n", "SELECT 1 | SELECT 2 | ");
        check(";;SELECT 1;;", "SELECT 1 | ");
        check("\xef\xbb\xbfSELECT 1;\r\nSELECT\r\n2;\r\n", "SELECT 1 | SELECT\n2 | ");
        check("SELECT 'h\xc3\xa9;llo', \xe5\x90\x8d FROM t",
                        "SELECT 'h\xc3\xa9;llo', \xe5\x90\x8d FROM t | ");
}

static void test_use(void **state _unused_) {
        check("USE a\nSELECT 1;", "USE a | SELECT 1 | ");
        check("use `a` -- b\r\n\nSELECT 1;", "use `a` | SELECT 1 | ");
        check("USE a; SELECT 1;", "USE a | SELECT 1 | ");
        check("SELECT 1\nuse\n;", "SELECT 1\nuse | ");
        check("USE a", "USE a | ");
}

/* What mariadb-dump begins with. */
static void test_never_executed(void **state _unused_) {
        check("/*M!999999\\- enable the sandbox mode */ \n-- a dump\nSELECT 1;", "SELECT 1 | ");
        check("/*M!100100 SELECT 1 */;", "/*M!100100 SELECT 1 */ | ");
}

static void test_quotes(void **state _unused_) {
        check("SELECT ';', \";\", `;`;SELECT 2", "SELECT ';', \";\", `;` | SELECT 2 | ");
        check("SELECT 'it''s;', 'it\\'s;'; SELECT 2", "SELECT 'it''s;', 'it\\'s;' | SELECT 2 | ");
        check("SELECT `a``;b`, `a\\`; SELECT 2", "SELECT `a``;b`, `a\\` | SELECT 2 | ");
        check("SELECT 'a\r\nb'", "SELECT 'a\nb' | "); /* the client reads lines */
        check("SELECT 'a\rb\r\r\n'", "SELECT 'a\rb\r\n' | ");
        check_mode("SELECT '\\'; SELECT 2", (SqlMode){.no_backslash_escapes = true},
                        "SELECT '\\' | SELECT 2 | ");
        check_mode("SELECT \"\\\"; SELECT '\\';'", (SqlMode){.ansi_quotes = true},
                        "SELECT \"\\\" | SELECT '\\';' | ");
        check("SELECT 1;\n  SELECT 'a;\n", "! test.sql:2:10: the quote that begins here never ends");
        check("SELECT '\\'", "! test.sql:1:8: the quote that begins here never ends");
}

static void test_mode_is_followed(void **state _unused_) {
        check("SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT '\\'; SELECT 2",
                        "SET sql_mode = 'NO_BACKSLASH_ESCAPES' | SELECT '\\' | SELECT 2 | ");
        check("SET @@SESSION.sql_mode := 'ansi,NO_BACKSLASH_ESCAPES'; SELECT \"\\\"; SET sql_mode = @old; "
              "SELECT '\\';'",
                        "SET @@SESSION.sql_mode := 'ansi,NO_BACKSLASH_ESCAPES' | SELECT \"\\\" | SET "
                        "sql_mode = @old | "
                        "SELECT '\\';' | ");
        check("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT '\\';'",
                        "SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES' | SELECT '\\';' | ");
        check("SET @@GLOBAL.sql_mode = 'NO_BACKSLASH_ESCAPES', @sql_mode = 'ANSI'; SELECT '\\';'",
                        "SET @@GLOBAL.sql_mode = 'NO_BACKSLASH_ESCAPES', @sql_mode = 'ANSI' | SELECT '\\';' "
                        "| ");
        check("SET STATEMENT sql_mode = 'NO_BACKSLASH_ESCAPES' FOR SELECT 1; SELECT '\\';'",
                        "SET STATEMENT sql_mode = 'NO_BACKSLASH_ESCAPES' FOR SELECT 1 | SELECT '\\';' | ");
        check("SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SET sql_mode = DEFAULT; SELECT '\\';'",
                        "SET sql_mode = 'NO_BACKSLASH_ESCAPES' | SET sql_mode = DEFAULT | SELECT '\\';' | ");
        check("SET sql_mode = 'ORACLE'; SELECT \"\\\"; SELECT 1",
                        "SET sql_mode = 'ORACLE' | SELECT \"\\\" | SELECT 1 | ");
}

/* Characters that end with a byte that looks like a backslash, a bar or a back quote. */
static void test_wide_characters(void **state _unused_) {
        check("SET NAMES sjis; SELECT '\x83\x5c'; SET NAMES utf8mb4; SELECT '\\';'",
                        "SET NAMES sjis | SELECT '\x83\x5c' | SET NAMES utf8mb4 | SELECT '\\';' | ");
        check("SET NAMES 'gbk'; SELECT '\xd6\x5c', \xd6\x60, 'a\\';' FROM `\x81\x60`; SELECT 2",
                        "SET NAMES 'gbk' | SELECT '\xd6\x5c', \xd6\x60, 'a\\';' FROM `\x81\x60` | SELECT 2 "
                        "| ");
        check("SET @old = @@character_set_client, character_set_client = big5; SELECT '\xa5\x5c'; "
              "SET character_set_client = @old; SELECT '\xa5\\';'",
                        "SET @old = @@character_set_client, character_set_client = big5 | SELECT '\xa5\x5c' "
                        "| "
                        "SET character_set_client = @old | SELECT '\xa5\\';' | ");
        check("SET CHARACTER SET cp932; SET sql_mode = ''; DELIMITER |\nSELECT \x83\x7c|SELECT 2|",
                        "SET CHARACTER SET cp932 | SET sql_mode = '' | SELECT \x83\x7c | SELECT 2 | ");
}

/* What only the server can tell. */
static void test_unsure(void **state _unused_) {
        static const char *const texts[] = {
                        "SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); SELECT '\\'",
                        "SET SESSION sql_mode = (SELECT REPLACE(@@sql_mode, 'A', '')); SELECT '\\'",
                        "SET sql_mode = 'NO_BACKSLASH' '_ESCAPES'; SELECT '\\'"};

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                Script s = script_init("a", texts[i], strlen(texts[i]), 1, (SqlMode){0});
                _cleanup_statement_ Statement first = {0}, second = {0};

                assert_int_equal(script_foresee(&s, &first, NULL), 1);
                assert_true(s.unsure);
                assert_int_equal(script_foresee(&s, &second, NULL), 0);
        }
}

static void test_comments(void **state _unused_) {
        check("SELECT 1 -- a; b\n+ 2; # c; d\nSELECT 3", "SELECT 1 \n+ 2 | SELECT 3 | ");
        check("SELECT 1--2; SELECT 3", "SELECT 1--2 | SELECT 3 | ");
        check("SELECT 1/*;*/+/* it's */2;", "SELECT 1 + 2 | ");
        check("/*!40101 SET NAMES utf8; */; SELECT /*M!100100 1; */ 2;",
                        "/*!40101 SET NAMES utf8; */ | SELECT /*M!100100 1; */ 2 | ");
        check("SELECT /*+ NO_ICP(t); */ 1; SELECT 2", "SELECT /*+ NO_ICP(t); */ 1 | SELECT 2 | ");
        check("SELECT /*! '*/;' */ 1; SELECT 2", "SELECT /*! '*/;' */ 1 | SELECT 2 | ");
        check("SELECT 1;\n/* a", "! test.sql:2:1: the comment that begins here never ends");
        check("SELECT 1 /*! a", "! test.sql:1:10: the comment that begins here never ends");
        check("SELECT 1 --", "SELECT 1 | ");
        check("--a; 'b\nSELECT 1;\n--c\r\n--d;\nSELECT 2\n--3;--e", "SELECT 1 | SELECT 2\n--3 | --e | ");
        check("SELECT 1;\r\n\x1a", "SELECT 1 | ");
        check("SELECT 1\x01;\x01\n;", "SELECT 1 | ");
}

static void test_delimiter(void **state _unused_) {
        check("DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\ndelimiter ;\nSELECT 2;",
                        "CREATE PROCEDURE p() BEGIN SELECT 1; END | SELECT 2 | ");
        check("DELIMITER $$\r\nSELECT 1; SELECT 2$$\r\nDELIMITER ;\r\nSELECT 3;",
                        "SELECT 1; SELECT 2 | SELECT 3 | ");
        check("DELIMITER ';;'\nSELECT 1;;", "SELECT 1 | ");
        check("DELIMITER //\nSELECT '//', 1 // SELECT 2", "SELECT '//', 1 | SELECT 2 | ");
        check("CREATE TABLE t (\n  delimiter INT\n);", "CREATE TABLE t (\n  delimiter INT\n) | ");
        check("SELECT 1;\nDELIMITER \nSELECT 2", "! test.sql:2:1: DELIMITER must be followed by 1 to 31 "
                                                 "characters other than a backslash");
        check("DELIMITER //\nSELECT 1; SELECT 2", "SELECT 1; SELECT 2 | ");
}

static void test_bodies(void **state _unused_) {
        static const char *const whole[] = {
                        "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
                        "CREATE PROCEDURE p() SELECT CASE WHEN 1 THEN 2 END",
                        "CREATE PROCEDURE p() SQL SECURITY DEFINER SHOW GRANTS FOR CURRENT_USER",
                        "CREATE PROCEDURE p() EXPLAIN SELECT CASE WHEN 1 THEN 2 END FOR UPDATE",
                        "CREATE OR REPLACE DEFINER=`a`@`b` PROCEDURE IF NOT EXISTS d.p(a INT, b SET('x')) "
                        "COMMENT 'it''s' BEGIN BEGIN END; IF IF(1, 2, 3) THEN SELECT 1; ELSEIF 2 THEN BEGIN "
                        "END; "
                        "ELSE SELECT 2; END IF; END",
                        "CREATE FUNCTION f(a INT) RETURNS SET('a') DETERMINISTIC RETURN CASE a WHEN 1 THEN "
                        "'a' END",
                        "CREATE FUNCTION f() RETURNS INT BEGIN DECLARE end_ INT; CASE end_ WHEN 1 THEN "
                        "RETURN 2; ELSE "
                        "RETURN CASE WHEN 3 THEN 4 ELSE 5 END; END CASE; RETURN 1; END",
                        "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.end = 1",
                        "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW FOLLOWS b BEGIN SET NEW.end = 1; "
                        "END",
                        "CREATE TRIGGER t AFTER UPDATE ON a FOR EACH ROW IF NEW.a THEN SET @a = 1; END IF",
                        "CREATE TRIGGER t AFTER UPDATE ON a FOR EACH ROW lbl: BEGIN LEAVE lbl; END lbl",
                        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DO BEGIN DELETE FROM "
                        "t; END",
                        "ALTER EVENT e DO BEGIN SELECT 1; END",
                        "CREATE PROCEDURE p() l: LOOP SELECT 1; LEAVE l; END LOOP l",
                        "CREATE PROCEDURE p() BEGIN a: WHILE 1 DO DO SLEEP(0); END WHILE a; REPEAT SET @x = "
                        "REPEAT('a', 2); UNTIL @x END REPEAT; FOR i IN 1..10 DO SELECT i; END FOR; END",
                        "CREATE PROCEDURE p() BEGIN REPEAT SELECT 1; UNTIL CASE WHEN 1 THEN 1 END END "
                        "REPEAT; END",
                        "CREATE PROCEDURE p() BEGIN DECLARE EXIT HANDLER FOR SQLSTATE VALUE '42000', NOT "
                        "FOUND, 1051 "
                        "BEGIN ROLLBACK; END; DECLARE CONTINUE HANDLER FOR SQLEXCEPTION SET @a = 1; "
                        "START TRANSACTION; COMMIT; END",
                        "CREATE PROCEDURE p() BEGIN SELECT end, begin FROM t WHERE CASE WHEN end > 1 THEN "
                        "t.end ELSE "
                        "end END = 2; END",
                        "CREATE PROCEDURE p() BEGIN DROP TABLE IF EXISTS t; CREATE TABLE IF NOT EXISTS t (a "
                        "INT); END",
                        "CREATE PROCEDURE p() BEGIN DECLARE c CURSOR FOR SELECT 1; SELECT 1 FOR UPDATE; END",
                        "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
                        "IF 1 THEN SELECT 1; END IF",
                        "CREATE DEFINER = root@localhost TRIGGER begin BEFORE INSERT ON t FOR EACH ROW SET "
                        "@a = 1",
                        "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON a "
                        "FOR EACH "
                        "ROW BEGIN SET @a = 1; SET @b = 2; END */",
        };

        for (size_t i = 0; i < ELEMENTS_OF(whole); i++) {
                _cleanup_free_ char *text = text_format("%s;\nSELECT 7;", whole[i]),
                                    *expected = text_format("%s | SELECT 7 | ", whole[i]);

                check(text, expected);
        }
        check("BEGIN; INSERT INTO t VALUES (1); COMMIT;", "BEGIN | INSERT INTO t VALUES (1) | COMMIT | ");
        check("BEGIN WORK; SELECT 1;", "BEGIN WORK | SELECT 1 | ");
        check("CREATE TABLE trigger_ (begin INT, end INT); SELECT 1",
                        "CREATE TABLE trigger_ (begin INT, end INT) | SELECT 1 | ");
        check("CREATE VIEW v AS SELECT CASE WHEN 1 THEN 2 END; SELECT 1",
                        "CREATE VIEW v AS SELECT CASE WHEN 1 THEN 2 END | SELECT 1 | ");
        check("SELECT 1;\nCREATE PROCEDURE p()\nBEGIN\nSELECT 1;\n",
                        "! test.sql:3:1: the BEGIN that begins here has no END");
}

static void test_commands_are_refused(void **state _unused_) {
        check("\\! ls", "! test.sql:1:1: \"\\!\" is a command of the client, and is not run here");
        check("SELECT 1\\g", "! test.sql:1:9: \"\\g\" is a command of the client, and is not run here");
        check("SELECT 1; source x.sql",
                        "! test.sql:1:11: source is a command of the client, and is not run here");
        check("system ls", "! test.sql:1:1: system is a command of the client, and is not run here");
        check("SELECT \\N", "SELECT \\N | ");
}

static void test_marks(void **state _unused_) {
        static const char text[] = "-- releasemgr: allow-copy max-rows=100\nSELECT 1;\n/* releasemgr: "
                                   "idempotent */ CALL "
                                   "p();\nSELECT 2;";
        Script s = script_init("test.sql", text, sizeof(text) - 1, 1, (SqlMode){0});
        _cleanup_statement_ Statement one = {0}, two = {0}, three = {0};

        assert_int_equal(script_next(&s, &one, NULL), 1);
        assert_int_equal(script_next(&s, &two, NULL), 1);
        assert_int_equal(script_next(&s, &three, NULL), 1);
        assert_true(one.marks.allow_copy && two.marks.allow_copy && three.marks.allow_copy);
        assert_int_equal(two.marks.max_rows, 100);
        assert_true(!one.marks.idempotent && two.marks.idempotent && !three.marks.idempotent);
        assert_int_equal(two.line, 3);
        assert_int_equal(two.column, 30);
        check("-- releasemgr: alow-copy\nSELECT 1;", "! test.sql:1:16: \"alow-copy\" is no mark; expected "
                                                     "allow-copy [max-rows=N], idempotent, "
                                                     "destructive or verbatim");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_plain),
                        cmocka_unit_test(test_quotes),
                        cmocka_unit_test(test_mode_is_followed),
                        cmocka_unit_test(test_unsure),
                        cmocka_unit_test(test_wide_characters),
                        cmocka_unit_test(test_comments),
                        cmocka_unit_test(test_use),
                        cmocka_unit_test(test_never_executed),
                        cmocka_unit_test(test_delimiter),
                        cmocka_unit_test(test_bodies),
                        cmocka_unit_test(test_commands_are_refused),
                        cmocka_unit_test(test_marks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
