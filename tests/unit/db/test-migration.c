#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "db/migration.h"
#include "tests/unit/scratch.h"

static void put(const Scratch *s, const char *path, const char *text) {
        _cleanup_free_ char *folder = strdup(path);
        char *slash = strrchr(folder, '/');

        if (slash) {
                *slash = '\0';
                assert_int_equal(fs_mkdir_parents(s->fd, folder, 0755), 0);
        }
        scratch_write(s, path, text, strlen(text));
}

static void test_order_and_names(void **state) {
        static const char *const expected[] = {"1", "1.2.2", "1.2.10", "20260102030405", "R:view", "3"};
        _cleanup_(migration_list_free_p) MigrationList *l = NULL;
        Scratch *s = *state;

        put(s, "0001_first.up.sql", "SELECT 1;");
        put(s, "0001_first.down.sql", "SELECT 1;");
        put(s, "0001_first.DOWN.SQL", "SELECT 1;");
        put(s, "V1_2_10__b.sql", "SELECT 1;");
        put(s, "V01.02.2__a.sql", "SELECT 1;");
        put(s, "R__view.sql", "SELECT 1;");
        put(s, "expand/2026-01-02-030405_diesel/up.sql", "SELECT 1;");
        put(s, "contract/3_last.sql", "DROP TABLE t;");
        assert_int_equal(migration_list_read(s->fd, ".", &l, NULL), 0);
        assert_int_equal(l->n, ELEMENTS_OF(expected));
        for (size_t i = 0; i < l->n; i++)
                assert_string_equal(l->items[i]->version, expected[i]);
        assert_string_equal(migration_list_newest(l, MIGRATION_EXPAND), "20260102030405");
        assert_string_equal(migration_list_newest(l, MIGRATION_CONTRACT), "3");
}

static void test_folders_below_are_of_flyway(void **state) {
        _cleanup_(migration_list_free_p) MigrationList *l = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        Scratch *s = *state;

        put(s, "V1__a.sql", "SELECT 1;");
        put(s, "year/may/V2__b.sql", "SELECT 1;");
        put(s, "year/U2__b.sql", "SELECT 1;");
        put(s, "meta/0000_snapshot.json", "{}");
        put(s, "views/R__view.sql", "SELECT 1;");
        put(s, "afterClean.sql", "SELECT 1;");
        put(s, "beforeEachUndo__why.sql", "SELECT 1;");
        assert_int_equal(migration_list_read(s->fd, ".", &l, NULL), 0);
        assert_int_equal(l->n, 3);
        assert_string_equal(l->items[1]->path, "year/may/V2__b.sql");
        assert_string_equal(l->items[2]->version, "R:view");
        l = migration_list_free(l);
        put(s, "year/3_c.sql", "SELECT 1;");
        assert_int_equal(migration_list_read(s->fd, ".", &l, &e), -EINVAL);
        assert_non_null(strstr(e.message, "year/3_c.sql looks like a migration"));
}

/* Files that are not run here, and what is said of them. */
static void test_refused(void **state) {
        static const char *const rows[][3] = {
                        {"beforeMigrate.sql", "SELECT 1;", "beforeMigrate.sql is a callback of Flyway"},
                        {"afterEachMigrateError__why.sql", "", "is a callback of Flyway"},
                        {"B5__all.sql", "SELECT 1;", "B5__all.sql is a baseline of Flyway"},
                        {"before.sql", "SELECT 1;",
                                        "before.sql looks like a migration and fits no convention"},
                        {"1_a.sql", "-- +goose Up\nSELECT 1;\n-- +goose Down\n",
                                        "1_a.sql has the comment \"-- +goose Up\""},
                        {"1_a.sql", "-- +migrate Down\n", "which is not understood here"},
                        {"1_a.sql", "-- migrate:down\nDROP TABLE t;", "without \"-- migrate:up\""},
                        {"1_a.sql", "SELECT 1;\n-- migrate:up\n", "1_a.sql:1: a statement stands before"},
        };
        Scratch *s = *state;

        for (size_t i = 0; i < ELEMENTS_OF(rows); i++) {
                _cleanup_(migration_list_free_p) MigrationList *l = NULL;
                _cleanup_error_ Error e = ERROR_INIT;

                put(s, rows[i][0], rows[i][1]);
                assert_int_equal(migration_list_read(s->fd, ".", &l, &e), -EINVAL);
                if (!strstr(e.message, rows[i][2]))
                        fail_msg("%s", e.message);
                assert_int_equal(unlinkat(s->fd, rows[i][0], 0), 0);
        }
}

