#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "store/release.h"

#define FACTS_SIZE_MAX (1 * MIB)

#define DISK_BLOCK 4096

/* Directories and files of our own in a release: the top, .releasemgr, shared, release.json and the manifest. */
#define OWN_INODES 5

static int bad(Error *e, const char *key) {
        return error_set(e, ERROR_FAILED, -EBADMSG, "%s has no valid \"%s\"", RELEASE_FACTS, key);
}

static int read_text(const json_t *o, const char *key, char **ret) {
        const char *s = json_get_string(o, key);

        *ret = s ? strdup(s) : NULL;
        return !s || *ret ? 0 : -ENOMEM;
}

static int read_number(const json_t *o, const char *key, uint64_t *ret, Error *e) {
        int64_t n = json_get_integer(o, key, -1);

        *ret = n;
        return n < 0 ? bad(e, key) : 0;
}

static int read_digest(const json_t *o, const char *key, Digest *ret, Error *e) {
        const char *s = json_get_string(o, key);

        return s && digest_from_text(s, ret) >= 0 ? 0 : bad(e, key);
}

static int read_shared(const json_t *o, char ***ret, Error *e) {
        const json_t *l = json_object_get(o, "shared"), *item;
        size_t i;

        if (!json_is_array(l))
                return bad(e, "shared");
        json_array_foreach(l, i, item) {
                if (!json_is_string(item))
                        return bad(e, "shared");
                if (strv_add(ret, json_string_value(item)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int read_schema(const json_t *o, json_t **ret, Error *e) {
        const json_t *schema = json_object_get(o, "schema");

        if (schema && !json_is_object(schema))
                return bad(e, "schema");
        *ret = schema ? json_deep_copy(schema) : NULL;
        return schema && !*ret ? -ENOMEM : 0;
}

static int read_info(const json_t *o, ReleaseInfo *i, Error *e) {
        const char *sealed = json_get_string(o, "sealed");
        int r;

        if ((r = read_text(o, "app", &i->app)) < 0 || (r = read_text(o, "version", &i->version)) < 0 ||
                        (r = read_text(o, "commit", &i->commit)) < 0 ||
                        (r = read_number(o, "tar_length", &i->tar_length, e)) < 0 ||
                        (r = read_number(o, "entries", &i->entries, e)) < 0 ||
                        (r = read_number(o, "unpacked", &i->unpacked, e)) < 0 ||
                        (r = read_digest(o, "tar_sha256", &i->tar_digest, e)) < 0 ||
                        (r = read_digest(o, "bundle_sha256", &i->bundle_digest, e)) < 0 ||
                        (r = read_digest(o, "manifest_sha256", &i->manifest_digest, e)) < 0 ||
                        (r = read_shared(o, &i->shared, e)) < 0 || (r = read_schema(o, &i->schema, e)) < 0)
                return r;
        if (!i->app)
                return bad(e, "app");
        if (!i->version || !version_is_valid(i->version))
                return bad(e, "version");
        if (!sealed || clock_from_text(sealed, &i->sealed_usec) < 0)
                return bad(e, "sealed");
        return 0;
}

int release_info_read(int dirfd, ReleaseInfo **ret, Error *e) {
        _cleanup_(release_info_free_p) ReleaseInfo *i = calloc(1, sizeof(*i));
        _cleanup_json_ json_t *o = NULL;
        int r;

        if (!i)
                return -ENOMEM;
        r = json_read_file(dirfd, RELEASE_FACTS, FACTS_SIZE_MAX, &o, e);
        if (r >= 0)
                r = read_info(o, i, e);
        if (r < 0)
                return r;
        *ret = TAKE(i);
        return 0;
}

static json_t *shared_to_json(char *const *shared) {
        _cleanup_json_ json_t *l = json_array();

        for (char *const *p = shared; p && *p; p++)
                if (json_array_append_new(l, json_string(*p)) < 0)
                        return NULL;
        return TAKE(l);
}

static json_t *info_to_json(const ReleaseInfo *i) {
        char tar[DIGEST_TEXT_MAX], bundle[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX], sealed[CLOCK_TEXT_MAX];

        return json_pack("{s:s, s:s, s:s*, s:I, s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:O*}", "app", i->app,
                        "version", i->version, "commit", i->commit, "tar_length", (json_int_t) i->tar_length,
                        "tar_sha256", digest_to_text(&i->tar_digest, tar), "bundle_sha256",
                        digest_to_text(&i->bundle_digest, bundle), "manifest_sha256",
                        digest_to_text(&i->manifest_digest, manifest), "entries", (json_int_t) i->entries,
                        "unpacked", (json_int_t) i->unpacked, "sealed", clock_to_text(i->sealed_usec, sealed),
                        "shared", shared_to_json(i->shared), "schema", i->schema);
}

int release_info_write(int dirfd, const ReleaseInfo *i, Error *e) {
        _cleanup_json_ json_t *o = info_to_json(i);
        _cleanup_free_ char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
        _cleanup_close_ int fd = -1;
        int r;

        if (!text)
                return -ENOMEM;
        fd = fd_openat(dirfd, RELEASE_FACTS, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0444);
        if (fd < 0)
                return error_errno(e, -errno, "Cannot make %s", RELEASE_FACTS);
        r = fd_write_all(fd, text, strlen(text));
        if (r >= 0)
                r = fd_write_all(fd, "\n", 1);
        return r < 0 ? error_errno(e, r, "Cannot write %s", RELEASE_FACTS) : 0;
}

ReleaseInfo *release_info_free(ReleaseInfo *i) {
        if (!i)
                return NULL;
        free(i->app);
        free(i->version);
        free(i->commit);
        strv_free(i->shared);
        json_decref(i->schema);
        free(i);
        return NULL;
}

ReleaseInfo **release_info_free_many(ReleaseInfo **l, size_t n) {
        for (size_t i = 0; i < n; i++)
                release_info_free(l[i]);
        free(l);
        return NULL;
}

void release_usage(uint64_t tar_length, uint64_t entries, uint64_t *ret_bytes, uint64_t *ret_inodes) {
        /* The tar holds every byte; on disk each entry may waste most of a block more. */
        *ret_bytes = tar_length + (entries + OWN_INODES) * DISK_BLOCK;
        *ret_inodes = entries + OWN_INODES;
}
