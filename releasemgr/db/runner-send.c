#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "db/fingerprint.h"
#include "db/runner-internal.h"

/* What our own checks signal. */
#define LOCK_LOST   51111
#define TABLE_THERE 51112

static int lock_was_lost(Error *e) {
        return error_set(e, ERROR_FAILED, -ECONNRESET, "the lock of the database was lost");
}

/* How the transaction is begun and ended: to begin one as usual would give LOCK TABLES up. */
static const char *begin(const Run *run, Flush how) {
        return how == FLUSH_INSIDE || run->state->open ? "" : "SET autocommit = 0;";
}

static const char *end(Flush how) {
        switch (how) {
        case FLUSH_CLOSE:
                return "COMMIT; SET autocommit = 1;";
        case FLUSH_OPEN:
        case FLUSH_APART:
                return "COMMIT;";
        default:
                return "";
        }
}

static int add_flush(const Run *run, Flush how, const char *records, Text *t) {
        return text_addf(t,
                        "IF NOT (IS_USED_LOCK(%s) <=> CONNECTION_ID()) THEN SIGNAL SQLSTATE '45000' SET "
                        "MYSQL_ERRNO = %d; END IF; %s %s %s ",
                        run->o->guard->lock, LOCK_LOST, begin(run, how), records, end(how));
}

/* One write, one round trip: MariaDB takes a block of statements where multi-statement mode would be needed. It stops at the
 * first that fails. */
static int flush_block(Run *run, Flush how, const char *records, Error *e) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = text_adds(&t, "BEGIN NOT ATOMIC ");
        if (r >= 0)
                r = add_flush(run, how, records, &t);
        if (r >= 0)
                r = text_adds(&t, "END");
        if (r >= 0)
                r = sql_query(run->sql, t.data, t.size, USEC_PER_SEC * 60, NULL, e);
        if (r == -EREMOTEIO && sql_errno(run->sql) == LOCK_LOST)
                return lock_was_lost(e);
        return r;
}

/* Some statements of ours, one by one. */
static int send_singly(Run *run, const char *text, Error *e) {
        Script s = script_init("record", text, strlen(text), 1, (SqlMode){0});
        int r;

        for (;;) {
                _cleanup_statement_ Statement statement = {0};

                r = script_next(&s, &statement, e);
                if (r > 0)
                        r = sql_query(run->sql, statement.text, statement.size, USEC_PER_SEC * 60, NULL, e);
                else
                        return r;
                if (r < 0)
                        return r;
        }
}

/* The same where blocks are not known, or are written differently (sql_mode=ORACLE). */
static int flush_singly(Run *run, Flush how, const char *records, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        r = sql_select(run->sql, &rows, e, "SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", run->o->guard->lock);
        if (r >= 0 && sql_result_u64(rows, 0, 0) != 1)
                return lock_was_lost(e);
        if (r >= 0)
                r = send_singly(run, begin(run, how), e);
        if (r >= 0)
                r = send_singly(run, records, e);
        return r < 0 ? r : send_singly(run, end(how), e);
}

/* What holds once the backlog was written, or could not be. */
static int end_flush(Run *run, Flush how, int r, Error *e) {
        RunnerState *s = run->state;

        if (r == -EREMOTEIO && sql_is_blocked(run->sql))
                r = -EAGAIN; /* all of the session goes, and with it what it has changed */
        s->open = r >= 0 && how == FLUSH_OPEN;
        s->transacted = false;
        s->n_data = 0;
        if (r == -EREMOTEIO && how != FLUSH_INSIDE)
                (void) send_singly(run, "ROLLBACK; SET autocommit = 1", NULL);
        if (r < 0) {
                backlog_drop(&s->backlog);
                backlog_drop(&s->ended);
                return error_prefix(e, r, "cannot record the migration: ");
        }
        backlog_written(&s->backlog);
        return 0;
}

bool run_takes_blocks(const Run *run) {
        const Guard *g = run->o->guard;

        return g->mariadb && !g->mode.oracle && !run->state->oracle;
}

int run_flush(Run *run, Flush how, Error *e) {
        _cleanup_text_ Text records = TEXT_INIT;
        int r;

        r = backlog_render(&run->state->backlog, run->o->guard->database, &records);
        if (r < 0)
                return r;
        r = (run_takes_blocks(run) ? flush_block : flush_singly)(run, how, records.data ?: "", e);
        return end_flush(run, how, r, e);
}

/* How far a block came is told by a variable of the session, four times the block's number and: it committed the backlog, the
 * statement took effect. One that did not get there has the number of an earlier one. */
#define CAME_TO "@releasemgr_came_to"

enum {
        CAME_NOWHERE,
        CAME_TO_COMMIT,
        CAME_TO_EFFECT
};

