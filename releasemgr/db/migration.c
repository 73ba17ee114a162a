#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/version.h"
#include "db/migration-internal.h"
#include "trust/digest.h"

#define VERSION_TEXT_MAX 100
#define DEPTH_MAX        8 /* of folders in folders */

typedef struct Reader {
        int dirfd; /* the folder of migrations */
        MigrationList *list;
        size_t capacity;
} Reader;

static Migration *migration_free(Migration *m) {
        if (!m)
                return NULL;
        free(m->version);
        free(m->name);
        free(m->path);
        free(m->text);
        free(m);
        return NULL;
}

DEFINE_CLEANUP(Migration, migration_free);

MigrationList *migration_list_free(MigrationList *l) {
        if (!l)
                return NULL;
        for (size_t i = 0; i < l->n; i++)
                migration_free(l->items[i]);
        free(l->items);
        free(l);
        return NULL;
}

static int migration_load(Reader *reader, Migration *m, Error *e) {
        Digest digest;
        int r;

        r = fs_read_file(reader->dirfd, m->path, MIGRATION_SIZE_MAX, &m->text, &m->size);
        if (r < 0)
                return error_errno(e, r, "cannot read the migration %s", m->path);
        if (m->size >= 2 && (memcmp(m->text, "\xff\xfe", 2) == 0 || memcmp(m->text, "\xfe\xff", 2) == 0)) {
                r = error_set(e, ERROR_FAILED, -EINVAL, "the migration %s is UTF-16", m->path);
                return error_hint(e, r, "Save it as UTF-8.");
        }
        m->first_line = 1;
        r = m->style == MIGRATION_GOLANG ? migration_cut(m, e) : 0;
        if (r >= 0)
                r = digest_of(m->text, m->size, &digest);
        if (r < 0)
                return r;
        (void) digest_to_text(&digest, m->digest);
        return 0;
}

