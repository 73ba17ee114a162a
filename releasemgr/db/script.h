#pragma once

/*
 * Splitting a file of SQL into statements. No I/O.
 *
 * What the server gets is what the `mariadb` client would send, so that what a migration leaves in the dictionary (the
 * body of a procedure) is the same: without comments, but with executed comments and optimizer hints; without the
 * delimiter. Beyond the client, a ';' inside the body of a procedure, function, trigger, event or other compound
 * statement ends nothing, so DELIMITER is understood but not needed.
 *
 * Since sql_mode decides where a quote ends and a statement may change it, the statements are handed out one by
 * one and the mode may be set between them. Left alone, the script follows SET sql_mode by itself where the new mode is
 * written out, and is unsure from then on where it is not. It follows SET NAMES.
 *
 * Comments that begin with "releasemgr:" mark the statement that follows, or all of the file where they stand before its
 * first statement:
 *
 *   -- releasemgr: allow-copy [max-rows=N]   it may copy the table or block writers
 *   -- releasemgr: idempotent                it may be run again where nobody knows whether it ran
 *   -- releasemgr: destructive               it may stand in expand although it destroys something
 *   -- releasemgr: verbatim                  what looks like a placeholder of Flyway in it is none
 */

#include "base/error.h"
#include "db/lexer.h"

typedef struct Marks {
        bool allow_copy;
        uint64_t max_rows; /* of allow-copy; UINT64_MAX: no limit */
        bool idempotent;
        bool destructive;
        bool verbatim;
} Marks;

typedef struct Statement {
        char *text; /* as it is sent; owned; NUL-terminated */
        size_t size;
        unsigned number; /* from 1 */
        unsigned line;   /* of its first word, in the file */
        unsigned column; /* in bytes, from 1 */
        Marks marks;
} Statement;

void statement_clear(Statement *s);

#define _cleanup_statement_ _cleanup_(statement_clear)

#define SCRIPT_DELIMITER_MAX 32

typedef struct Script {
        const char *name; /* for messages; borrowed */
        const char *begin, *p, *end;
        const char *line_start;
        const char *counted; /* lines are counted up to here */
        unsigned line;
        unsigned number; /* of the statement that was handed out last */
        SqlMode mode;    /* may be set between statements */
        SqlMode first_mode;
        bool unsure; /* sql_mode was set to what only the server can tell: what follows may be cut wrongly */
        char delimiter[SCRIPT_DELIMITER_MAX];
        Marks file_marks;
} Script;

/* @text is borrowed and begins with line @first_line of the file @name. A byte order mark is passed over. */
Script script_init(const char *name, const char *text, size_t size, unsigned first_line, SqlMode mode);

/* Hands out the next statement into @ret, which must be empty: 1, or 0 behind the last. -EINVAL (with file, line and
 * column) for a quote, comment or block without an end, for a command of the client (which is refused, never run),
 * for a malformed DELIMITER or mark; -ENOMEM. */
int script_next(Script *s, Statement *ret, Error *e);

/* The same for who looks ahead without running anything: 0 as well where a script that is unsure cannot be read on. */
int script_foresee(Script *s, Statement *ret, Error *e);
