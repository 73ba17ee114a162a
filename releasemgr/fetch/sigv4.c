#include <ctype.h>
#include <errno.h>
#include <strings.h>
#include <time.h>

#include "fetch/sigv4.h"
#include "trust/digest.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

typedef struct Stamp {
        char time[17]; /* 20150830T123600Z */
        char day[9];
} Stamp;

static void stamp_make(Stamp *s, uint64_t now_usec) {
        time_t seconds = now_usec / USEC_PER_SEC;
        struct tm tm;

        (void) gmtime_r(&seconds, &tm);
        (void) strftime(s->time, sizeof(s->time), "%Y%m%dT%H%M%SZ", &tm);
        (void) strftime(s->day, sizeof(s->day), "%Y%m%d", &tm);
}

char *uri_quote(const char *text, const char *keep) {
        static const char digits[] = "0123456789ABCDEF";
        char *quoted = malloc(3 * strlen(text) + 1), *p = quoted;

        for (; quoted && *text; text++) {
                unsigned char c = *text;

                if (isascii(c) && (isalnum(c) || strchr("-._~", c) || strchr(keep, c)))
                        *p++ = c;
                else {
                        *p++ = '%';
                        *p++ = digits[c >> 4];
                        *p++ = digits[c & 15];
                }
        }
        if (quoted)
                *p = '\0';
        return quoted;
}

/* By the text before @end, then by what follows. */
static int compare_until(const char *a, const char *b, char end) {
        size_t n = strchrnul(a, end) - a, m = strchrnul(b, end) - b;
        int c = memcmp(a, b, MIN_OF(n, m));

        if (c == 0)
                c = (n > m) - (n < m);
        return c ? c : strcmp(a + n, b + m);
}

static int compare_parameters(const void *a, const void *b) {
        return compare_until(*(char *const *) a, *(char *const *) b, '=');
}

static int add_query(Text *t, const char *query) {
        _cleanup_strv_ char **parameters = NULL;
        size_t n;
        int r;

        r = strv_split(query ?: "", "&", &parameters);
        if (r < 0)
                return r;
        n = strv_length(parameters);
        if (n > 1)
                qsort(parameters, n, sizeof(*parameters), compare_parameters);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = text_addf(t, "%s%s%s", i > 0 ? "&" : "", parameters[i],
                                strchr(parameters[i], '=') ? "" : "=");
        return r < 0 ? r : text_adds(t, "\n");
}

/* "Name:  a   b " as "name:a b". */
static char *canonical_header(const char *line) {
        const char *value = strchrnul(line, ':');
        char *copy = malloc(strlen(line) + 2), *p = copy, *first;
        bool space = false;

        if (!copy)
                return NULL;
        for (; line < value; line++)
                *p++ = tolower((unsigned char) *line);
        *p++ = ':';
        first = p;
        for (value += *value == ':'; *value; value++)
                if (*value == ' ' || *value == '\t')
                        space = true;
                else {
                        if (space && p > first)
                                *p++ = ' ';
                        space = false;
                        *p++ = *value;
                }
        *p = '\0';
        return copy;
}

static int compare_headers(const void *a, const void *b) {
        const char *x = *(char *const *) a, *y = *(char *const *) b;
        size_t n = strchrnul(x, ':') - x, m = strchrnul(y, ':') - y;
        int c = memcmp(x, y, MIN_OF(n, m));

        /* Values of one name stay in their order: they are joined before. */
        return c ? c : (n > m) - (n < m);
}

static int add_header(char ***headers, const char *line) {
        _cleanup_free_ char *header = canonical_header(line);
        size_t n;

        if (!header)
                return -ENOMEM;
        n = strcspn(header, ":") + 1;
        for (char **h = *headers; h && *h; h++)
                if (strncmp(*h, header, n) == 0) {
                        char *joined = text_format("%s,%s", *h, header + n);

                        if (!joined)
                                return -ENOMEM;
                        free(*h);
                        *h = joined;
                        return 0;
                }
        return strv_add(headers, header);
}

