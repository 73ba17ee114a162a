#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "publish/repository-internal.h"

int repository_online_is_signed(const Repository *r, const Metadata *root) {
        int k = repository_is_signed(r->timestamp, root, "timestamp");

        return k > 0 ? repository_is_signed(r->snapshot, root, "snapshot") : k;
}

/* Whether a snapshot lists @f: targets always, an app once targets delegates to it. */
static bool is_listed(Repository *r, const RoleFile *f) {
        return f->metadata &&
               (f == repository_targets(r) ||
                               draft_role(metadata_signed(repository_targets(r)->metadata), f->role, NULL));
}

int repository_online_is_current(Repository *r) {
        if (!r->timestamp || !r->snapshot)
                return 0;
        for (size_t i = 0; i < r->n_roles; i++) {
                const RoleFile *f = &r->roles[i];
                _cleanup_free_ char *name = text_format("%s.json", f->role);
                MetaFile meta;

                if (!name)
                        return -ENOMEM;
                if (is_listed(r, f) && (!metadata_meta(r->snapshot, name, &meta) ||
                                                       meta.version != metadata_version(f->metadata)))
                        return 0;
        }
        return repository_online_is_signed(r, repository_root(r));
}

/* A file whose "meta" tells of one other file after the other. */
static int add_meta(json_t *draft, const char *role, int64_t version, const void *data, size_t size) {
        _cleanup_free_ char *name = text_format("%s.json", role);
        json_t *described;
        int k;

        if (!name)
                return -ENOMEM;
        k = metadata_describe(version, data, size, &described);
        if (k < 0)
                return k;
        return json_object_set_new(json_object_get(draft, "meta"), name, described) < 0 ? -ENOMEM : 0;
}

/* The file, signed by the keys of the root in force and of the one to come. 1; 0 where those at hand are too few. */
static int make(Repository *r, json_t *draft, int64_t version, json_t **ret, Error *e) {
        const char *role = json_get_string(draft, "_type");
        const Metadata *root = repository_root(r), *coming = r->root.pending;
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        _cleanup_free_ char *data = NULL;
        _cleanup_json_ json_t *envelope = NULL;
        size_t size;
        int k;

        if ((k = draft_stamp(draft, version, r->now_usec + r->options.online_expires_usec)) < 0 ||
                        (k = metadata_envelope(draft, &envelope)) < 0 ||
                        (k = repository_sign_envelope(r, role, envelope, metadata_signed(root),
                                         coming ? metadata_signed(coming) : NULL, e)) < 0 ||
                        (k = metadata_write(envelope, &data, &size)) < 0 ||
                        (k = metadata_parse(role, role_type(role), data, size, &m, e)) < 0)
                return k;
        k = repository_is_signed(m, root, role);
        if (k > 0)
                *ret = TAKE(envelope);
        return k;
}

static int make_snapshot(Repository *r, int64_t version, json_t **ret, Error *e) {
        _cleanup_json_ json_t *draft = NULL;
        int k;

        k = draft_new(METADATA_SNAPSHOT, &draft);
        for (size_t i = 0; i < r->n_roles && k >= 0; i++) {
                const RoleFile *f = &r->roles[i];

                if (is_listed(r, f))
                        k = add_meta(draft, f->role, metadata_version(f->metadata), f->data, f->size);
        }
        return k < 0 ? k : make(r, draft, version, ret, e);
}

static int make_timestamp(
                Repository *r, int64_t snapshot_version, const json_t *snapshot, json_t **ret, Error *e) {
        int64_t version = r->timestamp ? metadata_version(r->timestamp) + 1 : 1;
        _cleanup_json_ json_t *draft = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;
        int k;

        if ((k = draft_new(METADATA_TIMESTAMP, &draft)) < 0 ||
                        (k = metadata_write(snapshot, &data, &size)) < 0 ||
                        (k = add_meta(draft, "snapshot", snapshot_version, data, size)) < 0)
                return k;
        return make(r, draft, version, ret, e);
}

int repository_sign_online(Repository *r, Error *e) {
        int64_t version = r->snapshot_highest + 1;
        _cleanup_json_ json_t *snapshot = NULL, *timestamp = NULL;
        _cleanup_free_ char *name = text_format("%lld.snapshot.json", (long long) version);
        int k;

        if (!name)
                return -ENOMEM;
        k = make_snapshot(r, version, &snapshot, e);
        if (k > 0)
                k = make_timestamp(r, version, snapshot, &timestamp, e);
        if (k <= 0)
                return k;
        k = repository_write(r, "metadata", name, snapshot, e);
        if (k >= 0)
                k = repository_write(r, "metadata", "timestamp.json", timestamp, e);
        return k < 0 ? k : 1;
}
