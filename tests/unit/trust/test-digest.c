#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "trust/digest.h"

/* FIPS 180-4 examples */
#define ABC_SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_SHA512                                                                                           \
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                                   \
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void test_digest(void **state _unused_) {
        char text[DIGEST_TEXT_MAX];
        Digest d, again;

        assert_int_equal(digest_of("abc", 3, &d), 0);
        assert_string_equal(digest_to_text(&d, text), ABC_SHA256);
        assert_int_equal(digest_from_text(text, &again), 0);
        assert_true(digest_equal(&d, &again));
        assert_int_equal(digest_of("abd", 3, &again), 0);
        assert_false(digest_equal(&d, &again));
}

/* RFC 4231, test cases 2 and 6. */
static void test_hmac(void **state _unused_) {
        static const char question[] = "what do ya want for nothing?";
        static const char large[] = "Test Using Larger Than Block-Size Key - Hash Key First";
        char text[DIGEST_TEXT_MAX], key[131];
        Digest d;

        assert_int_equal(digest_hmac("Jefe", 4, question, strlen(question), &d), 0);
        assert_string_equal(digest_to_text(&d, text),
                        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        memset(key, 0xaa, sizeof(key));
        assert_int_equal(digest_hmac(key, sizeof(key), large, strlen(large), &d), 0);
        assert_string_equal(digest_to_text(&d, text),
                        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_hex(void **state _unused_) {
        uint8_t bytes[2];
        char text[5];

        assert_int_equal(hex_decode("aB0f", bytes, 2), 0);
        assert_string_equal(hex_encode(bytes, 2, text), "ab0f");
        assert_int_equal(hex_decode("ab0", bytes, 2), -EINVAL);
        assert_int_equal(hex_decode("ab0f0", bytes, 2), -EINVAL);
        assert_int_equal(hex_decode("0xab", bytes, 2), -EINVAL);
        assert_int_equal(hex_decode(" b0f", bytes, 2), -EINVAL);
        assert_int_equal(hex_decode("", bytes, 0), 0);
}

static void test_hasher(void **state _unused_) {
        _cleanup_(hasher_free_p) Hasher *h = NULL;
        char text[DIGEST_TEXT_MAX];
        Digest d;

        assert_int_equal(hasher_new(&h), 0);
        for (int again = 0; again < 2; again++) {
                assert_int_equal(hasher_add(h, "a", 1), 0);
                assert_int_equal(hasher_add(h, "", 0), 0);
                assert_int_equal(hasher_add(h, "bc", 2), 0);
                assert_int_equal(hasher_finish(h, &d), 0);
                assert_string_equal(digest_to_text(&d, text), ABC_SHA256);
        }
}

static int read_hashes(const char *text, Hashes *ret) {
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_json_ json_t *j = NULL;
        int r;

        assert_int_equal(json_parse("test", text, strlen(text), &j, NULL), 0);
        r = hashes_from_json(j, ret, &e);
        assert_int_equal(r < 0, e.message != NULL);
        return r;
}

/* Every stated hash counts: one wrong among two is wrong, in whatever order. */
static void test_hashes(void **state _unused_) {
        char prefix[HASHES_PREFIX_MAX], text[DIGEST_TEXT_MAX];
        Hashes h, both;
        Digest d;

        assert_int_equal(read_hashes("{\"sha512\":\"" ABC_SHA512 "\",\"sha256\":\"" ABC_SHA256 "\"}", &both),
                        0);
        assert_int_equal(hashes_match(&both, "abc", 3), 1);
        assert_int_equal(hashes_match(&both, "abd", 3), 0);
        assert_string_equal(hashes_prefix(&both, prefix), ABC_SHA256);
        assert_true(hashes_get_sha256(&both, &d));
        assert_string_equal(digest_to_text(&d, text), ABC_SHA256);

        for (size_t i = 0; i < 2; i++) {
                h = both;
                h.stated[i].bytes[7] ^= 1;
                assert_int_equal(hashes_match(&h, "abc", 3), 0);
        }
        assert_int_equal(read_hashes("{\"sha512\":\"" ABC_SHA512 "\"}", &h), 0);
        assert_string_equal(hashes_prefix(&h, prefix), ABC_SHA512);
        assert_false(hashes_get_sha256(&h, &d));

        assert_int_equal(read_hashes("{}", &h), -EINVAL);
        assert_int_equal(read_hashes("[]", &h), -EINVAL);
        assert_int_equal(read_hashes("{\"sha256\": 5}", &h), -EINVAL);
        assert_int_equal(read_hashes("{\"sha256\": \"ab\"}", &h), -EINVAL);
        assert_int_equal(read_hashes("{\"md5\": \"900150983cd24fb0d6963f7d28e17f72\"}", &h), -EINVAL);
        h.n = 0;
        assert_int_equal(hashes_match(&h, "abc", 3), 0);
}

static void test_hashes_to_json(void **state _unused_) {
        _cleanup_json_ json_t *j = NULL;
        Hashes h, again;

        assert_int_equal(hashes_of("abc", 3, &h), 0);
        assert_int_equal(hashes_to_json(&h, &j), 0);
        assert_string_equal(json_get_string(j, "sha256"), ABC_SHA256);
        assert_int_equal(json_object_size(j), 1);
        assert_int_equal(hashes_from_json(j, &again, NULL), 0);
        assert_int_equal(hashes_match(&again, "abc", 3), 1);
}

static void test_hash_checker(void **state _unused_) {
        Hashes h;

        assert_int_equal(read_hashes("{\"sha512\":\"" ABC_SHA512 "\",\"sha256\":\"" ABC_SHA256 "\"}", &h), 0);
        for (int wrong = 0; wrong < 3; wrong++) {
                _cleanup_(hash_checker_free_p) HashChecker *c = NULL;
                Hashes expected = h;

                if (wrong > 0)
                        expected.stated[wrong - 1].bytes[0] ^= 1;
                assert_int_equal(hash_checker_new(&expected, &c), 0);
                assert_int_equal(hash_checker_add(c, "ab", 2), 0);
                assert_int_equal(hash_checker_add(c, "c", 1), 0);
                assert_int_equal(hash_checker_finish(c), wrong == 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_digest),
                        cmocka_unit_test(test_hmac),
                        cmocka_unit_test(test_hex),
                        cmocka_unit_test(test_hasher),
                        cmocka_unit_test(test_hashes),
                        cmocka_unit_test(test_hashes_to_json),
                        cmocka_unit_test(test_hash_checker),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
