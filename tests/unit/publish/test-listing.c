#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/text.h"
#include "publish/listing.h"

static json_t *channel_facts(const char *channel, const char *version) {
        ChannelInfo info = {.channel = (char *) channel, .version = (char *) version};
        json_t *facts;

        assert_int_equal(channel_info_to_json(&info, &facts), 0);
        return facts;
}

static void add_channel(json_t *targets, const char *app, const char *channel, const char *version) {
        _cleanup_json_ json_t *facts = channel_facts(channel, version);
        _cleanup_free_ char *name = target_channel(app, channel);
        Digest d = {{7}};

        assert_int_equal(listing_put(targets, name, 3, &d, facts), 0);
}

static void add_bundle(json_t *targets, const char *app, const char *version) {
        BundleInfo info = {.app = (char *) app, .version = (char *) version, .published_usec = USEC_PER_SEC};
        _cleanup_free_ char *name = target_bundle(app, version);
        _cleanup_json_ json_t *facts = NULL;
        Digest d = {{9}};

        assert_int_equal(bundle_info_to_json(&info, &facts), 0);
        assert_int_equal(listing_put(targets, name, 5, &d, facts), 0);
}

static void test_find(void **state _unused_) {
        _cleanup_json_ json_t *targets = json_object();
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_strv_ char **channels = NULL, **none = NULL, **apps = NULL;
        _cleanup_free_ char *version = NULL, *name = target_bundle("shop", "1.0.0");
        _cleanup_error_ Error e = ERROR_INIT;
        uint64_t length;
        Digest d;

        assert_int_equal(listing_release(targets, "shop", "1.0.0", &info, &e), -ENOENT);
        assert_non_null(strstr(e.hint, "repo publish"));
        add_bundle(targets, "shop", "1.0.0");
        add_bundle(targets, "shop", "1.1.0");
        add_bundle(targets, "shopping", "3.0.0");
        add_channel(targets, "shop", "stable", "1.1.0");
        add_channel(targets, "shop", "beta", "1.1.0");
        add_channel(targets, "shopping", "beta", "1.1.0");

        assert_int_equal(listing_release(targets, "shop", "3.0.0", &info, &e), -ENOENT);
        assert_int_equal(e.class, ERROR_USAGE);
        assert_non_null(strstr(e.hint, "1.0.0"));
        assert_null(strstr(e.hint, "3.0.0"));
        assert_int_equal(listing_release(targets, "shop", "1.0.0", &info, NULL), 0);
        assert_string_equal(info->version, "1.0.0");
        assert_int_equal(listing_file(targets, name, &length, &d), 0);
        assert_int_equal(length, 5);
        assert_int_equal(d.bytes[0], 9);
        assert_int_equal(listing_file(targets, "none", &length, &d), -ENOENT);

        assert_int_equal(listing_channel(targets, "shop", "stable", &version), 0);
        assert_string_equal(version, "1.1.0");
        assert_int_equal(listing_channel(targets, "shop", "none", &version), -ENOENT);
        assert_int_equal(listing_channels_at(targets, "shop", "1.1.0", &channels), 0);
        assert_int_equal(strv_length(channels), 2);
        assert_string_equal(channels[0], "beta");
        assert_int_equal(listing_channels_at(targets, "shop", "1.0.0", &none), 0);
        assert_null(none);
        assert_int_equal(listing_apps(targets, &apps), 0);
        assert_int_equal(strv_length(apps), 2);
        assert_string_equal(apps[1], "shopping");
}

/* "shop" takes what is its own, and leaves what is of "shopping". */
static void test_move(void **state _unused_) {
        _cleanup_json_ json_t *from = json_object(), *to = json_object();

        add_bundle(from, "shop", "1.0.0");
        add_channel(from, "shop", "stable", "1.0.0");
        add_bundle(from, "shopping", "3.0.0");
        assert_int_equal(listing_move(from, to, "shop"), 2);
        assert_int_equal(json_object_size(to), 2);
        assert_int_equal(json_object_size(from), 1);
        assert_int_equal(listing_move(from, to, "shop"), 0);
}

static void test_path(void **state _unused_) {
        Digest d = {{0xab}};
        _cleanup_free_ char *path = listing_path("shop/1.0/a.zst", &d), *flat = listing_path("a.zst", &d);

        assert_non_null(startswith(path, "shop/1.0/ab00"));
        assert_true(endswith(path, "00.a.zst"));
        assert_non_null(startswith(flat, "ab00"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_find),
                        cmocka_unit_test(test_move),
                        cmocka_unit_test(test_path),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
