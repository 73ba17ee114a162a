#include "base/json.h"
#include "store/bundle.h"
#include "tests/unit/store/tree.h"

static const char *const BUNDLE =
                "{\"app\": \"shop\", \"commit\": \"abc\", \"entries\": 3, \"kind\": \"bundle\", "
                "\"published\": "
                "\"2026-11-23T19:54:20Z\", \"schema\": {\"max\": 7}, \"tar\": {\"length\": 4096, \"sha256\": "
                "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}, \"unpacked\": 12, "
                "\"version\": "
                "\"1.2.0\", \"yanked\": \"loses orders\"}";

static int read_bundle(const char *text, BundleInfo **ret, Error *e) {
        _cleanup_json_ json_t *j = NULL;

        assert_int_equal(json_parse("test", text, strlen(text), &j, NULL), 0);
        return bundle_info_from_json(j, ret, e);
}

static void test_round_trip(void **state _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *i = NULL;
        _cleanup_json_ json_t *again = NULL;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(read_bundle(BUNDLE, &i, NULL), 0);
        assert_string_equal(i->version, "1.2.0");
        assert_string_equal(i->yanked, "loses orders");
        assert_int_equal(i->tar_length, 4096);
        assert_int_equal(i->tar_digest.bytes[0], 0xba);
        assert_int_equal(i->published_usec / USEC_PER_SEC, 1795463660);
        assert_int_equal(bundle_info_to_json(i, &again), 0);
        text = json_dumps(again, JSON_SORT_KEYS);
        assert_string_equal(text, BUNDLE);
}

/* Without any one of its members but commit, schema and yanked, it is refused. */
static void test_members(void **state _unused_) {
        _cleanup_json_ json_t *whole = NULL;
        const char *key;
        json_t *value;
        unsigned refused = 0;

        assert_int_equal(json_parse("test", BUNDLE, strlen(BUNDLE), &whole, NULL), 0);
        json_object_foreach(whole, key, value) {
                _cleanup_(bundle_info_free_p) BundleInfo *i = NULL;
                _cleanup_json_ json_t *less = json_copy(whole);
                _cleanup_error_ Error e = ERROR_INIT;
                bool optional = streq(key, "commit") || streq(key, "schema") || streq(key, "yanked");
                int r;

                assert_int_equal(json_object_del(less, key), 0);
                r = bundle_info_from_json(less, &i, &e);
                assert_int_equal(r, optional ? 0 : -EBADMSG);
                assert_int_equal(e.class, optional ? ERROR_NONE : ERROR_UNTRUSTED);
                refused += !optional;
        }
        assert_int_equal(refused, 7);
}

static void test_bad_values(void **state _unused_) {
        static const char *const pairs[][2] = {{"version", "../1"}, {"app", "a/b"},
                        {"published", "yesterday"}, {"schema", "x"}, {"kind", "patch"}, {"entries", "3"},
                        {"tar", "x"}};
        _cleanup_json_ json_t *whole = NULL;

        assert_int_equal(json_parse("test", BUNDLE, strlen(BUNDLE), &whole, NULL), 0);
        for (size_t n = 0; n < ELEMENTS_OF(pairs); n++) {
                _cleanup_json_ json_t *other = json_copy(whole);
                _cleanup_error_ Error e = ERROR_INIT;
                BundleInfo *i;

                json_object_set_new(other, pairs[n][0], json_string(pairs[n][1]));
                assert_int_equal(bundle_info_from_json(other, &i, &e), -EBADMSG);
                assert_non_null(e.message);
        }
}

static void test_patch_and_channel(void **state _unused_) {
        PatchInfo p = {.app = (char *) "shop",
                        .from = (char *) "1.0",
                        .version = (char *) "1.1",
                        .tar_length = 7,
                        .from_digest.bytes = {1},
                        .tar_digest.bytes = {2}};
        ChannelInfo c = {.channel = (char *) "stable", .version = (char *) "1.1"};
        _cleanup_(patch_info_free_p) PatchInfo *p2 = NULL;
        _cleanup_(channel_info_free_p) ChannelInfo *c2 = NULL;
        _cleanup_json_ json_t *pj = NULL, *cj = NULL;

        assert_int_equal(patch_info_to_json(&p, &pj), 0);
        assert_int_equal(patch_info_from_json(pj, &p2, NULL), 0);
        assert_string_equal(p2->from, "1.0");
        assert_int_equal(p2->from_digest.bytes[0], 1);
        assert_int_equal(p2->tar_digest.bytes[0], 2);
        assert_int_equal(channel_info_to_json(&c, &cj), 0);
        assert_int_equal(channel_info_from_json(cj, &c2, NULL), 0);
        assert_string_equal(c2->version, "1.1");
        assert_int_equal(channel_info_from_json(pj, &c2, NULL), -EBADMSG);
        assert_string_equal(target_kind(pj), "patch");
}

static void test_names(void **state _unused_) {
        _cleanup_free_ char *bundle = target_bundle("shop", "1.2"),
                            *patch = target_patch("shop", "1.1", "1.2"),
                            *channel = target_channel("shop", "beta"), *blocks = target_blocks(bundle),
                            *version = NULL;

        assert_string_equal(bundle, "shop/1.2/shop-1.2.tar.zst");
        assert_string_equal(patch, "shop/1.2/shop-1.1..1.2.patch");
        assert_string_equal(channel, "shop/channels/beta.json");
        assert_string_equal(blocks, "shop/1.2/shop-1.2.tar.zst.blocks");
        assert_int_equal(target_bundle_version(bundle, "shop", &version), 0);
        assert_string_equal(version, "1.2");
        assert_int_equal(target_bundle_version(blocks, "shop", &version), -ENOENT);
        assert_int_equal(target_bundle_version(patch, "shop", &version), -ENOENT);
        assert_int_equal(target_bundle_version(bundle, "sho", &version), -ENOENT);
        assert_int_equal(target_bundle_version(channel, "shop", &version), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_round_trip),
                        cmocka_unit_test(test_members),
                        cmocka_unit_test(test_bad_values),
                        cmocka_unit_test(test_patch_and_channel),
                        cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
