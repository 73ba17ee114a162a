#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/publish/client.h"

static void test_init(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL, *other = NULL;
        char path[TEST_PATH_MAX];
        struct stat st;

        init(s, &result);
        assert_int_equal(strv_length(result.made), 3);
        for (char **i = result.made; *i; i++) {
                assert_int_equal(stat(*i, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0600);
        }
        assert_int_equal(stat(s->keys, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);

        _cleanup_client_ Client c = client_new(s->path);
        _cleanup_(updater_free_p) Updater *u = NULL;
        ok(client_refresh(&c, "", &u, e));
        assert_int_equal(client_check_files(&c, u), 0);
        assert_int_equal(updater_version(u, "root"), 1);

        refused(repository_init(&s->options, &r, &result, e), ERROR_USAGE);
        ok(repository_open(&s->options, &r, e));
        assert_int_equal(mkdir(path_in(path, s->path, ".staging"), 0700), 0); /* it is packing */
        refused(repository_open(&s->options, &other, e), ERROR_LOCKED);
        assert_int_equal(access(path, F_OK), 0);
        r = repository_free(r);
        assert_int_equal(chmod(path_in(path, s->keys, "online.pem"), 0640), 0);
        ok(repository_open(&s->options, &r, e));
        refused(repository_refresh(r, NULL, &result, e), ERROR_USAGE);
        r = repository_free(r);
        assert_int_equal(chmod(s->keys, 0750), 0);
        refused(repository_open(&s->options, &r, e), ERROR_USAGE);
        s->options.path = s->scratch;
        s->options.keys = path_in(path, s->scratch, "none");
        refused(repository_open(&s->options, &r, e), ERROR_USAGE);
}

static void test_publish(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};

        init(s, &result);
        _cleanup_client_ Client c = client_new(s->path);
        do_publish(s, "1.0.0", "one", "stable");
        assert_channel(&c, "shop", "stable", "1.0.0");
        do_publish(s, "1.1.0", "two", "beta");
        assert_channel(&c, "shop", "stable", "1.0.0");
        assert_channel(&c, "shop", "beta", "1.1.0");

        /* the same tree again: nothing is signed, nothing is written */
        repository_result_clear(&result);
        ok(publish(s, "1.1.0", "two", "beta", &p, &result, e));
        assert_true(p.already);
        assert_false(result.changed);
        assert_string_equal(p.info->commit, "0123abc");
        published_release_clear(&p);
        /* the same tree, and the channel moves */
        ok(publish(s, "1.1.0", "two", "stable", &p, &result, e));
        assert_true(p.already && p.channel_moved && result.changed);
        assert_string_equal(p.channel_from, "1.0.0");
        assert_channel(&c, "shop", "stable", "1.1.0");

        refused(publish(s, "1.1.0", "three", "stable", &p, &result, e), ERROR_REFUSED);
        refused(publish(s, "../x", "three", "stable", &p, &result, e), ERROR_USAGE);
        refused(publish(s, "channels", "three", "stable", &p, &result, e), ERROR_USAGE);
        refused(publish(s, "2", "three", "a/b", &p, &result, e), ERROR_USAGE);
        assert_channel(&c, "shop", "stable", "1.1.0");
}

/* Another keyring is refused before anything is packed. */
static void test_wrong_keys(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        char online[TEST_PATH_MAX], away[TEST_PATH_MAX], other[TEST_PATH_MAX];

        init(s, &result);
        _cleanup_client_ Client c = client_new(s->path);
        do_publish(s, "1.0.0", "one", "stable");

        s->options.keys = path_in(other, s->scratch, "none");
        refused(publish(s, "1.1.0", "two", "stable", &p, &result, e), ERROR_USAGE);
        s->options.keys = NULL;

        /* without the online key, a release is signed but not yet to be seen; refresh makes it known */
        path_in(online, s->keys, "online.pem");
        path_in(away, s->scratch, "online.pem");
        assert_int_equal(rename(online, away), 0);
        ok(publish(s, "1.1.0", "two", "stable", &p, &result, e));
        assert_true(result.changed && result.invisible);
        assert_channel(&c, "shop", "stable", "1.0.0");
        assert_int_equal(rename(away, online), 0);
        _cleanup_(repository_free_p) Repository *r = NULL;
        ok(repository_open(&s->options, &r, e));
        ok(repository_refresh(r, NULL, &result, e));
        assert_false(result.invisible);
        assert_channel(&c, "shop", "stable", "1.1.0");
}

static void test_promote_and_yank(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_free_ char *from = NULL, *again = NULL, *app = NULL;
        _cleanup_json_ json_t *told = NULL, *told_again = NULL;

        init(s, &result);
        _cleanup_client_ Client c = client_new(s->path);
        ok(repository_open(&s->options, &r, e));
        refused(repository_only_app(r, &app, e), ERROR_USAGE);
        r = repository_free(r);
        do_publish(s, "1.0.0", "one", "stable");
        do_publish(s, "1.1.0", "two", NULL);
        ok(repository_open(&s->options, &r, e));
        ok(repository_only_app(r, &app, e));
        assert_string_equal(app, "shop");
        ok(repository_promote(r, "shop", "1.1.0", "stable", 0, &from, &told, &result, e));
        assert_string_equal(from, "1.0.0");
        assert_channel(&c, "shop", "stable", "1.1.0");
        repository_result_clear(&result);
        ok(repository_promote(r, "shop", "1.1.0", "stable", 0, &again, &told_again, &result, e));
        assert_false(result.changed);
        refused(repository_promote(r, "shop", "9", "stable", 0, &from, &told, &result, e), ERROR_USAGE);

        refused(repository_yank(r, "shop", "1.1.0", "loses orders", &result, e), ERROR_REFUSED);
        refused(repository_yank(r, "shop", "1.0.0", "", &result, e), ERROR_USAGE);
        ok(repository_yank(r, "shop", "1.0.0", "loses orders", &result, e));
        assert_true(result.changed);
        repository_result_clear(&result);
        ok(repository_yank(r, "shop", "1.0.0", "loses orders", &result, e));
        assert_false(result.changed);
        refused(repository_promote(r, "shop", "1.0.0", "stable", 0, &from, &told, &result, e), ERROR_REFUSED);

        _cleanup_(updater_free_p) Updater *u = NULL;
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        ok(client_refresh(&c, "shop/1.0.0/shop-1.0.0.tar.zst", &u, e));
        const TargetFile *targets;
        assert_int_equal(updater_targets(u, &targets), 2);
        ok(bundle_info_from_json(target_facts(targets[0].custom), &info, e));
        assert_string_equal(info->yanked, "loses orders");
}

static void test_refresh(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_(updater_free_p) Updater *u = NULL;
        char path[TEST_PATH_MAX];

        init(s, &result);
        _cleanup_client_ Client c = client_new(s->path);
        c.now_usec += 8 * 24 * 3600 * USEC_PER_SEC;
        refused(client_refresh(&c, "", &u, e), ERROR_REFUSED);

        /* the online key alone will do */
        assert_int_equal(unlink(path_in(path, s->keys, "root.pem")), 0);
        assert_int_equal(unlink(path_in(path, s->keys, "targets.pem")), 0);
        s->options.online_expires_usec = 9 * 24 * 3600 * USEC_PER_SEC;
        ok(repository_open(&s->options, &r, e));
        ok(repository_refresh(r, NULL, &result, e));
        ok(client_refresh(&c, "", &u, e));
        assert_int_equal(updater_version(u, "timestamp"), 2);
        assert_int_equal(updater_version(u, "targets"), 1);
        refused(repository_refresh(r, "targets", &result, e), ERROR_USAGE);
        refused(repository_refresh(r, "nobody", &result, e), ERROR_USAGE);
}

/* What was changed behind our back is not signed over. */
static void test_tampered(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_free_ char *data = NULL;
        char path[TEST_PATH_MAX], pending[TEST_PATH_MAX], *at;
        size_t size;

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        path_in(path, s->path, "metadata/2.targets.json");
        assert_int_equal(fs_read_file(AT_FDCWD, path, 100000, &data, &size), 0);
        at = strstr(data, "1.0.0");
        assert_non_null(at);
        *at = '2';
        /* above what is published, it is not ours; in pending/, it is an error */
        write_text(s->path, "metadata/3.targets.json", data);
        ok(repository_open(&s->options, &r, e));
        ok(repository_refresh(r, NULL, &result, e));
        r = repository_free(r);
        _cleanup_client_ Client c = client_new(s->path);
        assert_channel(&c, "shop", "stable", "1.0.0");
        do_publish(s, "1.1.0", "two", "stable");
        assert_channel(&c, "shop", "stable", "1.1.0");

        at = strstr(data, "\"version\": 2");
        assert_non_null(at);
        at[strlen("\"version\": ")] = '9';
        path_in(pending, s->path, "pending/targets.json");
        write_text(s->path, "pending/targets.json", data);
        refused(repository_open(&s->options, &r, e), ERROR_UNTRUSTED);
        assert_int_equal(unlink(pending), 0);
        write_text(s->path, "metadata/4.targets.json", data);
        refused(repository_open(&s->options, &r, e), ERROR_UNTRUSTED);
}

/* What cannot be written leaves nothing behind that takes up room, and the next run publishes it. */
static void test_no_room(void **state) {
        Scene *s = *state;
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        struct rlimit before, none = {.rlim_cur = 100};
        char path[TEST_PATH_MAX];

        init(s, &result);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        none.rlim_max = before.rlim_max;
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
        refused(publish(s, "1.0.0", "one", "stable", &p, &result, e), ERROR_FAILED);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_not_equal(access(path_in(path, s->path, ".staging"), F_OK), 0);
        do_publish(s, "1.0.0", "one", "stable");
        assert_int_not_equal(access(path, F_OK), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_no_room, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_init, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_publish, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_wrong_keys, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_promote_and_yank, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_refresh, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_tampered, scene_new, scene_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
