#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "fetch/rds.h"
#include "fetch/sigv4.h"

static const Sigv4Key key = {
                .access_key = "akid", .secret = "skid", .region = "us-east-1", .service = "rds-db"};

/* The example that AWS's own tool for Python (botocore) is tested with; the order of its parameters is another. */
static void test_botocore(void **state _unused_) {
        _cleanup_free_ char *password = NULL;
        uint64_t now;

        assert_int_equal(clock_from_text("2016-11-07T17:39:33Z", &now), 0);
        assert_int_equal(sigv4_rds_password("prod-instance.us-east-1.rds.amazonaws.com", 3306, "someusername",
                                         &key, now, &password),
                        0);
        assert_non_null(endswith(password,
                        "&X-Amz-Signature=d1138cdbc0ca63eec012ec0fc6c2267e03642168f5884a7795320d4c18374c61"));
}

/* The example of AWS's tool for Rust (aws-sdk-rds), as it stands there. */
static void test_rust(void **state _unused_) {
        _cleanup_free_ char *password = NULL;
        Sigv4Key other = key;
        uint64_t now;

        other.secret = "secret";
        assert_int_equal(clock_from_text("2024-08-26T22:00:00Z", &now), 0);
        assert_int_equal(sigv4_rds_password("prod-instance.us-east-1.rds.amazonaws.com", 3306, "peccy",
                                         &other, now, &password),
                        0);
        assert_string_equal(password,
                        "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect&DBUser=peccy&X-Amz-"
                        "Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=akid%2F20240826%2Fus-east-1%2Frds-db%"
                        "2Faws4_request&X-Amz-Date=20240826T220000Z&X-Amz-Expires=900&X-Amz-SignedHeaders="
                        "host&X-Amz-Signature=dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad"
                        "89");
}

static void test_region(void **state _unused_) {
        static const struct {
                const char *host, *region;
        } cases[] = {
                        {"db.abc123.eu-west-1.rds.amazonaws.com", "eu-west-1"},
                        {"db.cluster-ro-abc.us-gov-west-1.rds.amazonaws.com.", "us-gov-west-1"},
                        {"shop.proxy-abc.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2"},
                        {"db.abc.cn-north-1.rds.amazonaws.com.cn", "cn-north-1"},
                        {"db.ABC.EU-WEST-1.RDS.AMAZONAWS.COM", "eu-west-1"},
                        {"eu-west-1.rds.amazonaws.com", NULL},
                        {"db..rds.amazonaws.com", NULL},
                        {"rds.amazonaws.com", NULL},
                        {"db.example.com", NULL},
                        {"", NULL},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_free_ char *region = NULL;

                assert_int_equal(rds_region_of(cases[i].host, &region), 0);
                assert_true(streq_ptr(region, cases[i].region));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_botocore), cmocka_unit_test(test_rust),
                        cmocka_unit_test(test_region)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
