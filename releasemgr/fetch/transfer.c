#include <errno.h>
#include <strings.h>

#include "base/clock.h"
#include "base/fd.h"
#include "fetch/transfer.h"

/* Under so many bytes a second for the stall timeout, a transfer counts as stalled. */
#define RATE_MIN 100

static bool url_is_file(const char *url) {
        return strncasecmp(url, "file:", 5) == 0;
}

/* Waits until something happened, and counts the time: what the reader of the body spends elsewhere is not the
 * sender's fault. A trickle ends every wait and yet is judged by what came in all of them. */
static int transfer_wait(HttpTransfer *t, Error *e) {
        uint64_t start = clock_monotonic(), stall = t->stall_timeout_usec, limit;
        char text[CLOCK_TEXT_MAX];
        int r;

        limit = stall - MIN_OF(stall, t->waited_usec);
        if (t->deadline_usec != USEC_INFINITY)
                limit = MIN_OF(limit, t->deadline_usec - MIN_OF(start, t->deadline_usec));
        r = wakeup_wait(&t->wakeup, limit);
        if (r < 0 && r != -ETIMEDOUT)
                return r;
        t->waited_usec += clock_monotonic() - start;
        if (clock_monotonic() >= t->deadline_usec)
                return error_set(e, ERROR_FAILED, -ETIMEDOUT, "%s did not answer in time", t->shown);
        if (t->waited_usec < stall)
                return 0;
        if (t->moved < stall / USEC_PER_SEC * RATE_MIN || t->moved == 0)
                return error_set(e, ERROR_FAILED, -ETIMEDOUT, "%s has stalled: %" PRIu64 " bytes in %s",
                                t->shown, t->moved, span_to_text(stall, text));
        t->waited_usec = 0;
        t->moved = 0;
        return 0;
}

static void transfer_forget_request(HttpTransfer *t) {
        if (t->easy) {
                http_remove(t->http, t);
                t->curl->easy_cleanup(t->easy);
                t->easy = NULL;
        }
        if (t->lines)
                t->curl->slist_free_all(t->lines);
        t->lines = NULL;
        t->headers = strv_free(t->headers);
        t->begin = t->end = 0;
        t->done = t->answered = t->paused = false;
        t->sending = NULL;
        t->sending_size = t->sent = 0;
        t->curl_error[0] = '\0';
}

static int transfer_set_url(HttpTransfer *t, const char *url) {
        char *copy = strdup(url), *shown = http_url_for_people(url);

        if (!copy || !shown) {
                free(copy);
                free(shown);
                return -ENOMEM;
        }
        free(t->url);
        free(t->shown);
        t->url = copy;
        t->shown = shown;
        return 0;
}

/* Asks for t->url and waits for the headers. */
static int transfer_ask(HttpTransfer *t, const HttpRequest *request, Error *e) {
        int r;

        r = transfer_prepare(t, request, e);
        if (r < 0)
                return r;
        r = http_add(t->http, t, e);
        if (r < 0)
                return r;
        while (!t->answered && !t->done) {
                r = transfer_wait(t, e);
                if (r < 0)
                        return r;
        }
        if (!t->answered)
                return transfer_explain(t, e);
        return transfer_read_answer(t, request, e);
}

