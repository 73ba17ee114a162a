#pragma once

/*
 * Keys
 *
 * A public key as TUF metadata writes it (1.0.34 section 4.2): {"keytype", "scheme", "keyval": {"public"}}. Type,
 * scheme and algorithm are tied: an ECDSA key says which curve and hash it signs with, and nothing in a signature can
 * change that. Read are
 *
 *      ed25519             ed25519                 public: 64 hex digits
 *      ecdsa               ecdsa-sha2-nistp256     public: PEM (SubjectPublicKeyInfo); the older keytypes
 *      ecdsa               ecdsa-sha2-nistp384     "ecdsa-sha2-nistp256" and "-nistp384" are taken too
 *      rsa                 rsassa-pss-sha256       public: PEM, 2048 to 16384 bits; also -sha384 and -sha512
 *
 * A key of another kind is no error: it is there, but verifies nothing.
 */

#include <jansson.h>

#include "base/error.h"
#include "trust/digest.h"

typedef enum KeyScheme {
        KEY_ED25519,
        KEY_ECDSA_P256,
        KEY_ECDSA_P384,
        KEY_RSA_PSS_SHA256,
        KEY_RSA_PSS_SHA384,
        KEY_RSA_PSS_SHA512,
        _KEY_SCHEME_MAX,
        _KEY_SCHEME_UNKNOWN = _KEY_SCHEME_MAX,
} KeyScheme;

const char *key_scheme_to_text(KeyScheme s);

/* -EINVAL for a name that is none of the above. */
int key_scheme_from_text(const char *name, KeyScheme *ret);

typedef struct PublicKey PublicKey;

/* Reads a key object that the metadata names @id. -EINVAL where its form is wrong. A key of an unknown kind and one
 * whose value cannot be read are keys too, but not usable.
 *
 * The id is what the metadata says it is. The specification wants clients to recompute it; but which members of the
 * object publishers hash differs (python-tuf, tuf-on-ci and tuf-js leave out their own, each in another way), so that
 * recomputing only refuses honest repositories. What the rule is there for is kept without it: an id is looked up in
 * the key list of the very file that names it, and a threshold counts keys, whatever they are called. */
int public_key_from_json(const char *id, const json_t *object, PublicKey **ret, Error *e);

/* The id the metadata gave it. Borrowed. */
const char *public_key_id(const PublicKey *k);

bool public_key_is_usable(const PublicKey *k);

/* Whether both verify the same signatures, whatever their ids and however written. */
bool public_key_equal(const PublicKey *a, const PublicKey *b);

/* 1 where @signature is @k's signature of @data, otherwise 0, also for a key that is not usable. -ENOMEM. */
int public_key_verify(const PublicKey *k, const void *data, size_t size, const void *signature,
                size_t signature_size);

PublicKey *public_key_free(PublicKey *k);

DEFINE_CLEANUP(PublicKey, public_key_free);

/* The id that we give a key object: the SHA-256 of its canonical form, all members included, as hex. */
int key_id_of(const json_t *object, char ret[static DIGEST_TEXT_MAX]);

typedef struct PrivateKey PrivateKey;

/* A new key from the system's randomness. */
int private_key_generate(KeyScheme scheme, PrivateKey **ret, Error *e);

/* Asked for the passphrase of an encrypted key at most once: fills @buffer (@size bytes with the NUL) and returns the
 * length, or a negative errno that ends the loading (it sets @e). */
typedef int (*KeyPassphrase)(const char *path, char *buffer, size_t size, void *userdata, Error *e);

/* Reads a PEM file (PKCS#8, plain or encrypted). Refused with ERROR_USAGE: a file that others than its owner can read
 * or write, a key of an unknown kind, a wrong passphrase. @passphrase may be NULL: then an encrypted key is refused. An
 * RSA key gets the scheme rsassa-pss-sha256. */
int private_key_load(const char *path, KeyPassphrase passphrase, void *userdata, PrivateKey **ret, Error *e);

/* Makes @path (0600, never over an existing file: -EEXIST) with the key as PKCS#8 PEM, encrypted where @passphrase is
 * not NULL. */
int private_key_save(const PrivateKey *k, const char *path, const char *passphrase, Error *e);

/* The public half as a key object for metadata. Owned by the caller. */
int private_key_public(const PrivateKey *k, json_t **ret, Error *e);

/* Its id. Borrowed. */
const char *private_key_id(const PrivateKey *k);

/* Signs @data. @ret_signature is owned by the caller. */
int private_key_sign(const PrivateKey *k, const void *data, size_t size, void **ret_signature,
                size_t *ret_size, Error *e);

PrivateKey *private_key_free(PrivateKey *k);

DEFINE_CLEANUP(PrivateKey, private_key_free);
