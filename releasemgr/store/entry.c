#include "store/entry.h"
#include "base/text.h"
#include "store/release.h"

#define NAME_LENGTH_MAX 255 /* of one component: NAME_MAX of every file system that matters */

void entry_clear(Entry *entry) {
        free(entry->path);
        free(entry->link);
        *entry = ENTRY_INIT;
}

static bool is_printable(const char *s) {
        for (const char *p = s; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        return false;
        return true;
}

const char *entry_path_problem(const char *path) {
        const char *rest = startswith(path, RELEASE_DIRECTORY);

        if (!*path)
                return "is empty";
        if (*path == '/')
                return "is absolute";
        if (strlen(path) > ENTRY_PATH_MAX)
                return "is too long";
        if (!is_printable(path))
                return "has a control character in its name";
        if (!utf8_is_valid(path, strlen(path)))
                return "has a name that is not UTF-8";
        if (rest && (!*rest || *rest == '/'))
                return "has a name that releasemgr keeps for itself";
        for (const char *p = path;; p++) {
                size_t n = strcspn(p, "/");

                if (n == 0 || (n == 1 && *p == '.'))
                        return "is not in its simplest form";
                if (n == 2 && p[0] == '.' && p[1] == '.')
                        return "has a .. in it";
                if (n > NAME_LENGTH_MAX)
                        return "has a name that is too long";
                p += n;
                if (!*p)
                        return NULL;
        }
}

const char *entry_link_problem(const char *path, const char *target) {
        size_t depth = 0;
        bool down = false;

        if (!*target)
                return "points nowhere";
        if (*target == '/')
                return "points to an absolute path";
        if (strlen(target) > ENTRY_PATH_MAX)
                return "has a target that is too long";
        if (!is_printable(target) || !utf8_is_valid(target, strlen(target)))
                return "has a target that is not printable UTF-8";
        for (const char *p = path; *p; p++)
                depth += *p == '/';
        for (const char *p = target; *p; p += strspn(p, "/")) {
                size_t n = strcspn(p, "/");

                if (n == 2 && p[0] == '.' && p[1] == '.') {
                        if (down)
                                return "has a .. behind a name in its target, which may mean anything";
                        if (depth-- == 0)
                                return "points outside the tree";
                } else if (n != 1 || *p != '.')
                        down = true;
                p += n;
        }
        return NULL;
}

const char *entry_type_to_string(EntryType type) {
        static const char *const names[] = {
                        [ENTRY_FILE] = "file",
                        [ENTRY_DIRECTORY] = "directory",
                        [ENTRY_SYMLINK] = "symlink",
                        [ENTRY_HARDLINK] = "hard link",
        };

        return names[type];
}
