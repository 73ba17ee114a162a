#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/text.h"
#include "host/process.h"

/* A directory with releases/1, releases/12 and current -> releases/1. */
static int make_releases(void **state) {
        char *directory = strdup("/tmp/releasemgr-process-XXXXXX");

        assert_non_null(mkdtemp(directory));
        assert_int_equal(chdir(directory), 0);
        assert_int_equal(mkdir("releases", 0755), 0);
        assert_int_equal(mkdir("releases/1", 0755), 0);
        assert_int_equal(mkdir("releases/1/bin", 0755), 0);
        assert_int_equal(mkdir("releases/12", 0755), 0);
        assert_int_equal(symlink("releases/1", "current"), 0);
        *state = directory;
        return 0;
}

static int remove_releases(void **state) {
        assert_int_equal(chdir("/"), 0);
        assert_int_equal(fs_remove_tree(AT_FDCWD, *state), 0);
        free(*state);
        return 0;
}

static void run_sleep(const char *cwd, const char *exe) {
        if (chdir(cwd) == 0)
                (void) execl(exe, "sleep", "60", (char *) NULL);
        _exit(127);
}

/* Runs sleep(1) from @exe in @cwd until its exec is over. */
static pid_t start(const char *cwd, const char *exe) {
        char path[64], *target = NULL;
        pid_t pid = fork();

        if (pid == 0)
                run_sleep(cwd, exe);
        assert_true(pid > 0);
        (void) snprintf(path, sizeof(path), "/proc/%d/exe", pid);
        for (int i = 0; i < 1000 && !(target && endswith(target, "sleep")); i++) {
                free(target);
                (void) usleep(1000);
                assert_int_equal(fs_readlink(AT_FDCWD, path, &target), 0);
        }
        assert_true(endswith(target, "sleep"));
        free(target);
        return pid;
}

static void stop(pid_t pid) {
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
}

static bool proves(pid_t pid, const char *directory, ProveProcess how, const char *by) {
        _cleanup_(process_proof_clear) ProcessProof p = {0};

        assert_int_equal(process_prove(pid, directory, how, &p), 0);
        assert_int_equal(p.proven, p.by != NULL);
        if (p.proven && by)
                assert_string_equal(p.by, by);
        return p.proven;
}

static void test_cwd(void **state _unused_) {
        pid_t pid = start("current", "/bin/sleep"); /* entered through the link, as WorkingDirectory= does */

        assert_true(proves(pid, "releases/1", PROVE_AUTO, "cwd"));
        assert_true(proves(pid, "current", PROVE_CWD, "cwd"));
        assert_false(proves(pid, "releases/1", PROVE_EXE, NULL));
        assert_false(proves(pid, "releases/12", PROVE_AUTO, NULL));
        /* the link moves on, the process does not */
        assert_int_equal(unlink("current"), 0);
        assert_int_equal(symlink("releases/12", "current"), 0);
        assert_false(proves(pid, "current", PROVE_AUTO, NULL));
        stop(pid);
}

static void test_neighbour_prefix(void **state _unused_) {
        pid_t pid = start("releases/12", "/bin/sleep");

        assert_false(proves(
                        pid, "releases/1", PROVE_AUTO, NULL)); /* .../1 is a prefix of .../12 as text alone */
        assert_true(proves(pid, "releases/12", PROVE_AUTO, "cwd"));
        stop(pid);
}

static void test_exe(void **state) {
        _cleanup_free_ char *copy = text_format("%s/releases/1/bin/sleep", (char *) *state), *text = NULL;
        size_t size;
        pid_t pid;

        assert_int_equal(fs_read_file(AT_FDCWD, "/bin/sleep", 64 * MIB, &text, &size), 0);
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, copy, text, size, 0755), 0);
        pid = start("/", copy);
        assert_true(proves(pid, "releases/1", PROVE_AUTO, "exe"));
        assert_true(proves(pid, "releases/1", PROVE_EXE, "exe"));
        assert_false(proves(pid, "releases/1", PROVE_CWD, NULL));
        /* a file that was deleted, or replaced, is not the release's */
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, copy, text, size, 0755), 0);
        assert_false(proves(pid, "releases/1", PROVE_AUTO, NULL));
        stop(pid);
}

static void test_nobody(void **state _unused_) {
        ProcessProof p = {0};
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        (void) waitpid(pid, NULL, 0);
        assert_int_equal(process_prove(pid, "releases/1", PROVE_AUTO, &p), -ESRCH);
        assert_int_equal(process_prove(1, "releases/none", PROVE_AUTO, &p), -ENOENT);
}

static void test_names(void **state _unused_) {
        ProveProcess how;

        static const char *const wrong[] = {"sometimes", "", "off", "off  ", "offline", "auto why"};
        const char *why;

        assert_int_equal(prove_process_from_string("auto", &how, NULL), 0);
        assert_int_equal(how, PROVE_AUTO);
        assert_int_equal(prove_process_from_string("cwd", &how, &why), 0);
        assert_int_equal(how, PROVE_CWD);
        assert_null(why);
        assert_int_equal(prove_process_from_string("off  it is a container", &how, &why), 0);
        assert_int_equal(how, PROVE_OFF);
        assert_string_equal(why, "it is a container");
        for (size_t i = 0; i < ELEMENTS_OF(wrong); i++)
                assert_int_equal(prove_process_from_string(wrong[i], &how, &why), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_cwd, make_releases, remove_releases),
                        cmocka_unit_test_setup_teardown(
                                        test_neighbour_prefix, make_releases, remove_releases),
                        cmocka_unit_test_setup_teardown(test_exe, make_releases, remove_releases),
                        cmocka_unit_test_setup_teardown(test_nobody, make_releases, remove_releases),
                        cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
