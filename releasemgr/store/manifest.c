#include <errno.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "store/manifest.h"

/* A line with path and link of the greatest length, all of it escaped, and the keywords. */
#define LINE_MAX_SIZE (2 * 4 * ENTRY_PATH_MAX + 512)
#define BUFFER_SIZE   ((size_t) 2 * LINE_MAX_SIZE)

struct Manifest {
        int fd;
        uint64_t size;
        uint64_t offset; /* of the next line */
        uint64_t window; /* where the buffer's content stands in the file */
        size_t fill;
        char *previous; /* the path before, NULL after a jump */
        char line[LINE_MAX_SIZE + 1];
        char buffer[BUFFER_SIZE];
};

static bool is_plain(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c && strchr("/._-+@,:", c));
}

static int add_escaped(Text *t, const char *s) {
        int r = 0;

        for (; *s && r >= 0; s++)
                r = is_plain(*s) ? text_add(t, s, 1) : text_addf(t, "\\%03o", (unsigned char) *s);
        return r;
}

static int add_content(Text *t, const Entry *entry) {
        char hex[DIGEST_TEXT_MAX];

        return text_addf(t, " type=file mode=%s size=%llu sha256digest=%s",
                        entry->executable ? "0755" : "0644", (unsigned long long) entry->size,
                        digest_to_text(&entry->digest, hex));
}

int manifest_add(Text *t, const Entry *entry) {
        int r = text_adds(t, "./");

        if (r >= 0)
                r = add_escaped(t, entry->path);
        if (r >= 0)
                r = entry->type == ENTRY_DIRECTORY ? text_adds(t, " type=dir mode=0755")
                    : entry->type == ENTRY_SYMLINK ? text_adds(t, " type=link mode=0777 link=")
                                                   : add_content(t, entry);
        if (r >= 0 && entry->type == ENTRY_HARDLINK)
                r = text_adds(t, " link=./");
        if (r >= 0 && entry->link)
                r = add_escaped(t, entry->link);
        return r < 0 ? r : text_adds(t, "\n");
}

int manifest_new(int fd, Manifest **ret, Error *e) {
        _cleanup_(manifest_free_p) Manifest *m = NULL;
        char header[sizeof(MANIFEST_HEADER) - 1];
        struct stat st;
        ssize_t n;

        m = malloc(sizeof(*m));
        if (!m) {
                fd_close(fd);
                return -ENOMEM;
        }
        *m = (Manifest){.fd = fd, .offset = sizeof(header)};
        if (fstat(fd, &st) < 0)
                return error_errno(e, -errno, "Cannot read the manifest");
        m->size = st.st_size;
        n = fd_pread_full(fd, header, sizeof(header), 0);
        if (n < 0)
                return error_errno(e, (int) n, "Cannot read the manifest");
        if (n != sizeof(header) || memcmp(header, MANIFEST_HEADER, sizeof(header)) != 0)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The manifest does not begin with #mtree");
        *ret = TAKE(m);
        return 0;
}

Manifest *manifest_free(Manifest *m) {
        if (!m)
                return NULL;
        fd_close(m->fd);
        free(m->previous);
        free(m);
        return NULL;
}

/* What the cursor stands on, and behind it: the take_ functions step over what they name, or return false. */
static bool take_text(char **p, const char *text) {
        const char *rest = startswith(*p, text);

        if (!rest)
                return false;
        *p += rest - *p;
        return true;
}

/* Up to the next space, unescaped in its place, with a NUL behind it. */
static bool take_escaped(char **p, char **ret) {
        char *in = *p, *out = *p;

        *ret = *p;
        while (*in && *in != ' ') {
                unsigned c = 0;

                if (is_plain(*in)) {
                        *out++ = *in++;
                        continue;
                }
                if (*in++ != '\\')
                        return false;
                for (int i = 0; i < 3; i++, in++) {
                        if (*in < '0' || *in > '7')
                                return false;
                        c = c * 8 + (*in - '0');
                }
                if (c == 0 || c > 255 || is_plain((char) c))
                        return false;
                *out++ = (char) c;
        }
        *p = *in ? in + 1 : in; /* over the space, on which the NUL may stand now */
        *out = 0;
        return true;
}

