/*
 * Every verb is killed at its n-th change of the file system, for every n. After each, a host that knew the repository
 * before and a host that comes new both find it whole, old or new; and the next run brings it to its end.
 *
 * The changes are the system calls below: this program's own versions of them count, and end the process in the place
 * of the n-th one.
 */

#include <sys/syscall.h>
#include <sys/wait.h>

#include "publish/audit.h"
#include "publish/roles.h"
#include "tests/unit/publish/client.h"

#define KILLED 77
#define FAILED 78

static int changes_left = -1; /* -1: no end */

static void change(void) {
        if (changes_left == 0)
                _exit(KILLED);
        if (changes_left > 0)
                changes_left--;
}

int renameat(int from, const char *old, int to, const char *new) {
        change();
        return (int) syscall(SYS_renameat2, from, old, to, new, 0);
}

/* A kill loses nothing that was written: it need not be synced here. (Power cuts: tests/crash.) */
int fsync(int fd _unused_) {
        change();
        return 0;
}

int mkdirat(int fd, const char *path, mode_t mode) {
        change();
        return (int) syscall(SYS_mkdirat, fd, path, mode);
}

int unlinkat(int fd, const char *path, int flags) {
        change();
        return (int) syscall(SYS_unlinkat, fd, path, flags);
}

typedef int (*Verb)(Scene *s, Error *e);

static int do_init(Scene *s, Error *e) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;

        return repository_init(&s->options, &r, &result, e);
}

static int do_publish_new(Scene *s, Error *e) {
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;

        return publish(s, "1.1.0", "two", "stable", &p, &result, e);
}

static int do_refresh(Scene *s, Error *e) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        int k = repository_open(&s->options, &r, e);

        return k < 0 ? k : repository_refresh(r, NULL, &result, e);
}

static int do_rotate(Scene *s, const char *role, Error *e) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        RoleChange c = {.role = role};
        int k = repository_open(&s->options, &r, e);

        return k < 0 ? k : repository_rotate(r, &c, &result, e);
}

static int do_rotate_root(Scene *s, Error *e) {
        return do_rotate(s, "root", e);
}

static int do_rotate_targets(Scene *s, Error *e) {
        return do_rotate(s, "targets", e);
}

static int do_rotate_online(Scene *s, Error *e) {
        return do_rotate(s, "online", e);
}

static int do_delegate(Scene *s, Error *e) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        int k = repository_open(&s->options, &r, e);

        return k < 0 ? k : repository_delegate(r, "shop", NULL, 0, &result, e);
}

static int do_promote(Scene *s, Error *e) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_json_ json_t *patches = NULL;
        _cleanup_free_ char *from = NULL;
        int k = repository_open(&s->options, &r, e);

        return k < 0 ? k : repository_promote(r, "shop", "0.9.0", "stable", 1, &from, &patches, &result, e);
}

/* One person asks for the signatures of two; and then the other, whose keys are in bob.keys, gives theirs. */
static int do_ask_for_two(Scene *s, Error *e) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_free_ char *public = NULL;
        char keys[TEST_PATH_MAX];
        RepositoryOptions bob = s->options;
        int k;

        bob.keys = path_in(keys, s->scratch, "bob.keys");
        k = repository_make_key(&bob, "targets", &public, e);
        if (k < 0 || (k = repository_open(&s->options, &r, e)) < 0)
                return k;
        return repository_rotate(r,
                        &(RoleChange){.role = "targets", .add = (char *[]){public, NULL}, .threshold = 2},
                        &result, e);
}

static int do_sign(Scene *s, Error *e) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_strv_ char **roles = NULL;
        char keys[TEST_PATH_MAX];
        RepositoryOptions bob = s->options;
        int k;

        bob.keys = path_in(keys, s->scratch, "bob.keys");
        k = repository_open(&bob, &r, e);
        return k < 0 ? k : repository_sign(r, &roles, &result, e);
}

/* The other signs, and then the online key makes it known. */
static int do_sign_and_refresh(Scene *s, Error *e) {
        int k = do_sign(s, e);

        return k < 0 ? k : do_refresh(s, e);
}

