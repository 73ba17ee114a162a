#include "publish/roles.h"
#include "tests/unit/publish/client.h"

/* Another person's machine: the same repository, a keyring of her own. */
static RepositoryOptions options_of(Scene *s, const char *who, char keys[static TEST_PATH_MAX]) {
        RepositoryOptions o = s->options;

        o.keys = path_in(keys, s->scratch, who);
        return o;
}

static void rotate(const RepositoryOptions *o, const RoleChange *c, RepositoryResult *result) {
        _cleanup_(repository_free_p) Repository *r = NULL;

        repository_result_clear(result);
        ok(repository_open(o, &r, e));
        ok(repository_rotate(r, c, result, e));
}

static void refresh(const RepositoryOptions *o, RepositoryResult *result) {
        _cleanup_(repository_free_p) Repository *r = NULL;

        repository_result_clear(result);
        ok(repository_open(o, &r, e));
        ok(repository_refresh(r, NULL, result, e));
}

static void sign(const RepositoryOptions *o, size_t n, RepositoryResult *result) {
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_strv_ char **roles = NULL, **sentences = NULL;

        repository_result_clear(result);
        ok(repository_open(o, &r, e));
        ok(repository_review(r, &sentences, e));
        assert_non_null(sentences);
        ok(repository_sign(r, &roles, result, e));
        assert_int_equal(strv_length(roles), n);
}

static int64_t client_version(Client *c, const char *role) {
        _cleanup_(updater_free_p) Updater *u = NULL;

        ok(client_refresh(c, "", &u, e));
        return updater_version(u, role);
}

/* Each role changes its key; a host that saw the repository before goes along, and so does one that did not. */
static void test_rotate(void **state) {
        static const char *const roles[] = {"targets", "online", "root", "root", "online"};
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        char path[TEST_PATH_MAX];

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        _cleanup_client_ Client old = client_new(s->path);
        assert_int_equal(client_version(&old, "root"), 1);
        for (size_t i = 0; i < ELEMENTS_OF(roles); i++) {
                RoleChange c = {.role = roles[i]};
                _cleanup_client_ Client new = client_new(s->path);
                char version[16];

                rotate(&s->options, &c, &result);
                assert_int_equal(strv_length(result.made), 1);
                assert_null(result.pending);
                assert_false(result.invisible);
                assert_int_equal(client_version(&old, "root"), i + 2);
                assert_int_equal(client_version(&new, "root"), i + 2);
                (void) snprintf(version, sizeof(version), "1.%zu.0", i + 1);
                do_publish(s, version, version, "stable");
                assert_channel(&old, "shop", "stable", version);
                assert_channel(&new, "shop", "stable", version);
        }
        assert_false(fs_exists(AT_FDCWD, path_in(path, s->keys, "root.next.pem")));
        assert_true(fs_exists(AT_FDCWD, path_in(path, s->keys, "root.old.pem")));

        /* the old key signs no more */
        char now[TEST_PATH_MAX];
        assert_int_equal(rename(path_in(path, s->keys, "targets.old.pem"),
                                         path_in(now, s->keys, "targets.pem")),
                        0);
        PublishedRelease p = {0};
        refused(publish(s, "9", "nine", "stable", &p, &result, e), ERROR_USAGE);
}

/* A key that is lost is replaced by one that was made for it. */
static void test_lost_key(void **state) {
        static const char *const roles[] = {"targets", "online"};
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        char path[TEST_PATH_MAX];

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        _cleanup_client_ Client client = client_new(s->path);
        assert_channel(&client, "shop", "stable", "1.0.0");
        for (size_t i = 0; i < ELEMENTS_OF(roles); i++) {
                _cleanup_free_ char *pem = text_format("%s.pem", roles[i]), *public = NULL;
                _cleanup_(private_key_free_p) PrivateKey *lost = NULL;
                _cleanup_(repository_free_p) Repository *r = NULL;

                ok(private_key_load(path_in(path, s->keys, pem), NULL, NULL, &lost, e));
                assert_int_equal(unlink(path), 0);
                char *id[] = {(char *) private_key_id(lost), NULL};
                RoleChange c = {.role = roles[i]};
                ok(repository_open(&s->options, &r, e));
                refused(repository_rotate(r, &c, &result, e), ERROR_USAGE);
                r = repository_free(r);
                ok(repository_make_key(&s->options, roles[i], &public, e));
                char *add[] = {public, NULL};
                c.add = add;
                c.remove = id;
                rotate(&s->options, &c, &result);
                assert_null(result.pending);
                assert_false(result.invisible);
                assert_channel(&client, "shop", "stable", "1.0.0");
                assert_int_equal(client_version(&client, "root"), i + 2);
        }
        do_publish(s, "1.1.0", "two", "stable");
        assert_channel(&client, "shop", "stable", "1.1.0");
}

