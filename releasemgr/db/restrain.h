#pragma once

/* Asking for an algorithm in the statement itself: for servers that have no session variable for it (MySQL, and MariaDB
 * from 11.5 on). No I/O. */

#include "db/lexer.h"

/* ALTER TABLE or CREATE INDEX, with ALGORITHM=@algorithm in it and, but for INSTANT, which admits no other,
 * LOCK=NONE. What the statement says by itself comes behind it, and counts more. DROP INDEX stays as it
 * is: it blocks nobody, and MariaDB takes no such words in it. Owned by the caller; NULL when memory ran
 * out. */
char *statement_restrain(const char *text, size_t size, SqlMode mode, const char *algorithm);
