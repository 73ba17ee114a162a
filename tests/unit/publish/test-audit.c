#include "publish/audit.h"
#include "publish/roles.h"
#include "tests/unit/publish/client.h"

#define DAY (24 * 3600 * USEC_PER_SEC)

static AuditReport *audit(Scene *s, uint64_t soon_usec) {
        _cleanup_(repository_free_p) Repository *r = NULL;
        AuditReport *report = NULL;

        ok(repository_open(&s->options, &r, e));
        ok(repository_audit(r, soon_usec, &report, e));
        return report;
}

/* The finding about a file whose path holds @part, with these words in it. */
static const Finding *find(const AuditReport *a, const char *part, const char *text) {
        for (size_t i = 0; i < a->n; i++)
                if (strstr(a->findings[i].file, part) && strstr(a->findings[i].text, text))
                        return &a->findings[i];
        fail_msg("no finding about %s that says \"%s\"", part, text);
        return NULL;
}

static char *path_of_file(Scene *s, const char *folder, const char *suffix, char path[static TEST_PATH_MAX]) {
        _cleanup_strv_ char **names = NULL;
        char directory[TEST_PATH_MAX];

        assert_int_equal(fs_list_directory(AT_FDCWD, path_in(directory, s->path, folder), &names), 0);
        for (char **i = names; *i; i++)
                if (endswith(*i, suffix))
                        return path_in(path, directory, *i);
        fail_msg("no file ends with %s", suffix);
        return NULL;
}

static void flip(const char *path, size_t at) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        assert_int_equal(fs_read_file(AT_FDCWD, path, 1000000, &data, &size), 0);
        assert_true(at < size);
        data[at] ^= 1;
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, data, size, 0644), 0);
}

static void test_good(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(audit_report_free_p) AuditReport *a = NULL, *soon = NULL;

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        do_publish(s, "1.1.0", "two", "stable");
        a = audit(s, DAY);
        /* the channel's old file is what a host that is behind may still ask for */
        assert_int_equal(a->n, 1);
        assert_int_equal(find(a, "stable.json", "listed by no metadata")->class, ERROR_NONE);
        assert_int_equal(a->targets, 5);
        assert_int_equal(a->metadata_files, 4);
        assert_int_equal(a->signatures, 4);
        assert_true(a->bytes > 0);

        soon = audit(s, 8 * DAY);
        assert_true(find(soon, "timestamp.json", "expires in 6d")->warning);
        assert_true(find(soon, "snapshot.json", "expires in 6d")->warning);
}

static void test_damaged(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        char bundle[TEST_PATH_MAX], blocks[TEST_PATH_MAX], channel[TEST_PATH_MAX], left[TEST_PATH_MAX];

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        path_of_file(s, "targets/shop/1.0.0", ".zst", bundle);
        path_of_file(s, "targets/shop/1.0.0", ".blocks", blocks);
        path_of_file(s, "targets/shop/channels", ".json", channel);

        _cleanup_(audit_report_free_p) AuditReport *one = NULL, *two = NULL, *three = NULL;
        flip(bundle, 20);
        one = audit(s, 0);
        assert_int_equal(find(one, "tar.zst", "not the file that was signed")->class, ERROR_UNTRUSTED);
        flip(bundle, 20);
        flip(blocks, 3);
        two = audit(s, 0);
        assert_int_equal(find(two, ".blocks", "not the file that was signed")->class, ERROR_UNTRUSTED);
        assert_int_equal(find(two, ".blocks", "not the list of blocks")->class, ERROR_UNTRUSTED);
        flip(blocks, 3);
        assert_int_equal(unlink(channel), 0);
        write_text(s->path, "targets/shop/stray", "x");
        write_text(s->path, "metadata/.#timestamp.json.0123456789abcdef", "of a killed run");
        write_text(s->path, "metadata/7.ghost.json", "x");
        write_text(s->path, "metadata/notes", "x");
        write_text(s->path, "metadata/9.targets.json", "{}");
        three = audit(s, 0);
        assert_int_equal(find(three, "channels", "cannot be read")->class, ERROR_UNTRUSTED);
        assert_int_equal(find(three, "stray", "listed by no metadata")->class, ERROR_NONE);
        assert_int_not_equal(
                        access(path_in(left, s->path, "metadata/.#timestamp.json.0123456789abcdef"), F_OK),
                        0);
        assert_true(find(three, "ghost", "role that does not exist")->warning);
        assert_true(find(three, "notes", "no metadata file")->warning);
        assert_true(find(three, "9.targets", "newer than version 2")->warning);
}

