#include <errno.h>
#include <strings.h>

#include "base/clock.h"
#include "fetch/address.h"
#include "fetch/answer.h"
#include "fetch/credentials.h"
#include "fetch/s3.h"
#include "fetch/sigv4.h"
#include "trust/digest.h"

struct S3 {
        const SourceOptions *options;
        Credentials *credentials;
        char *bucket;
        char *prefix;    /* quoted, without slashes at its ends; "" for none */
        char *region;    /* NULL until it was asked for */
        char *scheme;    /* of the endpoint, "https://"; NULL: AWS's own */
        char *authority; /* its host and port */
        bool path_style;
        int64_t skew_usec; /* the server's clock against ours */
};

/* Quoted anew, as the signature wants it: every byte but unreserved ones and the slash. */
static char *requote(const char *quoted) {
        _cleanup_free_ char *plain = uri_unquote(quoted, strlen(quoted));

        return plain ? uri_quote(plain, "/") : NULL;
}

/* The names that S3 takes today: they go into host names. */
static bool bucket_is_valid(const char *bucket) {
        size_t n = strlen(bucket);

        return n >= 3 && n <= 63 && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n &&
               bucket[0] != '-' && bucket[0] != '.' && bucket[n - 1] != '-' && bucket[n - 1] != '.';
}

static int s3_read_address(S3 *s, Error *e) {
        const char *rest = s->options->url + strlen("s3://");
        size_t n = strcspn(rest, "/");
        _cleanup_free_ char *prefix = NULL;
        int r;

        s->bucket = strndup(rest, n);
        rest += n + strspn(rest + n, "/");
        for (n = strlen(rest); n > 0 && rest[n - 1] == '/';)
                n--;
        prefix = strndup(rest, n);
        s->prefix = prefix ? requote(prefix) : NULL;
        if (!s->bucket || !s->prefix)
                return -ENOMEM;
        if (bucket_is_valid(s->bucket))
                return 0;
        r = error_set(e, ERROR_USAGE, -EINVAL, "'%s' is no name of a bucket", s->bucket);
        return error_hint(e, r,
                        "An address is s3://BUCKET/PREFIX; names have 3 to 63 of a-z, 0-9, '.' and '-'");
}

static int s3_read_endpoint(S3 *s, Error *e) {
        static const char *const variables[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"};
        const char *endpoint = s->options->s3_endpoint, *authority;

        for (size_t i = 0; i < ELEMENTS_OF(variables) && isempty(endpoint); i++)
                endpoint = secure_getenv(variables[i]);
        /* No certificate holds for a bucket's host where the bucket's name has dots. */
        s->path_style = s->options->s3_path_style || strchr(s->bucket, '.');
        if (isempty(endpoint))
                return 0;
        authority = startswith(endpoint, "https://") ?: startswith(endpoint, "http://");
        if (isempty(authority) || strcspn(authority, "/?#@") + endswith(authority, "/") < strlen(authority))
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "'%s' is no endpoint: it must be https://HOST or https://HOST:PORT",
                                endpoint);
        s->scheme = strndup(endpoint, authority - endpoint);
        s->authority = strndup(authority, strcspn(authority, "/"));
        return s->scheme && s->authority ? 0 : -ENOMEM;
}

