#include <errno.h>
#include <limits.h>

#include "base/json.h"
#include "base/text.h"
#include "trust/pattern.h"
#include "trust/role.h"

struct Role {
        unsigned references;
        char *name;
        unsigned threshold;
        bool terminating;
        json_t *keyids;   /* array */
        json_t *keys;     /* object: the list of the file it stands in */
        json_t *paths;    /* array of patterns, or NULL */
        json_t *prefixes; /* array of hex, or NULL */
};

int role_check_keys(const json_t *keys, Error *e) {
        const char *id;
        json_t *key;

        if (!json_is_object(keys))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "\"keys\" is not an object");
        json_object_foreach((json_t *) keys, id, key)
                if (!json_get_string(key, "keytype") || !json_get_string(key, "scheme") ||
                                !json_is_object(json_object_get(key, "keyval")))
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                        "key %s has no \"keytype\", \"scheme\" or \"keyval\"", id);
        return 0;
}

static int check_strings(const json_t *array, const char *role, const char *what, Error *e) {
        json_t *value;
        size_t i;

        if (!json_is_array(array))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "role %s: \"%s\" is not a list", role, what);
        json_array_foreach(array, i, value)
                if (!json_is_string(value))
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                        "role %s: \"%s\" holds what is not text", role, what);
        return 0;
}

/* A keyid that stood twice would make a threshold look higher than it is. */
static int check_keyids(const json_t *keyids, const char *role, Error *e) {
        _cleanup_json_ json_t *seen = json_object();
        json_t *id;
        size_t i;
        int r;

        r = check_strings(keyids, role, "keyids", e);
        if (r < 0)
                return r;
        json_array_foreach(keyids, i, id) {
                if (json_object_get(seen, json_string_value(id)))
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL, "role %s: keyid %s stands twice", role,
                                        json_string_value(id));
                if (json_object_set_new(seen, json_string_value(id), json_true()) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int read_keys(Role *r, const json_t *object, const json_t *keys, Error *e) {
        json_t *keyids = json_object_get(object, "keyids");
        int64_t threshold = json_get_integer(object, "threshold", 0);
        int k;

        k = check_keyids(keyids, r->name, e);
        if (k < 0)
                return k;
        if (threshold < 1 || threshold > INT_MAX)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "role %s: the threshold is not a number above zero", r->name);
        r->threshold = (unsigned) threshold;
        r->keyids = json_incref(keyids);
        r->keys = json_incref((json_t *) keys);
        return 0;
}

static bool is_top_level(const char *name) {
        static const char *const names[] = {"root", "timestamp", "snapshot", "targets", "mirrors"};

        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
                if (streq(names[i], name))
                        return true;
        return false;
}

static int read_delegation(Role *r, const json_t *object, Error *e) {
        json_t *paths = json_object_get(object, "paths"),
               *prefixes = json_object_get(object, "path_hash_prefixes");
        json_t *terminating = json_object_get(object, "terminating");
        int k = 0;

        if (isempty(r->name) || is_top_level(r->name))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "a delegated role may not be called \"%s\"",
                                r->name);
        if (paths && prefixes)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "role %s: both \"paths\" and \"path_hash_prefixes\" are given", r->name);
        if (terminating && !json_is_boolean(terminating))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "role %s: \"terminating\" is not true or false",
                                r->name);
        if (paths)
                k = check_strings(paths, r->name, "paths", e);
        if (k >= 0 && prefixes)
                k = check_strings(prefixes, r->name, "path_hash_prefixes", e);
        if (k < 0)
                return k;
        r->terminating = json_is_true(terminating);
        r->paths = json_incref(paths);
        r->prefixes = json_incref(prefixes);
        return 0;
}

int role_from_json(const char *name, const json_t *object, const json_t *keys, Role **ret, Error *e) {
        _cleanup_(role_free_p) Role *r = NULL;
        const char *called = name ?: json_get_string(object, "name");
        int k;

        if (!json_is_object(object) || !called)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "%s is not the description of a role",
                                name ?: "a delegation");
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->references = 1;
        r->name = strdup(called);
        if (!r->name)
                return -ENOMEM;
        k = read_keys(r, object, keys, e);
        if (k >= 0 && !name)
                k = read_delegation(r, object, e);
        if (k < 0)
                return k;
        *ret = TAKE(r);
        return 0;
}

const char *role_name(const Role *r) {
        return r->name;
}

unsigned role_threshold(const Role *r) {
        return r->threshold;
}

bool role_is_terminating(const Role *r) {
        return r->terminating;
}

static bool has_keyid(const Role *r, const char *keyid) {
        json_t *id;
        size_t i;

        json_array_foreach(r->keyids, i, id)
                if (streq(json_string_value(id), keyid))
                        return true;
        return false;
}

int role_key(const Role *r, const char *keyid, PublicKey **ret) {
        json_t *key = json_object_get(r->keys, keyid);

        if (!key || !has_keyid(r, keyid))
                return -ENOENT;
        return public_key_from_json(keyid, key, ret, NULL);
}

/* Keys are the same where their objects are, so that a keyid cannot come to stand for another key. */
bool role_keeps_keys(const Role *now, const Role *old) {
        json_t *id;
        size_t i;

        json_array_foreach(old->keyids, i, id) {
                const char *keyid = json_string_value(id);
                json_t *key = json_object_get(old->keys, keyid), *kept = json_object_get(now->keys, keyid);

                if (key && !(kept && has_keyid(now, keyid) && json_equal(key, kept)))
                        return false;
        }
        return true;
}

bool role_matches(const Role *r, const char *target) {
        char text[DIGEST_TEXT_MAX];
        json_t *value;
        Digest d;
        size_t i;

        json_array_foreach(r->paths, i, value)
                if (pattern_matches(json_string_value(value), target))
                        return true;
        if (!r->prefixes || digest_of(target, strlen(target), &d) < 0)
                return false;
        digest_to_text(&d, text);
        json_array_foreach(r->prefixes, i, value)
                if (startswith(text, json_string_value(value)))
                        return true;
        return false;
}

bool role_may_match_prefix(const Role *r, const char *prefix) {
        json_t *value;
        size_t i;

        json_array_foreach(r->paths, i, value)
                if (pattern_may_match_prefix(json_string_value(value), prefix))
                        return true;
        return json_array_size(r->prefixes) > 0;
}

Role *role_ref(Role *r) {
        r->references++;
        return r;
}

Role *role_free(Role *r) {
        if (!r || --r->references > 0)
                return NULL;
        json_decref(r->keyids);
        json_decref(r->keys);
        json_decref(r->paths);
        json_decref(r->prefixes);
        free(r->name);
        free(r);
        return NULL;
}
