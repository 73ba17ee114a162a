#include <errno.h>

#include "base/json.h"
#include "trust/metadata-internal.h"
#include "trust/metadata.h"

static int interpret_root(Metadata *m, Error *e) {
        const json_t *keys = json_object_get(m->signed_part, "keys");
        const json_t *roles = json_object_get(m->signed_part, "roles");
        const json_t *consistent = json_object_get(m->signed_part, "consistent_snapshot");
        int r;

        if (consistent && !json_is_boolean(consistent))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "\"consistent_snapshot\" is not true or false");
        m->consistent_snapshot = json_is_true(consistent); /* optional: section 4.3 */
        r = role_check_keys(keys, e);
        for (size_t i = 0; r >= 0 && i < _METADATA_TYPE_MAX; i++) {
                const char *name = metadata_type_to_text((MetadataType) i);

                r = role_from_json(name, json_object_get(roles, name), keys, &m->roles[i], e);
        }
        return r;
}

static int read_meta(const json_t *entry, MetaFile *ret, Error *e) {
        const json_t *length = json_object_get(entry, "length"), *hashes = json_object_get(entry, "hashes");
        MetaFile f = {.version = json_get_integer(entry, "version", 0), .length = -1};
        int r;

        if (f.version < 1)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "the \"version\" is not a number above zero");
        if (length) {
                f.length = json_is_integer(length) ? json_integer_value(length) : -1;
                if (f.length < 1)
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                        "the \"length\" is not a number above zero");
        }
        if (hashes) {
                r = hashes_from_json(hashes, &f.hashes, e);
                if (r < 0)
                        return r;
                f.has_hashes = true;
        }
        *ret = f;
        return 0;
}

static int interpret_meta(Metadata *m, const char *required, Error *e) {
        const json_t *meta = json_object_get(m->signed_part, "meta");
        const char *name;
        json_t *entry;
        MetaFile f;
        int r;

        if (!json_is_object(meta) || !json_object_get(meta, required))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "\"meta\" does not list %s", required);
        json_object_foreach((json_t *) meta, name, entry) {
                r = read_meta(entry, &f, e);
                if (r < 0)
                        return error_prefix(e, r, "%s: ", name);
        }
        return 0;
}

static int check_target(const json_t *entry, Error *e) {
        const json_t *length = json_object_get(entry, "length"), *custom = json_object_get(entry, "custom");
        Hashes hashes;

        if (!json_is_integer(length) || json_integer_value(length) < 0)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "the \"length\" is not a number");
        if (custom && !json_is_object(custom))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "\"custom\" is not an object");
        return hashes_from_json(json_object_get(entry, "hashes"), &hashes, e);
}

static int interpret_targets(Metadata *m, Error *e) {
        const json_t *targets = json_object_get(m->signed_part, "targets");
        const json_t *delegations = json_object_get(m->signed_part, "delegations");
        const char *name;
        json_t *entry;
        int r;

        if (!json_is_object(targets))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "\"targets\" is not an object");
        json_object_foreach((json_t *) targets, name, entry) {
                r = check_target(entry, e);
                if (r < 0)
                        return error_prefix(e, r, "target %s: ", name);
        }
        return delegations ? delegations_from_json(delegations, &m->delegations, e) : 0;
}

int metadata_interpret_body(Metadata *m, Error *e) {
        switch (m->type) {
        case METADATA_ROOT:
                return interpret_root(m, e);
        case METADATA_TIMESTAMP:
                return interpret_meta(m, "snapshot.json", e);
        case METADATA_SNAPSHOT:
                return interpret_meta(m, "targets.json", e);
        default:
                return interpret_targets(m, e);
        }
}

Role *metadata_root_role(const Metadata *root, MetadataType type) {
        return root->roles[type];
}

bool metadata_root_consistent_snapshot(const Metadata *root) {
        return root->consistent_snapshot;
}

bool metadata_meta(const Metadata *m, const char *name, MetaFile *ret) {
        const json_t *entry = json_object_get(json_object_get(m->signed_part, "meta"), name);

        return entry && read_meta(entry, ret, NULL) >= 0;
}

int metadata_check_rollback(const Metadata *m, const Metadata *old, Error *e) {
        const char *name;
        json_t *entry;

        json_object_foreach(json_object_get(old->signed_part, "meta"), name, entry) {
                int64_t before = json_get_integer(entry, "version", 0);
                MetaFile now;

                if (!metadata_meta(m, name, &now))
                        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s: %s is no longer listed", m->name,
                                        name);
                if (now.version < before)
                        return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                        "%s: %s goes back from version %lld to %lld", m->name, name,
                                        (long long) before, (long long) now.version);
        }
        return 0;
}

const json_t *metadata_target(const Metadata *targets, const char *target) {
        return json_object_get(metadata_targets(targets), target);
}

const json_t *metadata_targets(const Metadata *targets) {
        return json_object_get(targets->signed_part, "targets");
}

const Delegations *metadata_delegations(const Metadata *targets) {
        return targets->delegations;
}