/* The canonical headers: the request's, Host, and @more, sorted. */
static int collect_headers(const Sigv4Request *request, char *const *more, char ***ret) {
        _cleanup_strv_ char **headers = NULL;
        _cleanup_free_ char *host = text_format("Host: %s", request->host);
        int r;

        r = host ? add_header(&headers, host) : -ENOMEM;
        for (char *const *h = request->headers; h && *h && r >= 0; h++)
                r = add_header(&headers, *h);
        for (char *const *h = more; h && *h && r >= 0; h++)
                r = add_header(&headers, *h);
        if (r < 0)
                return r;
        qsort(headers, strv_length(headers), sizeof(*headers), compare_headers);
        *ret = TAKE(headers);
        return 0;
}

static int add_names(Text *t, char *const *headers) {
        int r = 0;

        for (size_t i = 0; headers[i] && r >= 0; i++)
                r = text_addf(t, "%s%.*s", i > 0 ? ";" : "", (int) strcspn(headers[i], ":"), headers[i]);
        return r;
}

/* The SHA-256 of the canonical request, in hex. */
static int digest_request(const Sigv4Request *request, const char *query, char *const *headers,
                char hash[static DIGEST_TEXT_MAX]) {
        _cleanup_text_ Text t = TEXT_INIT;
        Digest digest;
        int r;

        r = text_addf(&t, "%s\n%s\n", request->method, request->path);
        if (r >= 0)
                r = add_query(&t, query);
        for (char *const *h = headers; *h && r >= 0; h++)
                r = text_addf(&t, "%s\n", *h);
        if (r >= 0)
                r = text_adds(&t, "\n");
        if (r >= 0)
                r = add_names(&t, headers);
        if (r >= 0)
                r = text_addf(&t, "\n%s", request->payload);
        if (r >= 0)
                r = digest_of(t.data, t.size, &digest);
        if (r < 0)
                return r;
        digest_to_text(&digest, hash);
        return 0;
}

static char *scope_make(const Sigv4Key *key, const Stamp *stamp) {
        return text_format("%s/%s/%s/aws4_request", stamp->day, key->region, key->service);
}

static int signature_make(const Sigv4Key *key, const Stamp *stamp, const char *scope,
                const char *request_hash, char signature[static DIGEST_TEXT_MAX]) {
        _cleanup_free_ char *secret = text_format("AWS4%s", key->secret);
        _cleanup_free_ char *text = text_format(ALGORITHM "\n%s\n%s\n%s", stamp->time, scope, request_hash);
        const char *parts[] = {stamp->day, key->region, key->service, "aws4_request", text};
        Digest digest;
        int r;

        if (!secret || !text)
                return -ENOMEM;
        r = digest_hmac(secret, strlen(secret), parts[0], strlen(parts[0]), &digest);
        for (size_t i = 1; i < ELEMENTS_OF(parts) && r >= 0; i++) {
                Digest before = digest;

                r = digest_hmac(before.bytes, DIGEST_SIZE, parts[i], strlen(parts[i]), &digest);
        }
        explicit_bzero(secret, strlen(secret));
        if (r < 0)
                return r;
        digest_to_text(&digest, signature);
        return 0;
}

static int add_line(char ***l, const char *name, const char *value) {
        _cleanup_free_ char *line = text_format("%s: %s", name, value);

        return line ? strv_add(l, line) : -ENOMEM;
}

int sigv4_sign(const Sigv4Request *request, const Sigv4Key *key, uint64_t now_usec, char ***ret) {
        char hash[DIGEST_TEXT_MAX], signature[DIGEST_TEXT_MAX];
        _cleanup_strv_ char **own = NULL, **headers = NULL;
        _cleanup_free_ char *scope = NULL;
        _cleanup_text_ Text proof = TEXT_INIT;
        Stamp stamp;
        int r;

        stamp_make(&stamp, now_usec);
        r = add_line(&own, "X-Amz-Date", stamp.time);
        if (r >= 0 && key->token)
                r = add_line(&own, "X-Amz-Security-Token", key->token);
        if (r >= 0)
                r = collect_headers(request, own, &headers);
        if (r >= 0)
                r = digest_request(request, request->query, headers, hash);
        if (r < 0)
                return r;
        scope = scope_make(key, &stamp);
        r = scope ? signature_make(key, &stamp, scope, hash, signature) : -ENOMEM;
        if (r >= 0)
                r = text_addf(&proof, ALGORITHM " Credential=%s/%s, SignedHeaders=", key->access_key, scope);
        if (r >= 0)
                r = add_names(&proof, headers);
        if (r >= 0)
                r = text_addf(&proof, ", Signature=%s", signature);
        if (r >= 0)
                r = add_line(&own, "Authorization", proof.data);
        if (r < 0)
                return r;
        *ret = TAKE(own);
        return 0;
}

