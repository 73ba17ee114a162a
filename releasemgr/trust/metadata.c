#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "trust/canonical.h"
#include "trust/metadata-internal.h"
#include "trust/metadata.h"

/* The longest signature of the known schemes is that of RSA with 16384 bits. */
#define SIGNATURE_MAX 2048

const char *metadata_type_to_text(MetadataType type) {
        static const char *const names[_METADATA_TYPE_MAX] = {
                        [METADATA_ROOT] = "root",
                        [METADATA_TIMESTAMP] = "timestamp",
                        [METADATA_SNAPSHOT] = "snapshot",
                        [METADATA_TARGETS] = "targets",
        };

        return names[type];
}

/* Two signatures by one keyid would be a way to count one key twice (section 4.2: the keyid must be unique). */
static int check_signatures(const Metadata *m, Error *e) {
        _cleanup_json_ json_t *seen = json_object();
        json_t *entry;
        size_t i;

        json_array_foreach(m->signatures, i, entry) {
                const char *keyid = json_get_string(entry, "keyid");

                if (!keyid || !json_get_string(entry, "sig"))
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                        "%s: a signature without \"keyid\" or \"sig\"", m->name);
                if (json_object_get(seen, keyid))
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL, "%s: two signatures by key %s", m->name,
                                        keyid);
                if (json_object_set_new(seen, keyid, json_true()) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int metadata_read(const char *name, const void *data, size_t size, Metadata **ret, Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = calloc(1, sizeof(*m));
        int r;

        if (!m || !(m->name = strdup(name)))
                return -ENOMEM;
        r = json_parse(name, data, size, &m->json, e);
        if (r < 0) {
                if (e)
                        e->class = ERROR_UNTRUSTED;
                return r;
        }
        m->signed_part = json_object_get(m->json, "signed");
        m->signatures = json_object_get(m->json, "signatures");
        if (!json_is_object(m->signed_part) || !json_is_array(m->signatures))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "%s: not a metadata file: no \"signed\" or \"signatures\"", name);
        r = check_signatures(m, e);
        if (r >= 0)
                r = canonical_write(m->signed_part, &m->canonical);
        if (r < 0)
                return r;
        *ret = TAKE(m);
        return 0;
}

/* 1 where @entry is a good signature by a key of @role: the key, owned by the caller. 0 where it does not count. */
static int verify_signature(const Metadata *m, const Role *role, const json_t *entry, PublicKey **ret) {
        _cleanup_(public_key_free_p) PublicKey *k = NULL;
        const char *sig = json_get_string(entry, "sig");
        uint8_t signature[SIGNATURE_MAX];
        size_t size = strlen(sig) / 2;
        int r;

        r = role_key(role, json_get_string(entry, "keyid"), &k);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (size > sizeof(signature) || hex_decode(sig, signature, size) < 0)
                return 0;
        r = public_key_verify(k, m->canonical.data, m->canonical.size, signature, size);
        if (r > 0)
                *ret = TAKE(k);
        return r;
}

int metadata_verify(const Metadata *m, const Role *role, Error *e) {
        unsigned threshold = role_threshold(role), good = 0;
        PublicKey **keys = NULL;
        json_t *entry;
        size_t i;
        int r = 0;

        json_array_foreach(m->signatures, i, entry) {
                PublicKey *k = NULL, **grown;
                unsigned other = 0;

                if (good == threshold)
                        break;
                r = verify_signature(m, role, entry, &k);
                if (r < 0)
                        break;
                if (r == 0)
                        continue;
                while (other < good && !public_key_equal(keys[other], k))
                        other++; /* the same key under another id counts once */
                if (other < good) {
                        public_key_free(k);
                        continue;
                }
                grown = reallocarray(keys, good + 1, sizeof(PublicKey *));
                if (!grown) {
                        public_key_free(k);
                        r = -ENOMEM;
                        break;
                }
                keys = grown;
                keys[good++] = k;
        }
        for (i = 0; i < good; i++)
                public_key_free(keys[i]);
        free(keys);
        if (r < 0)
                return r;
        if (good < threshold)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "%s: signed by %u of the %u keys that role %s must have on it", m->name, good,
                                threshold, role_name(role));
        return 0;
}

/* Specifications of one major version are compatible (section 4.3 lets the adopter decide what matches). */
static bool spec_version_matches(const char *v) {
        size_t n;

        if (!v || !(v = startswith(v, "1.")))
                return false;
        n = strspn(v, "0123456789");
        if (n == 0)
                return false;
        if (!v[n])
                return true; /* "1.0", as the oldest tools wrote it */
        return v[n] == '.' && v[n + 1] && strspn(v + n + 1, "0123456789") == strlen(v + n + 1);
}

/* "2030-01-01T00:00:00Z" (section 4.2); a fraction of a second, which some tools write, is cut off. */
static int read_time(const char *text, uint64_t *ret) {
        char whole[sizeof("2030-01-01T00:00:00Z")];
        const char *point = strchr(text, '.');
        size_t n = point ? (size_t) (point - text) : 0, digits;

        if (!point)
                return clock_from_text(text, ret);
        digits = strspn(point + 1, "0123456789");
        if (n != sizeof(whole) - 2 || digits == 0 || !streq(point + 1 + digits, "Z"))
                return -EINVAL;
        memcpy(whole, text, n);
        memcpy(whole + n, "Z", 2);
        return clock_from_text(whole, ret);
}

int metadata_interpret(Metadata *m, MetadataType type, Error *e) {
        const char *found = json_get_string(m->signed_part, "_type"), *wanted = metadata_type_to_text(type);
        const char *spec_version = json_get_string(m->signed_part, "spec_version");
        const char *expires = json_get_string(m->signed_part, "expires");
        int r;

        if (!streq_ptr(found, wanted))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "%s: the \"_type\" is %s, not %s", m->name,
                                found ?: "missing", wanted);
        if (!spec_version_matches(spec_version))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "%s: written by version %s of the TUF specification, where 1.0 is needed",
                                m->name, spec_version ?: "(none)");
        m->type = type;
        m->version = json_get_integer(m->signed_part, "version", 0);
        if (m->version < 1)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "%s: the \"version\" is not a number above zero", m->name);
        if (!expires || read_time(expires, &m->expires_usec) < 0)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "%s: \"expires\" is not a time in the form 2030-01-01T00:00:00Z", m->name);
        r = metadata_interpret_body(m, e);
        return r < 0 ? error_prefix(e, r, "%s: ", m->name) : 0;
}

int metadata_parse(const char *name, MetadataType type, const void *data, size_t size, Metadata **ret,
                Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        int r;

        r = metadata_read(name, data, size, &m, e);
        if (r >= 0)
                r = metadata_interpret(m, type, e);
        if (r < 0)
                return r;
        *ret = TAKE(m);
        return 0;
}

Metadata *metadata_free(Metadata *m) {
        if (!m)
                return NULL;
        for (size_t i = 0; i < _METADATA_TYPE_MAX; i++)
                role_free(m->roles[i]);
        delegations_free(m->delegations);
        text_clear(&m->canonical);
        json_decref(m->json);
        free(m->name);
        free(m);
        return NULL;
}

const char *metadata_name(const Metadata *m) {
        return m->name;
}

MetadataType metadata_type(const Metadata *m) {
        return m->type;
}

int64_t metadata_version(const Metadata *m) {
        return m->version;
}

uint64_t metadata_expires(const Metadata *m) {
        return m->expires_usec;
}

const json_t *metadata_signed(const Metadata *m) {
        return m->signed_part;
}

const json_t *metadata_json(const Metadata *m) {
        return m->json;
}
