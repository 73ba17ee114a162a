#pragma once

/*
 * S3: requests to a bucket, signed
 *
 * Works with AWS and with whatever speaks its protocol (an endpoint, path style). What a server says about our clock, the
 * bucket's region or the age of a token is learnt, and the next signature is made accordingly.
 */

#include "fetch/source.h"

typedef struct S3 S3;

/* For the s3://bucket/prefix of @options, which must outlive it, as @http must. ERROR_USAGE. */
int s3_new(Http *http, const SourceOptions *options, S3 **ret, Error *e);
S3 *s3_free(S3 *s);

DEFINE_CLEANUP(S3, s3_free);

/* Borrowed for the call. */
typedef struct S3Request {
        const char *method;
        const char *key;      /* below the prefix, quoted already; NULL: the bucket itself */
        const char *query;    /* "name=value&...", quoted already; NULL: none */
        char *const *headers; /* "Name: value", signed as well; NULL: none */
        const void *body;
        size_t body_size;
} S3Request;

typedef struct S3Signed {
        char *url;
        char **headers; /* secret: the signature and the session's token are among them */
} S3Signed;

void s3_signed_clear(S3Signed *s);

/* Signs a request, with credentials that are fetched where there are none or only old ones. Suspends. */
int s3_sign(S3 *s, const S3Request *request, S3Signed *ret, Error *e);

/* Looks at an answer that is not 2xx: 1 where something was learnt that may make the same request succeed, else 0.
 * @body is its text (may be NULL). No I/O. */
int s3_learn(S3 *s, unsigned status, char *const *headers, const char *body);

/* The text of the first element @name in an answer's @body (may be NULL), which must be without attributes; *@ret is NULL
 * where there is none; owned by the caller. 1, 0 or -ENOMEM. No I/O. */
int s3_answer_get(const char *body, const char *name, char **ret);

/* The code of S3's own error in an answer's body: "AccessDenied". *@ret is NULL where there is none; owned by the caller.
 * -ENOMEM. No I/O. */
int s3_error_code(const char *body, char **ret);

/* So often s3_learn() is worth asking about one request: region, clock and token may each be wrong once. */
#define S3_LESSONS_MAX 3
