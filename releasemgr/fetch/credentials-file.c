#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <strings.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "fetch/credentials.h"

#define FILE_MAX (256 * KIB)

/* ~/.aws/credentials and ~/.aws/config, where the latter calls its sections "profile NAME". */

typedef struct Search {
        const char *section;
        const char *key;
        char *found;
} Search;

static char *trim(char *s) {
        size_t n;

        s += strspn(s, " \t\r");
        for (n = strlen(s); n > 0 && strchr(" \t\r", s[n - 1]); n--)
                s[n - 1] = 0;
        return s;
}

/* Whether @line, which begins with '[', begins @section. */
static bool is_section(char *line, const char *section) {
        char *end = strchr(line, ']');

        if (end)
                *end = 0;
        return end && streq(trim(line + 1), section);
}

static int take_value(char *line, Search *s) {
        char *value = strchr(line, '=');

        if (!value)
                return 0;
        *value++ = 0;
        value = trim(value);
        if (isempty(value) || strcasecmp(trim(line), s->key) != 0)
                return 0;
        s->found = strdup(value);
        return s->found ? 0 : -ENOMEM;
}

/* The files are AWS's and not ours: what else stands there is no error, and a line is as long as it is (a session's token
 * alone is longer than inih takes). What stands further right than a key belongs to that one. */
static int search_text(char *text, Search *s) {
        size_t indent, key = SIZE_MAX;
        bool inside = false;
        int r = 0;

        for (char *line; r >= 0 && !s->found && (line = strsep(&text, "\n"));) {
                indent = strspn(line, " \t");
                line = trim(line);
                if (*line == '[') {
                        inside = is_section(line, s->section);
                        key = SIZE_MAX;
                } else if (inside && *line && !strchr("#;", *line) && indent <= key) {
                        key = indent;
                        r = take_value(line, s);
                }
        }
        return r;
}

/* systemd sets no HOME for root's services. */
static const char *home_directory(void) {
        const char *home = secure_getenv("HOME");
        const struct passwd *user = isempty(home) ? getpwuid(geteuid()) : NULL;

        return user ? user->pw_dir : home;
}

static int search_file(const char *variable, const char *name, Search *s, Error *e) {
        const char *file = secure_getenv(variable), *home = home_directory();
        _cleanup_free_ char *path = NULL, *text = NULL;
        int r;

        if (isempty(file) && isempty(home))
                return 0;
        path = isempty(file) ? text_format("%s/.aws/%s", home, name) : strdup(file);
        if (!path)
                return -ENOMEM;
        r = fs_read_file(AT_FDCWD, path, FILE_MAX, &text, NULL);
        if (r == -ENOENT)
                return 0;
        return r < 0 ? error_errno(e, r, "cannot read %s", path) : search_text(text, s);
}

int aws_profile_get(const char *key, char **ret, Error *e) {
        const char *profile = secure_getenv("AWS_PROFILE");
        _cleanup_free_ char *section = NULL;
        Search s = {.key = key};
        int r;

        if (isempty(profile))
                profile = "default";
        s.section = profile;
        r = search_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", &s, e);
        if (r >= 0 && !s.found) {
                section = streq(profile, "default") ? strdup(profile) : text_format("profile %s", profile);
                s.section = section;
                r = section ? search_file("AWS_CONFIG_FILE", "config", &s, e) : -ENOMEM;
        }
        if (r < 0) {
                free(s.found);
                return r;
        }
        *ret = s.found;
        return 0;
}
