#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "deploy/history.h"

#define CHUNK        (16 * KIB)
#define LINE_MAXIMUM (1 * MIB) /* ours are some KiB; what is longer is no line of ours */

/* Reads backwards from the end of the file, line by line. */
typedef struct Backwards {
        int fd;
        off_t start;   /* where @text begins in the file */
        Text text;     /* from @start on, as far as it was not handed out */
        bool too_long; /* the line that ends behind @text is, and is not kept */
} Backwards;

static int load_chunk(Backwards *b) {
        _cleanup_text_ Text t = TEXT_INIT;
        size_t want = MIN_OF((uint64_t) b->start, CHUNK);
        char buffer[CHUNK];
        ssize_t n;

        n = fd_pread_full(b->fd, buffer, want, b->start - want);
        if (n < 0)
                return (int) n;
        if ((size_t) n != want)
                return -EIO;
        if (text_add(&t, buffer, want) < 0 || text_add(&t, b->text.data, b->text.size) < 0)
                return -ENOMEM;
        b->start -= want;
        text_clear(&b->text);
        b->text = TAKE(t);
        return 0;
}

/* Looks for the beginning of a line that is too long to be kept: as an empty line it is as damaged as with its text. */
static bool skip_line(Backwards *b) {
        const char *feed = b->text.size > 0 ? memrchr(b->text.data, '\n', b->text.size) : NULL;

        b->text.size = feed ? (size_t) (feed + 1 - b->text.data) : 0;
        b->too_long = !feed && b->start > 0;
        return !b->too_long;
}

/* The next line towards the beginning, in @b until the next call. 0 at the beginning of the file. */
static int previous_line(Backwards *b, const char **ret, size_t *ret_size) {
        for (;;) {
                const char *feed;
                int r;

                if (b->too_long && skip_line(b)) {
                        *ret = "";
                        *ret_size = 0;
                        return 1;
                }
                while (!b->too_long && b->text.size > 0 && b->text.data[b->text.size - 1] == '\n')
                        b->text.size--;
                feed = b->text.size > 0 ? memrchr(b->text.data, '\n', b->text.size) : NULL;
                if (feed || (b->start == 0 && b->text.size > 0)) {
                        size_t begin = feed ? (size_t) (feed + 1 - b->text.data) : 0;

                        *ret = b->text.data + begin;
                        *ret_size = b->text.size - begin;
                        b->text.size = begin;
                        return 1;
                }
                if (b->start == 0)
                        return 0;
                b->too_long = b->too_long || b->text.size > LINE_MAXIMUM;
                if (b->too_long)
                        b->text.size = 0;
                r = load_chunk(b);
                if (r < 0)
                        return r;
        }
}

static int backwards_open(int dirfd, Backwards *b) {
        struct stat st;

        *b = (Backwards){.fd = fd_openat(dirfd, HISTORY_FILE, O_RDONLY | O_CLOEXEC)};
        if (b->fd < 0)
                return -errno;
        if (fstat(b->fd, &st) < 0)
                return -errno;
        b->start = st.st_size;
        return 0;
}

static void backwards_close(Backwards *b) {
        text_clear(&b->text);
        b->fd = fd_close(b->fd);
}

/* Calls @visit for each entry, the newest first, until it returns nonzero, which is passed on. */
static int each_backwards(int dirfd, int (*visit)(json_t *entry, void *userdata), void *userdata,
                HistoryDamage *damage, Error *e) {
        _cleanup_(backwards_close) Backwards b;
        const char *line;
        size_t size;
        int r;

        r = backwards_open(dirfd, &b);
        if (r == -ENOENT)
                return 0;
        while (r >= 0 && (r = previous_line(&b, &line, &size)) > 0) {
                _cleanup_json_ json_t *entry = NULL;

                if (json_parse(HISTORY_FILE, line, size, &entry, NULL) >= 0 && json_is_object(entry)) {
                        r = visit(entry, userdata);
                        if (r != 0)
                                return r;
                } else if (damage && damage->lines++ == 0)
                        damage->offset = (uint64_t) b.start + b.text.size;
        }
        return r < 0 ? error_errno(e, r, "cannot read %s", HISTORY_FILE) : 0;
}

