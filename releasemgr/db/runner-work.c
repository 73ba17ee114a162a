/* How a statement of each class is run: see runner.h. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "db/fingerprint.h"
#include "db/runner-internal.h"

/* The names of the user's variables that stand in the statement. */
static int list_variables(const Run *run, const Statement *s, char ***ret) {
        Lexer l = lexer_init(s->text, s->size, run->script.mode);
        _cleanup_strv_ char **list = NULL;
        int r = 0;

        for (Token t = lexer_next_word(&l); r >= 0 && t.kind != TOKEN_END; t = lexer_next_word(&l)) {
                _cleanup_free_ char *name = NULL;

                if (!token_is_symbol(&t, '@'))
                        continue;
                t = lexer_next_word(&l);
                if (t.kind != TOKEN_WORD && t.kind != TOKEN_NAME && t.kind != TOKEN_STRING) {
                        (void) lexer_next_word(&l); /* @@system */
                        continue;
                }
                name = strndup(t.text, t.size);
                if (!name)
                        return -ENOMEM;
                if (!strv_contains(list, name))
                        r = strv_add(&list, name);
        }
        if (r >= 0)
                *ret = TAKE(list);
        return r;
}

/* ", @name = value"; a hexadecimal literal is binary, and takes the character set of the connection. */
static int add_variable(Text *set, const char *name, const SqlResult *values, unsigned i) {
        const char *value = sql_result_get(values, 0, i);
        _cleanup_free_ char *quoted = NULL;

        if (!value || sql_result_is_number(values, i))
                return text_addf(set, "%s@%s = %s", set->size > 0 ? ", " : "SET ", name, value ?: "NULL");
        quoted = sql_quote(value, sql_result_size(values, 0, i));
        if (!quoted)
                return -ENOMEM;
        return text_addf(set, *quoted == 'X' ? "%s@%s = CONVERT(%s USING utf8mb4)" : "%s@%s = %s",
                        set->size > 0 ? ", " : "SET ", name, quoted);
}

/* A SET that gives a new session what @w left in this one: the user's variables that it assigned, and the id that it
 * made. */
int run_keep_variables(Run *run, Work *w, uint64_t insert_id, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *values = NULL;
        _cleanup_text_ Text question = TEXT_INIT, set = TEXT_INIT;
        _cleanup_strv_ char **names = NULL;
        int r = 0;

        if (insert_id > 0)
                r = text_addf(&set, "SET last_insert_id = %llu", (unsigned long long) insert_id);
        if (r >= 0 && w->j.variables)
                r = list_variables(run, w->statement, &names);
        for (size_t i = 0; r >= 0 && i < strv_length(names); i++)
                r = text_addf(&question, "%s @%s", i > 0 ? "," : "SELECT", names[i]);
        if (r >= 0 && names)
                r = sql_query(run->sql, question.data, question.size, USEC_PER_SEC * 60, &values, e);
        for (unsigned i = 0; r >= 0 && i < sql_result_columns(values); i++)
                r = add_variable(&set, names[i], values, i);
        if (r >= 0 && set.size > 0 && !(w->record.variables = text_take(&set)))
                r = -ENOMEM;
        return r;
}

/* LOCK TABLES must name our own, or their records could not be written. */
static int run_lock_tables(Run *run, Work *w, Error *e) {
        _cleanup_free_ char *text =
                        text_format("%s, %s.releasemgr_statement WRITE, %s.releasemgr_migration WRITE",
                                        w->statement->text, run->database, run->database);
        Statement statement = *w->statement;
        Work named = {.statement = &statement, .j = w->j};
        int r;

        if (!text)
                return -ENOMEM;
        statement.text = text;
        statement.size = strlen(text);
        r = run_insist(run, &named, e);
        if (r >= 0)
                run->tables_locked = true;
        return r;
}

/* A statement that concerns the session alone. */
int run_session(Run *run, Work *w, bool replay, Error *e) {
        int r;

        run->dirty = true;
        if (w->j.temporary) {
                r = strv_add(&run->temporary, w->j.objects[0].name);
                if (r < 0)
                        return r;
        }
        if (w->j.locks_tables)
                r = run_lock_tables(run, w, e);
        else
                r = run_is_inside(run) ? run_send_inside(run, w, e) : run_insist(run, w, e);
        if (r < 0)
                return run_failed(run, w, r, e);
        if (w->j.unlocks_tables)
                run->tables_locked = false;
        if (replay)
                return 0;
        r = run_keep_variables(run, w, 0, e);
        return r < 0 ? r : run_record(run, w, true);
}

