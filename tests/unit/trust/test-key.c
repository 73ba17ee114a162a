#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "trust/key.h"

static json_t *json(const char *text) {
        json_t *j;

        assert_int_equal(json_parse("test", text, strlen(text), &j, NULL), 0);
        return j;
}

static PublicKey *public_of(const PrivateKey *k) {
        _cleanup_json_ json_t *object = NULL;
        PublicKey *public;

        assert_int_equal(private_key_public(k, &object, NULL), 0);
        assert_int_equal(public_key_from_json(private_key_id(k), object, &public, NULL), 0);
        assert_true(public_key_is_usable(public));
        return public;
}

/* Every scheme: what it signs it verifies, and nothing else. */
static void test_schemes(void **state _unused_) {
        for (KeyScheme s = 0; s < _KEY_SCHEME_MAX; s++) {
                _cleanup_(private_key_free_p) PrivateKey *k = NULL, *other = NULL;
                _cleanup_(public_key_free_p) PublicKey *public = NULL, *stranger = NULL;
                _cleanup_free_ uint8_t *signature = NULL;
                size_t size;
                KeyScheme again;

                assert_int_equal(key_scheme_from_text(key_scheme_to_text(s), &again), 0);
                assert_int_equal(again, s);
                assert_int_equal(private_key_generate(s, &k, NULL), 0);
                assert_int_equal(private_key_generate(s, &other, NULL), 0);
                public = public_of(k);
                stranger = public_of(other);
                assert_true(public_key_equal(public, public));
                assert_false(public_key_equal(public, stranger));
                assert_int_equal(private_key_sign(k, "abc", 3, (void **) &signature, &size, NULL), 0);
                assert_int_equal(public_key_verify(public, "abc", 3, signature, size), 1);
                assert_int_equal(public_key_verify(public, "abd", 3, signature, size), 0);
                assert_int_equal(public_key_verify(public, "abc", 2, signature, size), 0);
                assert_int_equal(public_key_verify(stranger, "abc", 3, signature, size), 0);
                assert_int_equal(public_key_verify(public, "abc", 3, signature, size - 1), 0);
                assert_int_equal(public_key_verify(public, "abc", 3, "", 0), 0);
                signature[size / 2] ^= 1;
                assert_int_equal(public_key_verify(public, "abc", 3, signature, size), 0);
        }
}

/* RFC 8032 section 7.1, test 2 */
static void test_ed25519_vector(void **state _unused_) {
        _cleanup_json_ json_t *object =
                        json("{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"
                             "\"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\"}}");
        _cleanup_(public_key_free_p) PublicKey *k = NULL;
        char id[DIGEST_TEXT_MAX];
        uint8_t signature[64];

        assert_int_equal(hex_decode("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
                                         signature, 64),
                        0);
        assert_int_equal(key_id_of(object, id), 0);
        assert_int_equal(public_key_from_json(id, object, &k, NULL), 0);
        assert_string_equal(public_key_id(k), id);
        assert_int_equal(public_key_verify(k, "\x72", 1, signature, 64), 1);
        assert_int_equal(public_key_verify(k, "\x73", 1, signature, 64), 0);
}

static bool usable(json_t *object) {
        _cleanup_(public_key_free_p) PublicKey *k = NULL;
        char id[DIGEST_TEXT_MAX];

        assert_int_equal(key_id_of(object, id), 0);
        assert_int_equal(public_key_from_json(id, object, &k, NULL), 0);
        return public_key_is_usable(k);
}

/* The algorithm is tied to the key: a type with another's scheme, or another curve, verifies nothing. */
static void test_tied(void **state _unused_) {
        for (KeyScheme s = 0; s < _KEY_SCHEME_MAX; s++) {
                _cleanup_(private_key_free_p) PrivateKey *k = NULL;
                _cleanup_json_ json_t *object = NULL;

                assert_int_equal(private_key_generate(s, &k, NULL), 0);
                assert_int_equal(private_key_public(k, &object, NULL), 0);
                for (KeyScheme other = 0; other < _KEY_SCHEME_MAX; other++) {
                        bool both_rsa = s >= KEY_RSA_PSS_SHA256 && other >= KEY_RSA_PSS_SHA256;

                        assert_int_equal(json_object_set_new(object, "scheme",
                                                         json_string(key_scheme_to_text(other))),
                                        0);
                        assert_int_equal(usable(object), s == other || both_rsa);
                }
        }
}

