#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "publish/draft.h"

const char *draft_key_name(const char *role) {
        return streq(role, "snapshot") || streq(role, "timestamp") ? "online" : role;
}

/* The members that only this type has, empty. */
static json_t *empty_body(MetadataType type) {
        switch (type) {
        case METADATA_ROOT:
                return json_pack("{s:b, s:{}, s:{}}", "consistent_snapshot", 1, "keys", "roles");
        case METADATA_TARGETS:
                return json_pack("{s:{}}", "targets");
        default:
                return json_pack("{s:{}}", "meta");
        }
}

int draft_new(MetadataType type, json_t **ret) {
        _cleanup_json_ json_t *body = empty_body(type);
        json_t *draft = json_pack("{s:s, s:s, s:i, s:s}", "_type", metadata_type_to_text(type),
                        "spec_version", SPEC_VERSION, "version", 0, "expires", "");

        if (!draft || !body || json_object_update(draft, body) < 0) {
                json_decref(draft);
                return -ENOMEM;
        }
        *ret = draft;
        return 0;
}

int draft_stamp(json_t *draft, int64_t version, uint64_t expires_usec) {
        char text[CLOCK_TEXT_MAX];

        if (json_object_set_new(draft, "version", json_integer(version)) < 0 ||
                        json_object_set_new(
                                        draft, "expires", json_string(clock_to_text(expires_usec, text))) < 0)
                return -ENOMEM;
        return 0;
}

json_t *draft_role(const json_t *draft, const char *role, json_t **ret_keys) {
        const json_t *delegations = json_object_get(draft, "delegations");
        const json_t *holder = delegations ?: draft;
        json_t *roles = json_object_get(holder, "roles"), *entry;
        size_t i;

        if (ret_keys)
                *ret_keys = json_object_get(holder, "keys");
        if (json_is_object(roles))
                return json_object_get(roles, role);
        json_array_foreach(roles, i, entry)
                if (streq_ptr(json_get_string(entry, "name"), role))
                        return entry;
        return NULL;
}

/* The place of @keyid among the role's, or their number. */
static size_t find_keyid(const json_t *keyids, const char *keyid) {
        size_t i = 0;

        while (i < json_array_size(keyids) && !streq_ptr(json_string_value(json_array_get(keyids, i)), keyid))
                i++;
        return i;
}

static int add_key(json_t *entry, json_t *keys, json_t *key) {
        json_t *keyids = json_object_get(entry, "keyids");
        char id[DIGEST_TEXT_MAX];
        int r;

        r = key_id_of(key, id);
        if (r < 0)
                return r;
        if (json_object_set(keys, id, key) < 0)
                return -ENOMEM;
        if (find_keyid(keyids, id) < json_array_size(keyids))
                return 0;
        return json_array_append_new(keyids, json_string(id)) < 0 ? -ENOMEM : 0;
}

int draft_add_root_key(json_t *root, const char *role, json_t *key) {
        json_t *roles = json_object_get(root, "roles");

        if (!json_object_get(roles, role) &&
                        json_object_set_new(roles, role, json_pack("{s:[], s:i}", "keyids", "threshold", 1)) <
                                        0)
                return -ENOMEM;
        return add_key(json_object_get(roles, role), json_object_get(root, "keys"), key);
}

/* The app's targets have three parts: APP/VERSION/FILE and APP/channels/FILE. A '*' does not cross a '/'. */
static int new_delegation(json_t *targets, const char *app) {
        _cleanup_free_ char *paths = text_format("%s/*/*", app);
        json_t *roles;

        if (!paths)
                return -ENOMEM;
        if (!json_object_get(targets, "delegations") &&
                        json_object_set_new(targets, "delegations",
                                        json_pack("{s:{}, s:[]}", "keys", "roles")) < 0)
                return -ENOMEM;
        roles = json_object_get(json_object_get(targets, "delegations"), "roles");
        return json_array_append_new(
                               roles, json_pack("{s:s, s:[], s:i, s:[s], s:b}", "name", app, "keyids",
                                                      "threshold", 1, "paths", paths, "terminating", 1)) < 0
                               ? -ENOMEM
                               : 0;
}

int draft_add_delegation(json_t *targets, const char *app, json_t *key) {
        json_t *entry, *keys;
        int r;

        if (!draft_role(targets, app, NULL)) {
                r = new_delegation(targets, app);
                if (r < 0)
                        return r;
        }
        entry = draft_role(targets, app, &keys);
        return add_key(entry, keys, key);
}

static bool is_used(const json_t *roles, const char *keyid) {
        json_t *entry;
        size_t i;
        const char *name;

        json_object_foreach((json_t *) roles, name, entry) {
                const json_t *keyids = json_object_get(entry, "keyids");

                if (find_keyid(keyids, keyid) < json_array_size(keyids))
                        return true;
        }
        json_array_foreach(roles, i, entry) {
                const json_t *keyids = json_object_get(entry, "keyids");

                if (find_keyid(keyids, keyid) < json_array_size(keyids))
                        return true;
        }
        return false;
}

int draft_remove_key(json_t *draft, const char *role, const char *keyid, Error *e) {
        json_t *keys, *entry = draft_role(draft, role, &keys), *keyids = json_object_get(entry, "keyids");
        const json_t *delegations = json_object_get(draft, "delegations");
        size_t i = find_keyid(keyids, keyid);

        if (i == json_array_size(keyids))
                return error_set(e, ERROR_USAGE, -EINVAL, "role %s has no key %s", role, keyid);
        (void) json_array_remove(keyids, i);
        if (!is_used(json_object_get(delegations ?: draft, "roles"), keyid))
                (void) json_object_del(keys, keyid);
        return 0;
}

int draft_set_threshold(json_t *draft, const char *role, unsigned threshold, Error *e) {
        json_t *entry = draft_role(draft, role, NULL);
        size_t n = json_array_size(json_object_get(entry, "keyids"));

        if (threshold < 1 || threshold > n)
                return error_set(e, ERROR_USAGE, -EINVAL, "role %s has too few keys for %u signatures: %zu",
                                role, threshold, n);
        return json_object_set_new(entry, "threshold", json_integer(threshold)) < 0 ? -ENOMEM : 0;
}

int draft_count_signatures(const Metadata *m, const json_t *holder, const char *role, unsigned *ret) {
        json_t *keys, *entry = draft_role(holder, role, &keys);
        unsigned n = json_array_size(json_object_get(entry, "keyids")), good = 0;
        int r = 0;

        while (good < n && r >= 0) {
                _cleanup_json_ json_t *wanted = json_pack("{s:O, s:i}", "keyids",
                                json_object_get(entry, "keyids"), "threshold", (int) good + 1);
                _cleanup_(role_free_p) Role *as_role = NULL;

                r = wanted ? role_from_json(role, wanted, keys, &as_role, NULL) : -ENOMEM;
                if (r >= 0)
                        r = metadata_verify(m, as_role, NULL);
                if (r >= 0)
                        good++;
        }
        if (r < 0 && r != -EBADMSG)
                return r;
        *ret = good;
        return 0;
}
