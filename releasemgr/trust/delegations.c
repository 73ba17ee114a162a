#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "trust/role.h"

/* TAP 15: more bins than 2^32 cannot be told apart by the four bytes of the hash that choose one. */
#define BIT_LENGTH_MAX 32

struct Delegations {
        Role **roles;
        size_t n;

        json_t *bins; /* {"keyids", "threshold", "bit_length", "name_prefix"}; NULL where there are roles */
        json_t *keys;
        unsigned bit_length;
        const char *prefix; /* borrowed from bins */
};

static int read_roles(Delegations *d, const json_t *array, const json_t *keys, Error *e) {
        _cleanup_json_ json_t *names = json_object();
        json_t *entry;
        size_t i;
        int r;

        if (!json_is_array(array))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "delegations: \"roles\" is not a list");
        d->roles = calloc(json_array_size(array) + 1, sizeof(Role *));
        if (!d->roles || !names)
                return -ENOMEM;
        json_array_foreach(array, i, entry) {
                r = role_from_json(NULL, entry, keys, &d->roles[d->n], e);
                if (r < 0)
                        return r;
                d->n++;
                if (json_object_get(names, role_name(d->roles[i])))
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL, "delegations: role %s stands twice",
                                        role_name(d->roles[i]));
                if (json_object_set_new(names, role_name(d->roles[i]), json_true()) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* The role of bin number @bin, written with as many hex digits as the last one needs. */
static int bin_role(const Delegations *d, uint64_t bin, Role **ret, Error *e) {
        _cleanup_free_ char *name = text_format(
                        "%s-%0*llx", d->prefix, (int) (d->bit_length + 3) / 4, (unsigned long long) bin);

        return name ? role_from_json(name, d->bins, d->keys, ret, e) : -ENOMEM;
}

static int read_bins(Delegations *d, json_t *object, json_t *keys, Error *e) {
        _cleanup_(role_free_p) Role *first = NULL;
        int64_t bit_length = json_get_integer(object, "bit_length", 0);

        d->prefix = json_get_string(object, "name_prefix");
        if (!d->prefix || bit_length < 1 || bit_length > BIT_LENGTH_MAX)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "delegations: \"succinct_roles\" needs a \"name_prefix\" and a "
                                "\"bit_length\" of 1 to %d",
                                BIT_LENGTH_MAX);
        d->bit_length = (unsigned) bit_length;
        d->bins = json_incref(object);
        d->keys = json_incref(keys);
        return bin_role(d, 0, &first, e); /* checks the keys and the threshold, which all have in common */
}

int delegations_from_json(const json_t *object, Delegations **ret, Error *e) {
        _cleanup_(delegations_free_p) Delegations *d = NULL;
        json_t *keys = json_object_get(object, "keys"), *roles = json_object_get(object, "roles");
        json_t *bins = json_object_get(object, "succinct_roles");
        int r;

        r = role_check_keys(keys, e);
        if (r < 0)
                return error_prefix(e, r, "delegations: ");
        if (!roles == !bins)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "delegations: exactly one of \"roles\" and \"succinct_roles\" must be given");
        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        r = roles ? read_roles(d, roles, keys, e) : read_bins(d, bins, keys, e);
        if (r < 0)
                return r;
        *ret = TAKE(d);
        return 0;
}

static int visit_bin(const Delegations *d, uint64_t bin, RoleVisitor visit, void *userdata) {
        _cleanup_(role_free_p) Role *role = NULL;
        int r;

        r = bin_role(d, bin, &role, NULL);
        return r < 0 ? r : visit(role, userdata);
}

/* The bin of @target: the first bits of the SHA-256 of its name. */
static int bin_of(const Delegations *d, const char *target, uint64_t *ret) {
        Digest digest;
        int r;

        r = digest_of(target, strlen(target), &digest);
        if (r < 0)
                return r;
        *ret = ((uint64_t) digest.bytes[0] << 24 | (uint64_t) digest.bytes[1] << 16 |
                               (uint64_t) digest.bytes[2] << 8 | digest.bytes[3]) >>
               (32 - d->bit_length);
        return 0;
}

int delegations_visit(const Delegations *d, const char *target, RoleVisitor visit, void *userdata) {
        uint64_t bin;
        int r = 0;

        if (d->bins) {
                r = bin_of(d, target, &bin);
                return r < 0 ? r : visit_bin(d, bin, visit, userdata);
        }
        for (size_t i = 0; r == 0 && i < d->n; i++)
                if (role_matches(d->roles[i], target))
                        r = visit(d->roles[i], userdata);
        return r;
}

int delegations_visit_prefix(const Delegations *d, const char *prefix, RoleVisitor visit, void *userdata) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < d->n; i++)
                if (role_may_match_prefix(d->roles[i], prefix))
                        r = visit(d->roles[i], userdata);
        for (uint64_t bin = 0; d->bins && r == 0 && bin < UINT64_C(1) << d->bit_length; bin++)
                r = visit_bin(d, bin, visit, userdata);
        return r;
}

Delegations *delegations_free(Delegations *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n; i++)
                role_free(d->roles[i]);
        free(d->roles);
        json_decref(d->bins);
        json_decref(d->keys);
        free(d);
        return NULL;
}