static void test_older_keytypes(void **state _unused_) {
        static const char *const names[] = {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"};

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(private_key_free_p) PrivateKey *k = NULL;
                _cleanup_json_ json_t *object = NULL;

                assert_int_equal(private_key_generate(KEY_ECDSA_P256 + i, &k, NULL), 0);
                assert_int_equal(private_key_public(k, &object, NULL), 0);
                assert_int_equal(json_object_set_new(object, "keytype", json_string(names[i])), 0);
                assert_true(usable(object));
                assert_int_equal(json_object_set_new(object, "keytype", json_string(names[1 - i])), 0);
                assert_false(usable(object));
        }
}

static void test_not_usable(void **state _unused_) {
        static const char *const texts[] = {
                        "{\"keytype\":\"sphincs\",\"scheme\":\"sphincs-shake\",\"keyval\":{\"public\":\"00\"}"
                        "}",
                        "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"00\"}}",
                        "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":5}}",
                        "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{}}",
                        "{\"keytype\":\"ecdsa\",\"scheme\":\"ecdsa-sha2-nistp256\",\"keyval\":{\"public\":"
                        "\"\"}}",
                        /* asks for a passphrase, were it let */
                        "{\"keytype\":\"rsa\",\"scheme\":\"rsassa-pss-sha256\",\"keyval\":{\"public\":\"-----"
                        "BEGIN "
                        "PUBLIC KEY-----\\nProc-Type: 4,ENCRYPTED\\nDEK-Info: "
                        "AES-128-CBC,00000000000000000000000000000000\\n\\nMFkw\\n-----END PUBLIC "
                        "KEY-----\\n\"}}",
                        /* RSA with 1024 bits */
                        "{\"keytype\":\"rsa\",\"scheme\":\"rsassa-pss-sha256\",\"keyval\":{\"public\":"
                        "\"-----BEGIN PUBLIC KEY-----\\n"
                        "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDs0CjzeeqPrhnA2m7cA7WSkzXe\\n"
                        "DdbNMgxInNRqz0BLhrUaFjzGsWjO2xnf9F+/MVzxA497IQX3INU5VFr0+/V8y9UD\\n"
                        "Zu5s9lRywMEEdJFYi485hFASKSEhNLkNJsVt/yzKxPczaOsnv/mgcqfVRhmuNqR5\\n"
                        "51GiCBLsOIxFFGfKnwIDAQAB\\n"
                        "-----END PUBLIC KEY-----\\n\"}}",
        };

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                _cleanup_json_ json_t *object = json(texts[i]);

                assert_false(usable(object));
        }
}

static void test_malformed(void **state _unused_) {
        static const char *const texts[] = {"{}", "[]", "5",
                        "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\"}",
                        "{\"keytype\":5,\"scheme\":\"ed25519\",\"keyval\":{}}",
                        "{\"keytype\":\"ed25519\",\"keyval\":{}}",
                        "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":\"00\"}"};

        for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
                _cleanup_error_ Error e = ERROR_INIT;
                _cleanup_json_ json_t *object = json(texts[i]);
                PublicKey *k;

                assert_int_equal(public_key_from_json("id", object, &k, &e), -EINVAL);
                assert_int_equal(e.class, ERROR_UNTRUSTED);
                assert_non_null(strstr(e.message, "id"));
        }
}

#define MEMBERS                                                                                              \
        "\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"                             \
        "\"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\"}"

/* Our ids are the hash of the whole object, all members included; those of others are taken as they are. */
static void test_id(void **state _unused_) {
        _cleanup_json_ json_t *plain = json("{" MEMBERS "}"),
                              *custom = json("{\"x-owner\":\"me\", " MEMBERS "}");
        char id[DIGEST_TEXT_MAX], id_custom[DIGEST_TEXT_MAX];
        _cleanup_(public_key_free_p) PublicKey *a = NULL, *b = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        Digest d;

        assert_int_equal(key_id_of(plain, id), 0);
        assert_int_equal(key_id_of(custom, id_custom), 0);
        assert_string_not_equal(id, id_custom);
        assert_int_equal(
                        text_adds(&t, "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":"
                                      "\"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c\"},"
                                      "\"scheme\":\"ed25519\",\"x-owner\":\"me\"}"),
                        0);
        assert_int_equal(digest_of(t.data, t.size, &d), 0);
        assert_string_equal(digest_to_text(&d, id), id_custom);

        assert_int_equal(public_key_from_json("one", plain, &a, NULL), 0);
        assert_int_equal(public_key_from_json("two", custom, &b, NULL), 0);
        assert_string_equal(public_key_id(a), "one");
        assert_true(public_key_is_usable(a) && public_key_is_usable(b));
        assert_true(public_key_equal(a, b));
}

