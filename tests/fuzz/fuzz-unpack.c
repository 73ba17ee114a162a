/* Whatever the tar stream says, nothing is made outside the directory, and only what a release may hold. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "fuzz.h"
#include "store/unpack.h"
#include "store/walk.h"

typedef struct Source {
        const uint8_t *data;
        size_t left;
} Source;

static int next(void *userdata, const void **ret, size_t *ret_size) {
        Source *s = userdata;

        *ret = s->data;
        *ret_size = s->left < 700 ? s->left : 700;
        s->data += *ret_size;
        s->left -= *ret_size;
        return *ret_size > 0;
}

static int look(int dirfd, const char *name, const char *path, const struct stat *st, void *userdata,
                Error *e) {
        (void) dirfd;
        (void) name;
        (void) path;
        (void) userdata;
        (void) e;
        INVARIANT(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode));
        INVARIANT(!(st->st_mode & (S_ISUID | S_ISGID)));
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        BundleInfo expected = {.tar_length = size, .entries = 64, .unpacked = 65536};
        char top[] = "/tmp/fuzz-unpack-XXXXXX";
        Source source = {.data = data, .left = size};
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_close_ int fd = -1, inside = -1;
        _cleanup_strv_ char **names = NULL;
        int r;

        INVARIANT(mkdtemp(top));
        fd = fs_open_directory(AT_FDCWD, top);
        INVARIANT(fd >= 0 && mkdirat(fd, "in", 0755) == 0);
        inside = fs_open_directory(fd, "in");
        r = unpack_tar(inside, &expected, next, &source, &e);
        INVARIANT((r < 0) == (e.message != NULL));
        INVARIANT(walk_tree(inside, false, look, NULL, NULL) == 0);
        INVARIANT(fs_list_directory(fd, ".", &names) == 0);
        INVARIANT(streq(names[0], "in") && !names[1]);
        INVARIANT(fs_remove_tree(AT_FDCWD, top) == 0);
        return 0;
}
