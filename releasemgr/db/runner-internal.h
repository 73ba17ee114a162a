#pragma once

/* What the files of db/runner share. */

#include "db/runner.h"
#include "db/script.h"

typedef struct Run {
        const RunnerOptions *o;
        Sql *sql;
        const char *database; /* in back quotes */
        const Migration *m;
        Script script;
        StatementRecord *known; /* from earlier runs, by number */
        size_t n_known;
        RunnerState *state;
        Backlog inside;   /* records of the file's own transaction, which a ROLLBACK takes with it */
        Backlog late;     /* records that are needed before something else than data is changed */
        char **temporary; /* names of temporary tables */
        uint64_t started_usec;
        unsigned n_statements;
        bool announced; /* its row is there already */
        bool dirty;
        bool tables_locked;
} Run;

/* One statement on its way. */
typedef struct Work {
        const Statement *statement;
        Judgement j;
        StatementRecord record; /* what is to be written; its strings are owned */
        bool restrained;        /* must neither copy the table nor block writers */

        /* Of one that changes the schema: */
        bool announced;     /* it makes a table, which was not there when its record was made */
        bool due;           /* that it starts is in the backlog, and to be written before it is sent */
        bool joined;        /* ... in the same question */
        char *absent;       /* ... which is to look first that these tables are not there; quoted; owned */
        BacklogMark mark;   /* what was in the backlog before */
        size_t n_announced; /* ... and in RunnerState.announced */
} Work;

typedef enum Flush {
        FLUSH_CLOSE,  /* commits it; autocommit is on afterwards */
        FLUSH_OPEN,   /* commits it; what comes next waits for the next flush */
        FLUSH_INSIDE, /* in the file's own transaction */
        FLUSH_APART,  /* commits it before one, where the file has autocommit off */
} Flush;

/* Writes the backlog, after seeing that the lock is ours. When that fails it is dropped: what it tells of is gone, too, or
 * will be settled by looking. */
int run_flush(Run *run, Flush how, Error *e);

/* The same (FLUSH_OPEN) and, in the same question, the statement of @w, whose start is in the backlog; with @look, the name
 * of a table in back quotes, @ret is what SHOW CREATE TABLE says of it afterwards. -EEXIST: nothing was done, for one of
 * the tables @absent is there. -EREMOTEIO: the statement was refused; -EBUSY: because of a lock that somebody else
 * holds. */
int run_flush_and_send(
                Run *run, const Work *w, const char *absent, const char *look, SqlResult **ret, Error *e);

/* Commits statements of data that wait for their records, if any, so that the file's own statements find the session
 * as the file left it. */
int run_close(Run *run, Error *e);

/* Whether the file itself decides when is committed. */
static inline bool run_is_inside(const Run *run) {
        return !run->state->open && (sql_in_transaction(run->sql) || !sql_autocommits(run->sql));
}

/* Adds a record to the backlog; and those that waited. */
int run_record(Run *run, Work *w, bool done);
int run_record_late(Run *run);

/* Whether statements of the migration were announced, and with them that it runs. */
bool run_is_announced(const RunnerState *s, const Migration *m);

/* Runs a statement of data in a transaction with its record. */
int run_data(Run *run, Work *w, Error *e);

/* Adds to the backlog that the statement starts (w->due says whether that has to be written first), and with it, where it
 * makes a table, those after it that do the same; and takes that back where one of w->absent is there. */
int run_announce(Run *run, Work *w, Error *e);
int run_announce_otherwise(Run *run, Work *w, Error *e);

/* Whether the next statement that changes the schema alters the table that @w makes or alters: 1 or 0. */
int run_wants_look(Run *run, const Work *w);

/* How that table looks now, from the answer to SHOW CREATE TABLE; for the statement that comes next, unless that is known to
 * change more. */
int run_remember_look(Run *run, const Work *w, const SqlResult *answer);
void run_forget_look(Run *run);

/* Makes the SET for w->record that gives a new session what @w left in this one: the user's variables that it assigned, and
 * the id that it made. */
int run_keep_variables(Run *run, Work *w, uint64_t insert_id, Error *e);

/* Before the statement that made or changed something is run: what is known of its tables may no longer hold. */
void run_forget_safe(Run *run, const Work *w);

/* Afterwards: a table that it made needs no question about its engine where the text tells. */
int run_learn_safe(Run *run, const Work *w);

/* Runs a statement and records it. */
int run_work(Run *run, Work *w, Error *e);

/* The same for a statement of class CLASS_SESSION; @replay: it is recorded already. */
int run_session(Run *run, Work *w, bool replay, Error *e);

/* Announces a statement that changes the schema and sends it, as gently as is asked for; waits for locks and tries again. */
int run_schema(Run *run, Work *w, Error *e);

/* Sends a statement that happens as a whole or not at all; waits for locks and tries again. */
int run_insist(Run *run, Work *w, Error *e);

/* Whether the server takes a compound statement as we write it. */
bool run_takes_blocks(const Run *run);

/* Sends any other statement, as it is. */
int run_send(Run *run, const Work *w, Error *e);

/* The same where the file itself decides when is committed. -EAGAIN where somebody else holds a lock: the server may have
 * rolled all of the transaction back. */
int run_send_inside(Run *run, const Work *w, Error *e);

/* Says who may hold it, and sleeps a while. -EBUSY with the Error set where @deadline has passed. */
int run_wait_for_lock(Run *run, const Work *w, uint64_t deadline, Error *e);

/* Refuses what the release before would not survive, and what would stall production for sure; decides whether the
 * statement is restrained. */
int run_gate(Run *run, Work *w, Error *e);

/* Whether the table that @w alters can be rebuilt only while nobody writes, for it has an index that wants that: 1 or 0. Then
 * the Error stays as it is. */
int run_is_rebuilt_locked(Run *run, const Work *w, Error *e);

/* Whether a table that @w writes to knows no transactions: 1 or 0. */
int run_is_unsafe(Run *run, const Work *w, Error *e);

/* Adds where the statement stands to the message. */
int run_failed(Run *run, const Work *w, int r, Error *e);