static bool take_content(char **p, Entry *entry) {
        char hex[DIGEST_TEXT_MAX], *end;

        if (take_text(p, "mode=0755 size="))
                entry->executable = true;
        else if (!take_text(p, "mode=0644 size="))
                return false;
        if (**p < '0' || **p > '9')
                return false;
        errno = 0;
        entry->size = strtoull(*p, &end, 10);
        if (errno != 0 || entry->size > INT64_MAX)
                return false;
        *p = end;
        if (!take_text(p, " sha256digest=") || strlen(*p) < DIGEST_TEXT_MAX - 1)
                return false;
        memcpy(hex, *p, DIGEST_TEXT_MAX - 1);
        hex[DIGEST_TEXT_MAX - 1] = 0;
        *p += DIGEST_TEXT_MAX - 1;
        return digest_from_text(hex, &entry->digest) >= 0;
}

/* Takes @line apart; the texts of @ret point into it. */
static bool parse_line(char *p, Entry *ret) {
        Entry entry = ENTRY_INIT;

        if (!take_text(&p, "./") || !take_escaped(&p, &entry.path))
                return false;
        if (take_text(&p, "type=dir mode=0755"))
                entry.type = ENTRY_DIRECTORY;
        else if (take_text(&p, "type=link mode=0777 link=")) {
                entry.type = ENTRY_SYMLINK;
                if (!take_escaped(&p, &entry.link))
                        return false;
        } else if (!take_text(&p, "type=file ") || !take_content(&p, &entry))
                return false;
        else if (take_text(&p, " link=./")) {
                entry.type = ENTRY_HARDLINK;
                if (!take_escaped(&p, &entry.link))
                        return false;
        }
        *ret = entry;
        return *p == 0;
}

/* What is wrong with an entry as such, NULL where nothing is. */
static const char *entry_problem(const Manifest *m, const Entry *entry) {
        const char *problem = entry_path_problem(entry->path);

        if (problem)
                return problem;
        if (m->previous && strcmp(m->previous, entry->path) >= 0)
                return "is out of order";
        if (entry->type == ENTRY_SYMLINK)
                return entry_link_problem(entry->path, entry->link);
        if (entry->type == ENTRY_HARDLINK && strcmp(entry->link, entry->path) >= 0)
                return "is a hard link to what comes later";
        return entry->type == ENTRY_HARDLINK ? entry_path_problem(entry->link) : NULL;
}

/* The next line into m->line: 1, or 0 at the end. */
static int read_line(Manifest *m, Error *e) {
        char *start, *end;

        if (m->offset >= m->size)
                return 0;
        for (int again = 0;; again++) {
                bool inside = m->offset >= m->window && m->offset < m->window + m->fill;

                start = m->buffer + (inside ? m->offset - m->window : 0);
                end = inside ? memchr(start, '\n', m->buffer + m->fill - start) : NULL;
                if (end || again)
                        break;

                ssize_t n = fd_pread_full(m->fd, m->buffer, BUFFER_SIZE, m->offset);

                m->window = m->offset;
                m->fill = MAX_OF(n, 0);
                if (n < 0)
                        return error_errno(e, (int) n, "Cannot read the manifest");
        }
        if (!end || end - start > LINE_MAX_SIZE)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The manifest has a line without an end");
        memcpy(m->line, start, end - start);
        m->line[end - start] = 0;
        m->offset += end + 1 - start;
        return 1;
}

int manifest_next(Manifest *m, Entry *entry, Error *e) {
        uint64_t offset = m->offset;
        Entry found = ENTRY_INIT;
        const char *problem;
        int r;

        entry_clear(entry);
        r = read_line(m, e);
        if (r <= 0)
                return r;
        if (!parse_line(m->line, &found))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "The manifest has a malformed line at byte %llu",
                                (unsigned long long) offset);
        problem = entry_problem(m, &found);
        if (problem)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The manifest's entry \"%s\" %s", found.path,
                                problem);
        *entry = found;
        entry->path = strdup(found.path);
        entry->link = found.link ? strdup(found.link) : NULL;
        free(m->previous);
        m->previous = strdup(found.path);
        return entry->path && m->previous && !entry->link == !found.link ? 1 : -ENOMEM;
}

uint64_t manifest_tell(const Manifest *m) {
        return m->offset;
}

void manifest_seek(Manifest *m, uint64_t offset) {
        m->offset = offset;
        free(m->previous);
        m->previous = NULL;
}

uint64_t manifest_size(const Manifest *m) {
        return m->size;
}

int manifest_fd(const Manifest *m) {
        return m->fd;
}
