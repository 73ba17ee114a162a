#include <errno.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/json.h"
#include "trust/canonical.h"
#include "trust/key-internal.h"
#include "trust/key.h"

/* TUF 1.0.34 section 4.2 wants 2048 at least; beyond OpenSSL's own bound a key is only a way to burn time. */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384

struct PublicKey {
        char *id;
        KeyScheme scheme;
        EVP_PKEY *pkey; /* NULL where the key is not usable */
};

static const KeySchemeInfo schemes[_KEY_SCHEME_MAX] = {
                [KEY_ED25519] = {"ed25519", "ed25519", NULL, EVP_PKEY_ED25519, NULL, NULL},
                [KEY_ECDSA_P256] = {"ecdsa-sha2-nistp256", "ecdsa", "ecdsa-sha2-nistp256", EVP_PKEY_EC,
                                "prime256v1", "SHA256"},
                [KEY_ECDSA_P384] = {"ecdsa-sha2-nistp384", "ecdsa", "ecdsa-sha2-nistp384", EVP_PKEY_EC,
                                "secp384r1", "SHA384"},
                [KEY_RSA_PSS_SHA256] = {"rsassa-pss-sha256", "rsa", NULL, EVP_PKEY_RSA, NULL, "SHA256"},
                [KEY_RSA_PSS_SHA384] = {"rsassa-pss-sha384", "rsa", NULL, EVP_PKEY_RSA, NULL, "SHA384"},
                [KEY_RSA_PSS_SHA512] = {"rsassa-pss-sha512", "rsa", NULL, EVP_PKEY_RSA, NULL, "SHA512"},
};

const KeySchemeInfo *key_scheme_info(KeyScheme s) {
        return &schemes[s];
}

const char *key_scheme_to_text(KeyScheme s) {
        return schemes[s].scheme;
}

int key_scheme_from_text(const char *name, KeyScheme *ret) {
        for (size_t i = 0; i < _KEY_SCHEME_MAX; i++)
                if (streq(schemes[i].scheme, name)) {
                        *ret = (KeyScheme) i;
                        return 0;
                }
        return -EINVAL;
}

bool key_scheme_fits(KeyScheme s, const EVP_PKEY *pkey) {
        const KeySchemeInfo *info = &schemes[s];
        char group[32];

        if (EVP_PKEY_get_base_id(pkey) != info->type)
                return false;
        if (info->type == EVP_PKEY_RSA)
                return EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN && EVP_PKEY_get_bits(pkey) <= RSA_BITS_MAX;
        if (info->group)
                return EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
                       streq(group, info->group);
        return true;
}

int key_scheme_set_padding(KeyScheme s, EVP_PKEY_CTX *context, int salt_length) {
        if (schemes[s].type != EVP_PKEY_RSA)
                return 0;
        if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) != 1 ||
                        EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt_length) != 1)
                return -ENOMEM;
        return 0;
}

/* A key type with a scheme that is not its own is of no known kind. */
static KeyScheme scheme_of(const char *keytype, const char *scheme) {
        KeyScheme s;

        if (key_scheme_from_text(scheme, &s) < 0)
                return _KEY_SCHEME_UNKNOWN;
        if (!streq(keytype, schemes[s].keytype) && !streq_ptr(keytype, schemes[s].keytype_alias))
                return _KEY_SCHEME_UNKNOWN;
        return s;
}

/* The library would otherwise ask on the terminal for the passphrase of a "public key" that says it is encrypted. */
static int no_passphrase(
                char *buffer _unused_, int size _unused_, int writing _unused_, void *userdata _unused_) {
        return -1;
}

static EVP_PKEY *read_pem(const char *text) {
        BIO *bio = BIO_new_mem_buf(text, (int) strlen(text));
        EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;

        BIO_free(bio);
        ERR_clear_error();
        return pkey;
}

static EVP_PKEY *read_public(KeyScheme s, const char *text) {
        uint8_t raw[32];
        EVP_PKEY *pkey;

        if (s == KEY_ED25519) {
                if (hex_decode(text, raw, sizeof(raw)) < 0)
                        return NULL;
                return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
        }
        pkey = read_pem(text);
        if (pkey && !key_scheme_fits(s, pkey)) {
                EVP_PKEY_free(pkey);
                return NULL;
        }
        return pkey;
}

int public_key_from_json(const char *id, const json_t *object, PublicKey **ret, Error *e) {
        _cleanup_(public_key_free_p) PublicKey *k = NULL;
        const char *keytype = json_get_string(object, "keytype"), *scheme = json_get_string(object, "scheme");
        const json_t *value = json_object_get(object, "keyval");
        const char *public = json_get_string(value, "public");

        if (!keytype || !scheme || !json_is_object(value))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "key %s has no \"keytype\", \"scheme\" or \"keyval\"", id);
        k = calloc(1, sizeof(*k));
        if (!k || !(k->id = strdup(id)))
                return -ENOMEM;
        k->scheme = scheme_of(keytype, scheme);
        if (k->scheme != _KEY_SCHEME_UNKNOWN && public)
                k->pkey = read_public(k->scheme, public);
        *ret = TAKE(k);
        return 0;
}

const char *public_key_id(const PublicKey *k) {
        return k->id;
}

bool public_key_is_usable(const PublicKey *k) {
        return k->pkey;
}

bool public_key_equal(const PublicKey *a, const PublicKey *b) {
        return a->pkey && b->pkey && EVP_PKEY_eq(a->pkey, b->pkey) == 1;
}

int public_key_verify(const PublicKey *k, const void *data, size_t size, const void *signature,
                size_t signature_size) {
        EVP_PKEY_CTX *details; /* owned by context */
        EVP_MD_CTX *context;
        int r = -ENOMEM;

        if (!k->pkey)
                return 0;
        context = EVP_MD_CTX_new();
        if (context &&
                        EVP_DigestVerifyInit_ex(context, &details, schemes[k->scheme].digest, NULL, NULL,
                                        k->pkey, NULL) == 1 &&
                        key_scheme_set_padding(k->scheme, details, RSA_PSS_SALTLEN_AUTO) >= 0)
                r = EVP_DigestVerify(context, signature, signature_size, data, size) == 1;
        EVP_MD_CTX_free(context);
        ERR_clear_error();
        return r;
}

PublicKey *public_key_free(PublicKey *k) {
        if (k) {
                EVP_PKEY_free(k->pkey);
                free(k->id);
        }
        free(k);
        return NULL;
}

int key_id_of(const json_t *object, char ret[static DIGEST_TEXT_MAX]) {
        _cleanup_text_ Text t = TEXT_INIT;
        Digest d;
        int r;

        r = canonical_write(object, &t);
        if (r >= 0)
                r = digest_of(t.data, t.size, &d);
        if (r >= 0)
                digest_to_text(&d, ret);
        return r;
}
