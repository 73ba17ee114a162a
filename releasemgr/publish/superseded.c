/*
 * Which metadata files nobody can need any more
 *
 * A host in the middle of a refresh, a mirror that lags and a cache in between go on asking for what an older timestamp
 * names. They may for as long as that timestamp is good, and no longer than the snapshot behind it. So a snapshot goes
 * once it has expired, with a day for clocks that are behind, and a list of releases once no snapshot that is kept names
 * it. Roots stay for good: the chain begins with the first. How many files there are is then bounded by how often one is
 * signed in the time that a snapshot is good for.
 */

#include <errno.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "publish/repository-internal.h"

#define CLOCKS_BEHIND_USEC (UINT64_C(86400) * USEC_PER_SEC)

/* Takes @name away. A power cut may bring it back, and the next run takes it away again. */
static int take_away(Repository *r, const char *name, Error *e) {
        _cleanup_free_ char *path = text_format("metadata/%s", name);

        if (!path)
                return -ENOMEM;
        if (unlinkat(r->fd, path, 0) < 0 && errno != ENOENT)
                return error_errno(e, -errno, "cannot remove %s/%s, which is superseded", r->path, path);
        return 0;
}

/* Adds the files that @snapshot names to the set @needed. */
static int need_what_it_names(const Metadata *snapshot, json_t *needed) {
        const json_t *meta = json_object_get(metadata_signed(snapshot), "meta"), *entry;
        const char *file;

        json_object_foreach((json_t *) meta, file, entry) {
                _cleanup_free_ char *name = text_format(
                                "%lld.%s", (long long) json_get_integer(entry, "version", 0), file);

                if (!name || json_object_set_new(needed, name, json_true()) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* One snapshot older than the published one. What cannot be read is no host's either, and is left to people. */
static int look_at_snapshot(Repository *r, const char *name, json_t *needed, Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;
        int k;

        k = repository_read(r, "metadata", name, &data, &size, NULL);
        if (k >= 0)
                k = metadata_parse(name, METADATA_SNAPSHOT, data, size, &m, NULL);
        if (k < 0)
                return k == -ENOMEM ? k : 0;
        if (metadata_expires(m) + CLOCKS_BEHIND_USEC < r->now_usec)
                return take_away(r, name, e);
        return need_what_it_names(m, needed);
}

static int look_at_role(Repository *r, const RoleFile *f, const json_t *needed, Error *e) {
        int k = 0;

        for (char **i = r->names; i && *i && k >= 0; i++) {
                int64_t n = repository_number_of(*i, f->role);

                if (n > 0 && f->metadata && n < metadata_version(f->metadata) && !json_object_get(needed, *i))
                        k = take_away(r, *i, e);
        }
        return k;
}

int repository_remove_superseded(Repository *r, Error *e) {
        _cleanup_json_ json_t *needed = json_object();
        int k;

        if (!needed)
                return -ENOMEM;
        if (!r->snapshot)
                return 0;
        k = need_what_it_names(r->snapshot, needed);
        for (char **i = r->names; i && *i && k >= 0; i++) {
                int64_t n = repository_number_of(*i, "snapshot");

                if (n > 0 && n < metadata_version(r->snapshot))
                        k = look_at_snapshot(r, *i, needed, e);
        }
        for (size_t i = 0; i < r->n_roles && k >= 0; i++)
                k = look_at_role(r, &r->roles[i], needed, e);
        return k;
}
