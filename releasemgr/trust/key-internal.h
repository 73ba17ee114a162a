#pragma once

/* What key.c and key-private.c share: the table of schemes, which ties a scheme to its algorithm, curve and hash. */

#include <openssl/evp.h>

#include "trust/key.h"

typedef struct KeySchemeInfo {
        const char *scheme;
        const char *keytype;
        const char *keytype_alias; /* what older metadata says; NULL where there is none */
        int type;                  /* EVP_PKEY_* */
        const char *group;         /* the curve, NULL where there is none */
        const char *digest;        /* NULL where the scheme has its own */
} KeySchemeInfo;

/* What is known of a scheme; static. */
const KeySchemeInfo *key_scheme_info(KeyScheme s);

/* Whether @pkey is of @s's algorithm, curve and size. */
bool key_scheme_fits(KeyScheme s, const EVP_PKEY *pkey);

/* Sets what of RSA-PSS is not the library's default: the padding, and its salt's length. 0 or -ENOMEM. */
int key_scheme_set_padding(KeyScheme s, EVP_PKEY_CTX *context, int salt_length);
