#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "store/entry.h"
#include "store/release.h"
#include "store/walk.h"

/* Deeper trees do not fit into ENTRY_PATH_MAX with names that anybody uses, and would use up descriptors. */
#define DEPTH_MAX 128

typedef struct Walk {
        WalkVisit visit;
        void *userdata;
        dev_t device;
        Text path;
        unsigned depth;
        bool skip_own;
} Walk;

static int walk_directory(Walk *w, int fd, Error *e);

/* Whether the content of @name has a place of its own in the order: that of the name with a slash behind it. */
static bool is_directory(int fd, const char *name) {
        struct stat st;

        /* a name that is gone meanwhile is the visit's to find */
        return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISDIR(st.st_mode);
}

static int list_places(int fd, char ***ret) {
        _cleanup_strv_ char **names = NULL, **places = NULL;
        size_t n = 0;
        int r = fs_list_directory(fd, ".", &names);

        if (r < 0)
                return r;
        places = calloc(2 * strv_length(names) + 1, sizeof(char *));
        if (!places)
                return -ENOMEM;
        for (char **i = names; i && *i; i++) {
                if (is_directory(fd, *i) && !(places[n++] = text_format("%s/", *i)))
                        return -ENOMEM;
                if (!(places[n++] = strdup(*i)))
                        return -ENOMEM;
        }
        strv_sort(places);
        *ret = TAKE(places);
        return 0;
}

static int walk_descend(Walk *w, int dirfd, const char *place, Error *e) {
        _cleanup_free_ char *name = strndup(place, strlen(place) - 1);
        _cleanup_close_ int fd = -1;
        int r;

        if (!name)
                return -ENOMEM;
        fd = fd_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_errno(e, -errno, "Cannot open the directory %s", w->path.data);
        w->depth++;
        r = walk_directory(w, fd, e);
        w->depth--;
        return r;
}

static int walk_place(Walk *w, int fd, const char *place, Error *e) {
        struct stat st;

        if (endswith(place, "/"))
                return walk_descend(w, fd, place, e);
        if (fstatat(fd, place, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(e, -errno, "Cannot look at %s", w->path.data);
        /* Of directories alone: an overlay shows its files with the devices of its layers. */
        if (S_ISDIR(st.st_mode) && st.st_dev != w->device)
                return error_set(e, ERROR_FAILED, -EXDEV, "%s is on another file system", w->path.data);
        return w->visit(fd, place, w->path.data, &st, w->userdata, e);
}

static int walk_directory(Walk *w, int fd, Error *e) {
        _cleanup_strv_ char **places = NULL;
        size_t length = w->path.size;
        int r;

        if (w->depth > DEPTH_MAX)
                return error_set(e, ERROR_FAILED, -ELOOP, "%s is nested too deep", w->path.data);
        r = list_places(fd, &places);
        if (r < 0)
                return error_errno(e, r, "Cannot list the directory %s", length ? w->path.data : ".");
        for (char **i = places; r >= 0 && i && *i; i++) {
                const char *own = w->depth == 0 && w->skip_own ? startswith(*i, RELEASE_DIRECTORY) : NULL;

                if (own && (!*own || streq(own, "/")))
                        continue;
                r = text_adds(&w->path, *i); /* of a place with a slash, the path its content begins with */
                if (r < 0)
                        return r;
                r = walk_place(w, fd, *i, e);
                w->path.size = length;
                w->path.data[length] = 0;
        }
        return r;
}

int walk_tree(int dirfd, bool skip_own, WalkVisit visit, void *userdata, Error *e) {
        Walk w = {.visit = visit, .userdata = userdata, .skip_own = skip_own};
        struct stat st;
        int r;

        if (fstat(dirfd, &st) < 0)
                return error_errno(e, -errno, "Cannot look at the directory");
        w.device = st.st_dev;
        r = walk_directory(&w, dirfd, e);
        text_clear(&w.path);
        return r;
}
