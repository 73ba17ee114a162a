#pragma once

/*
 * Source: where a repository is
 *
 * https://host/path, http://, file:///path or s3://bucket/prefix. All of them look the same from here: files by their
 * path below the address. What a fleet's operator says about reaching the repository (certificates, proxy, redirects,
 * rate, credentials) is said once, here.
 */

#include "fetch/http.h"

typedef struct Source Source;

/* Borrowed for the time of source_new(). Zero is a good value for everything but the URL. */
typedef struct SourceOptions {
        const char *url;
        const char *ca_file;     /* PEM; NULL: the system's */
        const char *certificate; /* PEM, our own, and its key */
        const char *key;
        const char *proxy;   /* NULL: the environment's; "": none */
        bool redirects;      /* may be followed, to the same scheme only, without credentials */
        uint64_t max_rate;   /* bytes a second of all transfers together; 0: any */
        unsigned max_ranges; /* that are fetched at a time, 1 to 8; 0: 8 */

        uint64_t connect_timeout_usec; /* 0: 15 s */
        uint64_t stall_timeout_usec;   /* 0: 30 s */
        unsigned tries; /* in a row that bring nothing, 0: 5; back-off in between begins at 250 ms and doubles */
        uint64_t deadline_usec; /* clock_monotonic(): no try begins after it; 0: none */

        const char *s3_region; /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the config file, us-east-1 */
        const char *s3_endpoint; /* "https://host[:port]"; NULL: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS itself */
        bool s3_path_style; /* https://endpoint/bucket/key and not https://bucket.endpoint/key */
} SourceOptions;

/* @http is borrowed for as long as the source lives. An address that makes no sense is -EINVAL, ERROR_USAGE. */
int source_new(Http *http, const SourceOptions *options, Source **ret, Error *e);
Source *source_free(Source *s);

DEFINE_CLEANUP(Source, source_free);

/* The address, for messages. Borrowed. */
const char *source_name(const Source *s);

typedef struct SourceFile {
        Text data;       /* data.data is never NULL */
        char *etag;      /* what a later request may ask with; NULL where the server gave none that lasts */
        bool unmodified; /* it is as @etag said, and there is no data */
} SourceFile;

#define SOURCE_FILE_INIT ((SourceFile){0})

void source_file_clear(SourceFile *f);

/* Reads a small file whole, of at most @max bytes (-EFBIG above). @path is quoted already, as in "metadata/root.json".
 * With @etag (may be NULL) only where it has changed. Tries again where that may help. -ENOENT where it is not there;
 * -EACCES where the server refuses, which S3 also says of what is not there if we may not list. Suspends. */
int source_get(Source *s, const char *path, uint64_t max, const char *etag, SourceFile *ret, Error *e);

/* Begins to read a file at @offset, @size bytes of it (0: to the end). One try. A status that is not 2xx is an error
 * as http_check_status() says; @ret_retry_usec (may be NULL) is then how long the server asked to wait.
 * Suspends. */
int source_open(Source *s, const char *path, uint64_t offset, uint64_t size, HttpTransfer **ret,
                uint64_t *ret_retry_usec, Error *e);

/* As http_read(), at the source's rate. Suspends. */
ssize_t source_read(Source *s, HttpTransfer *t, void *data, size_t size, Error *e);

/* So long the rate has held back who read, in all. */
uint64_t source_held_usec(const Source *s);

/* Whether what failed with @r may go well the next time. No I/O. */
bool source_may_retry(int r);

/* Waits before try number @tries (1: the second) as back-off, jitter and the server's wish say. -ETIME with @e left
 * alone where there is no try left: twice as many are made for what has @begun to come, which outlives a server's restart.
 * Suspends. */
int source_back_off(Source *s, unsigned tries, bool begun, uint64_t retry_usec);

unsigned source_max_ranges(const Source *s);
