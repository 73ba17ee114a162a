/* Statements that commit by themselves are written down before; tables that are about to be made, several at a time. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "db/fingerprint.h"
#include "db/runner-internal.h"
#include "trust/digest.h"

/* How many are announced together, and how far we look for them. */
#define TOGETHER_MAX 32
#define LOOK_MAX     200
#define LOOK_SIZE    (1024 * 1024)

typedef struct Announcement {
        Run *run;
        Backlog rows;
        char **keys;           /* of the statements: announcement_key() */
        Text names;            /* of the tables, quoted */
        char **tables;         /* ... and not */
        const Migration *last; /* the migration that has its row */
        unsigned n_seen;       /* statements */
        size_t size_seen;
} Announcement;

/* Looking for the next statement that alters a table. */
typedef struct Same {
        const char *table;
        unsigned n_seen;
        bool found;
} Same;

static void announcement_clear(Announcement *a) {
        backlog_drop(&a->rows);
        strv_free(a->keys);
        text_clear(&a->names);
        strv_free(a->tables);
}

/* "7 0012" */
static char *announcement_key(const Migration *m, unsigned number) {
        return text_format("%u %s", number, m->version);
}

bool run_is_announced(const RunnerState *s, const Migration *m) {
        for (char **key = s->announced; key && *key; key++)
                if (streq(strchr(*key, ' ') + 1, m->version))
                        return true;
        return false;
}

/* Whether it was announced with an earlier one. */
static bool is_announced(const Run *run, const Work *w) {
        _cleanup_free_ char *key = announcement_key(run->m, w->record.number);

        return key && w->j.class == CLASS_SCHEMA && strv_contains(run->state->announced, key);
}

/* Whether the statement's fate can be told by whether the table is there. */
static bool makes_table(const Announcement *a, const Judgement *j) {
        return j->class == CLASS_SCHEMA && j->creates && !j->renames && !j->destructive &&
               j->n_objects == 1 && !j->objects[0].database && !strv_contains(a->tables, j->objects[0].name);
}

static int add_record(Announcement *a, const Migration *m, const Statement *s, const char *table) {
        char digest[DIGEST_TEXT_MAX], looked[DIGEST_TEXT_MAX];
        StatementRecord record = {
                        .number = s->number, .class = CLASS_SCHEMA, .digest = digest, .looked = looked};
        Digest d;
        int r;

        r = digest_of(s->text, s->size, &d);
        if (r >= 0)
                r = fingerprint_of_none(looked);
        if (r < 0)
                return r;
        (void) digest_to_text(&d, digest);
        if (m != a->last && m != a->run->m)
                r = backlog_announce(&a->rows, m);
        a->last = m;
        return r < 0 ? r : backlog_statement(&a->rows, m->version, &record, table);
}

static int add_statement(Announcement *a, const Migration *m, const Statement *s, const char *table) {
        _cleanup_free_ char *key = announcement_key(m, s->number), *quoted = sql_quote(table, strlen(table));
        int r;

        if (!key || !quoted)
                return -ENOMEM;
        r = add_record(a, m, s, table);
        if (r >= 0)
                r = strv_add(&a->keys, key);
        if (r >= 0)
                r = strv_add(&a->tables, table);
        return r < 0 ? r : text_addf(&a->names, "%s%s", a->names.size > 0 ? ", " : "", quoted);
}

/* Sees what comes next: 1 to go on behind it, 0 where that is far enough. */
typedef int (*See)(void *userdata, const Migration *m, const Statement *s, const Judgement *j);

/* Calls @see for what is left of a script. One that cannot be read to its end is the business of its own run. */
static int look_through(const Migration *m, Script script, See see, void *userdata) {
        int r;

        do {
                _cleanup_statement_ Statement s = {0};
                _cleanup_judgement_ Judgement j = {0};

                if (script.unsure)
                        return 0;
                r = script_next(&script, &s, NULL);
                if (r <= 0)
                        return r == 0 ? 1 : r == -EINVAL ? 0 : r;
                r = statement_judge(s.text, s.size, script.mode, &j);
                if (r >= 0)
                        r = see(userdata, m, &s, &j);
        } while (r > 0);
        return r;
}

