#include <errno.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "trust/digest.h"

static const struct {
        const char *name; /* in TUF metadata, and to OpenSSL as well */
        uint8_t size;
} algorithms[] = {
                {"sha256", 32},
                {"sha512", 64},
                {"sha384", 48},
                {"sha224", 28},
};

enum {
        SHA256,
        SHA512
}; /* places in the table that are named in this file */

static void context_free_p(EVP_MD_CTX **c) {
        EVP_MD_CTX_free(*c);
}

static EVP_MD_CTX *context_new(size_t algorithm) {
        _cleanup_(context_free_p) EVP_MD_CTX *c = EVP_MD_CTX_new();
        const EVP_MD *md = EVP_get_digestbyname(algorithms[algorithm].name);

        if (!c || !md || EVP_DigestInit_ex(c, md, NULL) != 1)
                return NULL;
        return TAKE(c);
}

static int digest_with(size_t algorithm, const void *data, size_t size, uint8_t *ret) {
        const EVP_MD *md = EVP_get_digestbyname(algorithms[algorithm].name);

        return md && EVP_Digest(data, size, ret, NULL, md, NULL) == 1 ? 0 : -ENOMEM;
}

int digest_of(const void *data, size_t size, Digest *ret) {
        return digest_with(SHA256, data, size, ret->bytes);
}

int digest_hmac(const void *key, size_t key_size, const void *data, size_t size, Digest *ret) {
        return HMAC(EVP_sha256(), key, (int) key_size, data, size, ret->bytes, NULL) ? 0 : -ENOMEM;
}

char *hex_encode(const void *data, size_t size, char *ret) {
        static const char digits[] = "0123456789abcdef";
        const uint8_t *p = data;

        for (size_t i = 0; i < size; i++) {
                ret[2 * i] = digits[p[i] >> 4];
                ret[2 * i + 1] = digits[p[i] & 15];
        }
        ret[2 * size] = 0;
        return ret;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

int hex_decode(const char *text, void *ret, size_t size) {
        uint8_t *p = ret;

        if (strlen(text) != 2 * size)
                return -EINVAL;
        for (size_t i = 0; i < 2 * size; i++)
                if (hex_digit(text[i]) < 0)
                        return -EINVAL;
        for (size_t i = 0; i < size; i++)
                p[i] = (uint8_t) (hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
        return 0;
}

char *digest_to_text(const Digest *d, char buffer[static DIGEST_TEXT_MAX]) {
        return hex_encode(d->bytes, DIGEST_SIZE, buffer);
}

int digest_from_text(const char *text, Digest *ret) {
        return hex_decode(text, ret->bytes, DIGEST_SIZE);
}

struct Hasher {
        EVP_MD_CTX *context;
};

int hasher_new(Hasher **ret) {
        _cleanup_(hasher_free_p) Hasher *h = calloc(1, sizeof(*h));

        if (!h || !(h->context = context_new(SHA256)))
                return -ENOMEM;
        *ret = TAKE(h);
        return 0;
}

int hasher_add(Hasher *h, const void *data, size_t size) {
        return EVP_DigestUpdate(h->context, data, size) == 1 ? 0 : -ENOMEM;
}

int hasher_finish(Hasher *h, Digest *ret) {
        if (EVP_DigestFinal_ex(h->context, ret->bytes, NULL) != 1 ||
                        EVP_DigestInit_ex(h->context, NULL, NULL) != 1)
                return -ENOMEM;
        return 0;
}

Hasher *hasher_free(Hasher *h) {
        if (h)
                EVP_MD_CTX_free(h->context);
        free(h);
        return NULL;
}

int hashes_from_json(const json_t *object, Hashes *ret, Error *e) {
        Hashes hashes = {0};
        const char *name;
        json_t *value;

        if (!json_is_object(object) || json_object_size(object) == 0)
                return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                "\"hashes\" is not an object with at least one hash");
        json_object_foreach((json_t *) object, name, value) {
                const char *text = json_string_value(value);
                size_t i = 0;

                while (i < ELEMENTS_OF(algorithms) && !streq(algorithms[i].name, name))
                        i++;
                if (i == ELEMENTS_OF(algorithms))
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL,
                                        "a hash by an algorithm that is not known here: %s", name);
                if (!text || hex_decode(text, hashes.stated[hashes.n].bytes, algorithms[i].size) < 0)
                        return error_set(e, ERROR_UNTRUSTED, -EINVAL, "the %s is not %d hex digits", name,
                                        2 * algorithms[i].size);
                hashes.stated[hashes.n].algorithm = (uint8_t) i;
                hashes.stated[hashes.n++].size = algorithms[i].size;
        }
        *ret = hashes;
        return 0;
}

