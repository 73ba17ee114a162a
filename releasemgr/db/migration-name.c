/* What the names of files and folders say. */

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "db/migration-internal.h"

/* A version as the records call it: parts joined by dots, without leading zeros and without zeros at the end, which
 * decide nothing. */
static char *version_normal(const char *s, size_t n) {
        char *text = malloc(n + 2), *to = text, *end = text;

        if (!text)
                return NULL;
        for (size_t i = 0; i < n;) {
                while (i + 1 < n && s[i] == '0' && isdigit((unsigned char) s[i + 1]))
                        i++;
                if (to > text)
                        *to++ = '.';
                if (s[i] != '0' || to == text)
                        end = NULL;
                for (; i < n && isdigit((unsigned char) s[i]); i++)
                        *to++ = s[i];
                if (!end)
                        end = to;
                i++; /* the separator */
        }
        *end = '\0';
        return text;
}

char *migration_normal_version(const char *version) {
        return startswith(version, "R:") ? strdup(version) : version_normal(version, strlen(version));
}

/* The length of digits in parts, each two joined by one of @separators. */
static size_t version_span(const char *s, const char *separators) {
        size_t n = strspn(s, "0123456789");

        while (n > 0 && s[n] && strchr(separators, s[n]) && isdigit((unsigned char) s[n + 1]))
                n += 1 + strspn(s + n + 1, "0123456789");
        return n;
}

static int set_names(Migration *m, const char *version, size_t n, const char *name, size_t name_size) {
        m->version = m->repeatable ? text_format("R:%.*s", (int) name_size, name)
                                   : version_normal(version, n);
        m->name = strndup(name, name_size);
        return m->version && m->name ? 0 : -ENOMEM;
}

/* Flyway's callbacks are SQL that it runs around its commands and migrations: beforeMigrate.sql, afterClean__why.sql. Those
 * of commands that there are none of here never come about: 0. */
static int read_callback(const char *file, size_t stem, Error *e) {
        static const char *const others[] = {"Clean", "Info", "Undo", "Baseline", "Repair", NULL},
                                 *const ours[] = {"Migrate", "Versioned", "Repeatables", "Validate",
                                                 "Connect", "CreateSchema", NULL};
        const char *event = startswith(file, "before") ?: startswith(file, "after");
        int r;

        event = event ? startswith(event, "Each") ?: event : NULL;
        for (size_t i = 0; event && others[i]; i++)
                if (startswith(event, others[i]))
                        return 0;
        for (size_t i = 0; event && ours[i]; i++)
                if (startswith(event, ours[i])) {
                        r = error_set(e, ERROR_FAILED, -EINVAL,
                                        "%.*s.sql is a callback of Flyway, which is not run here", (int) stem,
                                        file);
                        return error_hint(e, r,
                                        "Make it a migration (R__name.sql runs whenever it was changed) or a "
                                        "hook of the "
                                        "app, or move it elsewhere.");
                }
        return -ENOENT;
}

/* B5__all_before.sql: what Flyway runs in an empty database instead of all migrations up to version 5. */
static int refuse_baseline(const char *file, Error *e) {
        int r = error_set(
                        e, ERROR_FAILED, -EINVAL, "%s is a baseline of Flyway, which is not run here", file);

        return error_hint(e, r,
                        "Name it V%s where the migrations that it stands for are gone, or move it elsewhere "
                        "where they "
                        "are here.",
                        file + 1);
}

int migration_read_name(Migration *m, const char *file, Error *e) {
        size_t size = strlen(file), n = version_span(file, ""), v = version_span(file + (size > 0), "._");
        size_t stem = size >= 4 && strcasecmp(file + size - 4, ".sql") == 0 ? size - 4 : 0;
        int r;

        if (*file == '.' || endswith(file, "~"))
                return 0;
        if (stem == 0) /* 12_add_user.sq, V12__add_user.txt, R__view */
                return (n > 0 && file[n] == '_') || startswith(file, "R__") ||
                                                       (*file == 'V' && v > 0 &&
                                                                       startswith(file + 1 + v, "__"))
                                       ? -ENOENT
                                       : 0;
        if (startswith(file, "R__") && stem > 3) {
                m->style = MIGRATION_FLYWAY;
                m->repeatable = true;
                r = set_names(m, NULL, 0, file + 3, stem - 3);
        } else if (strchr("VUB", *file) && v > 0 && startswith(file + 1 + v, "__") && stem > v + 3) {
                m->style = MIGRATION_FLYWAY;
                if (*file == 'B')
                        return refuse_baseline(file, e);
                if (*file == 'U')
                        return 0;
                r = set_names(m, file + 1, v, file + v + 3, stem - v - 3);
        } else if (n > 0 && file[n] == '_' && stem > n + 1) {
                m->style = MIGRATION_GOLANG;
                if (stem > 5 && strncasecmp(file + stem - 5, ".down", 5) == 0)
                        return 0;
                if (stem > 3 && strncasecmp(file + stem - 3, ".up", 3) == 0)
                        stem -= 3;
                if (stem <= n + 1)
                        return -ENOENT;
                r = set_names(m, file, n, file + n + 1, stem - n - 1);
        } else {
                m->style = MIGRATION_FLYWAY;
                return read_callback(file, stem, e);
        }
        return r < 0 ? r : 1;
}

/* "2026-01-02-030405_add_user": hyphens say nothing, as diesel has it. */
int migration_read_folder_name(Migration *m, const char *folder) {
        size_t n = version_span(folder, "-"), digits = 0;
        _cleanup_free_ char *version = strdup(folder);

        if (!version)
                return -ENOMEM;
        if (n == 0 || folder[n] != '_' || !folder[n + 1])
                return -ENOENT;
        for (size_t i = 0; i < n; i++)
                if (folder[i] != '-')
                        version[digits++] = folder[i];
        m->style = MIGRATION_DIESEL;
        return set_names(m, version, digits, folder + n + 1, strlen(folder) - n - 1);
}
