#include <errno.h>
#include <string.h>

#include "db/backlog.h"

/* A value in quotes, or NULL. */
static int add_value(Text *t, const char *value) {
        _cleanup_free_ char *quoted = value ? sql_quote(value, strlen(value)) : strdup("NULL");

        return quoted ? text_adds(t, quoted) : -ENOMEM;
}

/* Begins a row: "(a, b". */
static int add_values(Text *t, const char *const *values, size_t n) {
        int r;

        r = text_adds(t, t->size > 0 ? ", (" : "(");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                if (i > 0)
                        r = text_adds(t, ", ");
                if (r >= 0)
                        r = add_value(t, values[i]);
        }
        return r;
}

static int add_migration(Backlog *b, const Migration *m, const char *state) {
        const char *values[] = {m->version, m->phase == MIGRATION_CONTRACT ? "contract" : "expand", m->path,
                        m->digest, state, b->deployment};
        int r;

        r = add_values(&b->migrations, values, ELEMENTS_OF(values));
        return r < 0 ? r : text_addf(&b->migrations, ", %u, UTC_TIMESTAMP(3)", b->batch);
}

int backlog_announce(Backlog *b, const Migration *m) {
        int r;

        r = add_migration(b, m, "running");
        return r < 0 ? r : text_adds(&b->migrations, ", NULL)");
}

int backlog_begin(Backlog *b, const Migration *m) {
        b->begun = m;
        return 0;
}

/* One that began and ended since the last write has one row. */
int backlog_finish(Backlog *b, const Migration *m, uint64_t took_usec) {
        int r;

        b->begun = NULL;
        r = add_migration(b, m, "applied");
        if (r >= 0)
                r = text_addf(&b->migrations, " - INTERVAL %llu MICROSECOND, UTC_TIMESTAMP(3))",
                                (unsigned long long) took_usec);
        b->n_finished++;
        return r;
}

int backlog_statement(Backlog *b, const char *version, const StatementRecord *record, const char *made) {
        const char *values[] = {version, record->digest, statement_class_name(record->class),
                        record->done ? "done" : "started", record->looked, record->variables, made};
        int r;

        r = add_values(&b->statements, values, ELEMENTS_OF(values));
        return r < 0 ? r : text_addf(&b->statements, ", %u, UTC_TIMESTAMP(3))", record->number);
}

int backlog_gone(Backlog *b, const char *database, const char *version, unsigned number) {
        int r;

        r = text_addf(&b->gone, "DELETE FROM %s.releasemgr_statement WHERE version = ", database);
        if (r >= 0)
                r = add_value(&b->gone, version);
        return r < 0 ? r : text_addf(&b->gone, " AND number = %u;", number);
}

size_t backlog_size(const Backlog *b) {
        return b->migrations.size + b->statements.size + b->gone.size;
}

bool backlog_is_empty(const Backlog *b) {
        return backlog_size(b) == 0 && !b->begun;
}

static int add_rows(Text *t, const char *database, const char *into, const Text *rows) {
        return rows->size > 0 ? text_addf(t, "REPLACE INTO %s.%s VALUES %s;", database, into, rows->data) : 0;
}

int backlog_settle(Backlog *b) {
        int r = b->begun ? backlog_announce(b, b->begun) : 0;

        b->begun = NULL;
        return r;
}

int backlog_render(Backlog *b, const char *database, Text *t) {
        int r;

        r = backlog_settle(b);
        if (r >= 0)
                r = add_rows(t, database,
                                "releasemgr_migration (version, phase, path, digest, state, deployment, "
                                "batch, started_at, finished_at)",
                                &b->migrations);
        if (r >= 0)
                r = add_rows(t, database,
                                "releasemgr_statement (version, digest, class, state, looked, variables, "
                                "made, number, recorded_at)",
                                &b->statements);
        return r >= 0 && b->gone.size > 0 ? text_add(t, b->gone.data, b->gone.size) : r;
}

static int append_rows(Text *to, const Text *from) {
        int r = 0;

        if (from->size == 0)
                return 0;
        if (to->size > 0)
                r = text_adds(to, ", ");
        return r < 0 ? r : text_add(to, from->data, from->size);
}

int backlog_append(Backlog *to, const Backlog *from) {
        int r;

        r = append_rows(&to->migrations, &from->migrations);
        return r < 0 ? r : append_rows(&to->statements, &from->statements);
}

BacklogMark backlog_mark(const Backlog *b) {
        return (BacklogMark){b->migrations.size, b->statements.size};
}

static void cut_rows(Text *t, size_t size) {
        if (t->size <= size)
                return;
        t->size = size;
        t->data[size] = 0;
}

void backlog_cut(Backlog *b, BacklogMark mark) {
        cut_rows(&b->migrations, mark.migrations);
        cut_rows(&b->statements, mark.statements);
}

void backlog_written(Backlog *b) {
        b->n_written += b->n_finished;
        backlog_drop(b);
}

void backlog_drop(Backlog *b) {
        text_clear(&b->migrations);
        text_clear(&b->statements);
        text_clear(&b->gone);
        b->begun = NULL;
        b->n_finished = 0;
}