static bool status_is_redirect(unsigned status) {
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool scheme_is_same(const char *a, const char *b) {
        size_t n = strcspn(a, ":");

        return n == strcspn(b, ":") && strncasecmp(a, b, n) == 0;
}

/* The address that Location names, seen from t->url (RFC 9110 section 10.2.2). A user and password in it are not ours, so
 * they are not taken. */
static int location_resolve(const HttpTransfer *t, const char *location, char **ret) {
        CURLU *u = t->curl->url();
        char *text = NULL;
        CURLUcode c;
        int r = 0;

        if (!u)
                return -ENOMEM;
        c = t->curl->url_set(u, CURLUPART_URL, t->url, CURLU_PATH_AS_IS);
        if (c == CURLUE_OK)
                c = t->curl->url_set(u, CURLUPART_URL, location, CURLU_PATH_AS_IS | CURLU_NON_SUPPORT_SCHEME);
        if (c == CURLUE_OK)
                c = t->curl->url_set(u, CURLUPART_USER, NULL, 0);
        if (c == CURLUE_OK)
                c = t->curl->url_set(u, CURLUPART_PASSWORD, NULL, 0);
        if (c == CURLUE_OK)
                c = t->curl->url_get(u, CURLUPART_URL, &text, 0);
        if (c == CURLUE_OK) {
                *ret = strdup(text);
                r = *ret ? 0 : -ENOMEM;
        } else
                r = c == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EBADMSG;
        t->curl->free(text);
        t->curl->url_cleanup(u);
        return r;
}

/* 1 where the transfer now has another address to ask, 0 where the answer is one. */
static int transfer_redirect(HttpTransfer *t, const HttpRequest *request, Error *e) {
        const char *location = http_header(t->headers, "Location");
        _cleanup_free_ char *shown = NULL, *target = NULL;
        int r;

        if (!request->redirects || request->body || !status_is_redirect(t->status) || !location)
                return 0;
        r = location_resolve(t, location, &target);
        if (r == -EBADMSG)
                return error_set(e, ERROR_FAILED, r, "%s redirects to an address that makes no sense",
                                t->shown);
        if (r < 0)
                return r;
        shown = http_url_for_people(target);
        if (!shown)
                return -ENOMEM;
        if (!scheme_is_same(t->url, target)) {
                r = error_set(e, ERROR_FAILED, -EPROTO, "%s redirects to %s, which is another protocol",
                                t->shown, shown);
                return error_hint(e, r, "Configure the address that it redirects to, if you trust it");
        }
        if (t->redirected == TRANSFER_REDIRECTS_MAX)
                return error_set(e, ERROR_FAILED, -ELOOP, "%s redirects again, after %d redirects", t->shown,
                                TRANSFER_REDIRECTS_MAX);
        transfer_forget_request(t);
        t->redirected++;
        r = transfer_set_url(t, target);
        return r < 0 ? r : 1;
}

static int transfer_begin(HttpTransfer *t, const HttpRequest *request, Error *e) {
        int r;

        if (url_is_file(t->url))
                return file_open(t, request, e);
        r = http_start(t->http, &t->curl, e);
        if (r < 0)
                return r;
        do {
                r = transfer_ask(t, request, e);
                if (r >= 0)
                        r = transfer_redirect(t, request, e);
        } while (r > 0);
        return r;
}

int http_open(Http *h, const HttpRequest *request, HttpTransfer **ret, Error *e) {
        _cleanup_(http_close_p) HttpTransfer *t = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->http = h;
        t->fd = -1;
        t->total = UINT64_MAX;
        t->stall_timeout_usec = request->stall_timeout_usec ?: 30 * USEC_PER_SEC;
        t->deadline_usec = request->timeout_usec ? clock_monotonic() + request->timeout_usec : USEC_INFINITY;
        r = transfer_set_url(t, request->url);
        if (r < 0)
                return r;
        r = transfer_begin(t, request, e);
        if (r < 0)
                return r;
        *ret = TAKE(t);
        return 0;
}

static size_t transfer_take(HttpTransfer *t, void *data, size_t size) {
        size = MIN_OF(size, t->end - t->begin);
        memcpy(data, t->buffer + t->begin, size);
        t->begin += size;
        if (t->begin == t->end)
                t->begin = t->end = 0;
        return size;
}

/* Lets what comes be put right into the @size bytes at @data: as soon as some are there, how many; 0 at the end. */
static ssize_t transfer_receive(HttpTransfer *t, void *data, size_t size, Error *e) {
        int r = 0;

        t->into = data;
        t->wanted = size;
        while (r >= 0 && t->wanted == size && (t->paused || !t->done)) {
                if (!t->paused) {
                        r = transfer_wait(t, e);
                        continue;
                }
                t->paused = false;
                if (t->curl->easy_pause(t->easy, CURLPAUSE_CONT) != CURLE_OK)
                        r = error_set(e, ERROR_FAILED, -ECONNRESET, "Cannot go on reading %s", t->shown);
        }
        size -= t->wanted;
        t->wanted = 0;
        if (r < 0 || size > 0)
                return r < 0 ? r : (ssize_t) size;
        return t->result == CURLE_OK ? 0 : transfer_explain(t, e);
}

ssize_t http_read(HttpTransfer *t, void *data, size_t size, Error *e) {
        if (!t->easy)
                return file_read(t, data, size, e);
        return t->end > t->begin ? (ssize_t) transfer_take(t, data, size)
                                 : transfer_receive(t, data, size, e);
}

HttpTransfer *http_close(HttpTransfer *t) {
        if (!t)
                return NULL;
        transfer_forget_request(t);
        (void) fd_close(t->fd);
        free(t->buffer);
        free(t->url);
        free(t->shown);
        free(t);
        return NULL;
}

unsigned http_transfer_status(const HttpTransfer *t) {
        return t->status;
}

uint64_t http_transfer_offset(const HttpTransfer *t) {
        return t->offset;
}

uint64_t http_transfer_total(const HttpTransfer *t) {
        return t->total;
}

char *const *http_transfer_headers(const HttpTransfer *t) {
        return t->headers;
}

void http_response_clear(HttpResponse *r) {
        r->headers = strv_free(r->headers);
        text_clear(&r->body);
        *r = HTTP_RESPONSE_INIT;
}

static int transfer_read_all(HttpTransfer *t, uint64_t max, Text *ret, Error *e) {
        _cleanup_text_ Text body = TEXT_INIT;
        _cleanup_free_ char *piece = NULL;
        char size[SIZE_TEXT_MAX];
        ssize_t n;

        piece = malloc(16 * KIB);
        if (!piece || text_add(&body, "", 0) < 0)
                return -ENOMEM;
        while ((n = http_read(t, piece, 16 * KIB, e)) > 0) {
                if ((uint64_t) n > max - body.size)
                        return error_set(e, ERROR_FAILED, -EFBIG, "%s is larger than %s", t->shown,
                                        size_to_text(max, size));
                if (text_add(&body, piece, n) < 0)
                        return -ENOMEM;
        }
        if (n < 0)
                return n;
        *ret = TAKE(body);
        return 0;
}

int http_get(Http *h, const HttpRequest *request, HttpResponse *ret, Error *e) {
        _cleanup_(http_close_p) HttpTransfer *t = NULL;
        uint64_t start = clock_monotonic();
        int r;

        r = http_open(h, request, &t, e);
        if (r < 0)
                return r;
        r = transfer_read_all(t, request->max ?: MIB, &ret->body, e);
        if (r < 0)
                return r;
        ret->status = t->status;
        ret->headers = TAKE(t->headers);
        ret->latency_usec = clock_monotonic() - start;
        return 0;
}
