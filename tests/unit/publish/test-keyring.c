#include "publish/keyring.h"
#include "tests/unit/publish/client.h"

typedef struct Asked {
        const char *answer;
        int times;
} Asked;

static int answer(const char *path, char *buffer, size_t size, void *userdata, Error *e _unused_) {
        Asked *a = userdata;

        assert_true(endswith(path, "root.pem"));
        assert_true(strlen(a->answer) < size);
        a->times++;
        return snprintf(buffer, size, "%s", a->answer);
}

/* A key is asked about once, and only when it is used; the wrong answer is an error. */
static void test_encrypted(void **state) {
        Scene *s = *state;
        Asked asked = {.answer = "correct horse"};
        _cleanup_(keyring_free_p) Keyring *k = NULL, *again = NULL;
        _cleanup_free_ char *id = NULL;
        const PrivateKey *key;

        ok(keyring_open(s->keys, NULL, NULL, &k, e));
        assert_int_equal(keyring_get(k, "root", &key, NULL), 0);
        ok(keyring_make(k, "root", KEY_ED25519, "correct horse", &key, e));
        ok(keyring_make(k, "targets", KEY_ECDSA_P256, NULL, &key, e));
        assert_int_equal(keyring_get(k, "root", &key, NULL), 1);
        id = strdup(private_key_id(key));

        ok(keyring_open(s->keys, answer, &asked, &again, e));
        assert_int_equal(keyring_get(again, "targets", &key, NULL), 1);
        assert_int_equal(asked.times, 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(keyring_get(again, "root", &key, NULL), 1);
                assert_string_equal(private_key_id(key), id);
        }
        assert_int_equal(asked.times, 1);
        again = keyring_free(again);

        asked.answer = "wrong";
        ok(keyring_open(s->keys, answer, &asked, &again, e));
        refused(keyring_get(again, "root", &key, e), ERROR_USAGE);
        again = keyring_free(again);
        ok(keyring_open(s->keys, NULL, NULL, &again, e));
        refused(keyring_get(again, "root", &key, e), ERROR_USAGE);
}

static void test_advance(void **state) {
        Scene *s = *state;
        _cleanup_(keyring_free_p) Keyring *k = NULL;
        const PrivateKey *signers[KEYRING_SIGNERS_MAX], *key;
        char path[TEST_PATH_MAX];
        _cleanup_free_ char *id = NULL;

        ok(keyring_open(s->keys, NULL, NULL, &k, e));
        assert_int_equal(keyring_signers(k, "root", signers, NULL), 0);
        assert_int_equal(keyring_make(k, "root", KEY_ED25519, NULL, &key, NULL), 0);
        assert_int_equal(keyring_make(k, "root", KEY_ED25519, NULL, &key, NULL), 1);
        assert_int_equal(keyring_make(k, "root.next", KEY_ED25519, NULL, &key, NULL), 0);
        assert_int_equal(keyring_signers(k, "root", signers, NULL), 2);
        id = strdup(private_key_id(signers[1]));
        assert_string_not_equal(id, private_key_id(signers[0]));

        ok(keyring_advance(k, "root", e));
        assert_int_equal(keyring_signers(k, "root", signers, NULL), 1);
        assert_string_equal(private_key_id(signers[0]), id);
        assert_true(fs_exists(AT_FDCWD, path_in(path, s->keys, "root.old.pem")));

        /* killed between the two renames */
        assert_int_equal(keyring_make(k, "root.next", KEY_ED25519, NULL, &key, NULL), 0);
        free(id);
        id = strdup(private_key_id(key));
        assert_int_equal(unlink(path_in(path, s->keys, "root.pem")), 0);
        ok(keyring_advance(k, "root", e));
        assert_int_equal(keyring_get(k, "root", &key, NULL), 1);
        assert_string_equal(private_key_id(key), id);
}

/* What a killed run left of a key is not taken for one. */
static void test_torn(void **state) {
        Scene *s = *state;
        _cleanup_(keyring_free_p) Keyring *k = NULL;
        const PrivateKey *key;
        char path[TEST_PATH_MAX];

        assert_int_equal(mkdir(s->keys, 0700), 0);
        write_text(s->keys, "root.pem.new", "-----BEGIN PRIV");
        ok(keyring_open(s->keys, NULL, NULL, &k, e));
        assert_int_equal(keyring_make(k, "root", KEY_ED25519, NULL, &key, NULL), 0);
        assert_false(fs_exists(AT_FDCWD, path_in(path, s->keys, "root.pem.new")));

        k = keyring_free(k);
        assert_int_equal(chmod(path_in(path, s->keys, "root.pem"), 0604), 0);
        ok(keyring_open(s->keys, NULL, NULL, &k, e));
        refused(keyring_get(k, "root", &key, e), ERROR_USAGE);
        assert_int_equal(chmod(s->keys, 0701), 0);
        k = keyring_free(k);
        refused(keyring_open(s->keys, NULL, NULL, &k, e), ERROR_USAGE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_encrypted, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_advance, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_torn, scene_new, scene_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