/* Calls @see for the statements that come behind the one at hand, in this file and in the next ones. */
static int look_ahead(const Run *run, See see, void *userdata) {
        int r;

        r = look_through(run->m, run->script, see, userdata);
        for (size_t i = 0; r > 0 && i < run->o->n_ahead; i++) {
                const Migration *m = run->o->ahead[i];
                Script script = script_init(m->path, m->text, m->size, m->first_line, run->o->guard->mode);

                r = look_through(m, script, see, userdata);
        }
        return r;
}

static int see_table(void *userdata, const Migration *m, const Statement *s, const Judgement *j) {
        Announcement *a = userdata;
        int r;

        a->size_seen += s->size;
        if (++a->n_seen > LOOK_MAX || a->size_seen > LOOK_SIZE)
                return 0;
        if (j->class == CLASS_DATA)
                return 1;
        if (!makes_table(a, j))
                return 0;
        r = add_statement(a, m, s, j->objects[0].name);
        return r < 0 ? r : strv_length(a->keys) < TOGETHER_MAX;
}

/* Finds what can be announced together with the statement. */
static int find_tables(Announcement *a, const Work *w) {
        Run *run = a->run;
        int r;

        r = add_statement(a, run->m, w->statement, w->j.objects[0].name);
        return r < 0 || run->n_known > 0 ? r : look_ahead(run, see_table, a);
}

/* Whether none of the tables is there. */
static int none_exists(const Announcement *a, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        r = sql_select(a->run->sql, &rows, e,
                        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND "
                        "TABLE_NAME IN (%s)",
                        a->names.data);
        return r < 0 ? r : sql_result_u64(rows, 0, 0) == 0;
}

/* 1 where the statement was announced, 0 where it has to be looked at. */
static int announce_tables(Run *run, Work *w, Error *e) {
        RunnerState *s = run->state;
        _cleanup_(announcement_clear) Announcement a = {
                        .run = run,
                        .rows = {.batch = s->backlog.batch, .deployment = s->backlog.deployment},
        };
        int r;

        if (run_is_inside(run) || !makes_table(&a, &w->j))
                return 0;
        r = find_tables(&a, w);
        if (r >= 0)
                r = w->joined ? 1 : none_exists(&a, e);
        if (r <= 0)
                return r;
        r = backlog_settle(&s->backlog);
        w->mark = backlog_mark(&s->backlog);
        w->n_announced = strv_length(s->announced);
        if (r >= 0)
                r = backlog_append(&s->backlog, &a.rows);
        for (size_t i = 0; r >= 0 && i < strv_length(a.keys); i++)
                r = strv_add(&s->announced, a.keys[i]);
        if (r >= 0 && w->joined && !(w->absent = text_take(&a.names)))
                r = -ENOMEM;
        return r < 0 ? r : 1;
}

/* How long what is known of a table's look is good enough: as long as it may take from looking to writing that down. */
#define LOOK_USEC (100 * USEC_PER_MSEC)

static bool is_look_known(const Run *run, const Judgement *j) {
        const RunnerState *s = run->state;

        return s->look_of && !run->dirty && j->n_objects == 1 && !j->objects[0].database &&
               streq(j->objects[0].name, s->look_of) && clock_monotonic() - s->look_usec < LOOK_USEC;
}

static int announce_looked_at(Run *run, Work *w, Error *e) {
        char looked[DIGEST_TEXT_MAX];
        int r = 0;

        if (is_look_known(run, &w->j))
                memcpy(looked, run->state->look, DIGEST_TEXT_MAX);
        else
                r = fingerprint_objects(run->sql, w->j.objects, w->j.n_objects, looked, e);
        if (r < 0)
                return r;
        w->record.looked = strdup(looked);
        return w->record.looked ? run_record(run, w, false) : -ENOMEM;
}

