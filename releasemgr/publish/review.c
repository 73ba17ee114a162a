#include <errno.h>

#include "base/json.h"
#include "publish/review.h"

/* The members of one object that another has not, or has with another value. */
static int compare_members(const char *role, const json_t *from, const json_t *to, char ***sentences) {
        const char *name;
        json_t *value;
        int r = 0;

        json_object_foreach((json_t *) to, name, value) {
                const json_t *old = json_object_get(from, name);

                if (r >= 0 && !old)
                        r = strv_addf(sentences, "%s: adds %s", role, name);
                else if (r >= 0 && !json_equal(old, value))
                        r = strv_addf(sentences, "%s: changes %s", role, name);
        }
        json_object_foreach((json_t *) from, name, value)
                if (r >= 0 && !json_object_get(to, name))
                        r = strv_addf(sentences, "%s: removes %s", role, name);
        return r;
}

static bool holds(const json_t *array, const json_t *text) {
        const json_t *other;
        size_t i;

        json_array_foreach(array, i, other)
                if (json_equal(other, text))
                        return true;
        return false;
}

static int compare_keys(
                const char *role, const char *name, const json_t *from, const json_t *to, char ***sentences) {
        const json_t *old = json_object_get(from, "keyids"), *new = json_object_get(to, "keyids"), *id;
        int64_t before = json_get_integer(from, "threshold", 0), now = json_get_integer(to, "threshold", 0);
        size_t i;
        int r = 0;

        json_array_foreach(new, i, id)
                if (r >= 0 && !holds(old, id))
                        r = strv_addf(sentences, "%s: lets key %s sign for %s", role, json_string_value(id),
                                        name);
        json_array_foreach(old, i, id)
                if (r >= 0 && !holds(new, id))
                        r = strv_addf(sentences, "%s: lets key %s no longer sign for %s", role,
                                        json_string_value(id), name);
        if (r >= 0 && before != now)
                r = strv_addf(sentences, "%s: asks for %lld signatures by %s", role, (long long) now, name);
        return r;
}

/* The description of the delegated role @name. */
static const json_t *find_delegation(const json_t *roles, const char *name) {
        const json_t *entry;
        size_t i;

        json_array_foreach(roles, i, entry)
                if (streq_ptr(json_get_string(entry, "name"), name))
                        return entry;
        return NULL;
}

static int compare_delegations(const char *role, const json_t *from, const json_t *to, char ***sentences) {
        const json_t *old = json_object_get(json_object_get(from, "delegations"), "roles"),
                     *new = json_object_get(json_object_get(to, "delegations"), "roles"), *entry;
        size_t i;
        int r = 0;

        json_array_foreach(new, i, entry) {
                const char *name = json_get_string(entry, "name") ?: "?";
                const json_t *before = find_delegation(old, name);

                if (r >= 0)
                        r = compare_keys(role, name, before, entry, sentences);
                if (r >= 0 && !json_equal(json_object_get(before, "paths"),
                                              json_object_get(entry, "paths"))) {
                        _cleanup_free_ char *paths =
                                        json_dumps(json_object_get(entry, "paths"), JSON_ENCODE_ANY);

                        r = strv_addf(sentences, "%s: trusts %s with %s", role, name, paths ?: "other paths");
                }
        }
        json_array_foreach(old, i, entry) {
                const char *name = json_get_string(entry, "name") ?: "?";

                if (r >= 0 && !find_delegation(new, name))
                        r = strv_addf(sentences, "%s: delegates to %s no longer", role, name);
        }
        return r;
}

int review_changes(const char *role, const json_t *from, const json_t *to, char ***sentences) {
        const json_t *roles = json_object_get(to, "roles"), *entry;
        const char *name;
        int r;

        r = compare_members(
                        role, json_object_get(from, "targets"), json_object_get(to, "targets"), sentences);
        json_object_foreach((json_t *) roles, name, entry)
                if (r >= 0)
                        r = compare_keys(role, name, json_object_get(json_object_get(from, "roles"), name),
                                        entry, sentences);
        if (r >= 0)
                r = compare_delegations(role, from, to, sentences);
        if (r >= 0)
                r = strv_addf(sentences, "%s: becomes version %lld, good until %s", role,
                                (long long) json_get_integer(to, "version", 0),
                                json_get_string(to, "expires") ?: "?");
        return r;
}
