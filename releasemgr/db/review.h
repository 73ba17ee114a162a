#pragma once

/*
 * What a migration's text says of its statements, beyond each by itself. No I/O.
 */

#include "db/judge.h"
#include "db/migration.h"
#include "db/script.h"

/* Whether a statement of @m that was judged takes away what the release before may use: 1 or 0, -ENOMEM. A view, routine,
 * trigger or event that the same file makes is not missed: it is replaced, or was but a helper. @mode: of the session when
 * the file begins. */
int migration_takes_away(const Migration *m, const Judgement *j, SqlMode mode);

/* Refuses (-EINVAL) a statement in a file named as Flyway has it that holds a placeholder, "${name}": Flyway puts a value
 * there, and we know of none. */
int migration_check_placeholders(const Migration *m, const Statement *s, Error *e);
