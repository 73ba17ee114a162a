#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include "base/ini.h"
#include "fetch/credentials.h"

/* ~/.aws/credentials and ~/.aws/config, where the latter calls its sections "profile NAME". */

typedef struct Search {
        const char *section;
        const char *key;
        char *found;
} Search;

static int on_entry(const IniEntry *entry, void *userdata, Error *e _unused_) {
        Search *s = userdata;

        if (s->found || !streq(entry->section, s->section) || !streq(entry->key, s->key) ||
                        isempty(entry->value))
                return 0;
        s->found = strdup(entry->value);
        return s->found ? 0 : -ENOMEM;
}

/* systemd sets no HOME for root's services. */
static const char *home_directory(void) {
        const char *home = secure_getenv("HOME");
        const struct passwd *user = isempty(home) ? getpwuid(geteuid()) : NULL;

        return user ? user->pw_dir : home;
}

static int search_file(const char *variable, const char *name, Search *s, Error *e) {
        const char *file = secure_getenv(variable), *home = home_directory();
        _cleanup_free_ char *path = NULL;
        int r;

        if (isempty(file) && isempty(home))
                return 0;
        path = isempty(file) ? text_format("%s/.aws/%s", home, name) : strdup(file);
        if (!path)
                return -ENOMEM;
        r = ini_read(path, on_entry, s, e);
        return r == -ENOENT ? 0 : r;
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
