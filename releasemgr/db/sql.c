#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/text.h"
#include "db/sql-internal.h"

#define CONNECT_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define OWN_TIMEOUT_USEC     (60 * USEC_PER_SEC)
#define SYSTEM_CA            "/etc/ssl/certs/ca-certificates.crt"

/* What a server may ask us to prove ourselves with. Never the password in clear text on a line that others can read. */
#define AUTH_PLUGINS      "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password"
#define AUTH_PLUGINS_SAFE AUTH_PLUGINS ",mysql_clear_password"

struct Sql {
        MYSQL *mysql;
        int given_up; /* why the call in progress is not waited for any longer; 0: it is */
        bool lost;
        bool opened;
};

/* Waits for what the library wants (MYSQL_WAIT_*) and returns what came. Once the wait was given up (cancelled, or
 * @deadline is past) the socket is dead and every wait of the library ends at once, so it unwinds by itself. */
static int sql_wait(Sql *s, int wanted, uint64_t deadline) {
        uint64_t now = clock_monotonic(), timeout = USEC_INFINITY;
        uint32_t events = (wanted & MYSQL_WAIT_READ ? EPOLLIN : 0) |
                          (wanted & MYSQL_WAIT_WRITE ? EPOLLOUT : 0) |
                          (wanted & MYSQL_WAIT_EXCEPT ? EPOLLPRI : 0);
        int r, got = 0;

        if (!s->given_up && deadline != USEC_INFINITY) {
                timeout = deadline > now ? deadline - now : 0;
                if (timeout == 0)
                        s->given_up = -ETIMEDOUT;
        }
        if (!s->given_up) {
                r = fiber_await_fd(mysql_get_socket(s->mysql), events, timeout);
                if (r >= 0) {
                        bool broken = r & (EPOLLHUP | EPOLLERR);

                        if (r & EPOLLIN || broken)
                                got |= wanted & MYSQL_WAIT_READ;
                        if (r & EPOLLOUT || broken)
                                got |= wanted & MYSQL_WAIT_WRITE;
                        if (r & EPOLLPRI || broken)
                                got |= wanted & MYSQL_WAIT_EXCEPT;
                        return got ?: wanted & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
                }
                s->given_up = r;
        }
        (void) shutdown(mysql_get_socket(s->mysql), SHUT_RDWR);
        return MYSQL_WAIT_TIMEOUT;
}