int hashes_of(const void *data, size_t size, Hashes *ret) {
        Hashes hashes = {.n = 1, .stated = {{.algorithm = SHA256, .size = DIGEST_SIZE}}};
        int r;

        r = digest_with(SHA256, data, size, hashes.stated[0].bytes);
        if (r >= 0)
                *ret = hashes;
        return r;
}

int hashes_to_json(const Hashes *hashes, json_t **ret) {
        json_t *object = json_object();
        char text[HASHES_PREFIX_MAX];

        for (size_t i = 0; object && i < hashes->n; i++)
                if (json_object_set_new(object, algorithms[hashes->stated[i].algorithm].name,
                                    json_string(hex_encode(hashes->stated[i].bytes, hashes->stated[i].size,
                                                    text))) < 0) {
                        json_decref(object);
                        object = NULL;
                }
        if (!object)
                return -ENOMEM;
        *ret = object;
        return 0;
}

/* The place of the SHA-256, or hashes->n. */
static size_t find_sha256(const Hashes *hashes) {
        size_t i = 0;

        while (i < hashes->n && hashes->stated[i].algorithm != SHA256)
                i++;
        return i;
}

bool hashes_get_sha256(const Hashes *hashes, Digest *ret) {
        size_t i = find_sha256(hashes);

        if (i == hashes->n)
                return false;
        memcpy(ret->bytes, hashes->stated[i].bytes, DIGEST_SIZE);
        return true;
}

char *hashes_prefix(const Hashes *hashes, char buffer[static HASHES_PREFIX_MAX]) {
        size_t i = find_sha256(hashes);

        if (i == hashes->n)
                i = 0;
        return hex_encode(hashes->stated[i].bytes, hashes->stated[i].size, buffer);
}

int hashes_match(const Hashes *hashes, const void *data, size_t size) {
        uint8_t found[EVP_MAX_MD_SIZE];
        int r;

        for (size_t i = 0; i < hashes->n; i++) {
                r = digest_with(hashes->stated[i].algorithm, data, size, found);
                if (r < 0)
                        return r;
                if (memcmp(found, hashes->stated[i].bytes, hashes->stated[i].size) != 0)
                        return 0;
        }
        return hashes->n > 0;
}

struct HashChecker {
        Hashes hashes;
        EVP_MD_CTX *contexts[HASHES_MAX];
};

int hash_checker_new(const Hashes *hashes, HashChecker **ret) {
        _cleanup_(hash_checker_free_p) HashChecker *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->hashes = *hashes;
        for (size_t i = 0; i < hashes->n; i++)
                if (!(c->contexts[i] = context_new(hashes->stated[i].algorithm)))
                        return -ENOMEM;
        *ret = TAKE(c);
        return 0;
}

int hash_checker_add(HashChecker *c, const void *data, size_t size) {
        for (size_t i = 0; i < c->hashes.n; i++)
                if (EVP_DigestUpdate(c->contexts[i], data, size) != 1)
                        return -ENOMEM;
        return 0;
}

int hash_checker_finish(HashChecker *c) {
        uint8_t found[EVP_MAX_MD_SIZE];

        for (size_t i = 0; i < c->hashes.n; i++) {
                if (EVP_DigestFinal_ex(c->contexts[i], found, NULL) != 1)
                        return -ENOMEM;
                if (memcmp(found, c->hashes.stated[i].bytes, c->hashes.stated[i].size) != 0)
                        return 0;
        }
        return c->hashes.n > 0;
}

HashChecker *hash_checker_free(HashChecker *c) {
        for (size_t i = 0; c && i < c->hashes.n; i++)
                EVP_MD_CTX_free(c->contexts[i]);
        free(c);
        return NULL;
}
