#include "publish/audit.h"
#include "publish/patches.h"
#include "tests/unit/publish/client.h"

#define TEXT_SIZE 40000

/* A text that does not compress, the same for a seed, with @tail behind it. */
static char *make_text(uint32_t seed, const char *tail) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char *text = calloc(1, TEXT_SIZE + 100);

        for (size_t i = 0; i < TEXT_SIZE; i++)
                text[i] = letters[((seed = seed * 1664525 + 1013904223) >> 16) % 64];
        return strcat(text, tail);
}

/* Publishes, and returns what was told about patches. */
static json_t *publish_text(
                Scene *s, const char *version, uint32_t seed, const char *channel, unsigned patches) {
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_free_ char *text = make_text(seed, version);
        char tree[TEST_PATH_MAX];
        PublishOptions o = {.app = "shop", .version = version, .channel = channel, .patches = patches};

        o.directory = tree_new(tree, s->scratch, "tree", text);
        ok(repository_open(&s->options, &r, e));
        ok(repository_publish(r, &o, &p, &result, e));
        return json_incref(p.patches);
}

/* The patches that a host sees, as "FROM..VERSION FROM..VERSION", in the order of their names. */
static char *patches_seen(Scene *s) {
        _cleanup_client_ Client c = client_new(s->path);
        _cleanup_(updater_free_p) Updater *u = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        const TargetFile *targets;
        size_t n;

        ok(client_refresh(&c, "shop/", &u, e));
        (void) client_check_files(&c, u);
        n = updater_targets(u, &targets);
        assert_int_equal(text_adds(&t, ""), 0);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(patch_info_free_p) PatchInfo *info = NULL;

                if (!endswith(targets[i].name, ".patch"))
                        continue;
                ok(patch_info_from_json(target_facts(targets[i].custom), &info, e));
                assert_int_equal(text_addf(&t, " %s..%s", info->from, info->version), 0);
                assert_string_equal(targets[i + 1].name + strlen(targets[i].name), ".blocks");
        }
        return TAKE(t.data);
}

#define assert_patches(s, expected)                                                                          \
        do {                                                                                                 \
                _cleanup_free_ char *_seen = patches_seen(s);                                                \
                assert_string_equal(_seen, expected);                                                        \
        } while (0)

static void assert_sound(Scene *s) {
        _cleanup_(audit_report_free_p) AuditReport *report = NULL;
        _cleanup_(repository_free_p) Repository *r = NULL;

        ok(repository_open(&s->options, &r, e));
        ok(repository_audit(r, USEC_PER_SEC, &report, e));
        for (size_t i = 0; i < report->n; i++) /* but for where channels pointed before */
                if (!strstr(report->findings[i].file, "/channels/"))
                        fail_msg("%s %s", report->findings[i].file, report->findings[i].text);
}

/* From where the channel pointed and from what was published last, and only where it is worth it. */
static void test_add(void **state) {
        Scene *s = *state;
        _cleanup_json_ json_t *first = NULL, *second = NULL, *third = NULL, *other = NULL;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;

        init(s, &result);
        first = publish_text(s, "1.0.0", 1, "stable", 2);
        assert_int_equal(json_array_size(first), 0);
        second = publish_text(s, "1.1.0", 1, "beta", 2);
        assert_int_equal(json_array_size(second), 1);
        assert_in_range(json_get_integer(json_array_get(second, 0), "size", 0), 1, TEXT_SIZE / 4);
        json_decref(publish_text(s, "1.2.0", 1, "beta", 0));
        third = publish_text(s, "1.3.0", 1, "stable", 2);
        assert_string_equal(json_get_string(json_array_get(third, 0), "from"), "1.0.0");
        assert_string_equal(json_get_string(json_array_get(third, 1), "from"), "1.2.0");
        assert_patches(s, " 1.0.0..1.1.0 1.0.0..1.3.0 1.2.0..1.3.0");

        other = publish_text(s, "2.0.0", 9, "beta", 1);
        assert_string_equal(json_get_string(json_array_get(other, 0), "why"), "it would save too little");
        assert_patches(s, " 1.0.0..1.1.0 1.0.0..1.3.0 1.2.0..1.3.0");
        assert_sound(s);
}

