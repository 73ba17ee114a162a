#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "db/fingerprint.h"
#include "db/review.h"
#include "db/runner-internal.h"
#include "trust/digest.h"

static void work_clear(Work *w) {
        judgement_clear(&w->j);
        free(w->record.digest);
        free(w->record.looked);
        free(w->record.variables);
        free(w->absent);
}

static void run_clear(Run *run) {
        statement_records_free(run->known, run->n_known);
        backlog_drop(&run->inside);
        backlog_drop(&run->late);
        strv_free(run->temporary);
}

void runner_state_clear(RunnerState *s) {
        backlog_drop(&s->backlog);
        backlog_drop(&s->ended);
        strv_free(s->announced);
        strv_free(s->safe);
        free(s->look_of);
        *s = (RunnerState){.backlog = s->backlog, .singly = s->singly};
}

int run_failed(Run *run, const Work *w, int r, Error *e) {
        return error_prefix(e, r, "%s:%u: statement %u: ", run->m->path, w->statement->line,
                        w->statement->number);
}

/* Whether "done" need not be written for now: the table tells that it was made, as long as nothing but data is changed, and
 * the end of the migration tells of its last statement. */
static bool tells_itself(const Run *run, const Work *w) {
        return w->j.class == CLASS_SCHEMA && (w->announced || w->record.number == run->n_statements);
}

int run_record(Run *run, Work *w, bool done) {
        Backlog *b = done && tells_itself(run, w) ? &run->late : &run->state->backlog;
        _cleanup_free_ char *made = NULL;

        w->record.done = done;
        if (w->j.creates && w->j.n_objects > 0) {
                made = object_text(w->j.objects + w->j.n_objects - 1);
                if (!made)
                        return -ENOMEM;
        }
        return backlog_statement(b, run->m->version, &w->record, made);
}

static int record_ended(RunnerState *s) {
        int r = backlog_append(&s->backlog, &s->ended);

        s->backlog.n_finished += s->ended.n_finished;
        backlog_drop(&s->ended);
        return r;
}

int run_record_late(Run *run) {
        int r = backlog_append(&run->state->backlog, &run->late);

        backlog_drop(&run->late);
        return r < 0 ? r : record_ended(run->state);
}

/* How long it may seem that a migration runs which has ended. */
#define ENDED_USEC (100 * USEC_PER_MSEC)

/* Migrations that were announced together have rows already. Those are changed together, too: as long as nothing but data
 * is changed their statements tell how far they came. */
static int run_record_end(Run *run) {
        uint64_t now = clock_monotonic();
        RunnerState *s = run->state;
        int r;

        if (!run->announced)
                return backlog_finish(&s->backlog, run->m, now - run->started_usec);
        if (backlog_is_empty(&s->ended))
                s->ended_usec = now;
        s->ended.batch = s->backlog.batch;
        s->ended.deployment = s->backlog.deployment;
        r = backlog_finish(&s->ended, run->m, now - run->started_usec);
        return r < 0 || (!run->dirty && now - s->ended_usec < ENDED_USEC) ? r : record_ended(s);
}

static const StatementRecord *run_known(const Run *run, unsigned number) {
        for (size_t i = 0; i < run->n_known; i++)
                if (run->known[i].number == number)
                        return run->known + i;
        return NULL;
}

/* What was executed may not have been edited since. */
static int run_check_unchanged(Run *run, const Work *w, const StatementRecord *known, Error *e) {
        int r;

        if (streq(known->digest, w->record.digest))
                return 0;
        r = error_set(e, ERROR_REFUSED, -EPERM, "%s:%u: statement %u was changed after it had run here",
                        run->m->path, w->statement->line, w->statement->number);
        return error_hint(
                        e, r, "Put it back as it was; what follows the statement that failed may be edited.");
}

static int run_ask(Run *run, const Work *w, Error *e) {
        int r = error_set(e, ERROR_REFUSED, -EPERM,
                        "%s:%u: the run before ended in statement %u, and it cannot be told whether it took "
                        "effect",
                        run->m->path, w->statement->line, w->statement->number);

        return error_hint(e, r,
                        "Look at the database, then say: releasemgr migrate resolve %s --applied (or "
                        "--not-applied).",
                        run->m->version);
}