int s3_new(Http *http, const SourceOptions *options, S3 **ret, Error *e) {
        _cleanup_(s3_free_p) S3 *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->options = options;
        r = credentials_new(http, &s->credentials);
        if (r >= 0)
                r = s3_read_address(s, e);
        if (r >= 0)
                r = s3_read_endpoint(s, e);
        if (r >= 0 && !isempty(options->s3_region)) {
                s->region = strdup(options->s3_region);
                r = s->region ? 0 : -ENOMEM;
        }
        if (r < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

S3 *s3_free(S3 *s) {
        if (!s)
                return NULL;
        credentials_free(s->credentials);
        free(s->bucket);
        free(s->prefix);
        free(s->region);
        free(s->scheme);
        free(s->authority);
        free(s);
        return NULL;
}

void s3_signed_clear(S3Signed *s) {
        free(s->url);
        s->headers = strv_free(s->headers);
        s->url = NULL;
}

static char *s3_host(const S3 *s) {
        const char *bucket = s->path_style ? "" : s->bucket, *dot = s->path_style ? "" : ".";

        if (s->authority)
                return text_format("%s%s%s", bucket, dot, s->authority);
        return text_format("%s%ss3.%s.amazonaws.com%s", bucket, dot, s->region,
                        startswith(s->region, "cn-") ? ".cn" : "");
}

static char *s3_path(const S3 *s, const char *key) {
        _cleanup_free_ char *quoted = key ? requote(key) : strdup("");

        if (!quoted)
                return NULL;
        return text_format("%s%s/%s%s%s", s->path_style ? "/" : "", s->path_style ? s->bucket : "",
                        key ? s->prefix : "", key && *s->prefix ? "/" : "", quoted);
}

static int s3_payload(const S3Request *request, char hash[static DIGEST_TEXT_MAX]) {
        Digest digest;
        int r;

        r = digest_of(request->body ?: "", request->body_size, &digest);
        if (r >= 0)
                digest_to_text(&digest, hash);
        return r;
}

static int s3_make_headers(S3 *s, const S3Request *request, const AwsKey *key, const char *host,
                const char *path, char ***ret) {
        _cleanup_free_ char *host_line = text_format("Host: %s", host), *payload_line = NULL;
        _cleanup_strv_ char **headers = NULL;
        char payload[DIGEST_TEXT_MAX];
        Sigv4Key sign = {.access_key = key->access_key,
                        .secret = key->secret,
                        .token = key->token,
                        .region = s->region,
                        .service = "s3"};
        _cleanup_strv_ char **extra = NULL;
        int r;

        r = s3_payload(request, payload);
        if (r < 0)
                return r;
        payload_line = text_format("X-Amz-Content-Sha256: %s", payload);
        if (!host_line || !payload_line)
                return -ENOMEM;
        r = strv_add(&extra, payload_line);
        for (char *const *h = request->headers; h && *h && r >= 0; h++)
                r = strv_add(&extra, *h);
        if (r < 0)
                return r;
        r = sigv4_sign(&(Sigv4Request){.method = request->method,
                                       .host = host,
                                       .path = path,
                                       .query = request->query,
                                       .headers = extra,
                                       .payload = payload},
                        &sign, clock_now() + s->skew_usec, &headers);
        if (r >= 0)
                r = strv_add(&headers, host_line);
        for (char **h = extra; *h && r >= 0; h++)
                r = strv_add(&headers, *h);
        if (r >= 0)
                *ret = TAKE(headers);
        return r;
}

int s3_sign(S3 *s, const S3Request *request, S3Signed *ret, Error *e) {
        _cleanup_(s3_signed_clear) S3Signed result = {0};
        _cleanup_free_ char *host = NULL, *path = NULL;
        const AwsKey *key;
        int r;

        r = credentials_get(s->credentials, &key, e);
        if (r >= 0 && !s->region)
                r = credentials_get_region(s->credentials, &s->region, e);
        if (r < 0)
                return r;
        host = s3_host(s);
        path = s3_path(s, request->key);
        if (!host || !path)
                return -ENOMEM;
        r = s3_make_headers(s, request, key, host, path, &result.headers);
        if (r < 0)
                return r;
        result.url = text_format("%s%s%s%s%s", s->scheme ?: "https://", host, path, request->query ? "?" : "",
                        request->query ?: "");
        if (!result.url)
                return -ENOMEM;
        *ret = TAKE(result);
        return 0;
}

/* What stands in the first <NAME> of an answer: S3's own errors have no attributes and no nesting there. */
int s3_answer_get(const char *body, const char *name, char **ret) {
        _cleanup_free_ char *tag = text_format("<%s>", name);
        const char *p;

        if (!tag)
                return -ENOMEM;
        p = body ? strstr(body, tag) : NULL;
        if (!p)
                return 0;
        p += strlen(tag);
        *ret = strndup(p, MIN_OF(strcspn(p, "<"), 1000u));
        return *ret ? 1 : -ENOMEM;
}

int s3_error_code(const char *body, char **ret) {
        char *code = NULL;
        int r;

        r = s3_answer_get(body, "Code", &code);
        if (r < 0)
                return r;
        if (code && strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") !=
                                        strlen(code)) {
                free(code);
                code = NULL;
        }
        *ret = code;
        return 0;
}

/* A region's name goes into a host name, so it must be nothing else. */
static bool region_is_valid(const char *region) {
        size_t n = strlen(region);

        return n > 0 && n < 40 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static int s3_learn_region(S3 *s, char *const *headers, const char *body) {
        const char *said = http_header(headers, "X-Amz-Bucket-Region");
        _cleanup_free_ char *region = NULL;
        int r;

        if (said)
                region = strdup(said);
        else {
                r = s3_answer_get(body, "Region", &region);
                if (r <= 0)
                        return r;
        }
        if (!region)
                return -ENOMEM;
        if (!region_is_valid(region) || streq_ptr(region, s->region))
                return 0;
        free(s->region);
        s->region = TAKE(region);
        return 1;
}

static int s3_learn_clock(S3 *s, char *const *headers) {
        const char *date = http_header(headers, "Date");
        uint64_t theirs;

        if (!date || http_date_parse(date, &theirs) < 0)
                return 0;
        s->skew_usec = (int64_t) (theirs - clock_now());
        return 1;
}

int s3_learn(S3 *s, unsigned status, char *const *headers, const char *body) {
        static const char *const stale[] = {
                        "ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "TokenRefreshRequired"};
        _cleanup_free_ char *code = NULL;
        int r;

        if (status != 301 && status != 307 && status != 400 && status != 403)
                return 0;
        r = s3_learn_region(s, headers, body);
        if (r != 0)
                return r;
        r = s3_error_code(body, &code);
        if (r < 0 || !code)
                return r;
        if (streq(code, "RequestTimeTooSkewed"))
                return s3_learn_clock(s, headers);
        for (size_t i = 0; i < ELEMENTS_OF(stale); i++)
                if (streq(code, stale[i])) {
                        credentials_forget(s->credentials);
                        return 1;
                }
        return 0;
}
