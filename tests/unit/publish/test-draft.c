#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "publish/draft.h"
#include "publish/review.h"

static json_t *key_new(PrivateKey **ret, char id[static DIGEST_TEXT_MAX]) {
        json_t *public;

        assert_int_equal(private_key_generate(KEY_ED25519, ret, NULL), 0);
        assert_int_equal(private_key_public(*ret, &public, NULL), 0);
        assert_int_equal(key_id_of(public, id), 0);
        return public;
}

/* A root that anybody can read: it goes through the parser that hosts use. */
static void test_root(void **state _unused_) {
        static const char *const roles[] = {"root", "targets", "snapshot", "timestamp"};
        _cleanup_(private_key_free_p) PrivateKey *one = NULL, *two = NULL;
        _cleanup_json_ json_t *root = NULL, *first = NULL, *second = NULL, *envelope = NULL;
        char id[DIGEST_TEXT_MAX], other[DIGEST_TEXT_MAX];
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        _cleanup_free_ char *data = NULL;
        json_t *keys;
        unsigned n;
        size_t size;

        first = key_new(&one, id);
        second = key_new(&two, other);
        assert_int_equal(draft_new(METADATA_ROOT, &root), 0);
        for (size_t i = 0; i < ELEMENTS_OF(roles); i++)
                assert_int_equal(draft_add_root_key(root, roles[i], first), 0);
        assert_int_equal(draft_add_root_key(root, "root", first), 0); /* twice is once */
        assert_int_equal(draft_add_root_key(root, "root", second), 0);
        assert_int_equal(draft_set_threshold(root, "root", 3, NULL), -EINVAL);
        assert_int_equal(draft_set_threshold(root, "root", 0, NULL), -EINVAL);
        assert_int_equal(draft_set_threshold(root, "root", 2, NULL), 0);
        assert_int_equal(draft_stamp(root, 1, UINT64_C(1893456000) * USEC_PER_SEC), 0);

        assert_int_equal(metadata_envelope(root, &envelope), 0);
        assert_int_equal(metadata_sign(envelope, two, NULL), 0);
        assert_int_equal(metadata_write(envelope, &data, &size), 0);
        assert_int_equal(metadata_parse("root.json", METADATA_ROOT, data, size, &m, NULL), 0);
        assert_int_equal(metadata_version(m), 1);
        assert_true(metadata_root_consistent_snapshot(m));
        assert_int_equal(metadata_expires(m), UINT64_C(1893456000) * USEC_PER_SEC);
        assert_int_equal(draft_count_signatures(m, root, "root", &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(draft_count_signatures(m, root, "targets", &n), 0);
        assert_int_equal(n, 0);

        /* a key that nobody uses any more leaves the list; one that somebody does, stays */
        assert_non_null(draft_role(root, "root", &keys));
        assert_int_equal(draft_remove_key(root, "root", other, NULL), 0);
        assert_null(json_object_get(keys, other));
        assert_int_equal(draft_remove_key(root, "root", other, NULL), -EINVAL);
        assert_int_equal(draft_remove_key(root, "root", id, NULL), 0);
        assert_non_null(json_object_get(keys, id));
}

static int count_role(Role *r, void *userdata) {
        assert_true(role_is_terminating(r));
        (*(int *) userdata)++;
        return 0;
}

/* An app's role is trusted with the app's names, and with no other. */
static void test_delegation(void **state _unused_) {
        static const struct {
                const char *name;
                int roles;
        } names[] = {
                        {"shop/1.0.0/shop-1.0.0.tar.zst", 1},
                        {"shop/channels/stable.json", 1},
                        {"shop2/1.0.0/shop-1.0.0.tar.zst", 0},
                        {"other/1/shop", 0},
                        {"shop/a/b/c", 0},
                        {"shop", 0},
                        {"x/shop/1/y", 0},
        };
        _cleanup_(private_key_free_p) PrivateKey *one = NULL;
        _cleanup_(delegations_free_p) Delegations *d = NULL;
        _cleanup_json_ json_t *targets = NULL, *key = NULL;
        char id[DIGEST_TEXT_MAX];

        key = key_new(&one, id);
        assert_int_equal(draft_new(METADATA_TARGETS, &targets), 0);
        assert_int_equal(draft_add_delegation(targets, "shop", key), 0);
        assert_int_equal(draft_add_delegation(targets, "shop", key), 0);
        assert_int_equal(delegations_from_json(json_object_get(targets, "delegations"), &d, NULL), 0);
        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                int n = 0;

                assert_int_equal(delegations_visit(d, names[i].name, count_role, &n), 0);
                assert_int_equal(n, names[i].roles);
        }
}

static void assert_sentences(const json_t *from, const json_t *to, const char *const *wanted) {
        _cleanup_strv_ char **sentences = NULL;
        size_t n = 0;

        assert_int_equal(review_changes("root", from, to, &sentences), 0);
        for (; wanted[n]; n++)
                if (!strv_contains(sentences, wanted[n]))
                        fail_msg("not said: %s", wanted[n]);
        assert_int_equal(strv_length(sentences), n + 1); /* and the version */
}

static void test_review(void **state _unused_) {
        _cleanup_json_ json_t *from = json_pack("{s:{s:{s:[s,s],s:i}}, s:{s:{s:i}, s:{s:i}}}", "roles",
                        "root", "keyids", "a", "b", "threshold", 1, "targets", "t1", "length", 1, "t2",
                        "length", 2);
        _cleanup_json_ json_t *to = json_pack("{s:{s:{s:[s,s],s:i}}, s:{s:{s:i}, s:{s:i}}}", "roles", "root",
                        "keyids", "b", "c", "threshold", 2, "targets", "t2", "length", 3, "t3", "length", 3);
        _cleanup_json_ json_t *delegating = json_pack("{s:{s:[{s:s,s:[s],s:i,s:[s]}]}}", "delegations",
                        "roles", "name", "shop", "keyids", "k", "threshold", 1, "paths", "shop/*/*");

        assert_non_null(from);
        assert_non_null(to);
        assert_non_null(delegating);
        assert_sentences(from, to,
                        (const char *const[]){"root: adds t3", "root: changes t2", "root: removes t1",
                                        "root: lets key c sign for root",
                                        "root: lets key a no longer sign for root",
                                        "root: asks for 2 signatures by root", NULL});
        assert_sentences(from, from, (const char *const[]){NULL});
        assert_sentences(NULL, delegating,
                        (const char *const[]){"root: lets key k sign for shop",
                                        "root: asks for 1 signatures by shop",
                                        "root: trusts shop with [\"shop/*/*\"]", NULL});
        assert_sentences(delegating, json_object_get(delegating, "delegations"),
                        (const char *const[]){"root: delegates to shop no longer", NULL});
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_root),
                        cmocka_unit_test(test_delegation),
                        cmocka_unit_test(test_review),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
