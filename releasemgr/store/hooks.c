#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/hooks.h"

static const char *const paths[_HOOK_MAX] = {
                [HOOK_BEFORE_SWITCH] = HOOKS_FOLDER "/before-switch",
                [HOOK_AFTER_SWITCH] = HOOKS_FOLDER "/after-switch",
                [HOOK_AFTER_SUCCESS] = HOOKS_FOLDER "/after-success",
                [HOOK_AFTER_FAILURE] = HOOKS_FOLDER "/after-failure",
};

const char *hook_path(Hook h) {
        return paths[h];
}

const char *hook_name(Hook h) {
        return paths[h] + strlen(HOOKS_FOLDER "/");
}

int hook_from_name(const char *name, Hook *ret) {
        for (Hook h = 0; h < _HOOK_MAX; h++)
                if (streq(hook_name(h), name)) {
                        *ret = h;
                        return 0;
                }
        return -EINVAL;
}

int hooks_find(int dirfd, unsigned *ret, Error *e) {
        unsigned found = 0;
        struct stat st;
        int r;

        for (Hook h = 0; h < _HOOK_MAX; h++) {
                if (fstatat(dirfd, hook_path(h), &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno == ENOENT || errno == ENOTDIR)
                                continue;
                        return error_errno(e, -errno, "cannot look at %s", hook_path(h));
                }
                if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR)) {
                        r = error_set(e, ERROR_USAGE, -EINVAL, "%s is a hook, and no executable file",
                                        hook_path(h));
                        return error_hint(e, r, "chmod +x it, or give it another name");
                }
                found |= HOOK_BIT(h);
        }
        *ret = found;
        return 0;
}
