#include <errno.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "publish/repository-internal.h"

const Metadata *repository_root(const Repository *r) {
        return r->n_roots > 0 ? r->roots[r->n_roots - 1] : NULL;
}

RoleFile *repository_targets(Repository *r) {
        return &r->roles[0];
}

RoleFile *repository_role(Repository *r, const char *role) {
        if (streq(role, "root"))
                return &r->root;
        for (size_t i = 0; i < r->n_roles; i++)
                if (streq(r->roles[i].role, role))
                        return &r->roles[i];
        return NULL;
}

static bool is_top_level(const char *role) {
        return streq(role, "root") || streq(role, "targets") || streq(role, "snapshot") ||
               streq(role, "timestamp");
}

const Metadata *repository_holder(const Repository *r, const char *role) {
        return is_top_level(role) ? repository_root(r) : r->roles[0].metadata;
}

const Metadata *repository_pending_holder(const Repository *r, const char *role) {
        return is_top_level(role) ? r->root.pending : r->roles[0].pending;
}

int repository_is_signed(const Metadata *m, const Metadata *holder, const char *role) {
        _cleanup_(role_free_p) Role *as_role = NULL;
        json_t *keys, *entry;
        int r;

        if (!m || !holder)
                return 0;
        entry = draft_role(metadata_signed(holder), role, &keys);
        if (!entry)
                return 0;
        r = role_from_json(role, entry, keys, &as_role, NULL);
        if (r >= 0)
                r = metadata_verify(m, as_role, NULL);
        return r >= 0 ? 1 : r == -ENOMEM ? r : 0;
}

int repository_read(const Repository *r, const char *folder, const char *name, char **ret, size_t *ret_size,
                Error *e) {
        _cleanup_free_ char *path = text_format("%s/%s", folder, name);
        int k;

        if (!path)
                return -ENOMEM;
        k = fs_read_file(r->fd, path, REPOSITORY_FILE_MAX, ret, ret_size);
        return k < 0 ? error_errno(e, k, "cannot read %s/%s", r->path, path) : 0;
}

/* Reads a file of metadata/. Its signatures are the caller's to look at. */
static int read_metadata(const Repository *r, int64_t version, const char *role, Metadata **ret,
                char **ret_data, size_t *ret_size, Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        _cleanup_free_ char *name = NULL, *data = NULL;
        size_t size;
        int k;

        name = version > 0 ? text_format("%lld.%s.json", (long long) version, role)
                           : text_format("%s.json", role);
        if (!name)
                return -ENOMEM;
        k = repository_read(r, "metadata", name, &data, &size, e);
        if (k >= 0)
                k = metadata_parse(name, role_type(role), data, size, &m, e);
        if (k >= 0 && version > 0 && metadata_version(m) != version)
                k = error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s/metadata/%s is of version %lld", r->path,
                                name, (long long) metadata_version(m));
        if (k < 0)
                return k;
        *ret = TAKE(m);
        if (ret_data) {
                *ret_data = TAKE(data);
                *ret_size = size;
        }
        return 0;
}

static int load_roots(Repository *r, Error *e) {
        for (;;) {
                _cleanup_(metadata_free_p) Metadata *m = NULL;
                Metadata **grown;
                int64_t version = (int64_t) r->n_roots + 1;
                int k;

                _cleanup_free_ char *name = text_format("%lld.root.json", (long long) version);
                if (!name)
                        return -ENOMEM;
                if (!strv_contains(r->names, name))
                        return 0;
                k = read_metadata(r, version, "root", &m, NULL, NULL, e);
                if (k < 0)
                        return k;
                k = repository_is_signed(m, m, "root");
                if (k > 0 && r->n_roots > 0)
                        k = repository_is_signed(m, repository_root(r), "root");
                if (k < 0)
                        return k;
                if (k == 0)
                        return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                        "%s/metadata/%s is not signed by the keys of the roots before it",
                                        r->path, name);
                grown = reallocarray(r->roots, r->n_roots + 1, sizeof(Metadata *));
                if (!grown)
                        return -ENOMEM;
                r->roots = grown;
                r->roots[r->n_roots++] = TAKE(m);
                r->root.highest = version;
        }
}

/* A top-level role's file is good by the root in force, or by an earlier one where a key was lost and the new one has
 * not signed yet. */
static int is_signed_by_any_root(const Repository *r, const Metadata *m, const char *role) {
        int k = 0;

        for (size_t i = r->n_roots; i-- > 0 && k == 0;)
                k = repository_is_signed(m, r->roots[i], role);
        return k;
}

