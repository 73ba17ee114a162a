/* How all of the schema looks: remembered after each run, so that changes behind our back show. */

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "db/fingerprint.h"
#include "db/migrator-internal.h"

typedef struct Look {
        char *kind;
        char *name;
        char digest[DIGEST_TEXT_MAX];
} Look;

typedef struct Looks {
        Look *items;
        size_t n, capacity;
} Looks;

static void looks_clear(Looks *l) {
        for (size_t i = 0; i < l->n; i++) {
                free(l->items[i].kind);
                free(l->items[i].name);
        }
        free(l->items);
        *l = (Looks){0};
}

static int looks_add(Looks *l, const char *kind, const char *name, const char *digest) {
        Look *look;

        if (l->n == l->capacity) {
                size_t capacity = MAX_OF(64, 2 * l->capacity);
                Look *items = reallocarray(l->items, capacity, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                l->items = items;
                l->capacity = capacity;
        }
        look = l->items + l->n++;
        *look = (Look){.kind = strdup(kind), .name = strdup(name)};
        memcpy(look->digest, digest, strnlen(digest, DIGEST_TEXT_MAX - 1));
        return look->kind && look->name ? 0 : -ENOMEM;
}

/* What makes the objects of a database up: kind, name, and one line of values for each column, index or other part. Asked
 * one by one and put in order here: as one question the server would write it all to a temporary table on disk. */
static const char *const parts[] = {
                "SELECT 'table', TABLE_NAME, CONCAT_WS('|', 'c', ORDINAL_POSITION, COLUMN_NAME, "
                "IFNULL(COLUMN_DEFAULT, 'null'), IS_NULLABLE, COLUMN_TYPE, IFNULL(COLLATION_NAME, ''), "
                "EXTRA, IFNULL(GENERATION_EXPRESSION, ''), COLUMN_COMMENT) "
                "FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()",

                "SELECT 'table', TABLE_NAME, CONCAT_WS('|', 'i', INDEX_NAME, SEQ_IN_INDEX, NON_UNIQUE, "
                "IFNULL(COLUMN_NAME, ''), IFNULL(COLLATION, ''), IFNULL(SUB_PART, ''), INDEX_TYPE) "
                "FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()",

                "SELECT 'table', TABLE_NAME, CONCAT_WS('|', 't', TABLE_TYPE, IFNULL(ENGINE, ''), "
                "IFNULL(TABLE_COLLATION, ''), IFNULL(CREATE_OPTIONS, ''), "
                "IF(TABLE_TYPE = 'VIEW', '', TABLE_COMMENT)) "
                "FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()",

                "SELECT 'table', TABLE_NAME, CONCAT_WS('|', 'f', CONSTRAINT_NAME, COLUMN_NAME, "
                "REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME) "
                "FROM information_schema.KEY_COLUMN_USAGE "
                "WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL",

                "SELECT 'table', TABLE_NAME, CONCAT_WS('|', 'r', CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE) "
                "FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()",

                "SELECT 'table', TABLE_NAME, CONCAT_WS('|', 'v', VIEW_DEFINITION) "
                "FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()",

                "SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME, CONCAT_WS('|', 'r', DTD_IDENTIFIER, "
                "ROUTINE_DEFINITION, SECURITY_TYPE, IS_DETERMINISTIC, SQL_MODE) "
                "FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()",

                "SELECT 'trigger', TRIGGER_NAME, CONCAT_WS('|', 'g', EVENT_OBJECT_TABLE, ACTION_TIMING, "
                "EVENT_MANIPULATION, ACTION_ORDER, ACTION_STATEMENT, SQL_MODE) "
                "FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()",

                "SELECT 'event', EVENT_NAME, CONCAT_WS('|', 'e', EVENT_DEFINITION, EVENT_TYPE, "
                "INTERVAL_VALUE, INTERVAL_FIELD, STATUS) "
                "FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()",
};

typedef struct Part {
        const char *kind, *name, *text; /* borrowed from an answer */
} Part;

typedef struct Parts {
        SqlResult *answers[ELEMENTS_OF(parts)];
        Part *items;
        size_t n;
} Parts;

static void parts_clear(Parts *p) {
        for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
                sql_result_free(p->answers[i]);
        free(p->items);
}

static int compare_parts(const void *a, const void *b) {
        const Part *p = a, *q = b;
        int r;

        r = strcmp(p->kind, q->kind) ?: strcmp(p->name, q->name);
        return r ?: strcmp(p->text, q->text);
}

/* Our own tables are left out. */
static int read_parts(Sql *s, Parts *p, Error *e) {
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(parts); i++) {
                r = sql_query(s, parts[i], strlen(parts[i]), 60 * USEC_PER_SEC, p->answers + i, e);
                n += sql_result_rows(p->answers[i]);
        }
        if (r == -EREMOTEIO && sql_is_blocked(s))
                return -EAGAIN;
        if (r < 0)
                return r;
        p->items = calloc(n + 1, sizeof(*p->items));
        if (!p->items)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTS_OF(parts); i++)
                for (size_t j = 0; j < sql_result_rows(p->answers[i]); j++) {
                        const char *name = sql_result_get(p->answers[i], j, 1);

                        if (!startswith(name, "releasemgr_"))
                                p->items[p->n++] = (Part){sql_result_get(p->answers[i], j, 0), name,
                                                sql_result_get(p->answers[i], j, 2) ?: ""};
                }
        qsort(p->items, p->n, sizeof(*p->items), compare_parts);
        return 0;
}

