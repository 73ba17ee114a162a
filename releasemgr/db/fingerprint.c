#include <errno.h>
#include <string.h>

#include <mysqld_error.h>

#include "base/text.h"
#include "db/fingerprint.h"

char *object_text(const ObjectName *o) {
        return o->database ? text_format("%s.%s", o->database, o->name) : strdup(o->name);
}

char *object_quote(const ObjectName *o) {
        _cleanup_free_ char *name = sql_quote_name(o->name),
                            *database = o->database ? sql_quote_name(o->database) : NULL;

        if (!name || (o->database && !database))
                return NULL;
        return database ? text_format("%s.%s", database, name) : TAKE(name);
}

/* What SHOW CREATE calls it, and in which column of its answer the definition stands. */
static const struct {
        const char *word;
        unsigned column;
} shown[] = {
                [OBJECT_TABLE] = {"TABLE", 1},
                [OBJECT_PROCEDURE] = {"PROCEDURE", 2},
                [OBJECT_FUNCTION] = {"FUNCTION", 2},
                [OBJECT_TRIGGER] = {"TRIGGER", 2},
                [OBJECT_EVENT] = {"EVENT", 3},
                [OBJECT_DATABASE] = {"DATABASE", 1},
};

/* Where " AUTO_INCREMENT=123" begins, or NULL: among the options of the table, which follow its columns, and before any
 * comment, which may hold the same words. */
static const char *find_counter(const char *definition) {
        const char *options = strstr(definition, "\n) "),
                   *counter = options ? strstr(options, " AUTO_INCREMENT=") : NULL,
                   *quote = options ? strchr(options, '\'') : NULL;

        return quote && counter && quote < counter ? NULL : counter;
}

/* A definition without that counter, which changes with the rows. */
static int hash_definition(Hasher *h, const char *text) {
        const char *counter = find_counter(text), *end = counter;
        int r;

        if (!counter)
                return hasher_add(h, text, strlen(text));
        end += strlen(" AUTO_INCREMENT=");
        end += strspn(end, "0123456789");
        r = hasher_add(h, text, counter - text);
        return r < 0 ? r : hasher_add(h, end, strlen(end));
}

/* The definition, NULL where there is no such object. */
static int show_create(Sql *s, const ObjectName *o, SqlResult **ret, Error *e) {
        _cleanup_free_ char *name = object_quote(o);
        int r;

        if (!name)
                return -ENOMEM;
        r = sql_select(s, ret, e, "SHOW CREATE %s %s", shown[o->kind].word, name);
        if (r != -EREMOTEIO)
                return r;
        switch (sql_errno(s)) {
        case ER_NO_SUCH_TABLE:
        case ER_SP_DOES_NOT_EXIST:
        case ER_TRG_DOES_NOT_EXIST:
        case ER_EVENT_DOES_NOT_EXIST:
        case ER_BAD_DB_ERROR:
        case ER_WRONG_OBJECT:
                if (e)
                        error_clear(e);
                return 0;
        default:
                return r;
        }
}

int object_exists(Sql *s, const ObjectName *o, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        r = show_create(s, o, &rows, e);
        return r < 0 ? r : rows != NULL;
}

/* @definition: NULL where there is no such object, and "" where there is none to be had. */
static int hash_object(Hasher *h, const char *definition) {
        int r;

        r = hasher_add(h, definition ? "+" : "-", 1);
        if (r >= 0 && definition)
                r = hash_definition(h, definition);
        return r < 0 ? r : hasher_add(h, "", 1);
}

static int end_fingerprint(Hasher *h, char ret[static DIGEST_TEXT_MAX]) {
        Digest digest;
        int r;

        r = hasher_finish(h, &digest);
        if (r < 0)
                return r;
        (void) digest_to_text(&digest, ret);
        return 0;
}

/* What is in the answer to SHOW CREATE, or that there was none. */
static int hash_answer(Hasher *h, ObjectKind kind, const SqlResult *answer) {
        return hash_object(h, answer ? sql_result_get(answer, 0, shown[kind].column) ?: "" : NULL);
}

int fingerprint_of_answer(const SqlResult *answer, char ret[static DIGEST_TEXT_MAX]) {
        _cleanup_(hasher_free_p) Hasher *h = NULL;
        int r;

        r = hasher_new(&h);
        if (r >= 0)
                r = hash_answer(h, OBJECT_TABLE, answer);
        return r < 0 ? r : end_fingerprint(h, ret);
}

int fingerprint_of_none(char ret[static DIGEST_TEXT_MAX]) {
        return fingerprint_of_answer(NULL, ret);
}

int fingerprint_objects(
                Sql *s, const ObjectName *objects, size_t n, char ret[static DIGEST_TEXT_MAX], Error *e) {
        _cleanup_(hasher_free_p) Hasher *h = NULL;
        int r;

        r = hasher_new(&h);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_(sql_result_free_p) SqlResult *rows = NULL;

                r = show_create(s, objects + i, &rows, e);
                if (r >= 0)
                        r = hash_answer(h, objects[i].kind, rows);
        }
        return r < 0 ? r : end_fingerprint(h, ret);
}