static char *directory_new(void) {
        char *d = strdup("/tmp/test-key.XXXXXX");

        assert_non_null(mkdtemp(d));
        return d;
}

static int passphrase(const char *path _unused_, char *buffer, size_t size, void *userdata, Error *e) {
        const char *text = userdata;

        if (!text)
                return error_set(e, ERROR_USAGE, -ENOTTY, "nobody to ask");
        assert_true(strlen(text) < size);
        strcpy(buffer, text);
        return (int) strlen(text);
}

static void test_files(void **state _unused_) {
        for (KeyScheme s = 0; s <= KEY_RSA_PSS_SHA256; s++) {
                _cleanup_free_ char *d = directory_new(), *plain = text_format("%s/plain.pem", d),
                                    *locked = text_format("%s/locked.pem", d), *data = NULL;
                _cleanup_(private_key_free_p) PrivateKey *k = NULL, *again = NULL, *unlocked = NULL;
                _cleanup_error_ Error e = ERROR_INIT;
                struct stat st;

                assert_int_equal(private_key_generate(s, &k, NULL), 0);
                assert_int_equal(private_key_save(k, plain, NULL, &e), 0);
                assert_int_equal(stat(plain, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0600);
                assert_int_equal(private_key_save(k, plain, NULL, &e), -EEXIST);
                assert_int_equal(private_key_load(plain, NULL, NULL, &again, &e), 0);
                assert_string_equal(private_key_id(again), private_key_id(k));

                assert_int_equal(private_key_save(k, locked, "open sesame", &e), 0);
                assert_int_equal(fs_read_file(AT_FDCWD, locked, 65536, &data, NULL), 0);
                assert_non_null(strstr(data, "BEGIN ENCRYPTED PRIVATE KEY"));
                assert_int_equal(private_key_load(locked, passphrase, (void *) "open sesame", &unlocked, &e),
                                0);
                assert_string_equal(private_key_id(unlocked), private_key_id(k));
                unlocked = private_key_free(unlocked);

                assert_int_equal(private_key_load(locked, passphrase, (void *) "wrong", &unlocked, &e),
                                -EACCES);
                assert_int_equal(e.class, ERROR_USAGE);
                assert_null(strstr(e.message, "wrong\""));
                assert_int_equal(private_key_load(locked, passphrase, NULL, &unlocked, &e), -ENOTTY);
                assert_int_equal(private_key_load(locked, NULL, NULL, &unlocked, &e), -ENOKEY);
                assert_int_equal(fs_remove_tree(AT_FDCWD, d), 0);
        }
}

static void test_files_refused(void **state _unused_) {
        static const mode_t modes[] = {0640, 0604, 0620, 0601};
        _cleanup_free_ char *d = directory_new(), *path = text_format("%s/key.pem", d);
        _cleanup_(private_key_free_p) PrivateKey *k = NULL, *again = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(private_key_load(path, NULL, NULL, &again, &e), -ENOENT);
        assert_int_equal(private_key_load(d, NULL, NULL, &again, &e), -EINVAL);
        assert_int_equal(private_key_generate(KEY_ED25519, &k, NULL), 0);
        assert_int_equal(private_key_save(k, path, NULL, NULL), 0);
        for (size_t i = 0; i < ELEMENTS_OF(modes); i++) {
                assert_int_equal(chmod(path, modes[i]), 0);
                assert_int_equal(private_key_load(path, NULL, NULL, &again, &e), -EPERM);
                assert_int_equal(e.class, ERROR_USAGE);
                assert_non_null(e.hint);
        }
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, "hello", 5, 0600), 0);
        assert_int_equal(private_key_load(path, NULL, NULL, &again, &e), -EINVAL);
        assert_non_null(strstr(e.message, path));
        assert_int_equal(fs_remove_tree(AT_FDCWD, d), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_schemes),
                        cmocka_unit_test(test_ed25519_vector),
                        cmocka_unit_test(test_tied),
                        cmocka_unit_test(test_older_keytypes),
                        cmocka_unit_test(test_not_usable),
                        cmocka_unit_test(test_malformed),
                        cmocka_unit_test(test_id),
                        cmocka_unit_test(test_files),
                        cmocka_unit_test(test_files_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