static void test_dbmate_is_cut(void **state) {
        _cleanup_(migration_list_free_p) MigrationList *l = NULL;
        Scratch *s = *state;

        put(s, "1_a.sql",
                        "-- a head\n-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\nSELECT "
                        "2;\n");
        assert_int_equal(migration_list_read(s->fd, ".", &l, NULL), 0);
        assert_int_equal(l->items[0]->style, MIGRATION_DBMATE);
        assert_int_equal(l->items[0]->first_line, 2);
        assert_string_equal(l->items[0]->text, "-- migrate:up transaction:false\nSELECT 1;\n");
}

static void test_review(void **state) {
        _cleanup_(migration_list_free_p) MigrationList *l = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_strv_ char **lines = NULL;
        Scratch *s = *state;

        put(s, "1_a.sql",
                        "CREATE TABLE t (a INT);\nDROP TABLE u;\n-- releasemgr: destructive\nDROP TABLE "
                        "v;\n");
        put(s, "contract/2_b.sql", "DROP TABLE w;");
        put(s, "3_b.sql",
                        "DROP VIEW v, w; CREATE VIEW V AS SELECT 1; DROP PROCEDURE IF EXISTS p;\n"
                        "CREATE PROCEDURE p() SELECT 1; CALL p(); DROP PROCEDURE p; DROP FUNCTION p;\n"
                        "CREATE DEFINER=a TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1; DROP "
                        "TRIGGER d.g;\n"
                        "SET sql_mode = CONCAT(@@sql_mode, ''); SELECT 'unsure\\'; DROP EVENT e;");
        assert_int_equal(migration_list_read(s->fd, ".", &l, NULL), 0);
        assert_int_equal(migration_list_review(l, &lines, &e), 0);
        assert_int_equal(strv_length(lines), 4);
        assert_string_equal(lines[0], "1_a.sql:2: DROP TABLE u");
        assert_string_equal(lines[1], "3_b.sql:1: DROP VIEW v, w");
        assert_string_equal(lines[2], "3_b.sql:2: DROP FUNCTION p");
        assert_string_equal(lines[3], "3_b.sql:3: DROP TRIGGER d.g");

        l = migration_list_free(l);
        put(s, "4_c.sql", "SELECT 'never ends");
        assert_int_equal(migration_list_read(s->fd, ".", &l, NULL), 0);
        lines = strv_free(lines);
        assert_int_equal(migration_list_review(l, &lines, &e), -EINVAL);
        assert_non_null(strstr(e.message, "4_c.sql:1:8"));
}

static void test_a_missing_folder_is_empty(void **state) {
        _cleanup_(migration_list_free_p) MigrationList *l = NULL;
        Scratch *s = *state;

        assert_int_equal(migration_list_read(s->fd, "nothing", &l, NULL), 0);
        assert_int_equal(l->n, 0);
        assert_null(migration_list_newest(l, MIGRATION_EXPAND));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        scratch_test(test_order_and_names),
                        scratch_test(test_folders_below_are_of_flyway),
                        scratch_test(test_refused),
                        scratch_test(test_dbmate_is_cut),
                        scratch_test(test_review),
                        scratch_test(test_a_missing_folder_is_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