static int reader_add(Reader *reader, Migration *m, Error *e) {
        int r;

        if (strlen(m->version) > VERSION_TEXT_MAX)
                return error_set(e, ERROR_FAILED, -EINVAL,
                                "the migration %s has a version of more than %d letters", m->path,
                                VERSION_TEXT_MAX);
        r = migration_load(reader, m, e);
        if (r < 0)
                return r;
        if (reader->list->n == reader->capacity) {
                size_t capacity = MAX_OF(16, 2 * reader->capacity);
                Migration **items = reallocarray(reader->list->items, capacity, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                reader->list->items = items;
                reader->capacity = capacity;
        }
        reader->list->items[reader->list->n++] = m;
        return 1;
}

static int read_folder(Reader *reader, MigrationPhase phase, const char *path, unsigned depth, Error *e);

static int fits_none(const char *path, Error *e) {
        int r = error_set(e, ERROR_FAILED, -EINVAL, "%s looks like a migration and fits no convention", path);

        return error_hint(e, r,
                        "Name it N_name.up.sql, N_name.sql, V1_2__name.sql, R__name.sql or N_name/up.sql, or "
                        "move it "
                        "elsewhere.");
}

/* Whether what is in a folder of no convention is left alone: Flyway alone looks there. */
static bool is_out_of_sight(const char *name, unsigned depth) {
        return depth > 0 && !endswith(name, ".sql") && *name != 'V' && *name != 'R';
}

static int reader_add_file(Reader *reader, MigrationPhase phase, const char *name, const char *path,
                unsigned depth, Error *e) {
        _cleanup_(migration_free_p) Migration *m = calloc(1, sizeof(*m));
        int r;

        if (!m || !(m->path = strdup(path)))
                return -ENOMEM;
        m->phase = phase;
        r = is_out_of_sight(name, depth) ? 0 : migration_read_name(m, name, e);
        if (r == -ENOENT || (r > 0 && depth > 0 && m->style != MIGRATION_FLYWAY))
                return fits_none(path, e);
        if (r > 0)
                r = reader_add(reader, m, e);
        if (r > 0)
                (void) TAKE(m);
        return r;
}

static int reader_add_folder(Reader *reader, MigrationPhase phase, const char *name, const char *path,
                unsigned depth, Error *e) {
        _cleanup_(migration_free_p) Migration *m = calloc(1, sizeof(*m));
        int r;

        if (depth == DEPTH_MAX)
                return error_set(e, ERROR_FAILED, -ELOOP, "the folder %s is too deep", path);
        if (!m || !(m->path = text_format("%s/up.sql", path)))
                return -ENOMEM;
        m->phase = phase;
        r = migration_read_folder_name(m, name);
        if (r == -ENOENT)
                return read_folder(reader, phase, path, depth + 1, e);
        if (r < 0)
                return r;
        if (depth > 0 || !fs_exists(reader->dirfd, m->path))
                return fits_none(path, e); /* numbered, and without up.sql */
        r = reader_add(reader, m, e);
        if (r > 0)
                (void) TAKE(m);
        return r;
}

static int read_folder(Reader *reader, MigrationPhase phase, const char *folder, unsigned depth, Error *e) {
        _cleanup_strv_ char **names = NULL;
        bool top = streq(folder, ".");
        int r;

        r = fs_list_directory(reader->dirfd, folder, &names);
        if (r < 0)
                return error_errno(e, r, "cannot read the folder %s of migrations", folder);
        for (char **name = names; r >= 0 && name && *name; name++) {
                _cleanup_free_ char *path = top ? strdup(*name) : text_format("%s/%s", folder, *name);
                struct stat st = {0};

                if (!path)
                        return -ENOMEM;
                if (**name == '.' || (top && (streq(*name, "expand") || streq(*name, "contract"))))
                        continue;
                /* of a thousand files each question counts; a folder with such a name cannot be read, and that is said */
                if (!endswith(*name, ".sql") && fstatat(reader->dirfd, path, &st, 0) < 0)
                        return error_errno(e, -errno, "cannot read the migration %s", path);
                r = S_ISDIR(st.st_mode) ? reader_add_folder(reader, phase, *name, path, depth, e)
                                        : reader_add_file(reader, phase, *name, path, depth, e);
        }
        return r < 0 ? r : 0;
}

static int read_phase(Reader *reader, const char *folder, MigrationPhase phase, Error *e) {
        return fs_exists(reader->dirfd, folder) ? read_folder(reader, phase, folder, 0, e) : 0;
}

static int compare(const void *a, const void *b) {
        const Migration *m = *(Migration *const *) a, *n = *(Migration *const *) b;

        if (m->phase != n->phase)
                return m->phase < n->phase ? -1 : 1;
        if (m->repeatable != n->repeatable)
                return m->repeatable ? 1 : -1;
        return m->repeatable ? strcmp(m->version, n->version) : version_compare(m->version, n->version);
}

static int compare_versions(const void *a, const void *b) {
        return strcmp((*(Migration *const *) a)->version, (*(Migration *const *) b)->version);
}

/* No version twice, in whatever phase. */
static int check_unique(const MigrationList *l, Error *e) {
        _cleanup_free_ Migration **by_version = calloc(l->n + 1, sizeof(*by_version));

        if (!by_version)
                return -ENOMEM;
        for (size_t i = 0; i < l->n; i++)
                by_version[i] = l->items[i];
        qsort(by_version, l->n, sizeof(*by_version), compare_versions);
        for (size_t i = 1; i < l->n; i++)
                if (streq(by_version[i - 1]->version, by_version[i]->version)) {
                        int r = error_set(e, ERROR_FAILED, -EINVAL, "%s and %s have the same version, %s",
                                        by_version[i - 1]->path, by_version[i]->path, by_version[i]->version);

                        return error_hint(e, r, "Give one of them a version of its own.");
                }
        return 0;
}

int migration_list_read(int dirfd, const char *path, MigrationList **ret, Error *e) {
        _cleanup_(migration_list_free_p) MigrationList *l = calloc(1, sizeof(*l));
        _cleanup_close_ int fd = -1;
        Reader reader = {.list = l};
        int r;

        if (!l)
                return -ENOMEM;
        fd = fs_open_directory(dirfd, path);
        if (fd < 0 && fd != -ENOENT)
                return error_errno(e, fd, "cannot open the folder of migrations %s", path);
        if (fd >= 0) {
                reader.dirfd = fd;
                r = read_phase(&reader, ".", MIGRATION_EXPAND, e);
                if (r >= 0)
                        r = read_phase(&reader, "expand", MIGRATION_EXPAND, e);
                if (r >= 0)
                        r = read_phase(&reader, "contract", MIGRATION_CONTRACT, e);
                if (r < 0)
                        return r;
                if (l->n > 1)
                        qsort(l->items, l->n, sizeof(*l->items), compare);
                r = check_unique(l, e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE(l);
        return 0;
}

const char *migration_list_newest(const MigrationList *l, MigrationPhase phase) {
        const char *newest = NULL;

        for (size_t i = 0; i < l->n; i++)
                if (l->items[i]->phase == phase && !l->items[i]->repeatable)
                        newest = l->items[i]->version;
        return newest;
}