int run_announce(Run *run, Work *w, Error *e) {
        int r;

        w->announced = is_announced(run, w);
        if (w->announced) {
                w->due = run->state->n_data > 0;
                return 0;
        }
        w->due = true;
        r = run_record_late(run);
        if (r >= 0)
                r = announce_tables(run, w, e);
        w->announced = r > 0;
        return r == 0 ? announce_looked_at(run, w, e) : r;
}

int run_announce_otherwise(Run *run, Work *w, Error *e) {
        char **rest = run->state->announced + w->n_announced;

        backlog_cut(&run->state->backlog, w->mark);
        for (char **key = rest; *key; key++) {
                free(*key);
                *key = NULL;
        }
        free(TAKE(w->absent));
        w->announced = false;
        return announce_looked_at(run, w, e);
}

/* Whether the next statement that changes anything but data alters the table. */
static int see_alter(void *userdata, const Migration *m _unused_, const Statement *s _unused_,
                const Judgement *j) {
        Same *same = userdata;

        if (j->class == CLASS_DATA)
                return ++same->n_seen < LOOK_MAX;
        same->found = j->class == CLASS_SCHEMA && j->alters && j->n_objects == 1 && !j->objects[0].database &&
                      streq(j->objects[0].name, same->table);
        return 0;
}

int run_wants_look(Run *run, const Work *w) {
        Same same = {.table = w->j.objects[0].name};
        int r;

        if (w->j.n_objects != 1 || w->j.objects[0].database)
                return 0;
        r = look_ahead(run, see_alter, &same);
        return r < 0 ? r : same.found;
}

int run_remember_look(Run *run, const Work *w, const SqlResult *answer) {
        const char *definition = sql_result_get(answer, 0, 1);
        RunnerState *s = run->state;
        int r;

        if (!definition || !startswith(definition, "CREATE "))
                return 0; /* the statement itself had something to say: ALTER TABLE ... CHECK PARTITION */
        r = fingerprint_of_answer(answer, s->look);
        if (r < 0)
                return r;
        s->look_of = strdup(w->j.objects[0].name);
        s->look_usec = clock_monotonic();
        return s->look_of ? 0 : -ENOMEM;
}

void run_forget_look(Run *run) {
        free(TAKE(run->state->look_of));
}

/* Whatever is announced and has not come about: it would be settled by looking, but the files may be edited meanwhile. */
void runner_settle(const RunnerOptions *o) {
        RunnerState *s = o->state;
        bool announced = s->announced != NULL;

        s->announced = strv_free(s->announced);
        if (runner_flush(o, NULL) < 0 || guard_keep_books(o->guard, NULL) < 0 || runner_tidy(o, NULL) < 0 ||
                        !announced)
                return;
        (void) sql_exec(o->guard->sql, NULL,
                        "DELETE FROM %s.releasemgr_statement WHERE state = 'started' AND class = 'schema' "
                        "AND "
                        "made IS NOT NULL AND NOT EXISTS (SELECT 1 FROM information_schema.TABLES WHERE "
                        "TABLE_SCHEMA = DATABASE() AND TABLE_NAME = made)",
                        o->guard->database);
        (void) sql_exec(o->guard->sql, NULL,
                        "DELETE FROM %s.releasemgr_migration WHERE state = 'running' AND batch = %u AND NOT "
                        "EXISTS (SELECT 1 FROM %s.releasemgr_statement s WHERE s.version = "
                        "releasemgr_migration.version)",
                        o->guard->database, s->backlog.batch, o->guard->database);
}

int runner_tidy(const RunnerOptions *o, Error *e) {
        return sql_exec(o->guard->sql, e,
                        "UPDATE %s.releasemgr_statement s JOIN %s.releasemgr_migration m USING (version) "
                        "SET s.state = 'done' WHERE s.state = 'started' AND m.state = 'applied' AND m.batch "
                        "= %u",
                        o->guard->database, o->guard->database, o->state->backlog.batch);
}