/* An app's file is good by the targets in force, or by those that wait for it. */
static int is_signed_by_any_targets(const Repository *r, const Metadata *m, const char *role) {
        int k = repository_is_signed(m, repository_holder(r, role), role);

        return k == 0 ? repository_is_signed(m, repository_pending_holder(r, role), role) : k;
}

int64_t repository_number_of(const char *name, const char *role) {
        size_t digits = strspn(name, "0123456789");
        _cleanup_free_ char *number = strndup(name, digits);
        const char *rest = name + digits;
        uint64_t n;

        if (!number || digits == 0 || *rest != '.' || !(rest = startswith(rest + 1, role)) ||
                        !streq(rest, ".json") || parse_u64(number, INT64_MAX - 1, &n) < 0)
                return 0;
        return (int64_t) n;
}

static int64_t highest_below(const Repository *r, const char *role, int64_t bound) {
        int64_t highest = 0;

        for (char **i = r->names; i && *i; i++) {
                int64_t n = repository_number_of(*i, role);

                if (n < bound)
                        highest = MAX_OF(highest, n);
        }
        return highest;
}

/* The newest file of the role that is good. What stands above the published one without being good is not ours, and
 * only its number is taken. */
static int load_newest(Repository *r, RoleFile *f, Error *e) {
        _cleanup_free_ char *meta = text_format("%s.json", f->role);
        MetaFile published = {0};
        int64_t version;

        if (!meta)
                return -ENOMEM;
        if (r->snapshot)
                (void) metadata_meta(r->snapshot, meta, &published);
        f->highest = version = highest_below(r, f->role, INT64_MAX);
        for (; version >= MAX_OF(published.version, (int64_t) 1);
                        version = highest_below(r, f->role, version)) {
                _cleanup_(metadata_free_p) Metadata *m = NULL;
                _cleanup_error_ Error failure = ERROR_INIT;
                _cleanup_free_ char *data = NULL;
                size_t size;
                int k;

                k = read_metadata(r, version, f->role, &m, &data, &size, &failure);
                if (k >= 0)
                        k = streq(f->role, "targets") ? is_signed_by_any_root(r, m, f->role)
                                                      : is_signed_by_any_targets(r, m, f->role);
                if (k == -ENOMEM)
                        return k;
                if (k <= 0)
                        continue;
                f->metadata = TAKE(m);
                f->data = TAKE(data);
                f->size = size;
                return 0;
        }
        if (published.version == 0)
                return 0;
        (void) error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                        "%s/metadata/%lld.%s.json is missing, or not signed by the keys of role %s", r->path,
                        (long long) published.version, f->role, f->role);
        return error_hint(e, -EBADMSG, "restore it from a copy of the repository");
}

/* timestamp.json and the snapshot that it names. */
static int load_online(Repository *r, Error *e) {
        MetaFile snapshot;
        int k;

        r->snapshot_highest = highest_below(r, "snapshot", INT64_MAX);
        if (!strv_contains(r->names, "timestamp.json"))
                return 0;
        k = read_metadata(r, 0, "timestamp", &r->timestamp, NULL, NULL, e);
        if (k < 0)
                return k;
        k = is_signed_by_any_root(r, r->timestamp, "timestamp");
        if (k > 0) {
                if (!metadata_meta(r->timestamp, "snapshot.json", &snapshot))
                        return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                        "%s/metadata/timestamp.json names no snapshot", r->path);
                k = read_metadata(r, snapshot.version, "snapshot", &r->snapshot, NULL, NULL, e);
                if (k < 0)
                        return k;
                k = is_signed_by_any_root(r, r->snapshot, "snapshot");
        }
        if (k == 0)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "timestamp.json or its snapshot in %s/metadata is not signed by the keys of "
                                "any root",
                                r->path);
        return MIN_OF(k, 0);
}

int repository_add_role(Repository *r, const char *role) {
        RoleFile *grown;
        char *copy;

        if (repository_role(r, role))
                return 0;
        grown = reallocarray(r->roles, r->n_roles + 1, sizeof(RoleFile));
        if (!grown)
                return -ENOMEM;
        r->roles = grown;
        copy = strdup(role);
        if (!copy)
                return -ENOMEM;
        r->roles[r->n_roles++] = (RoleFile){.role = copy};
        return 0;
}

/* The apps that @targets (may be NULL) delegates to. Roles that were not made here, and whose names are no app's, are
 * refused: we would not know how to write their files. */