typedef struct Tail {
        json_t *list;
        size_t max;
} Tail;

static int collect(json_t *entry, void *userdata) {
        Tail *t = userdata;

        if (json_array_append(t->list, entry) < 0)
                return -ENOMEM;
        return json_array_size(t->list) == t->max;
}

int history_tail(int dirfd, size_t max, json_t **ret, HistoryDamage *ret_damage, Error *e) {
        _cleanup_json_ json_t *list = json_array();
        Tail t = {list, max};
        int r;

        if (!list)
                return -ENOMEM;
        if (ret_damage)
                *ret_damage = (HistoryDamage){0};
        r = max > 0 ? each_backwards(dirfd, collect, &t, ret_damage, e) : 0;
        if (r < 0)
                return r;
        *ret = TAKE(list);
        return 0;
}

typedef struct Search {
        const char *id;
        json_t *found;
} Search;

static int match(json_t *entry, void *userdata) {
        const char *id = json_get_string(entry, "id");
        Search *s = userdata;

        if (!id || !startswith(id, s->id))
                return 0;
        if (s->found && !streq(json_get_string(s->found, "id"), id))
                return -ENOTUNIQ;
        if (s->found) /* what was said of it before */
                return 0;
        s->found = json_incref(entry);
        return streq(id, s->id);
}

int history_find(int dirfd, const char *id, json_t **ret, Error *e) {
        Search s = {id, NULL};
        int r;

        r = each_backwards(dirfd, match, &s, NULL, e);
        if (r == -ENOTUNIQ)
                error_set(e, ERROR_USAGE, r, "more than one deployment's id begins with \"%s\"", id);
        if (r < 0) {
                json_decref(s.found);
                return r;
        }
        if (!s.found) {
                error_set(e, ERROR_USAGE, -ENOENT, "there is no deployment \"%s\"", id);
                return error_hint(e, -ENOENT, "releasemgr history names them");
        }
        *ret = s.found;
        return 0;
}

/* A torn last line (a crash) is ended, so that the next one stands on its own. */
static int end_torn_line(int fd, off_t size) {
        char last;

        if (size == 0)
                return 0;
        if (fd_pread_full(fd, &last, 1, size - 1) != 1)
                return -EIO;
        return last == '\n' ? 0 : fd_write_all(fd, "\n", 1);
}

/* One write, so one line or none; what a full disk took of it is taken off again. */
static int append_line(int fd, const char *line, size_t size) {
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        r = end_torn_line(fd, st.st_size);
        if (r >= 0)
                r = fd_write_all(fd, line, size);
        if (r < 0)
                (void) fd_truncate(fd, st.st_size);
        else if (fsync(fd) < 0)
                r = -errno;
        return r;
}

/* Whether @entry stands there already, as the last. */
static bool is_told(const json_t *last, const json_t *entry) {
        return last && streq_ptr(json_get_string(last, "id"), json_get_string(entry, "id")) &&
               streq_ptr(json_get_string(last, "verdict"), json_get_string(entry, "verdict"));
}

int history_append(int dirfd, const json_t *entry, Error *e) {
        _cleanup_json_ json_t *last = NULL;
        _cleanup_free_ char *line = json_dumps(entry, JSON_COMPACT);
        _cleanup_close_ int fd = -1;
        size_t size;
        int r;

        if (!line)
                return -ENOMEM;
        r = history_tail(dirfd, 1, &last, NULL, e);
        if (r < 0)
                return r;
        if (is_told(json_array_get(last, 0), entry))
                return 0;
        size = strlen(line);
        line[size++] = '\n'; /* in the place of the NUL */
        fd = fd_openat(dirfd, HISTORY_FILE, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0)
                return error_errno(e, -errno, "cannot open %s", HISTORY_FILE);
        r = json_array_size(last) == 0 ? fs_sync_parent(dirfd, HISTORY_FILE) : 0;
        if (r >= 0)
                r = append_line(fd, line, size);
        return r < 0 ? error_errno(e, r, "cannot write to %s", HISTORY_FILE) : 0;
}
