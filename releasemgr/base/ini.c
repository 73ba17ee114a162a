#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/ini.h"
#include "base/text.h"

/* More than a configuration can need; inih itself has no bound. */
#define INI_SIZE_MAX (256 * KIB)

typedef struct Reading {
        const char *path;
        const char *rest; /* what was not read yet */
        unsigned line;    /* the one read last: inih as Debian builds it does not tell the handler */
        IniHandler handler;
        void *userdata;
        Error *error;
        int r;
} Reading;

/* Hands inih a line, as fgets() would. A line longer than its buffer would be read as two, so it is refused. */
static char *next_line(char *buffer, int size, void *stream) {
        Reading *x = stream;
        size_t n = strcspn(x->rest, "\n");

        if (!*x->rest || x->r < 0)
                return NULL;
        x->line++;
        if (n >= (size_t) size - 1) {
                x->r = error_set(x->error, ERROR_USAGE, -EINVAL, "%s:%u: the line is longer than %d bytes",
                                x->path, x->line, size - 2);
                return NULL;
        }
        memcpy(buffer, x->rest, n);
        buffer[n] = 0;
        x->rest += n + (x->rest[n] == '\n');
        return buffer;
}

/* inih's convention: nonzero goes on, zero is an error on this line. */
static int on_entry(void *userdata, const char *section, const char *key, const char *value) {
        Reading *x = userdata;
        IniEntry entry = {x->path, x->line, section, key, value};

        if (x->r < 0)
                return 0;
        if (isempty(section))
                x->r = error_set(x->error, ERROR_USAGE, -EINVAL, "%s= stands before any [Section]", key);
        else
                x->r = x->handler(&entry, x->userdata, x->error);
        if (x->r < 0)
                error_prefix(x->error, 0, "%s:%u: ", x->path, x->line);
        return x->r >= 0;
}

int ini_read(const char *path, IniHandler handler, void *userdata, Error *e) {
        _cleanup_free_ char *text = NULL;
        Reading x = {.path = path, .handler = handler, .userdata = userdata, .error = e};
        struct stat st;
        size_t size;
        int r;

        /* A FIFO would keep the reader waiting for ever. */
        if (stat(path, &st) >= 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISCHR(st.st_mode))
                return error_set(e, ERROR_USAGE, -EINVAL, "%s is not a regular file", path);
        r = fs_read_file(AT_FDCWD, path, INI_SIZE_MAX, &text, &size);
        if (r < 0)
                return error_errno(e, r, "cannot read %s", path);
        if (memchr(text, 0, size))
                return error_set(e, ERROR_USAGE, -EINVAL, "%s: a NUL byte in a text file", path);
        x.rest = text;
        r = ini_parse_stream(next_line, &x, on_entry, &x);
        if (r < 0)
                return -ENOMEM;
        /* inih reads on behind a line that it cannot read: what the handler says about a later one is hearsay */
        if (x.r < 0 && (r <= 0 || (unsigned) r >= x.line))
                return x.r;
        if (r > 0)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "%s:%d: expected [Section], Key=Value or a # comment", path, r);
        return 0;
}

int ini_read_with_dropins(const char *path, IniHandler handler, void *userdata, Error *e) {
        _cleanup_free_ char *directory = text_format("%s.d", path);
        _cleanup_strv_ char **names = NULL;
        int r;

        if (!directory)
                return -ENOMEM;
        r = ini_read(path, handler, userdata, e);
        if (r < 0)
                return r;
        r = fs_list_directory(AT_FDCWD, directory, &names);
        if (r < 0)
                return r == -ENOENT ? 0 : error_errno(e, r, "cannot read %s", directory);
        for (char **i = names; i && *i; i++) {
                _cleanup_free_ char *dropin = NULL;

                if (!endswith(*i, ".conf"))
                        continue;
                dropin = text_format("%s/%s", directory, *i);
                if (!dropin)
                        return -ENOMEM;
                r = ini_read(dropin, handler, userdata, e);
                if (r < 0)
                        return r;
        }
        return 0;
}