/* In a process of its own. 0, KILLED or FAILED. */
static int run_killed_at(Scene *s, Verb verb, int n) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                _cleanup_error_ Error e = ERROR_INIT;
                int k;

                changes_left = n;
                k = verb(s, &e);
                if (k < 0)
                        (void) fprintf(stderr, "%s\n", error_message(&e, k));
                _exit(k < 0 ? FAILED : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void copy_tree(const char *from, const char *to) {
        _cleanup_free_ char *command = text_format("rm -rf '%s' && cp -a '%s' '%s'", to, from, to);

        assert_int_equal(system(command), 0);
}

static void assert_sound(Scene *s) {
        _cleanup_(repository_free_p) Repository *r = NULL;
        _cleanup_(audit_report_free_p) AuditReport *a = NULL;

        ok(repository_open(&s->options, &r, e));
        ok(repository_audit(r, 0, &a, e));
        for (size_t i = 0; i < a->n; i++)
                if (a->findings[i].class != ERROR_NONE)
                        fail_msg("%s: %s", a->findings[i].file, a->findings[i].text);
}

/* Old or new, by a host that comes new and by one that was there (a copy of it, since it is to be there again). */
static void assert_old_or_new(Scene *s, const Client *before, const char *old, const char *new) {
        _cleanup_client_ Client fresh = client_new(s->path), known = *before;
        Client *clients[] = {&fresh, &known};

        known.trusted = json_deep_copy(before->trusted);
        for (size_t i = 0; i < ELEMENTS_OF(clients); i++) {
                _cleanup_free_ char *version = client_channel(clients[i], "shop", "stable");

                assert_non_null(version);
                assert_true(streq(version, old) || streq(version, new));
        }
}

/* From what is in the repository: @verb, killed everywhere; then @again, which must bring the channel to @new. */
static void kill_everywhere_from_here(Scene *s, Verb verb, Verb again, const char *new) {
        char kept[TEST_PATH_MAX], kept_keys[TEST_PATH_MAX];
        int n = 0, k;

        copy_tree(s->path, path_in(kept, s->scratch, "kept"));
        copy_tree(s->keys, path_in(kept_keys, s->scratch, "kept.keys"));
        _cleanup_client_ Client before = client_new(s->path);
        assert_channel(&before, "shop", "stable", "1.0.0");
        do {
                copy_tree(kept, s->path);
                copy_tree(kept_keys, s->keys);
                k = run_killed_at(s, verb, n++);
                assert_int_not_equal(k, FAILED);
                assert_old_or_new(s, &before, "1.0.0", new);
                ok(again(s, e));
                assert_sound(s);
                _cleanup_client_ Client fresh = client_new(s->path);
                assert_channel(&fresh, "shop", "stable", new);
                assert_old_or_new(s, &before, new, new);
        } while (k == KILLED);
        assert_true(n > 5);
}

/* The same with one release in it. */
static void kill_everywhere(Scene *s, Verb verb, Verb again, const char *new) {
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        kill_everywhere_from_here(s, verb, again, new);
}

static void test_promote(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;

        init(s, &result);
        do_publish(s, "0.9.0", "zero", "stable");
        do_publish(s, "1.0.0", "one", "stable");
        kill_everywhere_from_here(s, do_promote, do_promote, "0.9.0");
}

static void test_ask_for_two(void **state) {
        kill_everywhere(*state, do_ask_for_two, do_ask_for_two, "1.0.0");
}

static void test_sign(void **state) {
        Scene *s = *state;
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;

        init(s, &result);
        do_publish(s, "1.0.0", "one", "stable");
        ok(do_ask_for_two(s, e));
        kill_everywhere_from_here(s, do_sign, do_sign_and_refresh, "1.0.0");
}

static void test_publish(void **state) {
        kill_everywhere(*state, do_publish_new, do_publish_new, "1.1.0");
}

static void test_refresh(void **state) {
        kill_everywhere(*state, do_refresh, do_publish_new, "1.1.0");
}

static void test_rotate_root(void **state) {
        kill_everywhere(*state, do_rotate_root, do_rotate_root, "1.0.0");
}

static void test_rotate_targets(void **state) {
        kill_everywhere(*state, do_rotate_targets, do_publish_new, "1.1.0");
}

static void test_rotate_online(void **state) {
        kill_everywhere(*state, do_rotate_online, do_publish_new, "1.1.0");
}

static void test_delegate(void **state) {
        kill_everywhere(*state, do_delegate, do_publish_new, "1.1.0");
}

static void test_init(void **state) {
        Scene *s = *state;
        int n = 0, k;

        do {
                assert_int_equal(fs_remove_tree(AT_FDCWD, s->path), 0);
                assert_int_equal(fs_remove_tree(AT_FDCWD, s->keys), 0);
                k = run_killed_at(s, do_init, n++);
                assert_int_not_equal(k, FAILED);
                if (k == KILLED) {
                        _cleanup_error_ Error e = ERROR_INIT;
                        int r = do_init(s, &e);

                        /* killed behind its last change but one, it was made */
                        if (r < 0 && r != -EEXIST)
                                fail_msg("%d: %s", n, error_message(&e, r));
                }
                do_publish(s, "1.0.0", "one", "stable");
                assert_sound(s);
        } while (k == KILLED);
        assert_true(n > 20);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_init, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_publish, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_promote, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_ask_for_two, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_sign, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_refresh, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_rotate_root, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_rotate_targets, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_rotate_online, scene_new, scene_free),
                        cmocka_unit_test_setup_teardown(test_delegate, scene_new, scene_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
