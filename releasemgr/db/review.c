#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "db/review.h"

#define SUMMARY_MAX 60

/* Which database is the current one is not known here: where only one names its own, they count as two. */
static bool is_same(const ObjectName *a, const ObjectName *b) {
        return a->kind == b->kind && strcasecmp(a->name, b->name) == 0 &&
               (a->database ? b->database && streq(a->database, b->database) : !b->database);
}

/* Whether the migration makes the object, before or after. */
static int migration_defines(const Migration *m, const ObjectName *o, SqlMode mode) {
        Script script = script_init(m->path, m->text, m->size, m->first_line, mode);
        bool found = false;
        int r = 1;

        while (!found && r > 0) {
                _cleanup_statement_ Statement s = {0};
                _cleanup_judgement_ Judgement j = {0};

                mode = script.mode;
                r = script_next(&script, &s, NULL);
                if (r > 0)
                        r = statement_judge(s.text, s.size, mode, &j) ?: 1;
                found = r > 0 && j.defines && j.n_objects > 0 && is_same(j.objects, o);
        }
        return r == -ENOMEM ? r : found; /* one that cannot be read to its end is refused elsewhere */
}

int migration_takes_away(const Migration *m, const Judgement *j, SqlMode mode) {
        int r = 1;

        if (!j->destructive || !j->definition || j->n_objects == 0)
                return j->destructive;
        for (size_t i = 0; r > 0 && i < j->n_objects; i++)
                r = migration_defines(m, j->objects + i, mode);
        return r < 0 ? r : !r;
}

int migration_check_placeholders(const Migration *m, const Statement *s, Error *e) {
        const char *p = m->style == MIGRATION_FLYWAY && !s->marks.verbatim ? strstr(s->text, "${") : NULL;

        for (; p; p = strstr(p + 2, "${")) {
                size_t n = 2;
                int r;

                while (isalnum((unsigned char) p[n]) || (p[n] && strchr("_.:-", p[n])))
                        n++;
                if (n == 2 || p[n] != '}')
                        continue;
                r = error_set(e, ERROR_FAILED, -EINVAL,
                                "%s:%u: statement %u: %.*s is a placeholder of Flyway, and has no value here",
                                m->path, s->line, s->number, (int) n + 1, p);
                return error_hint(e, r,
                                "Write what it stands for, or \"-- releasemgr: verbatim\" before the "
                                "statement where it is "
                                "meant as it stands.");
        }
        return 0;
}

static int review_statement(const Migration *m, const Statement *s, SqlMode mode, char ***lines) {
        _cleanup_judgement_ Judgement j = {0};
        _cleanup_free_ char *line = NULL;
        int r;

        r = statement_judge(s->text, s->size, mode, &j);
        if (r >= 0 && !s->marks.destructive && m->phase == MIGRATION_EXPAND)
                r = migration_takes_away(m, &j, (SqlMode){0});
        if (r <= 0)
                return r;
        line = text_format("%s:%u: %.*s", m->path, s->line, SUMMARY_MAX, s->text);
        return line ? strv_add(lines, line) : -ENOMEM;
}

static int review_migration(const Migration *m, char ***lines, Error *e) {
        Script script = script_init(m->path, m->text, m->size, m->first_line, (SqlMode){0});
        int r;

        for (;;) {
                _cleanup_statement_ Statement s = {0};
                SqlMode mode = script.mode;

                r = script_foresee(&script, &s, e);
                if (r > 0)
                        r = review_statement(m, &s, mode, lines);
                else
                        return r;
                if (r < 0)
                        return r;
        }
}

int migration_list_review(const MigrationList *l, char ***ret, Error *e) {
        _cleanup_strv_ char **lines = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < l->n; i++)
                r = review_migration(l->items[i], &lines, e);
        if (r >= 0)
                *ret = TAKE(lines);
        return r;
}
