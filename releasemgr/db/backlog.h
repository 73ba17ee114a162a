#pragma once

/*
 * Records that are still to be written
 *
 * A record costs a question to the server and a commit; so those of several statements are gathered here, and written
 * together: rows of the two tables, each with its REPLACE. What makes that safe stands in db/runner.h. No I/O.
 */

#include "base/text.h"
#include "db/records.h"

typedef struct Backlog {
        /* Of all rows to come. */
        unsigned batch;
        const char *deployment; /* borrowed; may be NULL */

        Text migrations, statements; /* rows */
        Text gone;                   /* statements that take records back */
        const Migration *begun;      /* a migration whose row is still to be made; borrowed */
        unsigned n_finished;         /* migrations, in the rows at hand */
        unsigned n_written;          /* migrations that were finished, and written */
} Backlog;

/* How far it was filled. */
typedef struct BacklogMark {
        size_t migrations, statements;
} BacklogMark;

/* A migration begins, or is announced: its row comes before those of its statements. */
int backlog_begin(Backlog *b, const Migration *m);
int backlog_announce(Backlog *b, const Migration *m);
int backlog_finish(Backlog *b, const Migration *m, uint64_t took_usec);

/* @made: the table that it makes, or NULL. */
int backlog_statement(Backlog *b, const char *version, const StatementRecord *r, const char *made);

/* A statement that was refused has no record. */
int backlog_gone(Backlog *b, const char *database, const char *version, unsigned number);

bool backlog_is_empty(const Backlog *b);

/* How much it would be to write, in bytes. */
size_t backlog_size(const Backlog *b);

/* Makes the row of the migration that has begun, if that is still to be made. */
int backlog_settle(Backlog *b);

/* Adds the statements that write it to @t, with a semicolon each. */
int backlog_render(Backlog *b, const char *database, Text *t);

/* Adds the rows of @from to those of @to; it must be settled. Where that turns out to have been too early, backlog_cut() takes
 * out again what was added behind @mark. */
int backlog_append(Backlog *to, const Backlog *from);
BacklogMark backlog_mark(const Backlog *b);
void backlog_cut(Backlog *b, BacklogMark mark);

/* Forgets what was rendered: it is written, or shall not be. */
void backlog_written(Backlog *b);
void backlog_drop(Backlog *b);
