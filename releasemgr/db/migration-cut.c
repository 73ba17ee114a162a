/* Files that hold the way up and the way down. */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "db/migration-internal.h"
#include "db/script.h"

/* Where the line that begins with "-- @what" stands, NULL where there is none. */
static char *find_line(char *text, const char *what) {
        for (char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
                char *p = line + strspn(line, " \t");

                if (!startswith(p, "--"))
                        continue;
                p += 2 + strspn(p + 2, " \t");
                if (startswith(p, what) && !isalnum((unsigned char) p[strlen(what)]))
                        return line;
        }
        return NULL;
}

/* goose and sql-migrate have their way down in the same file, behind a comment: to run all of it would undo it. */
static int refuse_others(const Migration *m, Error *e) {
        static const char *const marks[] = {"+goose Up", "+goose Down", "+migrate Up", "+migrate Down"};
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(marks); i++)
                if (find_line(m->text, marks[i])) {
                        r = error_set(e, ERROR_FAILED, -EINVAL,
                                        "%s has the comment \"-- %s\", which is not understood here", m->path,
                                        marks[i]);
                        return error_hint(e, r,
                                        "Write \"-- migrate:up\" and \"-- migrate:down\" instead, as dbmate "
                                        "has it.");
                }
        return 0;
}

/* Before "-- migrate:up" nothing may stand that would run. */
static int check_head(const Migration *m, const char *up, Error *e) {
        Script script = script_init(m->path, m->text, up - m->text, 1, (SqlMode){0});
        _cleanup_statement_ Statement s = {0};
        int r;

        r = script_next(&script, &s, e);
        return r <= 0 ? r
                      : error_set(e, ERROR_FAILED, -EINVAL,
                                        "%s:%u: a statement stands before \"-- migrate:up\"", m->path,
                                        s.line);
}

int migration_cut(Migration *m, Error *e) {
        char *up = find_line(m->text, "migrate:up"), *down;
        int r;

        if (!up && find_line(m->text, "migrate:down"))
                return error_set(e, ERROR_FAILED, -EINVAL,
                                "%s has \"-- migrate:down\" without \"-- migrate:up\"", m->path);
        if (!up)
                return refuse_others(m, e);
        r = check_head(m, up, e);
        if (r < 0)
                return r;
        m->style = MIGRATION_DBMATE;
        down = find_line(up, "migrate:down") ?: m->text + m->size;
        for (char *p = m->text; p < up; p++)
                m->first_line += *p == '\n';
        m->size = down - up;
        memmove(m->text, up, m->size);
        m->text[m->size] = '\0';
        return 0;
}