/* A wrong signature beside a good one is found too, though every host passes over it. */
static void test_wrong_signature(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_(audit_report_free_p) AuditReport *a = NULL;
        _cleanup_json_ json_t *timestamp = NULL, *key = NULL;
        _cleanup_free_ char *public = NULL;
        char path[TEST_PATH_MAX], keys[TEST_PATH_MAX], id[DIGEST_TEXT_MAX];
        RepositoryOptions bob = s->options;
        json_t *signatures;

        init(s, &result);
        bob.keys = path_in(keys, s->scratch, "bob");
        ok(repository_make_key(&bob, "online", &public, e));
        char *add[] = {public, NULL};
        RoleChange c = {.role = "online", .add = add};
        ok(repository_open(&s->options, &r, e));
        ok(repository_rotate(r, &c, &result, e));
        r = repository_free(r);

        ok(json_read_file(AT_FDCWD, public, 100000, &key, e));
        assert_int_equal(key_id_of(key, id), 0);
        ok(json_read_file(
                        AT_FDCWD, path_in(path, s->path, "metadata/timestamp.json"), 100000, &timestamp, e));
        signatures = json_object_get(timestamp, "signatures");
        assert_int_equal(json_array_append_new(
                                         signatures, json_pack("{s:s, s:s}", "keyid", id, "sig", "00ff")),
                        0);
        assert_int_equal(json_write_file(AT_FDCWD, path, timestamp, 0644), 0);
        a = audit(s, 0);
        assert_int_equal(a->n, 1);
        assert_int_equal(find(a, "timestamp.json", "signature by key")->class, ERROR_UNTRUSTED);
        assert_non_null(strstr(a->findings[0].text, id));
}

/* More apps than a host would look through: every one's files are found, and none is a stray. */
static void test_many_apps(void **state) {
        Scene *s = *state;
        _cleanup_(audit_report_free_p) AuditReport *a = NULL;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        char tree[TEST_PATH_MAX];

        init(s, &result);
        tree_new(tree, s->scratch, "tree", "one");
        for (int i = 0; i < 34; i++) {
                __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
                _cleanup_(repository_free_p) Repository *r = NULL;
                _cleanup_free_ char *app = text_format("app%d", i);
                PublishOptions o = {.app = app, .version = "1.0.0", .directory = tree};

                ok(repository_open(&s->options, &r, e));
                ok(repository_delegate(r, app, NULL, 0, &result, e));
                if (i == 0 || i == 33)
                        ok(repository_publish(r, &o, &p, &result, e));
        }
        a = audit(s, 0);
        assert_int_equal(a->targets, 4);
        for (size_t i = 0; i < a->n; i++)
                assert_null(strstr(a->findings[i].text, "listed by no metadata"));
}

static void test_expired(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(audit_report_free_p) AuditReport *a = NULL;

        s->options.online_expires_usec = USEC_PER_SEC;
        init(s, &result);
        assert_int_equal(usleep(2100000), 0);
        a = audit(s, DAY);
        assert_int_equal(find(a, "timestamp.json", "expired")->class, ERROR_REFUSED);
        assert_int_equal(find(a, "metadata", "a host refuses it")->class, ERROR_REFUSED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_good, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_damaged, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_wrong_signature, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_many_apps, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_expired, scene_new, scene_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
