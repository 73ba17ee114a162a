#pragma once

/* The inside of a transfer, for http.c, transfer.c, request.c and file.c alone. */

#include <inttypes.h>

#include "base/wakeup.h"
#include "fetch/curl.h"
#include "fetch/http.h"

/* What is kept of a body until somebody reads it. */
#define TRANSFER_BUFFER (128 * KIB)

#define TRANSFER_REDIRECTS_MAX 5

struct HttpTransfer {
        Http *http;
        char *url;   /* as asked now, after redirects */
        char *shown; /* the same for people */
        unsigned redirected;

        /* A transfer over the network. */
        const Curl *curl; /* borrowed from @http; NULL for a local file */
        CURL *easy;
        struct curl_slist *lines; /* of the request's headers */
        bool added;               /* to the multi handle */
        const char *sending;      /* the request's body, borrowed until the answer is there */
        size_t sending_size;
        size_t sent;
        char curl_error[CURL_ERROR_SIZE];
        CURLcode result;
        bool done;     /* with @result */
        bool answered; /* all headers are there */
        bool paused;   /* there was no room; curl holds one piece back */
        char *into;    /* where the reader waits for so many bytes, while nothing stands in @buffer */
        size_t wanted;
        char *buffer;
        size_t begin, end; /* of what stands in @buffer */

        /* A local file. */
        int fd;
        uint64_t position, stop;

        /* The answer. */
        unsigned status;
        char **headers;
        uint64_t offset;
        uint64_t total;

        /* Waiting. */
        Wakeup wakeup;
        uint64_t stall_timeout_usec;
        uint64_t deadline_usec; /* clock_monotonic(); USEC_INFINITY: none */
        uint64_t waited_usec; /* and what came and went meanwhile: begun anew after each stall_timeout_usec */
        uint64_t moved;
};

/* http.c: loads libcurl, where no request before has. */
int http_start(Http *h, const Curl **ret, Error *e);

/* http.c: puts a prepared easy handle to work. */
int http_add(Http *h, HttpTransfer *t, Error *e);
void http_remove(Http *h, HttpTransfer *t);

/* request.c: makes @t->easy ask for @t->url. Credentials stay out once the transfer was redirected. */
int transfer_prepare(HttpTransfer *t, const HttpRequest *request, Error *e);

/* outcome.c: understands status and headers: status, headers, offset, total. */
int transfer_read_answer(HttpTransfer *t, const HttpRequest *request, Error *e);

/* outcome.c: makes an error of what curl said. */
int transfer_explain(const HttpTransfer *t, Error *e);

/* file.c */
int file_open(HttpTransfer *t, const HttpRequest *request, Error *e);
ssize_t file_read(HttpTransfer *t, void *data, size_t size, Error *e);
