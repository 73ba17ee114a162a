/* Statements of data: committed together with their records, several at a time. */

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "db/fingerprint.h"
#include "db/runner-internal.h"

/* How long others may have to wait for what a statement wrote because more are to come, and how much that may be. */
#define TOGETHER_USEC (30 * USEC_PER_MSEC)
#define TOGETHER_MAX  200
#define TOGETHER_SIZE (256 * 1024)

static bool run_is_enough(const Run *run) {
        const RunnerState *s = run->state;

        return s->singly || s->n_data >= TOGETHER_MAX || backlog_size(&s->backlog) >= TOGETHER_SIZE ||
               clock_monotonic() - s->since_usec >= TOGETHER_USEC;
}

/* Whether the server rolled back the statements before, too. */
static int run_is_rolled_back(Run *run, Error *e) {
        int r;

        if (!run->state->transacted)
                return 0;
        r = sql_exec(run->sql, e, "DO 0"); /* its answer tells */
        return r < 0 ? r : !sql_in_transaction(run->sql);
}

/* The server did not do it. Returns 0 where it is to be sent again. */
static int run_refused(Run *run, Work *w, uint64_t deadline, Error *e) {
        bool blocked = sql_is_blocked(run->sql);
        int r;

        r = run_is_rolled_back(run, NULL);
        if (r < 0)
                return r;
        if (r > 0) {
                backlog_drop(&run->state->backlog); /* it tells of what is gone */
                run->state->singly = true;
                return -EAGAIN;
        }
        if (!blocked)
                return run_failed(run, w, -EREMOTEIO, e);
        r = run_flush(run, FLUSH_OPEN, e); /* whoever has the lock may want one of ours */
        return r < 0 ? r : run_wait_for_lock(run, w, deadline, e);
}

/* Whether the statement writes rows that stand in it: not much, and it looks for none. */
static bool is_brief(const Run *run, const Work *w) {
        static const char *const writing[] = {"INSERT", "REPLACE", NULL}, *const reading[] = {"SELECT",
                                                                                          "TABLE", "WITH",
                                                                                          NULL};
        Lexer l = lexer_init(w->statement->text, w->statement->size, run->script.mode);
        Token t = lexer_next_word(&l);

        if (!token_is_any(&t, writing) || w->statement->size > TOGETHER_SIZE)
                return false;
        for (; t.kind != TOKEN_END; t = lexer_next_word(&l))
                if (token_is_any(&t, reading))
                        return false;
        return true;
}

/* What was written may not stay locked for as long as the next statement takes, where others may want it. */
static int run_let_go(Run *run, const Work *w, Error *e) {
        return run->o->fresh || !run->state->transacted || is_brief(run, w) ? 0
                                                                            : run_flush(run, FLUSH_OPEN, e);
}

int run_data(Run *run, Work *w, Error *e) {
        uint64_t deadline = clock_monotonic() + run->o->patience_usec;
        RunnerState *s = run->state;
        int r;

        for (;;) {
                r = s->open ? run_let_go(run, w, e) : run_flush(run, FLUSH_OPEN, e);
                if (r < 0)
                        return r;
                if (s->n_data == 0)
                        s->since_usec = clock_monotonic();
                r = run_send(run, w, e);
                if (r >= 0)
                        break;
                if (r != -EREMOTEIO)
                        return run_failed(run, w, r, e);
                r = run_refused(run, w, deadline, e);
                if (r < 0)
                        return r;
        }
        s->n_data++;
        s->transacted = s->transacted || sql_in_transaction(run->sql);
        r = run_keep_variables(run, w, sql_insert_id(run->sql), e);
        if (r >= 0)
                r = run_record(run, w, true);
        return r >= 0 && run_is_enough(run) ? run_flush(run, FLUSH_OPEN, e) : r;
}

int run_is_unsafe(Run *run, const Work *w, Error *e) {
        const ObjectName *table = w->j.objects;
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        _cleanup_free_ char *text = object_text(table), *name = sql_quote(table->name, strlen(table->name)),
                            *database = table->database ? sql_quote(table->database, strlen(table->database))
                                                        : NULL;
        int r;

        if (!text || !name || (table->database && !database))
                return -ENOMEM;
        if (strv_contains(run->state->safe, text))
                return 0;
        r = sql_select(run->sql, &rows, e,
                        "SELECT ENGINE IN (SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS "
                        "<> 'YES') "
                        "FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
                        database ?: "DATABASE()", name);
        if (r < 0)
                return r;
        if (sql_result_u64(rows, 0, 0))
                return 1;
        return strv_add(&run->state->safe, text);
}

/* Whether a table that the statement makes or alters is in InnoDB by the server's default, or stays there. */
static bool keeps_innodb(const Run *run, const Work *w) {
        static const char *const others[] = {"ENGINE", "LIKE", "SELECT", NULL};
        Lexer l = lexer_init(w->statement->text, w->statement->size, run->script.mode);
        Token t = lexer_next_word(&l);

        if (w->j.renames || w->j.n_objects != 1 || run->dirty || !run->o->guard->innodb)
                return false;
        if (token_is(&t, "SET")) /* STATEMENT: it may be another default */
                return false;
        for (; t.kind != TOKEN_END; t = lexer_next_word(&l))
                if (token_is_any(&t, others))
                        return false;
        return true;
}

void run_forget_safe(Run *run, const Work *w) {
        if (w->j.class == CLASS_DATA || w->j.class == CLASS_REPEATABLE)
                return;
        if (w->j.class == CLASS_SCHEMA && (w->j.creates || w->j.alters) && keeps_innodb(run, w))
                return;
        run->state->safe = strv_free(run->state->safe);
}

int run_learn_safe(Run *run, const Work *w) {
        _cleanup_free_ char *text = NULL;

        if (w->j.class != CLASS_SCHEMA || !w->j.creates || !keeps_innodb(run, w))
                return 0;
        text = object_text(w->j.objects);
        return text ? strv_add(&run->state->safe, text) : -ENOMEM;
}
