#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/text.h"
#include "db/guard.h"
#include "trust/digest.h"

#define RETRY_USEC     (250 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (2 * USEC_PER_SEC)
#define PAUSE_MIN_USEC (200 * USEC_PER_MSEC)
#define PAUSE_MAX_USEC (1200 * USEC_PER_MSEC)
#define LOCK_NAME_MAX  64 /* of GET_LOCK() */

/* How long an ALTER may wait for the lock of a table, while all who come after it wait behind it. In seconds. */
#define TABLE_LOCK_SECONDS 1

void guard_close(Guard *g) {
        g->sql = sql_close(g->sql);
        free(g->database);
        free(g->lock);
        *g = (Guard){0};
}

/* "releasemgr:shop"; databases with long names are told apart by a digest. */
static char *lock_name(const char *database) {
        _cleanup_free_ char *name = text_format("releasemgr:%s", database);
        char digest[DIGEST_TEXT_MAX];
        Digest d;

        if (!name)
                return NULL;
        if (strlen(name) <= LOCK_NAME_MAX)
                return sql_quote(name, strlen(name));
        if (digest_of(name, strlen(name), &d) < 0)
                return NULL;
        return sql_quote(digest_to_text(&d, digest), LOCK_NAME_MAX);
}

static int refuse_proxy(Error *e) {
        int r = error_set(e, ERROR_REFUSED, -EPERM,
                        "the connection to the database goes through a proxy that shares sessions, so that a "
                        "lock "
                        "would not be ours");

        return error_hint(e, r, "Let [Database] name the server itself, not the proxy.");
}

static int refuse_galera(Error *e) {
        int r = error_set(e, ERROR_REFUSED, -EPERM,
                        "the database is a node of a Galera cluster, where a lock holds on one node only");

        return error_hint(e, r,
                        "Run migrations with a tool that knows the cluster; releasemgr cannot do it safely.");
}

static int refuse_read_only(Error *e) {
        int r = error_set(e, ERROR_REFUSED, -EROFS, "the database server is read-only");

        return error_hint(e, r,
                        "It is a replica, or a primary that failed over: let [Database] name the primary.");
}

/* Migrations are written for a server that commits each statement, as it does by default. */
static int guard_set_up(Guard *g, Error *e) {
        return sql_exec(g->sql, e, "SET SESSION lock_wait_timeout = %d, autocommit = 1", TABLE_LOCK_SECONDS);
}

/* Looks what kind of server this is and sets the session up. */
static int guard_probe(Guard *g, GuardNeed need, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        g->mariadb = sql_is_mariadb(g->sql);
        /* @@wsrep_on would be an error where the server was built without Galera */
        r = sql_select(g->sql, &rows, e,
                        "SELECT CONNECTION_ID(), @@read_only OR @@innodb_read_only, %s, @@SESSION.sql_mode, "
                        "@@default_storage_engine = 'InnoDB' AND COALESCE(%s, 'InnoDB') = 'InnoDB'",
                        g->mariadb ? "(SELECT COUNT(*) FROM information_schema.SESSION_VARIABLES WHERE "
                                     "VARIABLE_NAME = 'wsrep_on' AND VARIABLE_VALUE = 'ON')"
                                   : "0",
                        g->mariadb ? "@@enforce_storage_engine" : "NULL");
        if (r < 0)
                return r;
        g->mode = sql_mode_parse(sql_result_get(rows, 0, 3) ?: "", sql_result_size(rows, 0, 3));
        g->innodb = sql_result_u64(rows, 0, 4);
        if (need == GUARD_READ)
                return 0;
        if (sql_result_u64(rows, 0, 0) != sql_thread_id(g->sql))
                return refuse_proxy(e);
        if (sql_result_u64(rows, 0, 2))
                return refuse_galera(e);
        if (sql_result_u64(rows, 0, 1))
                return refuse_read_only(e);
        return guard_set_up(g, e);
}

static int guard_try(const SqlOptions *options, GuardNeed need, Guard *ret, Error *e) {
        _cleanup_guard_ Guard g = {0};
        int r;

        if (isempty(options->database))
                return error_set(e, ERROR_USAGE, -EINVAL, "no database is configured");
        g.database = sql_quote_name(options->database);
        g.lock = lock_name(options->database);
        if (!g.database || !g.lock)
                return -ENOMEM;
        r = sql_open(options, &g.sql, e);
        if (r >= 0)
                r = guard_probe(&g, need, e);
        if (r < 0)
                return r;
        *ret = TAKE(g);
        return 0;
}

static bool is_worth_waiting(GuardNeed need, int r) {
        return r == -ECONNRESET || r == -ETIMEDOUT || (r == -EROFS && need == GUARD_WRITE_AGAIN);
}

int guard_open(const SqlOptions *options, GuardNeed need, uint64_t deadline, GuardWaiting waiting,
                void *userdata, Guard *ret, Error *e) {
        _cleanup_free_ char *said = NULL; /* what is waited for is told once */
        uint64_t pause = RETRY_USEC;

        for (;;) {
                _cleanup_error_ Error here = ERROR_INIT;
                int r;

                r = guard_try(options, need, ret, &here);
                if (r >= 0)
                        return r;
                if (!is_worth_waiting(need, r) || clock_monotonic() + pause >= deadline) {
                        error_move(e, &here);
                        return r;
                }
                if (waiting && (!said || !streq(said, error_message(&here, r))))
                        waiting(error_message(&here, r), userdata);
                free(said);
                said = strdup(error_message(&here, r));
                r = fiber_sleep(pause);
                if (r < 0)
                        return r;
                pause = MIN_OF(2 * pause, RETRY_MAX_USEC);
        }
}