static int presign_query(const Sigv4Request *request, const Sigv4Key *key, const Stamp *stamp,
                const char *scope, char *const *headers, unsigned seconds, Text *ret) {
        _cleanup_free_ char *access = uri_quote(key->access_key, ""), *quoted = uri_quote(scope, "");
        _cleanup_free_ char *token = key->token ? uri_quote(key->token, "") : NULL;
        _cleanup_text_ Text names = TEXT_INIT;
        _cleanup_free_ char *signed_names = NULL;
        int r;

        if (!access || !quoted || (key->token && !token))
                return -ENOMEM;
        r = add_names(&names, headers);
        if (r < 0)
                return r;
        signed_names = uri_quote(names.data, "");
        if (!signed_names)
                return -ENOMEM;
        r = text_addf(ret,
                        "%s%sX-Amz-Algorithm=" ALGORITHM
                        "&X-Amz-Credential=%s%%2F%s&X-Amz-Date=%s&X-Amz-Expires=%u",
                        request->query ?: "", request->query ? "&" : "", access, quoted, stamp->time,
                        seconds);
        if (r >= 0 && token)
                r = text_addf(ret, "&X-Amz-Security-Token=%s", token);
        return r < 0 ? r : text_addf(ret, "&X-Amz-SignedHeaders=%s", signed_names);
}

int sigv4_presign(const Sigv4Request *request, const Sigv4Key *key, uint64_t now_usec, unsigned seconds,
                char **ret) {
        char hash[DIGEST_TEXT_MAX], signature[DIGEST_TEXT_MAX];
        _cleanup_strv_ char **headers = NULL;
        _cleanup_free_ char *scope = NULL;
        _cleanup_text_ Text query = TEXT_INIT;
        Stamp stamp;
        int r;

        stamp_make(&stamp, now_usec);
        scope = scope_make(key, &stamp);
        r = scope ? collect_headers(request, NULL, &headers) : -ENOMEM;
        if (r >= 0)
                r = presign_query(request, key, &stamp, scope, headers, seconds, &query);
        if (r >= 0)
                r = digest_request(request, query.data, headers, hash);
        if (r >= 0)
                r = signature_make(key, &stamp, scope, hash, signature);
        if (r >= 0)
                r = text_addf(&query, "&X-Amz-Signature=%s", signature);
        if (r < 0)
                return r;
        *ret = text_take(&query);
        return *ret ? 0 : -ENOMEM;
}

int sigv4_rds_password(const char *host, unsigned port, const char *user, const Sigv4Key *key,
                uint64_t now_usec, char **ret) {
        _cleanup_free_ char *authority = text_format("%s:%u", host, port), *quoted = uri_quote(user, "");
        _cleanup_free_ char *query = NULL, *signed_query = NULL, *password = NULL;
        Sigv4Request request = {.method = "GET", .host = authority, .path = "/", .payload = SIGV4_EMPTY};
        int r;

        query = quoted ? text_format("Action=connect&DBUser=%s", quoted) : NULL;
        if (!authority || !query)
                return -ENOMEM;
        request.query = query;
        r = sigv4_presign(&request, key, now_usec, 900, &signed_query);
        if (r < 0)
                return r;
        password = text_format("%s/?%s", authority, signed_query);
        if (!password)
                return -ENOMEM;
        *ret = TAKE(password);
        return 0;
}