static int add_apps(Repository *r, const Metadata *targets, Error *e) {
        const json_t *delegations, *entry;
        size_t i;
        int k;

        delegations = targets ? json_object_get(metadata_signed(targets), "delegations") : NULL;
        if (json_object_get(delegations, "succinct_roles"))
                return error_set(e, ERROR_USAGE, -EOPNOTSUPP,
                                "%s delegates to hash bins, which releasemgr reads but does not write",
                                r->path);
        json_array_foreach(json_object_get(delegations, "roles"), i, entry) {
                const char *name = json_get_string(entry, "name");

                if (!version_is_valid(name))
                        return error_set(e, ERROR_USAGE, -EOPNOTSUPP,
                                        "%s delegates to \"%s\", which is no app's name", r->path, name);
                k = repository_add_role(r, name);
                if (k < 0)
                        return k;
        }
        return 0;
}

/* Whether a key of the role is on @m; on the first file of an app, a release key will do, as it is made from what that
 * key signed before. */
static int is_vouched_for(Repository *r, const RoleFile *f, const Metadata *m) {
        const Metadata *holders[] = {repository_holder(r, f->role), repository_pending_holder(r, f->role)};
        unsigned n = 0;
        int k = 0;

        for (size_t i = 0; i < ELEMENTS_OF(holders) && k >= 0 && n == 0; i++)
                if (holders[i])
                        k = draft_count_signatures(m, metadata_signed(holders[i]), f->role, &n);
        if (k >= 0 && n == 0 && !is_top_level(f->role) && !f->metadata)
                k = draft_count_signatures(m, metadata_signed(repository_root(r)), "targets", &n);
        return k < 0 ? k : n > 0;
}

/* What is pending counts only where it is ours and is ahead of what is in force. A new root may be signed by its own
 * keys alone: then it is nobody's. */
static int load_pending(Repository *r, RoleFile *f, Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        _cleanup_free_ char *name = text_format("%s.json", f->role), *path = NULL, *data = NULL;
        const Metadata *now = f == &r->root ? repository_root(r) : f->metadata;
        size_t size;
        int k;

        path = text_format("pending/%s.json", f->role);
        if (!name || !path)
                return -ENOMEM;
        if (!fs_exists(r->fd, path))
                return 0;
        k = repository_read(r, "pending", name, &data, &size, e);
        if (k >= 0)
                k = metadata_parse(path, role_type(f->role), data, size, &m, e);
        if (k < 0)
                return k;
        if (now && metadata_version(m) <= metadata_version(now)) {
                k = fs_unlink_durable(r->fd, path); /* it was published, or overtaken */
                return k < 0 ? error_errno(e, k, "cannot remove %s/%s", r->path, path) : 0;
        }
        k = is_vouched_for(r, f, m);
        if (k < 0)
                return k;
        if (k == 0) {
                (void) error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s/%s is not signed by any key of role %s",
                                r->path, path, f->role);
                return error_hint(e, -EBADMSG, "remove it, unless you know where it is from");
        }
        f->pending = TAKE(m);
        return 0;
}

int repository_load(Repository *r, Error *e) {
        int k;

        repository_unload(r);
        k = fs_list_directory(r->fd, "metadata", &r->names);
        if (k < 0)
                return error_errno(e, k, "cannot read %s/metadata", r->path);
        r->root.role = strdup("root");
        if (!r->root.role)
                return -ENOMEM;
        if ((k = repository_add_role(r, "targets")) < 0 || (k = load_roots(r, e)) < 0)
                return k;
        if (r->n_roots == 0)
                return 0;
        if ((k = load_online(r, e)) < 0 || (k = load_newest(r, &r->roles[0], e)) < 0 ||
                        (k = load_pending(r, &r->root, e)) < 0 ||
                        (k = load_pending(r, &r->roles[0], e)) < 0 ||
                        (k = add_apps(r, r->roles[0].metadata, e)) < 0 ||
                        (k = add_apps(r, r->roles[0].pending, e)) < 0)
                return k;
        for (size_t i = 1; i < r->n_roles; i++)
                if ((k = load_newest(r, &r->roles[i], e)) < 0 || (k = load_pending(r, &r->roles[i], e)) < 0)
                        return k;
        return 0;
}

static void role_file_clear(RoleFile *f) {
        free(f->role);
        free(f->data);
        metadata_free(f->metadata);
        metadata_free(f->pending);
        json_decref(f->draft);
        *f = (RoleFile){0};
}

void repository_unload(Repository *r) {
        for (size_t i = 0; i < r->n_roots; i++)
                metadata_free(r->roots[i]);
        free(r->roots);
        r->roots = NULL;
        r->n_roots = 0;
        role_file_clear(&r->root);
        for (size_t i = 0; i < r->n_roles; i++)
                role_file_clear(&r->roles[i]);
        free(r->roles);
        r->roles = NULL;
        r->n_roles = 0;
        r->snapshot = metadata_free(r->snapshot);
        r->timestamp = metadata_free(r->timestamp);
        r->snapshot_highest = 0;
        r->names = strv_free(r->names);
}