/* An old bundle that is damaged, or gone, keeps nobody from publishing. */
static void test_damaged(void **state) {
        static const char *const damages[] = {"for f in targets/shop/1.0.0/*.zst; do truncate -s -1 $f; done",
                        "rm targets/shop/1.0.0/*.zst"};
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;

        init(s, &result);
        json_decref(publish_text(s, "1.0.0", 1, "stable", 1));
        for (size_t i = 0; i < ELEMENTS_OF(damages); i++) {
                _cleanup_free_ char *version = text_format("1.%zu.0", i + 1),
                                    *whole = text_format("cd %s && %s", s->path, damages[i]);
                _cleanup_json_ json_t *told = NULL;

                assert_int_equal(system(whole), 0);
                told = publish_text(s, version, 1, i == 0 ? "beta" : "stable", 1);
                assert_string_equal(json_get_string(json_array_get(told, 0), "from"), "1.0.0");
                assert_non_null(json_get_string(json_array_get(told, 0), "why"));
        }
}

static int prune(Scene *s, unsigned keep) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        int n;

        ok(repository_open(&s->options, &r, e));
        n = repository_prune_patches(r, "shop", keep, &result, NULL);
        assert_true(n >= 0);
        return n;
}

static void test_prune(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        char away[TEST_PATH_MAX], online[TEST_PATH_MAX];

        init(s, &result);
        json_decref(publish_text(s, "1.0.0", 1, "stable", 1));
        json_decref(publish_text(s, "1.1.0", 1, "beta", 1));
        json_decref(publish_text(s, "1.2.0", 1, "stable", 1));
        json_decref(publish_text(s, "1.3.0", 1, "stable", 1));
        assert_patches(s, " 1.0.0..1.1.0 1.0.0..1.2.0 1.2.0..1.3.0");
        assert_int_equal(prune(s, 3), 2); /* where stable pointed before */

        /* what is not yet known to the world keeps its files */
        path_in(online, s->keys, "online.pem");
        path_in(away, s->scratch, "online.pem");
        assert_int_equal(rename(online, away), 0);
        assert_int_equal(prune(s, 1), 0);
        assert_patches(s, " 1.0.0..1.1.0 1.0.0..1.2.0 1.2.0..1.3.0");
        assert_int_equal(rename(away, online), 0);
        assert_int_equal(prune(s, 1), 2);
        assert_patches(s, " 1.0.0..1.1.0 1.2.0..1.3.0");
        assert_int_equal(prune(s, 1), 0);
        assert_sound(s);
}

/* Promoted to another channel: the patches that publishing did not make, once. */
static void test_promote(void **state) {
        Scene *s = *state;
        _cleanup_json_ json_t *told = NULL, *again = NULL;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_free_ char *from = NULL, *from_again = NULL;

        init(s, &result);
        json_decref(publish_text(s, "1.0.0", 1, "stable", 0));
        json_decref(publish_text(s, "1.1.0", 1, "beta", 0));
        json_decref(publish_text(s, "1.2.0", 1, "beta", 1));
        assert_patches(s, " 1.1.0..1.2.0");
        ok(repository_open(&s->options, &r, e));
        ok(repository_promote(r, "shop", "1.2.0", "stable", 2, &from, &told, &result, e));
        assert_string_equal(from, "1.0.0");
        assert_int_equal(json_array_size(told), 1);
        assert_string_equal(json_get_string(json_array_get(told, 0), "from"), "1.0.0");
        assert_patches(s, " 1.0.0..1.2.0 1.1.0..1.2.0");
        repository_result_clear(&result);
        ok(repository_promote(r, "shop", "1.2.0", "stable", 2, &from_again, &again, &result, e));
        assert_false(result.changed);
        assert_int_equal(json_array_size(again), 0);
        r = repository_free(r);
        assert_sound(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_add, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_damaged, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_prune, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_promote, scene_new, scene_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
