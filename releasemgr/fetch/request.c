#include <errno.h>

#include "fetch/transfer.h"

/* What we ask curl for. */

static size_t on_header(char *data, size_t size, size_t n, void *userdata) {
        HttpTransfer *t = userdata;
        long status = 0;

        /* The empty line ends the headers; "100 Continue" and its like are not the answer yet. */
        if (data[0] == '\r' || data[0] == '\n') {
                (void) t->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
                if (status >= 200) {
                        t->answered = true;
                        wakeup_set(&t->wakeup);
                }
        }
        return size * n;
}

/* Into what the reader waits with. */
static size_t take_direct(HttpTransfer *t, const char *data, size_t size) {
        size = MIN_OF(size, t->wanted);
        if (size == 0)
                return 0;
        memcpy(t->into, data, size);
        t->into += size;
        t->wanted -= size;
        return size;
}

/* Into the buffer. */
static bool keep(HttpTransfer *t, const char *data, size_t size) {
        if (!t->buffer && !(t->buffer = malloc(TRANSFER_BUFFER)))
                return false;
        memcpy(t->buffer + t->end, data, size);
        t->end += size;
        return true;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata) {
        HttpTransfer *t = userdata;
        size_t taken;

        size *= n;
        if (size > t->wanted + TRANSFER_BUFFER - t->end) {
                t->paused = true;
                return CURL_WRITEFUNC_PAUSE;
        }
        taken = take_direct(t, data, size);
        if (taken < size && !keep(t, data + taken, size - taken))
                return CURL_WRITEFUNC_ERROR;
        t->moved += size;
        wakeup_set(&t->wakeup);
        return size;
}

static size_t on_send(char *data, size_t size, size_t n, void *userdata) {
        HttpTransfer *t = userdata;

        size = MIN_OF(size * n, t->sending_size - t->sent);
        if (size > 0)
                memcpy(data, t->sending + t->sent, size);
        t->sent += size;
        t->moved += size;
        return size;
}

/* curl sends again from the beginning where a kept connection turns out to be closed. */
static int on_seek(void *userdata, curl_off_t offset, int origin) {
        HttpTransfer *t = userdata;

        if (origin != SEEK_SET || offset < 0 || (uint64_t) offset > t->sending_size)
                return CURL_SEEKFUNC_FAIL;
        t->sent = offset;
        return CURL_SEEKFUNC_OK;
}

static int transfer_add_line(HttpTransfer *t, const char *line) {
        struct curl_slist *lines = t->curl->slist_append(t->lines, line);

        if (!lines)
                return -ENOMEM;
        t->lines = lines;
        return 0;
}

static int transfer_add_lines(HttpTransfer *t, char *const *lines) {
        int r = 0;

        for (; lines && *lines && r >= 0; lines++)
                r = transfer_add_line(t, *lines);
        return r;
}

/* An option that curl does not take is out of memory, or a library older than the one we were built against. */
#define SET(option, value)                                                                                   \
        do {                                                                                                 \
                CURLcode _c = t->curl->easy_setopt(t->easy, (option), (value));                              \
                if (_c != CURLE_OK)                                                                          \
                        return transfer_refuse_option(t, _c, e);                                             \
        } while (0)

static int transfer_refuse_option(HttpTransfer *t, CURLcode c, Error *e) {
        if (c == CURLE_OUT_OF_MEMORY)
                return -ENOMEM;
        return error_set(e, ERROR_USAGE, -EINVAL, "Cannot ask for %s: %s", t->shown,
                        t->curl->easy_strerror(c));
}

static int transfer_set_callbacks(HttpTransfer *t, Error *e) {
        SET(CURLOPT_PRIVATE, t);
        SET(CURLOPT_ERRORBUFFER, t->curl_error);
        SET(CURLOPT_HEADERFUNCTION, on_header);
        SET(CURLOPT_HEADERDATA, t);
        SET(CURLOPT_WRITEFUNCTION, on_body);
        SET(CURLOPT_WRITEDATA, t);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_QUICK_EXIT, 1L); /* a cancelled request does not wait for getaddrinfo() */
        SET(CURLOPT_BUFFERSIZE, (long) (128 * KIB));
        return 0;
}

static int transfer_set_method(HttpTransfer *t, const HttpRequest *request, Error *e) {
        if (request->method && streq(request->method, "HEAD"))
                SET(CURLOPT_NOBODY, 1L);
        if (request->body || (request->method && (streq(request->method, "PUT") ||
                                                                 streq(request->method, "POST")))) {
                t->sending = request->body;
                t->sending_size = request->body_size;
                SET(CURLOPT_UPLOAD, 1L);
                SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t) request->body_size);
                SET(CURLOPT_READFUNCTION, on_send);
                SET(CURLOPT_READDATA, t);
                SET(CURLOPT_SEEKFUNCTION, on_seek);
                SET(CURLOPT_SEEKDATA, t);
        }
        if (request->method && !streq(request->method, "HEAD"))
                SET(CURLOPT_CUSTOMREQUEST, request->method);
        return 0;
}

static int transfer_set_headers(HttpTransfer *t, const HttpRequest *request, Error *e) {
        _cleanup_free_ char *range = NULL;
        int r;

        r = transfer_add_line(t, "Accept-Encoding: identity");
        if (r >= 0)
                r = transfer_add_lines(t, request->headers);
        if (r >= 0 && t->redirected == 0)
                r = transfer_add_lines(t, request->secret_headers);
        if (r >= 0 && (request->offset > 0 || request->size > 0)) {
                range = request->size > 0 ? text_format("Range: bytes=%" PRIu64 "-%" PRIu64, request->offset,
                                                            request->offset + request->size - 1)
                                          : text_format("Range: bytes=%" PRIu64 "-", request->offset);
                r = range ? transfer_add_line(t, range) : -ENOMEM;
        }
        if (r < 0)
                return r;
        SET(CURLOPT_HTTPHEADER, t->lines);
        SET(CURLOPT_USERAGENT, "releasemgr/" RELEASEMGR_VERSION);
        return 0;
}

static int transfer_set_connection(HttpTransfer *t, const HttpRequest *request, Error *e) {
        uint64_t connect = request->connect_timeout_usec ?: 15 * USEC_PER_SEC;

        SET(CURLOPT_URL, t->url);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_PATH_AS_IS, 1L);
        SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
        SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long) MAX_OF(connect / USEC_PER_MSEC, UINT64_C(1)));
        if (request->fresh) {
                SET(CURLOPT_FRESH_CONNECT, 1L);
                SET(CURLOPT_FORBID_REUSE, 1L);
        }
        if (request->unix_socket && t->redirected == 0)
                SET(CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
        if (request->proxy)
                SET(CURLOPT_PROXY, request->proxy);
        if (request->ca_file)
                SET(CURLOPT_CAINFO, request->ca_file);
        if (request->certificate && t->redirected == 0) {
                SET(CURLOPT_SSLCERT, request->certificate);
                SET(CURLOPT_SSLKEY, request->key ?: request->certificate);
        }
        return 0;
}

int transfer_prepare(HttpTransfer *t, const HttpRequest *request, Error *e) {
        int r;

        t->easy = t->curl->easy_init();
        if (!t->easy)
                return -ENOMEM;
        r = transfer_set_callbacks(t, e);
        if (r >= 0)
                r = transfer_set_method(t, request, e);
        if (r >= 0)
                r = transfer_set_headers(t, request, e);
        if (r >= 0)
                r = transfer_set_connection(t, request, e);
        return r;
}
