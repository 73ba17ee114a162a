#pragma once

/* What the files of db/sql share. */

#include <mysql.h>

#include "db/sql.h"

/* Keeps the rows that the library has buffered, by number. Takes @res over, whatever it returns. 0 or -ENOMEM. */
int sql_result_new(MYSQL_RES *res, SqlResult **ret);

/* Overwrites, frees and clears a secret. */
void sql_erase(char **secret);
