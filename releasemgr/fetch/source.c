#include <errno.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "fetch/answer.h"
#include "fetch/source-internal.h"

#define TRIES           5
#define BACK_OFF_MIN    (250 * USEC_PER_MSEC)
#define BACK_OFF_MAX    (30 * USEC_PER_SEC)
#define RANGES_MAX      8
#define ERROR_BODY_MAX  (16 * KIB)
#define RATE_PIECE_USEC (100 * USEC_PER_MSEC)

struct Source {
        Http *http;
        S3 *s3;                /* NULL: a plain address */
        SourceOptions options; /* its texts are our own */
        char *base;            /* without a slash at its end */
        char *shown;
        uint64_t rate_usec; /* clock_monotonic() at which the bytes read so far have earned their time */
        uint64_t held_usec; /* that were waited for it */
};

static int copy_text(const char **text) {
        if (!*text)
                return 0;
        *text = strdup(*text);
        return *text ? 0 : -ENOMEM;
}

/* Makes the texts ours; those that could not be copied are NULL, so that nothing borrowed is ever freed. */
static int source_copy_options(SourceOptions *o) {
        const char **texts[] = {&o->url, &o->ca_file, &o->certificate, &o->key, &o->proxy, &o->s3_region,
                        &o->s3_endpoint};
        int r = 0;

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++)
                if (copy_text(texts[i]) < 0)
                        r = -ENOMEM;
        return r;
}

static int source_check(const SourceOptions *o, Error *e) {
        static const char *const schemes[] = {"https://", "http://", "file:///", "s3://"};
        _cleanup_free_ char *shown = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(schemes); i++)
                if (strncasecmp(o->url, schemes[i], strlen(schemes[i])) == 0 && o->url[strlen(schemes[i])]) {
                        if (!strpbrk(o->url, "?#"))
                                return 0;
                        return error_set(e, ERROR_USAGE, -EINVAL,
                                        "The repository's address must not have a query: files "
                                        "are found by what is appended to it");
                }
        shown = http_url_for_people(o->url);
        r = error_set(e, ERROR_USAGE, -EINVAL, "%s is no address of a repository", shown ?: "This");
        return error_hint(e, r, "It begins with https://, http://, file:/// or s3://");
}