/* All that is to be dropped is gone. */
static int run_all_gone(Run *run, const Work *w, Error *e) {
        for (size_t i = 0; i < w->j.n_objects; i++) {
                int r = object_exists(run->sql, w->j.objects + i, e);

                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return 1;
}

/* Whether a statement that was started took effect: 1 yes, 0 no. */
static int run_settle(Run *run, const Work *w, const StatementRecord *known, Error *e) {
        char looks[DIGEST_TEXT_MAX];
        int r;

        if (known->class == CLASS_REPEATABLE ||
                        (known->class != CLASS_SCHEMA && w->statement->marks.idempotent))
                return 0;
        if (known->class != CLASS_SCHEMA || !known->looked)
                return run_ask(run, w, e);
        r = fingerprint_objects(run->sql, w->j.objects, w->j.n_objects, looks, e);
        if (r < 0)
                return r;
        if (streq(looks, known->looked))
                return 0;
        if (w->j.drops && w->j.n_objects > 1) { /* one by one: some may be gone */
                r = run_all_gone(run, w, e);
                if (r == 0)
                        return w->statement->marks.idempotent ? 0 : run_ask(run, w, e);
                return r;
        }
        r = run_check_unchanged(run, w, known, e);
        return r < 0 ? r : 1;
}

/* A statement that has a record: 1 where nothing is left to do. */
static int run_resume(Run *run, Work *w, const StatementRecord *known, Error *e) {
        int r;

        if (!known->done) {
                r = run_settle(run, w, known, e);
                if (r <= 0)
                        return r;
                w->record.class = known->class;
                r = run_record(run, w, true);
                return r < 0 ? r : 1;
        }
        r = run_check_unchanged(run, w, known, e);
        if (r >= 0 && (w->j.class == CLASS_SESSION || known->variables))
                r = run_close(run, e);
        if (r >= 0 && w->j.class == CLASS_SESSION)
                r = run_session(run, w, true, e);
        if (r >= 0 && known->variables)
                r = sql_query(run->sql, known->variables, strlen(known->variables), USEC_INFINITY, NULL, e);
        return r < 0 ? r : 1;
}

/* Writing to a temporary table is of the session, as the table is. */
static void run_see_temporary(const Run *run, Work *w) {
        if (w->j.class == CLASS_DATA && w->j.n_objects == 1 && !w->j.objects[0].database &&
                        strv_contains(run->temporary, w->j.objects[0].name))
                w->j.class = CLASS_SESSION;
}

static void run_report(Run *run, unsigned number, bool done, uint64_t took) {
        MigratorProgress p = {
                        .migration = run->m,
                        .statement = number,
                        .n_statements = run->n_statements,
                        .done = done,
                        .took_usec = took,
        };

        if (run->o->progress)
                run->o->progress(&p, run->o->userdata);
}

/* Writing to a table without transactions cannot commit together with its record. */
static int run_see_unsafe(Run *run, Work *w, Error *e) {
        int r;

        run_forget_safe(run, w);
        if (w->j.class != CLASS_DATA || w->j.n_objects == 0)
                return 0;
        r = run_is_unsafe(run, w, e);
        if (r > 0) {
                w->j.class = CLASS_OPAQUE;
                w->j.runs_others = true;
        }
        return r;
}

/* The live mode decides where the next quotes end. */
static int run_follow_mode(Run *run, const Statement *s, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        WideCharset wide = run->script.mode.wide;
        const char *mode;
        int r;

        if (!strcasestr(s->text, "sql_mode"))
                return 0;
        r = sql_select(run->sql, &rows, e, "SELECT @@SESSION.sql_mode");
        if (r < 0)
                return r;
        mode = sql_result_get(rows, 0, 0);
        run->script.mode = sql_mode_parse(mode ?: "", mode ? strlen(mode) : 0);
        run->script.mode.wide = wide;
        run->script.unsure = false;
        run->state->oracle = run->script.mode.oracle;
        return 0;
}

/* Where the file's own transaction has ended, so have its records. With autocommit off the next statement begins another,
 * which must not hold what was done before it. */
static int run_leave_transaction(Run *run, Error *e) {
        bool inside = run_is_inside(run);

        if (inside && sql_in_transaction(run->sql))
                return 0;
        backlog_drop(&run->inside);
        return inside && !backlog_is_empty(&run->state->backlog) ? run_flush(run, FLUSH_APART, e) : 0;
}

static int run_statement(Run *run, const Statement *s, Error *e) {
        _cleanup_(work_clear) Work w = {.statement = s};
        const StatementRecord *known = run_known(run, s->number);
        uint64_t start = clock_monotonic();
        char digest[DIGEST_TEXT_MAX];
        Digest d;
        int r;

        r = statement_judge(s->text, s->size, run->script.mode, &w.j);
        if (r >= 0)
                r = digest_of(s->text, s->size, &d);
        if (r < 0)
                return r;
        run_see_temporary(run, &w);
        r = run_see_unsafe(run, &w, e);
        if (r < 0)
                return r;
        w.record.number = s->number;
        w.record.class = w.j.class;
        w.record.digest = strdup(digest_to_text(&d, digest));
        if (!w.record.digest)
                return -ENOMEM;
        r = known ? run_resume(run, &w, known, e) : 0;
        if (r == 0) {
                run_report(run, s->number, false, 0);
                r = run_work(run, &w, e);
                if (r >= 0)
                        run_report(run, s->number, true, clock_monotonic() - start);
        }
        if (r >= 0)
                r = run_leave_transaction(run, e);
        return r < 0 ? r : run_follow_mode(run, s, e);
}

/* Behind the last statement: nothing may be open, and nothing recorded that the file no longer has. */
static int run_finish(Run *run, unsigned last, Error *e) {
        int r;

        if (!run->state->open && sql_in_transaction(run->sql)) {
                r = error_set(e, ERROR_FAILED, -EINVAL, "%s leaves a transaction open at its end",
                                run->m->path);
                return error_hint(e, r, "End it with COMMIT.");
        }
        if (run->n_known > 0 && run->known[run->n_known - 1].number > last)
                return error_set(e, ERROR_REFUSED, -EPERM,
                                "%s has lost statements that had run here: %u of them are left", run->m->path,
                                last);
        r = run_record_end(run);
        if (r >= 0 && run->dirty)
                r = run_flush(run, FLUSH_CLOSE, e);
        if (r >= 0 && run->tables_locked) {
                r = sql_exec(run->sql, e, "UNLOCK TABLES");
                run->tables_locked = false;
        }
        return r;
}

/* Cuts all of the file before any of it runs: an error at its end must not be found after its beginning ran. */
static int run_count(Run *run, Error *e) {
        Script s = run->script;
        int r;

        for (;;) {
                _cleanup_statement_ Statement statement = {0};

                r = script_foresee(&s, &statement, e);
                if (r > 0)
                        r = migration_check_placeholders(run->m, &statement, e) ?: 1;
                if (r <= 0)
                        return r;
                run->n_statements = statement.number;
        }
}

static int run_all(Run *run, Error *e) {
        unsigned last = 0;
        int r;

        for (;;) {
                _cleanup_statement_ Statement statement = {0};

                r = script_next(&run->script, &statement, e);
                if (r == 0)
                        return run_finish(run, last, e);
                if (r > 0)
                        r = run_statement(run, &statement, e);
                if (r < 0)
                        return r;
                last = statement.number;
        }
}

int runner_flush(const RunnerOptions *o, Error *e) {
        Run run = {.o = o, .sql = o->guard->sql, .database = o->guard->database, .state = o->state};
        int r;

        r = record_ended(o->state);
        if (r < 0 || (!o->state->open && backlog_is_empty(&o->state->backlog)))
                return r;
        return run_flush(&run, FLUSH_CLOSE, e);
}

/* Takes back what the file left open. */
static void run_roll_back(Run *run) {
        if (!run_is_inside(run))
                return;
        backlog_drop(&run->state->backlog); /* it tells of what is taken back */
        (void) sql_exec(run->sql, NULL, "ROLLBACK");
}

int runner_run(const RunnerOptions *o, const Migration *m, bool known, bool *ret_dirty, Error *e) {
        _cleanup_(run_clear) Run run = {
                        .o = o,
                        .sql = o->guard->sql,
                        .database = o->guard->database,
                        .m = m,
                        .state = o->state,
                        .started_usec = clock_monotonic(),
                        .script = script_init(m->path, m->text, m->size, m->first_line, o->guard->mode),
        };
        int r;

        run.announced = run_is_announced(o->state, m);
        r = run_count(&run, e);
        if (r >= 0 && known)
                r = records_read_statements(run.sql, run.database, m->version, &run.known, &run.n_known, e);
        if (r >= 0 && run.n_known == 0 && !run.announced)
                r = backlog_begin(&o->state->backlog, m);
        if (r < 0)
                return r;
        run_report(&run, 0, false, 0);
        r = run_all(&run, e);
        if (r < 0 && r != -ECONNRESET && r != -ETIMEDOUT && r != -ECANCELED && r != -EAGAIN) {
                run_roll_back(&run);
                (void) run_record_late(&run); /* what is not written will be settled by looking */
        }
        *ret_dirty = run.dirty || r < 0;
        return r;
}