/* Two people, two machines: nothing counts before both have signed. */
static void test_threshold(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        char keys[TEST_PATH_MAX];
        RepositoryOptions bob = options_of(s, "bob", keys);

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        _cleanup_client_ Client client = client_new(s->path);
        static const char *const roles[] = {"targets", "root"};
        for (size_t i = 0; i < ELEMENTS_OF(roles); i++) {
                _cleanup_free_ char *public = NULL;

                ok(repository_make_key(&bob, roles[i], &public, e));
                char *add[] = {public, NULL};
                RoleChange c = {.role = roles[i], .add = add, .threshold = 2};
                rotate(&s->options, &c, &result);
                /* before the root may ask for it, Bob's signature must be on the list of releases */
                assert_int_equal(strv_length(result.pending), i == 0 ? 2 : 1);
                assert_int_equal(client_version(&client, "root"), i + 1);
                sign(&bob, 1, &result);
                assert_channel(&client, "shop", "stable", "1.0.0");
                refresh(&s->options, &result);
                assert_null(result.pending);
                assert_int_equal(client_version(&client, "root"), i + 2);
        }
        ok(publish(s, "1.1.0", "two", "stable", &p, &result, e));
        assert_int_equal(strv_length(result.pending), 1);
        assert_channel(&client, "shop", "stable", "1.0.0");
        published_release_clear(&p);
        ok(publish(s, "1.2.0", "three", "stable", &p, &result, e)); /* on top of what is pending */
        sign(&bob, 1, &result);
        assert_true(result.invisible); /* Bob has no online key */
        assert_channel(&client, "shop", "stable", "1.0.0");
        refresh(&s->options, &result);
        assert_channel(&client, "shop", "stable", "1.2.0");

        _cleanup_(repository_free_p) Repository *r = NULL;
        ok(repository_open(&s->options, &r, e));
        _cleanup_strv_ char **none = NULL;
        repository_result_clear(&result);
        ok(repository_sign(r, &none, &result, e));
        assert_null(none);
        assert_false(result.changed);
}

/* An app's team signs for its app, and for no other. */
static void test_delegate(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_free_ char *public = NULL;
        char keys[TEST_PATH_MAX], tree[TEST_PATH_MAX];
        RepositoryOptions team = options_of(s, "team", keys);

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        _cleanup_client_ Client client = client_new(s->path);
        assert_channel(&client, "shop", "stable", "1.0.0");
        ok(repository_make_key(&team, "shop", &public, e));
        char *files[] = {public, NULL};

        ok(repository_open(&s->options, &r, e));
        refused(repository_delegate(r, "targets", files, 0, &result, e), ERROR_USAGE);
        ok(repository_delegate(r, "shop", files, 0, &result, e));
        assert_int_equal(strv_length(result.pending), 2); /* it waits for the team */
        refused(repository_delegate(r, "shop", files, 0, &result, e), ERROR_USAGE);
        r = repository_free(r);
        assert_channel(&client, "shop", "stable", "1.0.0");
        sign(&team, 1, &result);
        assert_null(result.pending);
        ok(repository_open(&s->options, &r, e));
        ok(repository_refresh(r, NULL, &result, e));
        r = repository_free(r);
        assert_channel(&client, "shop", "stable", "1.0.0");

        /* now it is the team that publishes, and the release key cannot */
        refused(publish(s, "1.1.0", "two", "stable", &p, &result, e), ERROR_USAGE);
        PublishOptions o = {.app = "shop", .version = "1.1.0", .channel = "stable"};
        o.directory = tree_new(tree, s->scratch, "tree", "two");
        ok(repository_open(&team, &r, e));
        ok(repository_publish(r, &o, &p, &result, e));
        o.app = "other";
        refused(repository_publish(r, &o, &p, &result, e), ERROR_USAGE);
        r = repository_free(r);
        ok(repository_open(&s->options, &r, e));
        ok(repository_refresh(r, NULL, &result, e));
        assert_channel(&client, "shop", "stable", "1.1.0");

        /* an app without releases: at once, and here with a key of our own */
        repository_result_clear(&result);
        ok(repository_delegate(r, "other", NULL, 0, &result, e));
        assert_int_equal(strv_length(result.made), 1);
        assert_null(result.pending);
        published_release_clear(&p);
        ok(repository_publish(r, &o, &p, &result, e));
        assert_channel(&client, "other", "stable", "1.1.0");

        /* and its key is replaced */
        r = repository_free(r);
        RoleChange c = {.role = "other"};
        rotate(&s->options, &c, &result);
        assert_null(result.pending);
        assert_channel(&client, "other", "stable", "1.1.0");
        o.version = "1.2.0";
        ok(repository_open(&s->options, &r, e));
        published_release_clear(&p);
        ok(repository_publish(r, &o, &p, &result, e));
        assert_channel(&client, "other", "stable", "1.2.0");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_rotate, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_lost_key, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_threshold, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_delegate, scene_new, scene_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
