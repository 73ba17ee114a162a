#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fetch/address.h"
#include "fetch/answer.h"
#include "fetch/http.h"

static void test_content_range(void **state _unused_) {
        static const char *const bad[] = {"", "bytes", "bytes ", "bytes 0-", "bytes 1-0/5", "bytes 0-5/5",
                        "bytes */*", "bytes -1-2/5", "bytes 0-1/5 ", "items 0-1/5", "bytes 0-1", "bytes 0-1/",
                        "bytes 0-18446744073709551616/5", "bytes 0-9223372036854775808/*", "bytes +0-1/5"};
        ContentRange range;

        assert_int_equal(content_range_parse("bytes 0-99/1000", &range), 0);
        assert_true(range.satisfied && range.first == 0 && range.last == 99 && range.total == 1000);
        assert_int_equal(content_range_parse("Bytes 7-7/*", &range), 0);
        assert_true(range.satisfied && range.first == 7 && range.last == 7 && range.total == UINT64_MAX);
        assert_int_equal(content_range_parse("bytes */1000", &range), 0);
        assert_true(!range.satisfied && range.total == 1000);
        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_int_equal(content_range_parse(bad[i], &range), -EBADMSG);
}

static void test_retry_after(void **state _unused_) {
        uint64_t now = UINT64_C(784111777) * USEC_PER_SEC; /* Sun, 06 Nov 1994 08:49:37 GMT */

        assert_true(retry_after_parse("120", now) == 120 * USEC_PER_SEC);
        assert_true(retry_after_parse("Sun, 06 Nov 1994 08:50:00 GMT", now) == 23 * USEC_PER_SEC);
        assert_true(retry_after_parse("Sunday, 06-Nov-94 08:50:00 GMT", now) == 23 * USEC_PER_SEC);
        assert_true(retry_after_parse("Sun Nov  6 08:50:00 1994", now) == 23 * USEC_PER_SEC);
        assert_true(retry_after_parse("Sun, 06 Nov 1994 08:49:00 GMT", now) == 0);
        assert_true(retry_after_parse("Sun, 06 Nov 1994 08:50:00 GMT and then", now) == 0);
        assert_true(retry_after_parse("18446744073709551615", now) == 3600 * USEC_PER_SEC);
        assert_true(retry_after_parse("99999999999999999999999", now) == 0);
        assert_true(retry_after_parse("soon", now) == 0);
        assert_true(retry_after_parse("-5", now) == 0);
        assert_true(retry_after_parse("", now) == 0);
}

static void test_headers(void **state _unused_) {
        char *headers[] = {(char *) "ETag: \"a\"", (char *) "X-Empty:", (char *) "content-length:7", NULL};

        assert_string_equal(http_header(headers, "etag"), "\"a\"");
        assert_string_equal(http_header(headers, "X-EMPTY"), "");
        assert_string_equal(http_header(headers, "Content-Length"), "7");
        assert_null(http_header(headers, "content"));
        assert_null(http_header(NULL, "etag"));
}

static void test_lasting(void **state _unused_) {
        char *date = (char *) "Date: Sun, 06 Nov 1994 08:49:37 GMT";
        char *old[] = {date, (char *) "Last-Modified: Sun, 06 Nov 1994 08:49:35 GMT", NULL};
        char *fresh[] = {date, (char *) "Last-Modified: Sun, 06 Nov 1994 08:49:36 GMT", NULL};
        char *timeless[] = {date, NULL};

        assert_true(etag_is_lasting(old));
        assert_false(etag_is_lasting(fresh));
        assert_true(etag_is_lasting(timeless));
        assert_true(etag_is_lasting(NULL));
}

static void test_status(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(http_check_status("http://a/b", 200, &e), 0);
        assert_int_equal(http_check_status("http://a/b", 204, &e), 0);
        assert_int_equal(http_check_status("http://a/b", 404, &e), -ENOENT);
        assert_int_equal(http_check_status("http://a/b", 403, &e), -EACCES);
        assert_int_equal(http_check_status("http://a/b", 503, &e), -EBUSY);
        assert_int_equal(http_check_status("http://u:secret@a/b?key=secret#x", 302, &e), -EBADE);
        assert_string_equal(e.message, "http://a/b redirects (status 302)");
        assert_non_null(e.hint);
        assert_int_equal(e.class, ERROR_FAILED);
}

static void test_url(void **state _unused_) {
        static const char *const urls[][2] = {
                        {"https://user:secret@host:8443/a%20b?X-Amz-Signature=1#f",
                                        "https://host:8443/a%20b"},
                        {"s3://bucket/prefix/../x", "s3://bucket/prefix/../x"},
                        {"file:///srv/a", "file:///srv/a"},
                        {"http://[::1]:80/", "http://[::1]:80/"},
                        {"http://a@b:c@host", "http://host/"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(urls); i++) {
                _cleanup_free_ char *shown = http_url_for_people(urls[i][0]);

                assert_string_equal(shown, urls[i][1]);
        }
}

static void assert_host(const char *url, const char *host, const char *path) {
        Address a;

        assert_true(address_split(url, &a));
        assert_int_equal(a.host_size, strlen(host));
        assert_memory_equal(a.host, host, a.host_size);
        assert_int_equal(a.path_size, strlen(path));
        assert_memory_equal(a.path, path, a.path_size);
}

static void test_address(void **state _unused_) {
        static const char *const bad[] = {"", "/srv", "host/path", "://host/", "http:/host", "http://",
                        "http:///path", "http://a b/", "http://a\\b/", "http://host:port/", "http://[::1/",
                        "http://host\n/", "http://user:pa/ss@host/"};
        Address a;

        assert_host("http://host", "host", "");
        assert_host("https://u:p@host:8443/a/b?c#d", "host", "/a/b");
        assert_host("http://127.0.0.1:80@elsewhere/", "elsewhere", "/");
        assert_host("http://elsewhere#@127.0.0.1/", "elsewhere", "");
        assert_host("http://[fe80::1%25eth0]:80/", "[fe80::1%25eth0]", "/");
        assert_host("file:///srv/a", "", "/srv/a");
        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_false(address_split(bad[i], &a));
}

static void test_unquote(void **state _unused_) {
        static const char *const texts[][2] = {{"/a%20b", "/a b"}, {"%2fA%c3%a9", "/A\xc3\xa9"}, {"", ""},
                        {"%", "%"}, {"%2", "%2"}, {"%zz", "%zz"}, {"a%00b%0A", "a%00b%0A"}};

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                _cleanup_free_ char *plain = uri_unquote(texts[i][0], strlen(texts[i][0]));

                assert_string_equal(plain, texts[i][1]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_content_range),
                        cmocka_unit_test(test_retry_after),
                        cmocka_unit_test(test_headers),
                        cmocka_unit_test(test_lasting),
                        cmocka_unit_test(test_status),
                        cmocka_unit_test(test_url),
                        cmocka_unit_test(test_address),
                        cmocka_unit_test(test_unquote),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