int source_new(Http *http, const SourceOptions *options, Source **ret, Error *e) {
        _cleanup_(source_free_p) Source *s = NULL;
        size_t n;
        int r;

        r = source_check(options, e);
        if (r < 0)
                return r;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->http = http;
        s->options = *options;
        r = source_copy_options(&s->options);
        if (r < 0)
                return r;
        s->base = strdup(s->options.url);
        s->shown = http_url_for_people(s->options.url);
        if (!s->base || !s->shown)
                return -ENOMEM;
        for (n = strlen(s->base); n > 0 && s->base[n - 1] == '/';)
                s->base[--n] = '\0';
        if (strncasecmp(s->base, "s3://", 5) == 0) {
                r = s3_new(http, &s->options, &s->s3, e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE(s);
        return 0;
}

Source *source_free(Source *s) {
        if (!s)
                return NULL;
        s3_free(s->s3);
        free((char *) s->options.url);
        free((char *) s->options.ca_file);
        free((char *) s->options.certificate);
        free((char *) s->options.key);
        free((char *) s->options.proxy);
        free((char *) s->options.s3_region);
        free((char *) s->options.s3_endpoint);
        free(s->base);
        free(s->shown);
        free(s);
        return NULL;
}

const char *source_name(const Source *s) {
        return s->shown;
}

unsigned source_max_ranges(const Source *s) {
        /* Two places of one disk are not read faster at a time. */
        if (strncasecmp(s->base, "file:", 5) == 0)
                return 1;
        return s->options.max_ranges ? MIN_OF(s->options.max_ranges, RANGES_MAX) : RANGES_MAX;
}

S3 *source_s3(Source *s) {
        return s->s3;
}

Http *source_http(Source *s) {
        return s->http;
}

void source_fill(const Source *s, HttpRequest *request) {
        request->ca_file = s->options.ca_file;
        request->certificate = s->options.certificate;
        request->key = s->options.key;
        request->proxy = s->options.proxy;
        request->redirects = s->options.redirects;
        request->connect_timeout_usec = s->options.connect_timeout_usec;
        request->stall_timeout_usec = s->options.stall_timeout_usec;
}

/* One question, as it was signed. */
static int source_ask_once(
                Source *s, const char *path, const HttpRequest *ask, HttpTransfer **ret, Error *e) {
        _cleanup_(s3_signed_clear) S3Signed signature = {0};
        HttpRequest request = *ask;
        _cleanup_free_ char *url = NULL;
        int r;

        source_fill(s, &request);
        if (s->s3) {
                r = s3_sign(s->s3, &(S3Request){.method = "GET", .key = path}, &signature, e);
                if (r < 0)
                        return r;
                request.url = signature.url;
                request.secret_headers = signature.headers;
                request.redirects =
                                false; /* a signature is for one host: s3_learn() makes another for where it leads */
        } else {
                url = text_format("%s/%s", s->base, path);
                if (!url)
                        return -ENOMEM;
                request.url = url;
        }
        return http_open(s->http, &request, ret, e);
}

/* S3 says 403 of what is not there to who may not list the bucket; and of those whom it does not believe, which must not
 * look like a file that is missing. */
int source_explain_s3(int r, const char *body, Error *e) {
        _cleanup_free_ char *code = NULL;

        if (s3_error_code(body, &code) < 0)
                return -ENOMEM;
        if (!code || streq(code, "AccessDenied") || streq(code, "AllAccessDisabled"))
                return error_hint(e, r,
                                "It may not be there at all: S3 says so only to who may list the bucket");
        r = error_set(e, ERROR_FAILED, -EKEYREJECTED, "S3 does not take our credentials: %s", code);
        return error_hint(e, r, "Check the role or the keys, this host's clock, and the region");
}

/* What the server said, as an error with the address. */
static int source_check_status(Source *s, const char *path, HttpTransfer *t, const char *body,
                uint64_t *ret_retry_usec, Error *e) {
        _cleanup_free_ char *url = text_format("%s/%s", s->base, path);
        unsigned status = http_transfer_status(t);
        int r;

        if (!url)
                return -ENOMEM;
        r = http_check_status(url, status, e);
        if (r < 0 && ret_retry_usec)
                *ret_retry_usec = http_retry_after(http_transfer_headers(t), clock_now());
        if (r == -EACCES && s->s3)
                return source_explain_s3(r, body, e);
        return r;
}

/* Whether asking again at once, signed otherwise, may go better. Reads the error's text from @t. */
static int source_learn(Source *s, HttpTransfer *t, Text *body, Error *e) {
        unsigned status = http_transfer_status(t);
        char piece[KIB];
        ssize_t n = 0;

        text_clear(body);
        if (!s->s3 || status < 300 || status == 304)
                return 0;
        while (body->size < ERROR_BODY_MAX && (n = http_read(t, piece, sizeof(piece), e)) > 0)
                if (text_add(body, piece, n) < 0)
                        return -ENOMEM;
        if (n == -ECANCELED)
                return n;
        return s3_learn(s->s3, status, http_transfer_headers(t), body->data);
}

static int source_ask(Source *s, const char *path, const HttpRequest *ask, HttpTransfer **ret,
                uint64_t *ret_retry_usec, Error *e) {
        _cleanup_(http_close_p) HttpTransfer *t = NULL;
        _cleanup_text_ Text body = TEXT_INIT;
        int r;

        if (ret_retry_usec)
                *ret_retry_usec = 0;
        for (unsigned i = 0;; i++) {
                r = source_ask_once(s, path, ask, &t, e);
                if (r < 0)
                        return r;
                r = source_learn(s, t, &body, e);
                if (r < 0)
                        return r;
                if (r == 0 || i == S3_LESSONS_MAX)
                        break;
                t = http_close(t);
        }
        if (http_transfer_status(t) != 304) {
                r = source_check_status(s, path, t, body.data, ret_retry_usec, e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE(t);
        return 0;
}

int source_open(Source *s, const char *path, uint64_t offset, uint64_t size, HttpTransfer **ret,
                uint64_t *ret_retry_usec, Error *e) {
        return source_ask(s, path, &(HttpRequest){.offset = offset, .size = size}, ret, ret_retry_usec, e);
}

/* All transfers draw on one account: who took more than was earned waits, with its sender held back. */
static int source_keep_rate(Source *s, size_t size) {
        uint64_t now = clock_monotonic();

        s->rate_usec = MAX_OF(s->rate_usec, now) + size * USEC_PER_SEC / s->options.max_rate;
        s->held_usec += s->rate_usec - now;
        return fiber_sleep(s->rate_usec - now);
}

uint64_t source_held_usec(const Source *s) {
        return s->held_usec;
}

ssize_t source_read(Source *s, HttpTransfer *t, void *data, size_t size, Error *e) {
        ssize_t n;
        int r;

        if (s->options.max_rate == 0)
                return http_read(t, data, size, e);
        n = http_read(t, data, MIN_OF(size, s->options.max_rate * RATE_PIECE_USEC / USEC_PER_SEC + 1), e);
        if (n <= 0)
                return n;
        r = source_keep_rate(s, n);
        return r < 0 ? r : n;
}

bool source_may_retry(int r) {
        return r == -EBUSY || r == -ETIMEDOUT || r == -ECONNRESET || r == -ECONNREFUSED ||
               r == -EHOSTUNREACH || r == -ENETUNREACH || r == -EPIPE || r == -EPROTO;
}

int source_back_off(Source *s, unsigned tries, bool begun, uint64_t retry_usec) {
        uint64_t wait = BACK_OFF_MIN << MIN_OF(tries - 1, 7u), random = 0;

        if (tries >= (s->options.tries ?: TRIES) * (begun ? 2 : 1))
                return -ETIME;
        wait = MIN_OF(wait, BACK_OFF_MAX);
        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) == sizeof(random))
                wait -= random % (wait / 2);
        wait = MAX_OF(wait, retry_usec);
        if (s->options.deadline_usec > 0 && clock_monotonic() + wait > s->options.deadline_usec)
                return -ETIME;
        return fiber_sleep(wait);
}

void source_file_clear(SourceFile *f) {
        text_clear(&f->data);
        free(f->etag);
        *f = SOURCE_FILE_INIT;
}

static int source_read_file(
                Source *s, HttpTransfer *t, const char *path, uint64_t max, SourceFile *ret, Error *e) {
        char *const *headers = http_transfer_headers(t);
        const char *etag = etag_is_lasting(headers) ? http_header(headers, "ETag") : NULL;
        _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT;
        char piece[8 * KIB], size[SIZE_TEXT_MAX];
        ssize_t n;

        file.unmodified = http_transfer_status(t) == 304;
        if (etag && !(file.etag = strdup(etag)))
                return -ENOMEM;
        if (text_add(&file.data, "", 0) < 0)
                return -ENOMEM;
        while ((n = source_read(s, t, piece, sizeof(piece), e)) > 0) {
                if ((uint64_t) n > max - file.data.size)
                        return error_set(e, ERROR_FAILED, -EFBIG, "%s/%s is larger than %s", s->shown, path,
                                        size_to_text(max, size));
                if (text_add(&file.data, piece, n) < 0)
                        return -ENOMEM;
        }
        if (n < 0)
                return n;
        *ret = TAKE(file);
        return 0;
}

static int source_get_once(Source *s, const char *path, uint64_t max, const char *etag, SourceFile *ret,
                uint64_t *ret_retry_usec, Error *e) {
        _cleanup_free_ char *condition = etag ? text_format("If-None-Match: %s", etag) : NULL;
        char *headers[] = {condition, NULL};
        _cleanup_(http_close_p) HttpTransfer *t = NULL;
        int r;

        if (etag && !condition)
                return -ENOMEM;
        r = source_ask(s, path, &(HttpRequest){.headers = headers}, &t, ret_retry_usec, e);
        if (r < 0)
                return r;
        return source_read_file(s, t, path, max, ret, e);
}

int source_get(Source *s, const char *path, uint64_t max, const char *etag, SourceFile *ret, Error *e) {
        uint64_t retry_usec;
        int r, q;

        for (unsigned tries = 1;; tries++) {
                r = source_get_once(s, path, max, etag, ret, &retry_usec, e);
                if (!source_may_retry(r))
                        return r;
                q = source_back_off(s, tries, false, retry_usec);
                if (q == -ECANCELED)
                        return q;
                if (q < 0)
                        return r;
        }
}
