#pragma once

/*
 * One connection to MariaDB, on the one loop
 *
 * The library's non-blocking calls are awaited with fiber_await_fd(), so that these functions read as if they
 * blocked. Reconnecting and multi-statement mode are always off: a session is a session, and one call is one
 * statement. Resolving the name of the server and the TLS handshake are what the library does without giving the
 * processor back; resolv.conf and the connect timeout bound them.
 *
 * Errors, beside the usual:
 *   -EREMOTEIO   the server refused the statement; sql_errno() and sql_state() say why. The session lives on.
 *   -ECONNRESET  the connection is lost, or could not be had (or its server became read-only): whether the statement
 *                ran is not known. Only sql_close() is left to do.
 *   -EACCES      the server does not let this user in (wrong password, no right to the database).
 *   -EKEYREJECTED the server's certificate is not to be trusted, or it offers no TLS (class ERROR_UNTRUSTED).
 *   -ECANCELED, -ETIMEDOUT: as -ECONNRESET, since the answer will not be waited for.
 */

#include "base/error.h"

typedef struct Sql Sql;
typedef struct SqlResult SqlResult;

typedef enum SqlTls {
        SQL_TLS_VERIFY_FULL, /* encrypted; the certificate must be trusted and must name the host */
        SQL_TLS_OFF,
} SqlTls;

typedef struct SqlOptions {
        const char *host;   /* NULL: "localhost" */
        unsigned port;      /* 0: 3306 */
        const char *socket; /* the path of a unix socket, used instead of @host; TLS is not asked for on it */
        const char *user;
        const char *database;

        /* The password itself, or else who makes one for each connection (tokens that expire). The provider may
         * suspend; what it returns is owned by the caller and erased after use. */
        const char *password;
        int (*password_provider)(void *userdata, char **ret, Error *e);
        void *password_userdata;
        const char *login_hint; /* what to check where the server does not let us in; static; NULL: the configuration */

        SqlTls tls;
        const char *tls_ca;            /* a PEM bundle; NULL: the system's */
        uint64_t connect_timeout_usec; /* 0: 10 s */
} SqlOptions;

/* A copy with strings of its own, and its end (which erases the password). */
int sql_options_copy(const SqlOptions *from, SqlOptions *ret);
void sql_options_clear(SqlOptions *o);

/* "shop at db.example.com:3306": which database that is. Owned by the caller; NULL when memory ran out. */
char *sql_options_name(const SqlOptions *o);

/* Connects and logs in. Suspends. */
int sql_open(const SqlOptions *options, Sql **ret, Error *e);

/* Closes without waiting for the server. Returns NULL. */
Sql *sql_close(Sql *s);

DEFINE_CLEANUP(Sql, sql_close);

/* Runs one statement of @size bytes and reads all that it answers; a CALL may answer with several results, of which
 * the first that has rows is returned. @ret may be NULL; it is NULL where there were no rows. Suspends, @timeout_usec at
 * most (USEC_INFINITY: for ever). */
int sql_query(Sql *s, const char *statement, size_t size, uint64_t timeout_usec, SqlResult **ret, Error *e);

/* As above for a statement of ours, made as printf does, which has a minute. -EAGAIN where sql_is_blocked(). */
int sql_exec(Sql *s, Error *e, const char *format, ...) _printf_(3, 4);
int sql_select(Sql *s, SqlResult **ret, Error *e, const char *format, ...) _printf_(4, 5);

/* Makes the session as new, as if it had just logged in. Suspends. */
int sql_reset(Sql *s, Error *e);

/* What the server said to the last statement: 0 and "00000" where it was content. */
unsigned sql_errno(const Sql *s);
const char *sql_state(const Sql *s);

/* Whether the server refused the last statement because of a lock that somebody else holds. */
bool sql_is_blocked(const Sql *s);

uint64_t sql_affected_rows(const Sql *s);
uint64_t sql_insert_id(const Sql *s); /* 0 where the statement made none */
unsigned sql_warnings(const Sql *s);
uint64_t sql_thread_id(const Sql *s);

/* As the server's last answer said: the settings of the session that concern us. */
bool sql_in_transaction(const Sql *s);
bool sql_autocommits(const Sql *s);

bool sql_is_mariadb(const Sql *s);
unsigned sql_server_version(const Sql *s); /* 101119 is 10.11.19 */

/* @value as a literal in quotes (or NULL), for statements of ours, which run with backslashes escaping or not alike:
 * it is hexadecimal where it is not plain ASCII. Owned by the caller; NULL when memory ran out. */
char *sql_quote(const char *value, size_t size);

/* `name`, with back quotes doubled. */
char *sql_quote_name(const char *name);

size_t sql_result_rows(const SqlResult *r);
unsigned sql_result_columns(const SqlResult *r);

/* The value as text, NULL for SQL's NULL or where there is no such row or column. Borrowed. */
const char *sql_result_get(const SqlResult *r, size_t row, unsigned column);
size_t sql_result_size(const SqlResult *r, size_t row, unsigned column);

/* The value as a number, 0 where it is NULL or none. */
uint64_t sql_result_u64(const SqlResult *r, size_t row, unsigned column);

/* Whether the column holds numbers (so that its values need no quotes). */
bool sql_result_is_number(const SqlResult *r, unsigned column);

SqlResult *sql_result_free(SqlResult *r);

DEFINE_CLEANUP(SqlResult, sql_result_free);