/* Hands on what was made for people: NULL where memory ran out. */
static int tell(char *text, char **ret) {
        *ret = text;
        return text ? 0 : -ENOMEM;
}

#define ANOTHER "another session holds the lock of the database"

int guard_lock_holder(const Guard *g, char **ret) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        *ret = NULL;
        r = sql_select(g->sql, &rows, NULL,
                        "SELECT used.id, user, host FROM (SELECT IS_USED_LOCK(%s) AS id) used LEFT JOIN "
                        "information_schema.PROCESSLIST p ON p.id = used.id WHERE used.id IS NOT NULL",
                        g->lock);
        if (r == -ECANCELED)
                return r;
        if (r < 0 || sql_result_rows(rows) == 0)
                return 0;
        if (!sql_result_get(rows, 0, 1))
                return tell(strdup(ANOTHER), ret);
        return tell(text_format("connection %s (%s from %s) holds the lock of the database",
                                    sql_result_get(rows, 0, 0), sql_result_get(rows, 0, 1),
                                    sql_result_get(rows, 0, 2)),
                        ret);
}

int guard_lock(Guard *g, uint64_t deadline, GuardWaiting waiting, void *userdata, Error *e) {
        for (unsigned seconds = 0;; seconds = 1) {
                _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
                _cleanup_free_ char *holder = NULL;
                int r;

                r = sql_select(g->sql, &rows, e, "SELECT GET_LOCK(%s, %u)", g->lock, seconds);
                if (r < 0)
                        return r;
                if (sql_result_u64(rows, 0, 0) == 1) {
                        g->locked = true;
                        return 0;
                }
                r = guard_lock_holder(g, &holder);
                if (r < 0)
                        return r;
                if (clock_monotonic() >= deadline) {
                        r = error_set(e, ERROR_LOCKED, -EBUSY, "%s", holder ?: ANOTHER);
                        return error_hint(e, r, "Another runner is at work; wait for it to end.");
                }
                if (waiting)
                        waiting(holder ?: ANOTHER, userdata);
        }
}

/* LOCK TABLES and FLUSH TABLES WITH READ LOCK need no transaction, and the server does not tell who holds them: most often it
 * is a session that does nothing else. */
static int idle_sessions(const Guard *g, char **ret) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = sql_select(g->sql, &rows, NULL,
                        "SELECT id, user, host, time FROM information_schema.PROCESSLIST WHERE command = "
                        "'Sleep' AND id <> CONNECTION_ID() ORDER BY time DESC, id LIMIT 3");
        if (r == -ECANCELED)
                return r;
        if (r < 0 || sql_result_rows(rows) == 0)
                return tell(strdup("blocked by a session that holds a lock on the table"), ret);
        r = text_adds(&t,
                        "blocked by a session that holds a lock on the table, perhaps one of those that are "
                        "idle: ");
        for (size_t i = 0; r >= 0 && i < sql_result_rows(rows); i++)
                r = text_addf(&t, "%sconnection %s (%s from %s, for %s s)", i > 0 ? ", " : "",
                                sql_result_get(rows, i, 0), sql_result_get(rows, i, 1),
                                sql_result_get(rows, i, 2), sql_result_get(rows, i, 3));
        return r < 0 ? r : tell(text_take(&t), ret);
}

int guard_blockers(const Guard *g, char **ret) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = sql_select(g->sql, &rows, NULL,
                        "SELECT p.id, p.user, p.host, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), p.command "
                        "FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p "
                        "ON p.id = t.trx_mysql_thread_id WHERE p.id <> CONNECTION_ID() ORDER BY "
                        "t.trx_started LIMIT 3");
        if (r == -ECANCELED)
                return r;
        if (r == -EREMOTEIO)
                return tell(strdup("blocked; the right PROCESS is needed to see by whom"), ret);
        if (r < 0 || sql_result_rows(rows) == 0)
                return idle_sessions(g, ret);
        r = text_adds(&t, "blocked, the oldest open transactions are: ");
        for (size_t i = 0; r >= 0 && i < sql_result_rows(rows); i++)
                r = text_addf(&t, "%sconnection %s (%s from %s, open for %s s, %s)", i > 0 ? ", " : "",
                                sql_result_get(rows, i, 0), sql_result_get(rows, i, 1),
                                sql_result_get(rows, i, 2), sql_result_get(rows, i, 3),
                                sql_result_get(rows, i, 4));
        return r < 0 ? r : tell(text_take(&t), ret);
}

uint64_t guard_pause(void) {
        uint64_t jitter = 0;

        if (getrandom(&jitter, sizeof(jitter), 0) < 0)
                jitter = 0;
        return PAUSE_MIN_USEC + jitter % (PAUSE_MAX_USEC - PAUSE_MIN_USEC);
}

int guard_keep_books(Guard *g, Error *e) {
        return sql_exec(g->sql, e, "SET SESSION sql_safe_updates = 0");
}

int guard_renew(Guard *g, Error *e) {
        int r;

        g->locked = false;
        r = sql_reset(g->sql, e);
        return r < 0 ? r : guard_set_up(g, e);
}
