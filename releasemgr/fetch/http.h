#pragma once

/*
 * Http: requests over HTTP, HTTPS, a unix socket, or to a file:// address, from fibers
 *
 * One Http is made in main and borrowed by everyone. It hangs libcurl on the one loop; nothing blocks but the reading
 * of local files. Names are resolved by libcurl's own threads (getaddrinfo() knows no other way), which see nothing of
 * ours and are left behind when a request is cancelled.
 *
 * Any answer of the server is a success here, whatever its status: http_check_status() makes errors of statuses. What
 * comes back as an error is that there was no whole answer:
 *
 *    -EHOSTUNREACH   the name is unknown              -ETIMEDOUT   too slow, stalled, or past the deadline
 *    -ECONNREFUSED   nothing listens                  -ECONNRESET  the connection was lost on the way
 *    -EKEYREJECTED   the certificate is not trusted   -EFBIG       the body is larger than was allowed
 *    -EPROTO         it does not speak HTTP or TLS    -EINVAL      the request makes no sense (ERROR_USAGE)
 *
 * Addresses in messages are freed of user names, passwords and queries.
 */

#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/text.h"

typedef struct Http Http;
typedef struct HttpTransfer HttpTransfer;

int http_new(sd_event *event, Http **ret);

/* Loads what the first request needs, which takes some ms: for when something else is waited for. That request tells where it
 * fails. */
void http_prepare(Http *h);

/* All transfers must be closed. Returns NULL. */
Http *http_free(Http *h);

DEFINE_CLEANUP(Http, http_free);

/* All pointers are borrowed for the time of the request. Zero is a good value for everything but the URL. */
typedef struct HttpRequest {
        const char *method;          /* NULL: GET, or PUT where there is a body */
        const char *url;             /* http, https or file */
        const char *unix_socket;     /* connect here, and not where the URL says */
        char *const *headers;        /* "Name: value" */
        char *const *secret_headers; /* as above; neither shown, nor sent again after a redirect */

        /* The part of the body that is wanted, [offset, offset + size); size 0: to the end. A server may ignore it:
         * look at http_transfer_offset(). */
        uint64_t offset;
        uint64_t size;

        const void *body; /* to send */
        size_t body_size;

        const char *ca_file;     /* PEM; NULL: the system's */
        const char *certificate; /* PEM, our own, with its key; neither is shown after a redirect */
        const char *key;
        const char *proxy; /* NULL: as http_proxy, https_proxy and no_proxy in the environment say; "": none */
        bool fresh; /* on a connection of its own: a kept one may lead to a process that was replaced since */
        bool redirects; /* may be followed: five at most, to the same scheme only, without credentials */

        uint64_t connect_timeout_usec; /* 0: 15 s */
        uint64_t stall_timeout_usec; /* under 100 bytes a second for as long as this is a failure; 0: 30 s */
        uint64_t timeout_usec;       /* for everything; 0: none */
        uint64_t max;                /* http_get(): bytes of the body; 0: 1 MiB */
} HttpRequest;

/* Small answers, read whole. */
typedef struct HttpResponse {
        unsigned status;
        char **headers;        /* of the last answer, "name: value"; owned, as is the body */
        Text body;             /* body.data is never NULL */
        uint64_t latency_usec; /* from the question to the last byte */
} HttpResponse;

#define HTTP_RESPONSE_INIT ((HttpResponse){0})

void http_response_clear(HttpResponse *r);

/* Asks, and reads the answer to its end. Suspends. */
int http_get(Http *h, const HttpRequest *request, HttpResponse *ret, Error *e);

/* Asks, and returns when the status and headers are there. Suspends. */
int http_open(Http *h, const HttpRequest *request, HttpTransfer **ret, Error *e);

/* Reads what there is, at least one byte and at most @size. Returns the number of bytes, 0 at the end of a whole body,
 * or a negative errno. Suspends. Whoever does not read holds the sender back: at most 256 KiB are kept here. */
ssize_t http_read(HttpTransfer *t, void *data, size_t size, Error *e);

/* Ends the transfer wherever it is. Never suspends. Returns NULL. */
HttpTransfer *http_close(HttpTransfer *t);

DEFINE_CLEANUP(HttpTransfer, http_close);

unsigned http_transfer_status(const HttpTransfer *t);

/* Where the first byte of this body stands in the file: the request's offset with status 206, otherwise 0. */
uint64_t http_transfer_offset(const HttpTransfer *t);

/* The size of the whole file, UINT64_MAX where the server does not say. */
uint64_t http_transfer_total(const HttpTransfer *t);

/* The headers of the answer, "name: value". Borrowed. */
char *const *http_transfer_headers(const HttpTransfer *t);

/* The value of a header, by its name in any case; NULL where it is missing. Borrowed from @headers. */
const char *http_header(char *const *headers, const char *name);

/* 0 for 2xx; -ENOENT for 404 and 410; -EACCES for 401, 403 and 407; -EBUSY for what may be better later (408, 425, 429,
 * 500, 502, 503, 504); -ERANGE for 416; -EBADE for any other. ERROR_FAILED, with the address and a hint. */
int http_check_status(const char *url, unsigned status, Error *e);

/* How long the server asks to wait (Retry-After, RFC 9110 section 10.2.3), µs; 0 where it does not say. */
uint64_t http_retry_after(char *const *headers, uint64_t now_usec);

/* The address without user, password, query and fragment, for messages. Owned by the caller, NULL when memory ran
 * out. */
char *http_url_for_people(const char *url);