/* Calls mysql_NAME_start(RET, HANDLE, ...) and then mysql_NAME_cont() until the library wants nothing more. */
#define AWAIT(s, deadline, name, ret, handle, ...)                                                           \
        for (int _wanted = mysql_##name##_start((ret), (handle), ##__VA_ARGS__); _wanted;                    \
                        _wanted = mysql_##name##_cont((ret), (handle), sql_wait((s), _wanted, (deadline))))

static bool is_loss(unsigned number) {
        switch (number) {
        case ER_SERVER_SHUTDOWN:
        case ER_CONNECTION_KILLED:
        case ER_NET_PACKETS_OUT_OF_ORDER:
        case ER_NET_READ_ERROR:
        case ER_NET_READ_INTERRUPTED:
        case ER_NET_ERROR_ON_WRITE:
        case ER_NET_WRITE_INTERRUPTED:
                return true;
        default: /* what the client library itself reports is about the connection */
                return number >= CR_MIN_ERROR && number <= CR_MAX_ERROR;
        }
}

/* The server was demoted while we were connected: another one takes writes now, or this one will again. */
static bool is_demotion(unsigned number, const char *said) {
        return number == ER_READ_ONLY_MODE ||
               (number == ER_OPTION_PREVENTS_STATEMENT && strstr(said, "read-only"));
}

/* The error of the last call, as the header says. */
static int sql_failed(Sql *s, Error *e) {
        unsigned number = mysql_errno(s->mysql);

        if (s->given_up) {
                s->lost = true;
                if (s->given_up == -ECANCELED)
                        return -ECANCELED;
                return error_set(e, ERROR_FAILED, s->given_up, "the database did not answer in time");
        }
        if (is_loss(number)) {
                s->lost = true;
                return error_set(e, ERROR_FAILED, -ECONNRESET, "the connection to the database was lost: %s",
                                mysql_error(s->mysql));
        }
        if (is_demotion(number, mysql_error(s->mysql))) {
                s->lost = true;
                return error_set(e, ERROR_FAILED, -ECONNRESET, "the database server became read-only");
        }
        return error_set(e, ERROR_FAILED, -EREMOTEIO, "%s (error %u, SQLSTATE %s)", mysql_error(s->mysql),
                        number, mysql_sqlstate(s->mysql));
}

static char *sql_where(const SqlOptions *o) {
        return o->socket ? strdup(o->socket) : text_format("%s:%u", o->host ?: "localhost", o->port ?: 3306);
}

char *sql_options_name(const SqlOptions *o) {
        _cleanup_free_ char *where = sql_where(o);

        return where ? text_format("%s at %s", o->database ?: "nothing", where) : NULL;
}

/* What is wrong with a connection that did not come about. */
static int sql_open_failed(Sql *s, const SqlOptions *o, Error *e) {
        _cleanup_free_ char *where = sql_where(o);
        const char *said = mysql_error(s->mysql);
        int r;

        switch (mysql_errno(s->mysql)) {
        case ER_ACCESS_DENIED_ERROR:
        case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
        case ER_DBACCESS_DENIED_ERROR:
        case ER_BAD_DB_ERROR:
        case CR_AUTH_PLUGIN_CANNOT_LOAD:
        case CR_PLUGIN_NOT_ALLOWED:
                r = error_set(e, ERROR_FAILED, -EACCES, "the database at %s does not let us in: %s",
                                where ?: "?", said);
                return error_hint(e, r, "%s",
                                o->login_hint
                                                ?: "Check user, password and database in the section "
                                                   "[Database].");
        case CR_SSL_CONNECTION_ERROR:
                if (!strstr(said, "certificate") && !strstr(said, "required"))
                        break;
                r = error_set(e, ERROR_UNTRUSTED, -EKEYREJECTED, "the database at %s cannot be trusted: %s",
                                where ?: "?", said);
                return error_hint(e, r, "Check the CA bundle and the host name in the section [Database].");
        }
        if (s->given_up)
                return sql_failed(s, e);
        r = error_set(e, ERROR_FAILED, -ECONNRESET, "cannot reach the database at %s: %s", where ?: "?",
                        said);
        return error_hint(e, r, "Start it, or correct where it is in the section [Database].");
}

static int sql_set_options(Sql *s, const SqlOptions *o) {
        my_bool yes = 1, no = 0, safe = o->socket || o->tls == SQL_TLS_VERIFY_FULL;
        unsigned local_infile = 0;

        s->mysql = mysql_init(NULL);
        if (!s->mysql)
                return -ENOMEM;
        if (mysql_optionsv(s->mysql, MYSQL_OPT_NONBLOCK, NULL) != 0 ||
                        mysql_optionsv(s->mysql, MYSQL_OPT_RECONNECT, &no) != 0 ||
                        mysql_optionsv(s->mysql, MYSQL_OPT_LOCAL_INFILE, &local_infile) != 0 ||
                        mysql_optionsv(s->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4") != 0 ||
                        mysql_optionsv(s->mysql, MARIADB_OPT_RESTRICTED_AUTH,
                                        safe ? AUTH_PLUGINS_SAFE : AUTH_PLUGINS) != 0 ||
                        mysql_optionsv(s->mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "releasemgr") !=
                                        0)
                return -ENOMEM;
        if (o->tls == SQL_TLS_OFF || o->socket)
                return 0;
        if (mysql_optionsv(s->mysql, MYSQL_OPT_SSL_ENFORCE, &yes) != 0 ||
                        mysql_optionsv(s->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes) != 0 ||
                        mysql_optionsv(s->mysql, MYSQL_OPT_SSL_CA, o->tls_ca ?: SYSTEM_CA) != 0)
                return -ENOMEM;
        return 0;
}

/* A peer that vanished without a word (a failover) must be noticed although an ALTER may be silent for hours. */
static void sql_keep_alive(Sql *s) {
        int fd = mysql_get_socket(s->mysql), yes = 1, idle = 10, interval = 5, count = 3;

        (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes,
                        sizeof(yes)); /* a unix socket has no use for it */
        (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static int sql_connect(Sql *s, const SqlOptions *o, const char *password, Error *e) {
        uint64_t deadline = clock_monotonic() + (o->connect_timeout_usec ?: CONNECT_TIMEOUT_USEC);
        const char *host = o->socket ? "localhost" : o->host ?: "localhost";
        unsigned protocol = o->socket ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
        unsigned seconds = (o->connect_timeout_usec ?: CONNECT_TIMEOUT_USEC) / USEC_PER_SEC +
                           1; /* of the handshake */
        MYSQL *connected = NULL;

        (void) mysql_optionsv(s->mysql, MYSQL_OPT_PROTOCOL, &protocol);
        (void) mysql_optionsv(s->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
        AWAIT(s, deadline, real_connect, &connected, s->mysql, host, o->user, password, o->database, o->port,
                        o->socket, CLIENT_MULTI_RESULTS);
        if (!connected)
                return sql_open_failed(s, o, e);
        s->opened = true;
        sql_keep_alive(s);
        /* after a TLS handshake the library leaves the socket blocking, and would read as if nobody else was there */
        if (fcntl(mysql_get_socket(s->mysql), F_SETFL, O_RDWR | O_NONBLOCK) < 0)
                return error_errno(e, -errno, "cannot set up the connection to the database");
        return 0;
}

int sql_open(const SqlOptions *o, Sql **ret, Error *e) {
        _cleanup_(sql_erase) char *password = NULL;
        _cleanup_(sql_close_p) Sql *s = NULL;
        int r;

        if (o->password_provider)
                r = o->password_provider(o->password_userdata, &password, e);
        else
                r = o->password && !(password = strdup(o->password)) ? -ENOMEM : 0;
        if (r < 0)
                return r;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = sql_set_options(s, o);
        if (r < 0)
                return r;
        r = sql_connect(s, o, password, e);
        if (r < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

Sql *sql_close(Sql *s) {
        if (!s)
                return NULL;
        if (s->mysql) {
                if (s->lost && s->opened) /* there is nobody to say goodbye to */
                        (void) shutdown(mysql_get_socket(s->mysql), SHUT_RDWR);
                mysql_close(s->mysql);
        }
        free(s);
        return NULL;
}

/* Reads rows that nobody wants, one at a time: there may be more than the memory holds. */
static void sql_drop_rows(Sql *s, uint64_t deadline) {
        MYSQL_RES *res = mysql_use_result(s->mysql);
        MYSQL_ROW row;

        if (!res)
                return;
        do
                AWAIT(s, deadline, fetch_row, &row, res);
        while (row);
        mysql_free_result(res);
}

/* Reads the result at hand, into @ret where that is given and still empty. */
static int sql_read_result(Sql *s, uint64_t deadline, SqlResult **ret) {
        MYSQL_RES *res = NULL;

        if (mysql_field_count(s->mysql) == 0)
                return 0;
        if (!ret || *ret) {
                sql_drop_rows(s, deadline);
                return 0;
        }
        AWAIT(s, deadline, store_result, &res, s->mysql);
        return res ? sql_result_new(res, ret) : 0;
}

int sql_query(Sql *s, const char *statement, size_t size, uint64_t timeout_usec, SqlResult **ret, Error *e) {
        uint64_t deadline = timeout_usec == USEC_INFINITY ? USEC_INFINITY : clock_monotonic() + timeout_usec;
        _cleanup_(sql_result_free_p) SqlResult *result = NULL;
        int failed, r = 0;

        if (s->lost)
                return error_set(e, ERROR_FAILED, -ECONNRESET, "the connection to the database is lost");
        AWAIT(s, deadline, real_query, &failed, s->mysql, statement, size);
        while (!failed && r >= 0) {
                int more;

                r = sql_read_result(s, deadline, ret ? &result : NULL);
                if (mysql_errno(s->mysql))
                        break;
                AWAIT(s, deadline, next_result, &more, s->mysql);
                if (more)
                        break; /* -1: that was all; above: an error */
        }
        if (mysql_errno(s->mysql) || s->given_up)
                return sql_failed(s, e);
        if (r < 0) {
                s->lost = true; /* there may be results that nobody read */
                return r;
        }
        if (ret)
                *ret = TAKE(result);
        return 0;
}

int sql_reset(Sql *s, Error *e) {
        uint64_t deadline = clock_monotonic() + OWN_TIMEOUT_USEC;
        int failed;

        if (s->lost)
                return error_set(e, ERROR_FAILED, -ECONNRESET, "the connection to the database is lost");
        AWAIT(s, deadline, reset_connection, &failed, s->mysql);
        if (failed || s->given_up)
                return sql_failed(s, e);
        /* the server forgets the character set that the login named */
        return sql_exec(s, e, "SET NAMES utf8mb4");
}

_printf_(4, 0) static int sql_vselect(Sql *s, SqlResult **ret, Error *e, const char *format, va_list ap) {
        _cleanup_free_ char *statement = NULL;
        int r, n = vasprintf(&statement, format, ap);

        if (n < 0) {
                statement = NULL;
                return -ENOMEM;
        }
        r = sql_query(s, statement, n, OWN_TIMEOUT_USEC, ret, e);
        return r == -EREMOTEIO && sql_is_blocked(s) ? -EAGAIN : r;
}

int sql_exec(Sql *s, Error *e, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = sql_vselect(s, NULL, e, format, ap);
        va_end(ap);
        return r;
}

int sql_select(Sql *s, SqlResult **ret, Error *e, const char *format, ...) {
        va_list ap;
        int r;

        va_start(ap, format);
        r = sql_vselect(s, ret, e, format, ap);
        va_end(ap);
        return r;
}

unsigned sql_errno(const Sql *s) {
        return mysql_errno(s->mysql);
}

const char *sql_state(const Sql *s) {
        return mysql_sqlstate(s->mysql);
}

bool sql_is_blocked(const Sql *s) {
        return sql_errno(s) == ER_LOCK_WAIT_TIMEOUT || sql_errno(s) == ER_LOCK_DEADLOCK;
}

uint64_t sql_affected_rows(const Sql *s) {
        return mysql_affected_rows(s->mysql);
}

uint64_t sql_insert_id(const Sql *s) {
        return mysql_insert_id(s->mysql);
}

unsigned sql_warnings(const Sql *s) {
        return mysql_warning_count(s->mysql);
}

uint64_t sql_thread_id(const Sql *s) {
        return mysql_thread_id(s->mysql);
}

static bool sql_has_status(const Sql *s, unsigned flag) {
        unsigned status = 0;

        (void) mariadb_get_infov(s->mysql, MARIADB_CONNECTION_SERVER_STATUS, &status);
        return status & flag;
}

bool sql_in_transaction(const Sql *s) {
        return sql_has_status(s, SERVER_STATUS_IN_TRANS);
}

bool sql_autocommits(const Sql *s) {
        return sql_has_status(s, SERVER_STATUS_AUTOCOMMIT);
}

bool sql_is_mariadb(const Sql *s) {
        return mariadb_connection(s->mysql);
}

unsigned sql_server_version(const Sql *s) {
        return mysql_get_server_version(s->mysql);
}
