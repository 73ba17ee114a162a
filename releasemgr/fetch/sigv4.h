#pragma once

/*
 * AWS Signature Version 4: a proof, in a request, that its sender knows a secret key
 *
 * As "Signing AWS API requests" and "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference say. The
 * path is signed as it stands in the address, which is S3's way; other services want it normalised and quoted twice, and
 * we ask them for "/" alone. Pure.
 */

#include "base/text.h"

/* Borrowed for the calls. */
typedef struct Sigv4Key {
        const char *access_key;
        const char *secret;
        const char *token; /* of a session; NULL: none */
        const char *region;
        const char *service; /* "s3" */
} Sigv4Key;

typedef struct Sigv4Request {
        const char *method;
        const char *host;     /* as in the Host header */
        const char *path;     /* quoted, begins with a slash */
        const char *query;    /* "name=value&name", quoted; NULL: none */
        char *const *headers; /* "Name: value" to sign besides Host and our own; NULL: none */
        const char *payload;  /* SHA-256 of the body in hex, or "UNSIGNED-PAYLOAD" */
} Sigv4Request;

/* SHA-256 of nothing. */
#define SIGV4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* The headers that prove it: X-Amz-Date, Authorization, and X-Amz-Security-Token where there is one. All of them are
 * secret. @now_usec is the server's time: requests are good for 15 minutes. The list is owned by the caller. -ENOMEM. */
int sigv4_sign(const Sigv4Request *request, const Sigv4Key *key, uint64_t now_usec, char ***ret);

/* The query that proves it to whoever has the address, for @seconds. Owned by the caller. -ENOMEM. */
int sigv4_presign(const Sigv4Request *request, const Sigv4Key *key, uint64_t now_usec, unsigned seconds,
                char **ret);

/* The password that a database on RDS takes from @user with IAM authentication, good for 15 minutes; the service of @key
 * is "rds-db". Owned by the caller. -ENOMEM. */
int sigv4_rds_password(const char *host, unsigned port, const char *user, const Sigv4Key *key,
                uint64_t now_usec, char **ret);

/* Quotes all but A-Z a-z 0-9 - . _ ~ as %XX, and @keep (characters; "" for none). NULL when memory ran out. */
char *uri_quote(const char *text, const char *keep);
