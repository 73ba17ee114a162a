#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fetch/sigv4.h"

/* Against the signatures that AWS published: its Signature Version 4 test suite, and the examples of the S3 API reference
 * ("Authenticating Requests: Using the Authorization Header", "... Using Query Parameters"). */

static const Sigv4Key suite = {.access_key = "AKIDEXAMPLE",
                .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                .region = "us-east-1",
                .service = "service"};

static const Sigv4Key s3 = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                .region = "us-east-1",
                .service = "s3"};

static void check(const Sigv4Request *request, const Sigv4Key *key, const char *time, const char *names,
                const char *signature) {
        _cleanup_strv_ char **headers = NULL;
        _cleanup_free_ char *ending = text_format(", SignedHeaders=%s, Signature=%s", names, signature);
        const char *proof;
        uint64_t now;

        assert_int_equal(clock_from_text(time, &now), 0);
        assert_int_equal(sigv4_sign(request, key, now, &headers), 0);
        proof = headers[strv_length(headers) - 1];
        assert_non_null(startswith(proof, "Authorization: AWS4-HMAC-SHA256 Credential="));
        if (!endswith(proof, ending))
                print_message("%s\nand not\n%s\n", proof, ending);
        assert_true(endswith(proof, ending));
}

#define SUITE(names, signature, ...)                                                                         \
        check(&(Sigv4Request){.method = "GET",                                                               \
                              .host = "example.amazonaws.com",                                               \
                              .path = "/",                                                                   \
                              .payload = SIGV4_EMPTY,                                                        \
                              ##__VA_ARGS__},                                                                \
                        &suite, "2015-08-30T12:36:00Z", names, signature)

#if defined(__clang__)
#pragma clang diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

static void test_suite(void **state _unused_) {
        char *trim[] = {(char *) "My-Header1: value1", (char *) "My-Header2: \"a   b   c\"", NULL};
        char *twice[] = {(char *) "My-Header1:value4", (char *) "My-Header1:value1",
                        (char *) "My-Header1:value3", (char *) "My-Header1:value2", NULL};
        char *form[] = {(char *) "Content-Type:application/x-www-form-urlencoded", NULL};

        /* get-vanilla */
        SUITE("host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        /* get-vanilla-query-order-key-case */
        SUITE("host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
                        .query = "Param2=value2&Param1=value1");
        /* get-unreserved */
        SUITE("host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
                        .path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
        /* get-header-value-trim */
        SUITE("host;my-header1;my-header2;x-amz-date",
                        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736", .headers = trim);
        /* get-header-value-order */
        SUITE("host;my-header1;x-amz-date",
                        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01", .headers = twice);
        /* post-vanilla */
        SUITE("host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
                        .method = "POST");
        /* post-x-www-form-urlencoded, whose body is Param1=value1 */
        SUITE("content-type;host;x-amz-date",
                        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a", .method = "POST",
                        .headers = form,
                        .payload = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e");
}

#define S3(names, signature, ...)                                                                            \
        check(&(Sigv4Request){.method = "GET",                                                               \
                              .host = "examplebucket.s3.amazonaws.com",                                      \
                              .path = "/",                                                                   \
                              .payload = SIGV4_EMPTY,                                                        \
                              ##__VA_ARGS__},                                                                \
                        &s3, "2013-05-24T00:00:00Z", names, signature)

static void test_s3(void **state _unused_) {
        static char content[] = "x-amz-content-sha256:" SIGV4_EMPTY;
        char *plain[] = {content, NULL};
        char *range[] = {(char *) "Range: bytes=0-9", content, NULL};
        char *put[] = {(char *) "Date: Fri, 24 May 2013 00:00:00 GMT",
                        (char *) "x-amz-storage-class: REDUCED_REDUNDANCY",
                        (char *) "x-amz-content-sha256: "
                                 "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
                        NULL};

        S3("host;range;x-amz-content-sha256;x-amz-date",
                        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                        .path = "/test.txt", .headers = range);
        S3("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", .method = "PUT",
                        .path = "/test%24file.text", .headers = put,
                        .payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
        S3("host;x-amz-content-sha256;x-amz-date",
                        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
                        .query = "lifecycle", .headers = plain);
        S3("host;x-amz-content-sha256;x-amz-date",
                        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                        .query = "max-keys=2&prefix=J", .headers = plain);
}

static void test_presign(void **state _unused_) {
        Sigv4Request request = {.method = "GET",
                        .host = "examplebucket.s3.amazonaws.com",
                        .path = "/test.txt",
                        .payload = "UNSIGNED-PAYLOAD"};
        _cleanup_free_ char *query = NULL;
        uint64_t now;

        assert_int_equal(clock_from_text("2013-05-24T00:00:00Z", &now), 0);
        assert_int_equal(sigv4_presign(&request, &s3, now, 86400, &query), 0);
        assert_string_equal(query,
                        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
                        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
                        "X-Amz-SignedHeaders=host&X-Amz-Signature="
                        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void test_token(void **state _unused_) {
        Sigv4Request request = {.method = "GET", .host = "h", .path = "/", .payload = SIGV4_EMPTY};
        _cleanup_strv_ char **headers = NULL;
        _cleanup_free_ char *password = NULL;
        Sigv4Key key = suite;

        key.token = "a/token+";
        assert_int_equal(sigv4_sign(&request, &key, 0, &headers), 0);
        assert_string_equal(headers[0], "X-Amz-Date: 19700101T000000Z");
        assert_string_equal(headers[1], "X-Amz-Security-Token: a/token+");
        assert_non_null(strstr(headers[2], "SignedHeaders=host;x-amz-date;x-amz-security-token,"));

        key.service = "rds-db";
        assert_int_equal(sigv4_rds_password("db.example", 3306, "a b", &key, 0, &password), 0);
        assert_non_null(startswith(
                        password, "db.example:3306/?Action=connect&DBUser=a%20b&X-Amz-Algorithm="));
        assert_non_null(strstr(password, "%2Frds-db%2Faws4_request&"));
        assert_non_null(strstr(password, "&X-Amz-Expires=900&X-Amz-Security-Token=a%2Ftoken%2B&"));
        assert_null(strstr(password, key.secret));
}

static void test_quote(void **state _unused_) {
        _cleanup_free_ char *all = uri_quote("a/b c+~\xc3\xa4%", ""), *path = uri_quote("a/b c", "/");

        assert_string_equal(all, "a%2Fb%20c%2B~%C3%A4%25");
        assert_string_equal(path, "a/b%20c");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_suite),
                        cmocka_unit_test(test_s3),
                        cmocka_unit_test(test_presign),
                        cmocka_unit_test(test_token),
                        cmocka_unit_test(test_quote),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
