#pragma once

/*
 * Credentials: who we are to AWS, and to whatever speaks its protocols
 *
 * Looked for where AWS's own tools look, in their order:
 *
 *   1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   2. the profile AWS_PROFILE ("default") in ~/.aws/credentials, then in ~/.aws/config
 *      (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE; ~ is the user's home where HOME is not set)
 *   3. the container's role (ECS, EKS): AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, or _FULL_URI with
 *      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN
 *   4. the instance's role (EC2), by IMDSv2 alone; AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT
 *
 * Temporary ones are kept until five minutes before their end. They stand in memory alone.
 */

#include "fetch/http.h"

typedef struct Credentials Credentials;

typedef struct AwsKey {
        char *access_key;
        char *secret;
        char *token;           /* NULL: none */
        uint64_t expires_usec; /* µs since 1970; USEC_INFINITY: never */
        const char *origin;    /* for messages; static */
} AwsKey;

void aws_key_clear(AwsKey *k);

/* @http must outlive it. */
int credentials_new(Http *http, Credentials **ret);
Credentials *credentials_free(Credentials *c);

DEFINE_CLEANUP(Credentials, credentials_free);

/* The key to sign with, borrowed until the next call. -ENOKEY with a hint where there is none anywhere. Suspends. */
int credentials_get(Credentials *c, const AwsKey **ret, Error *e);

/* The server has refused the key: the next credentials_get() fetches it anew. */
void credentials_forget(Credentials *c);

/* The region we are in: AWS_REGION, AWS_DEFAULT_REGION, the profile, the instance; "us-east-1" where nobody says. Owned
 * by the caller. Suspends. */
int credentials_get_region(Credentials *c, char **ret, Error *e);

/* credentials-file.c: a value of the profile in use, from ~/.aws/credentials or ~/.aws/config; *@ret is NULL where it is
 * not said. Owned by the caller. Blocks for the reading of two files. */
int aws_profile_get(const char *key, char **ret, Error *e);

/* credentials-server.c: 1 where there was a key, 0 where this place has none. Suspend. */
int aws_key_from_container(Http *http, AwsKey *ret, Error *e);
int aws_key_from_instance(Http *http, AwsKey *ret, Error *e);

/* Likewise the instance's region. Suspends. */
int aws_region_from_instance(Http *http, char **ret, Error *e);

/* The answer of a container's or an instance's endpoint. -EBADMSG with a sentence that names no secret. No I/O. */
int aws_key_parse(const char *url, const Text *answer, AwsKey *ret, Error *e);