static int end_look(Looks *l, Hasher *h, const char *kind, const char *name) {
        char text[DIGEST_TEXT_MAX];
        Digest d;
        int r;

        r = hasher_finish(h, &d);
        return r < 0 ? r : looks_add(l, kind, name, digest_to_text(&d, text));
}

/* Hashes the parts of each object. */
static int read_looks(Migrator *m, Looks *l, Error *e) {
        _cleanup_(hasher_free_p) Hasher *h = NULL;
        _cleanup_(parts_clear) Parts p = {0};
        int r;

        r = read_parts(m->guard.sql, &p, e);
        if (r >= 0)
                r = hasher_new(&h);
        for (const Part *part = p.items; r >= 0 && part < p.items + p.n; part++) {
                const Part *next = part + 1;

                r = hasher_add(h, part->text, strlen(part->text) + 1);
                if (r >= 0 && (next == p.items + p.n || !streq(part->kind, next->kind) ||
                                              !streq(part->name, next->name)))
                        r = end_look(l, h, part->kind, part->name);
        }
        return r;
}

static int add_look(Text *t, const Look *look) {
        _cleanup_free_ char *name = sql_quote(look->name, strlen(look->name));

        return name ? text_addf(t, "%s('%s', %s, '%s')", t->size > 0 ? ", " : "", look->kind, name,
                                      look->digest)
                    : -ENOMEM;
}

int migrator_remember_look(Migrator *m, Error *e) {
        _cleanup_(looks_clear) Looks looks = {0};
        _cleanup_text_ Text values = TEXT_INIT;
        int r;

        r = read_looks(m, &looks, e);
        for (size_t i = 0; r >= 0 && i < looks.n; i++)
                r = add_look(&values, looks.items + i);
        if (r >= 0)
                r = sql_exec(m->guard.sql, e, "START TRANSACTION");
        if (r >= 0)
                r = sql_exec(m->guard.sql, e, "DELETE FROM %s.releasemgr_object", m->guard.database);
        if (r >= 0 && values.size > 0)
                r = sql_exec(m->guard.sql, e,
                                "INSERT INTO %s.releasemgr_object (kind, name, digest) VALUES %s",
                                m->guard.database, values.data);
        return r < 0 ? r : sql_exec(m->guard.sql, e, "COMMIT");
}

static const Look *looks_find(const Looks *l, const char *kind, const char *name) {
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i].kind, kind) && streq(l->items[i].name, name))
                        return l->items + i;
        return NULL;
}

/* What is remembered. */
static int recall_looks(Migrator *m, Looks *l, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        r = sql_select(m->guard.sql, &rows, e, "SELECT kind, name, digest FROM %s.releasemgr_object",
                        m->guard.database);
        for (size_t i = 0; r >= 0 && i < sql_result_rows(rows); i++)
                r = looks_add(l, sql_result_get(rows, i, 0), sql_result_get(rows, i, 1),
                                sql_result_get(rows, i, 2));
        return r;
}

static int add_line(char ***lines, const Look *look, const char *what) {
        _cleanup_free_ char *line = text_format("%s %s: %s", look->kind, look->name, what);

        return line ? strv_add(lines, line) : -ENOMEM;
}

static int compare_looks(const Looks *before, const Looks *now, char ***lines) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < before->n; i++) {
                const Look *look = looks_find(now, before->items[i].kind, before->items[i].name);

                if (!look)
                        r = add_line(lines, before->items + i, "removed");
                else if (!streq(look->digest, before->items[i].digest))
                        r = add_line(lines, look, "changed");
        }
        for (size_t i = 0; r >= 0 && i < now->n; i++)
                if (!looks_find(before, now->items[i].kind, now->items[i].name))
                        r = add_line(lines, now->items + i, "added");
        return r;
}

static int find_drift(Migrator *m, void *userdata, Error *e) {
        _cleanup_(looks_clear) Looks before = {0}, now = {0};
        _cleanup_records_ Records records = {0};
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = migrator_connect(m, e);
        if (r >= 0)
                r = records_read(m->guard.sql, m->guard.database, &records, e);
        if (r < 0 || records.batch == 0)
                return r; /* nothing is remembered yet */
        r = recall_looks(m, &before, e);
        if (r >= 0)
                r = read_looks(m, &now, e);
        if (r >= 0)
                r = compare_looks(&before, &now, &lines);
        if (r >= 0)
                *(char ***) userdata = TAKE(lines);
        return r;
}

int migrator_drift(Migrator *m, char ***ret, Error *e) {
        *ret = NULL;
        return migrator_persist(m, find_drift, ret, e);
}
