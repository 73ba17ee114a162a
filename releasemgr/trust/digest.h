#pragma once

/*
 * SHA-256 of everything we have to do with, and the hashes that TUF metadata states about a file.
 *
 * Functions return 0 (or what they say), or -ENOMEM where the library has no memory; they have no other errors.
 */

#include <jansson.h>

#include "base/error.h"

#define DIGEST_SIZE     32
#define DIGEST_TEXT_MAX (2 * DIGEST_SIZE + 1)

/* A SHA-256. Plain data: copy it, compare it with digest_equal(). */
typedef struct Digest {
        uint8_t bytes[DIGEST_SIZE];
} Digest;

/* The SHA-256 of @data. */
int digest_of(const void *data, size_t size, Digest *ret);

/* HMAC-SHA256 (RFC 2104) of @data. */
int digest_hmac(const void *key, size_t key_size, const void *data, size_t size, Digest *ret);

static inline bool digest_equal(const Digest *a, const Digest *b) {
        return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

/* 64 lower-case hex digits into @buffer; returns @buffer. */
char *digest_to_text(const Digest *d, char buffer[static DIGEST_TEXT_MAX]);

/* Reads 64 hex digits of either case. -EINVAL. */
int digest_from_text(const char *text, Digest *ret);

/* Any bytes as lower-case hex (@ret holds 2 * @size + 1), and back: @text must be exactly 2 * @size hex digits of
 * either case, or -EINVAL. */
char *hex_encode(const void *data, size_t size, char *ret);
int hex_decode(const char *text, void *ret, size_t size);

/* SHA-256 piece by piece. hasher_finish() leaves it ready for the next message. */
typedef struct Hasher Hasher;

int hasher_new(Hasher **ret);
int hasher_add(Hasher *h, const void *data, size_t size);
int hasher_finish(Hasher *h, Digest *ret);
Hasher *hasher_free(Hasher *h);

DEFINE_CLEANUP(Hasher, hasher_free);

/* The member "hashes" of TUF metadata: one file's digests by algorithm (sha224, sha256, sha384, sha512), each of which
 * must hold. Plain data. */
#define HASHES_MAX 4

typedef struct Hashes {
        size_t n;
        struct {
                uint8_t algorithm; /* an index into digest.c's table */
                uint8_t size;
                uint8_t bytes[64];
        } stated[HASHES_MAX];
} Hashes;

/* Reads {"sha256": HEX, ...}. An algorithm that we cannot check, a malformed value and an empty object are -EINVAL:
 * a hash that cannot be checked must not look checked. */
int hashes_from_json(const json_t *object, Hashes *ret, Error *e);

/* The SHA-256 of @data, the one hash that our own metadata states: a consistent repository must hold a copy of each
 * target for every hash stated (section 6.2.1). */
int hashes_of(const void *data, size_t size, Hashes *ret);
int hashes_to_json(const Hashes *hashes, json_t **ret);

/* The SHA-256 among them. False where there is none. */
bool hashes_get_sha256(const Hashes *hashes, Digest *ret);

/* What stands before the dot in the file's name on a repository with consistent snapshots: the SHA-256 where it is
 * stated, otherwise the first hash. */
#define HASHES_PREFIX_MAX 129
char *hashes_prefix(const Hashes *hashes, char buffer[static HASHES_PREFIX_MAX]);

/* Whether @data has all of @hashes: 1 or 0. */
int hashes_match(const Hashes *hashes, const void *data, size_t size);

/* The same piece by piece, for a download. hash_checker_finish() returns 1 or 0. */
typedef struct HashChecker HashChecker;

int hash_checker_new(const Hashes *hashes, HashChecker **ret);
int hash_checker_add(HashChecker *c, const void *data, size_t size);
int hash_checker_finish(HashChecker *c);
HashChecker *hash_checker_free(HashChecker *c);

DEFINE_CLEANUP(HashChecker, hash_checker_free);