/* Writes the records at hand into the file's own transaction. */
static int run_flush_inside(Run *run, Error *e) {
        _cleanup_(backlog_drop) Backlog rows = {0};
        int r;

        r = backlog_settle(&run->state->backlog);
        if (r >= 0)
                r = backlog_append(&rows, &run->state->backlog);
        if (r >= 0)
                r = run_flush(run, FLUSH_INSIDE, e);
        return r < 0 ? r : backlog_append(&run->inside, &rows);
}

/* A statement of data in the file's own transaction. */
static int run_data_inside(Run *run, Work *w, Error *e) {
        int r;

        r = run_flush_inside(run, e);
        if (r < 0)
                return r;
        r = run_send_inside(run, w, e);
        if (r < 0)
                return run_failed(run, w, r, e);
        r = run_keep_variables(run, w, sql_insert_id(run->sql), e);
        return r < 0 ? r : run_record(run, w, true);
}

/* BEGIN, COMMIT, ROLLBACK, SAVEPOINT */
static int run_transaction(Run *run, Work *w, Error *e) {
        bool inside = run_is_inside(run);
        int r = 0;

        if (w->j.rolls_back) { /* what it takes back is recorded again afterwards */
                r = run_send_inside(run, w, e);
                if (r < 0)
                        return run_failed(run, w, r, e);
                r = backlog_append(&run->state->backlog, &run->inside);
                return r < 0 ? r : run_record(run, w, true);
        }
        if (!w->j.begins) {
                r = run_record(run, w, true);
                if (r < 0)
                        return r;
        }
        if (!backlog_is_empty(&run->state->backlog))
                r = inside ? run_flush_inside(run, e) : run_flush(run, FLUSH_CLOSE, e);
        if (r >= 0)
                r = run_send_inside(run, w, e);
        if (r < 0)
                return run_failed(run, w, r, e);
        return w->j.begins ? run_record(run, w, true) : 0;
}

static int run_opaque(Run *run, Work *w, Error *e) {
        int r;

        r = run_record(run, w, false);
        if (r >= 0)
                r = run_flush(run, run_is_inside(run) ? FLUSH_INSIDE : FLUSH_CLOSE, e);
        if (r < 0)
                return r;
        w->restrained = false; /* TRUNCATE, EXCHANGE PARTITION: nothing is copied */
        return w->j.runs_others ? run_send(run, w, e) : run_insist(run, w, e);
}

/* Statements that commit by themselves: recorded before as started, and afterwards as done. */
static int run_in_doubt(Run *run, Work *w, Error *e) {
        int r;

        r = w->j.class == CLASS_SCHEMA ? run_schema(run, w, e) : run_opaque(run, w, e);
        if (r >= 0)
                r = run_record(run, w, true);
        if (r >= 0)
                return run_learn_safe(run, w);
        if (r == -EREMOTEIO && w->j.runs_others && !w->statement->marks.idempotent)
                (void) error_hint(e, r,
                                "Part of it may have taken effect: look at the database, then say: "
                                "releasemgr migrate "
                                "resolve %s --applied (or --not-applied).",
                                run->m->version);
        if (r != -ECONNRESET && r != -ETIMEDOUT && r != -ECANCELED && r != -EAGAIN && !w->j.runs_others)
                /* where that is not written it will be settled by looking */
                (void) backlog_gone(&run->state->backlog, run->database, run->m->version, w->record.number);
        return run_failed(run, w, r, e);
}

int run_work(Run *run, Work *w, Error *e) {
        int r;

        r = run_gate(run, w, e);
        if (r >= 0 && w->j.class != CLASS_DATA && w->j.class != CLASS_SCHEMA) {
                run_forget_look(run);
                r = run_record_late(run);
                if (r >= 0)
                        r = run_close(run, e);
        }
        if (r < 0)
                return run_failed(run, w, r, e);
        switch (w->j.class) {
        case CLASS_DATA:
                return run_is_inside(run) ? run_data_inside(run, w, e) : run_data(run, w, e);
        case CLASS_SESSION:
                return run_session(run, w, false, e);
        case CLASS_TRANSACTION:
                return run_transaction(run, w, e);
        case CLASS_REPEATABLE:
                r = run_is_inside(run) ? run_send_inside(run, w, e) : run_insist(run, w, e);
                return r < 0 ? run_failed(run, w, r, e) : run_record(run, w, true);
        default:
                return run_in_doubt(run, w, e);
        }
}
