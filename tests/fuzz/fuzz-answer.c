/* What servers say in headers and bodies, read by our own code: nothing that contradicts itself gets through, and
 * nothing secret into an address for people. */

#include "base/text.h"
#include "fetch/answer.h"
#include "fetch/credentials.h"
#include "fetch/s3.h"
#include "fetch/sigv4.h"
#include "fuzz.h"

#define NOW (UINT64_C(1700000000) * USEC_PER_SEC)

static void check_headers(const char *text) {
        char *headers[] = {(char *) text, (char *) "ETag: \"x\"", NULL};
        ContentRange range;

        if (content_range_parse(text, &range) >= 0) {
                INVARIANT(range.first <= range.last);
                INVARIANT(range.satisfied || range.total != UINT64_MAX);
                INVARIANT(!range.satisfied || range.last < range.total);
        }
        INVARIANT(retry_after_parse(text, NOW) <= 3600 * USEC_PER_SEC);
        INVARIANT(http_retry_after(headers, NOW) <= 3600 * USEC_PER_SEC);
        INVARIANT(http_header(headers, "ETag"));
}

static void check_address(const char *text) {
        _cleanup_free_ char *shown = http_url_for_people(text), *quoted = uri_quote(text, "/");

        INVARIANT(shown && !strpbrk(shown, "?#"));
        INVARIANT(quoted && strspn(quoted, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
                                           "~%/") == strlen(quoted));
}

static void check_bodies(const char *text, size_t size) {
        _cleanup_(aws_key_clear) AwsKey key = {0};
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *code = NULL;
        Text answer = {.data = (char *) text, .size = size};

        INVARIANT(s3_error_code(text, &code) == 0);
        INVARIANT(!code || !strpbrk(code, "<> \n"));
        if (aws_key_parse("http://x", &answer, &key, &e) >= 0)
                INVARIANT(*key.access_key && *key.secret);
        else
                INVARIANT(e.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *) data, size);

        check_headers(text);
        check_address(text);
        check_bodies(text, strlen(text));
        return 0;
}
