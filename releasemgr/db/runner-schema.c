/* Statements that change the schema: announced, and sent as gently as is asked for. */

#include <errno.h>
#include <string.h>

#include <mysqld_error.h>

#include "base/clock.h"
#include "db/fingerprint.h"
#include "db/restrain.h"
#include "db/runner-internal.h"

/* Which algorithms to ask for, from the one that nobody notices. */
static const char *const gentle[] = {"INSTANT", "NOCOPY", "INPLACE"};

/* Longer statements are not sent inside of others. */
#define JOIN_SIZE_MAX (64 * 1024)

/* Servers without the variable (MySQL, MariaDB from 11.5 on) are asked in the statement itself. */
static bool knows_alter_algorithm(const Run *run) {
        return run->o->guard->mariadb && sql_server_version(run->sql) < 110500;
}

static int send_gently(Run *run, const Work *w, const char *algorithm, Error *e) {
        const Statement *s = w->statement;
        _cleanup_free_ char *text = NULL;
        int r;

        if (knows_alter_algorithm(run)) {
                r = sql_exec(run->sql, e, "SET SESSION alter_algorithm = '%s'", algorithm);
                return r < 0 ? r : run_send(run, w, e);
        }
        text = statement_restrain(s->text, s->size, run->script.mode, algorithm);
        return text ? sql_query(run->sql, text, strlen(text), USEC_INFINITY, NULL, e) : -ENOMEM;
}

static bool is_unsupported(const Run *run) {
        return sql_errno(run->sql) == ER_ALTER_OPERATION_NOT_SUPPORTED ||
               sql_errno(run->sql) == ER_ALTER_OPERATION_NOT_SUPPORTED_REASON ||
               sql_errno(run->sql) == ER_UNKNOWN_ALTER_ALGORITHM;
}

static int refuse_copy(Error *e, int r) {
        if (e)
                e->class = ERROR_REFUSED;
        (void) error_prefix(e, r, "it would copy the table or block its writers: ");
        return error_hint(e, r,
                        "Write \"-- releasemgr: allow-copy\" before it (max-rows=N may follow) where the "
                        "table is small "
                        "enough.");
}

/* Whether the record and the statement can be one question: by EXECUTE IMMEDIATE, in a session like new. */
static bool is_joinable(const Run *run, const Work *w) {
        return run_takes_blocks(run) && !run->dirty && !w->restrained && !run_is_inside(run) &&
               run->n_known == 0 && w->statement->size <= JOIN_SIZE_MAX &&
               (w->j.alters || (w->j.creates && !w->j.renames));
}

/* Writes the record that the statement starts, and sends it. */
static int send_joined(Run *run, Work *w, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *answer = NULL;
        _cleanup_free_ char *look = NULL;
        int r;

        r = run_wants_look(run, w);
        if (r > 0 && !(look = object_quote(w->j.objects)))
                r = -ENOMEM;
        if (r >= 0)
                r = run_flush_and_send(run, w, w->absent, look, &answer, e);
        if (r == -EEXIST)
                return r;
        w->due = false;
        return r < 0 || !answer ? r : run_remember_look(run, w, answer);
}

static int send_schema(Run *run, Work *w, const char *algorithm, Error *e) {
        int r = 0;

        if (w->due) {
                bool inside = run_is_inside(run);

                if (w->joined)
                        return send_joined(run, w, e);
                r = run_flush(run, inside ? FLUSH_INSIDE : run->state->open ? FLUSH_OPEN : FLUSH_CLOSE, e);
                w->due = false;
        }
        if (r < 0)
                return r == -EREMOTEIO ? -EIO : r;
        return w->restrained ? send_gently(run, w, algorithm, e) : run_send(run, w, e);
}

/* Goes on to the next algorithm. The variable says nothing of locks: what the server could rebuild only without writers must
 * be known before. */
static int coarsen(Run *run, const Work *w, size_t *step, Error *e) {
        int r;

        if (++*step == ELEMENTS_OF(gentle))
                return refuse_copy(e, -EPERM);
        if (*step + 1 < ELEMENTS_OF(gentle) || !knows_alter_algorithm(run))
                return 0;
        r = run_is_rebuilt_locked(run, w, e);
        return r > 0 ? refuse_copy(e, -EPERM) : r;
}

/* More and more roughly where it is restrained. */
int run_insist(Run *run, Work *w, Error *e) {
        uint64_t deadline = clock_monotonic() + run->o->patience_usec;
        size_t step = 0;
        int r;

        for (;;) {
                r = send_schema(run, w, gentle[step], e);
                if (r != -EREMOTEIO && r != -EBUSY)
                        break;
                if (r == -EBUSY || sql_is_blocked(run->sql)) {
                        r = run_wait_for_lock(run, w, deadline, e);
                        if (r < 0)
                                break;
                } else if (w->restrained && is_unsupported(run)) {
                        r = coarsen(run, w, &step, e);
                        if (r < 0)
                                break;
                } else
                        break;
        }
        if (w->restrained && knows_alter_algorithm(run) && r != -ECONNRESET && r != -ECANCELED) {
                int k = sql_exec(run->sql, r < 0 ? NULL : e, "SET SESSION alter_algorithm = DEFAULT");

                r = r < 0 ? r : k;
        }
        return r;
}

int run_schema(Run *run, Work *w, Error *e) {
        int r;

        w->joined = is_joinable(run, w);
        r = run_announce(run, w, e);
        run_forget_look(run);
        if (r >= 0)
                r = run_insist(run, w, e);
        if (r != -EEXIST)
                return r;
        r = run_announce_otherwise(run, w, e);
        return r < 0 ? r : run_insist(run, w, e);
}