/* The block: looks that the tables @absent are not there, writes the backlog, and then does what @w says. */
static int add_joined(Run *run, const Work *w, const char *absent, const char *look, Text *t) {
        _cleanup_free_ char *statement = sql_quote(w->statement->text, w->statement->size);
        unsigned block = ++run->state->n_blocks;
        _cleanup_text_ Text records = TEXT_INIT;
        int r;

        if (!statement)
                return -ENOMEM;
        r = backlog_render(&run->state->backlog, run->o->guard->database, &records);
        if (r >= 0)
                r = text_adds(t, "BEGIN NOT ATOMIC ");
        if (r >= 0 && absent)
                r = text_addf(t,
                                "IF EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = "
                                "DATABASE() AND TABLE_NAME IN (%s)) THEN SIGNAL SQLSTATE '45000' SET "
                                "MYSQL_ERRNO = %d; END IF; ",
                                absent, TABLE_THERE);
        if (r >= 0)
                r = add_flush(run, FLUSH_OPEN, records.data ?: "", t);
        if (r >= 0)
                r = text_addf(t, "SET " CAME_TO " = %u; EXECUTE IMMEDIATE %s; ", 4 * block + CAME_TO_COMMIT,
                                statement);
        if (r >= 0 && look)
                r = text_addf(t, "SET " CAME_TO " = %u; SHOW CREATE TABLE %s; ", 4 * block + CAME_TO_EFFECT,
                                look);
        return r < 0 ? r : text_adds(t, "END");
}

/* What came of a block that ended with an error. */
static int came_to(Run *run) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        const char *value;
        int r;

        r = sql_exec(run->sql, NULL, "ROLLBACK");
        if (r >= 0)
                r = sql_select(run->sql, &rows, NULL,
                                "SELECT IF(" CAME_TO " DIV 4 = %u, " CAME_TO " MOD 4, %d)",
                                run->state->n_blocks, CAME_NOWHERE);
        if (r < 0)
                return r;
        value = sql_result_get(rows, 0, 0);
        return value ? *value - '0' : CAME_NOWHERE;
}

int run_flush_and_send(
                Run *run, const Work *w, const char *absent, const char *look, SqlResult **ret, Error *e) {
        _cleanup_text_ Text t = TEXT_INIT;
        bool blocked;
        int r, came;

        r = add_joined(run, w, absent, look, &t);
        if (r < 0)
                return r;
        r = sql_query(run->sql, t.data, t.size, USEC_INFINITY, ret, e);
        if (r != -EREMOTEIO)
                return end_flush(run, FLUSH_OPEN, r, e);
        if (sql_errno(run->sql) == TABLE_THERE)
                return -EEXIST;
        if (sql_errno(run->sql) == LOCK_LOST)
                return end_flush(run, FLUSH_OPEN, lock_was_lost(e), e);
        blocked = sql_is_blocked(run->sql);
        came = came_to(run);
        if (came <= CAME_NOWHERE) {
                r = end_flush(run, FLUSH_OPEN, came < 0 ? came : blocked ? -EAGAIN : -EREMOTEIO, e);
                return r == -EREMOTEIO ? -EIO : r;
        }
        (void) end_flush(run, FLUSH_OPEN, 0, NULL);
        if (came == CAME_TO_EFFECT) { /* and only the look at it failed */
                if (e)
                        error_clear(e);
                return 0;
        }
        return blocked ? -EBUSY : r; /* the statement was refused */
}

int run_close(Run *run, Error *e) {
        return run->state->open ? run_flush(run, FLUSH_CLOSE, e) : 0;
}

int run_send(Run *run, const Work *w, Error *e) {
        return sql_query(run->sql, w->statement->text, w->statement->size, USEC_INFINITY, NULL, e);
}

int run_send_inside(Run *run, const Work *w, Error *e) {
        int r = run_send(run, w, e);

        return r == -EREMOTEIO && sql_is_blocked(run->sql) ? -EAGAIN : r;
}

int run_wait_for_lock(Run *run, const Work *w, uint64_t deadline, Error *e) {
        _cleanup_free_ char *blockers = NULL;
        uint64_t pause = guard_pause();
        int r;

        r = guard_blockers(run->o->guard, &blockers);
        if (r < 0)
                return r;
        if (clock_monotonic() + pause >= deadline) {
                r = error_set(e, ERROR_FAILED, -EBUSY,
                                "%s:%u: statement %u could not get its locks in time: %s", run->m->path,
                                w->statement->line, w->statement->number, blockers);
                return error_hint(e, r, "End the transaction that blocks, or try again later.");
        }
        if (run->o->progress) {
                MigratorProgress p = {
                                .migration = run->m,
                                .statement = w->statement->number,
                                .n_statements = run->n_statements,
                                .waiting = blockers,
                };

                run->o->progress(&p, run->o->userdata);
        }
        return fiber_sleep(pause);
}
