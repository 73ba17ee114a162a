#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "trust/canonical.h"
#include "trust/metadata.h"

int metadata_envelope(json_t *signed_part, json_t **ret) {
        json_t *envelope = json_pack("{s:O, s:[]}", "signed", signed_part, "signatures");

        if (!envelope)
                return -ENOMEM;
        *ret = envelope;
        return 0;
}

/* Puts @entry in the place of the signature by the same key, or at the end. */
static int put_signature(json_t *signatures, json_t *entry) {
        const char *keyid = json_get_string(entry, "keyid");
        json_t *other;
        size_t i;

        json_array_foreach(signatures, i, other)
                if (streq_ptr(json_get_string(other, "keyid"), keyid))
                        return json_array_set(signatures, i, entry);
        return json_array_append(signatures, entry);
}

int metadata_sign(json_t *envelope, const PrivateKey *k, Error *e) {
        _cleanup_free_ char *hex = NULL;
        _cleanup_free_ void *signature = NULL;
        _cleanup_json_ json_t *entry = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        size_t size;
        int r;

        r = canonical_write(json_object_get(envelope, "signed"), &t);
        if (r >= 0)
                r = private_key_sign(k, t.data, t.size, &signature, &size, e);
        if (r < 0)
                return r;
        hex = malloc(2 * size + 1);
        if (!hex)
                return -ENOMEM;
        entry = json_pack("{s:s, s:s}", "keyid", private_key_id(k), "sig", hex_encode(signature, size, hex));
        if (!entry || put_signature(json_object_get(envelope, "signatures"), entry) < 0)
                return -ENOMEM;
        return 0;
}

int metadata_write(const json_t *envelope, char **ret, size_t *ret_size) {
        char *text = json_dumps(envelope, JSON_INDENT(1) | JSON_SORT_KEYS);
        size_t n;

        if (!text)
                return -ENOMEM;
        n = strlen(text);
        text[n] = '\n'; /* in the place of the NUL: the size says where it ends */
        *ret = text;
        *ret_size = n + 1;
        return 0;
}

int metadata_describe(int64_t version, const void *data, size_t size, json_t **ret) {
        _cleanup_json_ json_t *hashes = NULL;
        json_t *object;
        Hashes h;
        int r;

        r = hashes_of(data, size, &h);
        if (r >= 0)
                r = hashes_to_json(&h, &hashes);
        if (r < 0)
                return r;
        object = json_pack("{s:I, s:I, s:O}", "version", (json_int_t) version, "length", (json_int_t) size,
                        "hashes", hashes);
        if (!object)
                return -ENOMEM;
        *ret = object;
        return 0;
}
