#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "base/text.h"
#include "deploy/engine.h"

/*
 * A world on disk, so that it outlives the process that changes it: step N makes the files "N.a" and "N.b", its undo
 * removes them. With one of the two, the step happened in part. Every change of the world, and every moment that the
 * observer sees, is a point at which the process may be told to die.
 */

#define N_BEFORE 3
#define N_STEPS  5
#define JOURNAL  "journal"
#define DIED     77

typedef enum Trouble {
        NONE,
        FAILS,          /* in part, and says so */
        FAILS_CLEAN,    /* before it did anything */
        CANCELLED,      /* somebody asks for a stop while it waits */
        UNDO_FAILS,     /* fails; and its undo fails, @times times */
        UNDO_UNWELL,    /* fails; and what was before it does not work any more */
        UNDO_CANCELLED, /* fails; and its undo is asked to stop in its turn */
        AFTER_FAILS,    /* behind COMMIT, @times times */
        LIES_HAPPENED,
        LIES_TORN,     /* inspect says so, whatever happened */
        LATE_CANCEL,   /* somebody asks for a stop while the last step ends */
        OUTCOME_FAILS, /* what came of it cannot be written down */
} Trouble;

struct Deploy {
        char directory[64];
        int fd;
        Trouble trouble;
        int step; /* that it is with */
        int times;
        unsigned points, die_at;
        Text log;
        EngineOutcome outcome;
        unsigned outcomes_told;
};

static void point(Deploy *d) {
        if (++d->points == d->die_at)
                _exit(DIED);
}

static bool half_is_there(Deploy *d, int step, char half) {
        char name[16];

        (void) snprintf(name, sizeof(name), "%d.%c", step, half);
        return fs_exists(d->fd, name);
}

static void set_half(Deploy *d, int step, char half, bool there) {
        char name[16];

        (void) snprintf(name, sizeof(name), "%d.%c", step, half);
        point(d);
        if (there)
                fd_close(openat(d->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        else
                (void) unlinkat(d->fd, name, 0);
        point(d);
}

static bool is_troubled(Deploy *d, int step, Trouble t) {
        return d->trouble == t && d->step == step;
}

static int start(Deploy *d, int step, Error *e) {
        assert_int_equal(text_addf(&d->log, "+%d", step), 0);
        if (is_troubled(d, step, FAILS_CLEAN))
                return error_set(e, ERROR_REFUSED, -EPERM, "step %d will not", step);
        set_half(d, step, 'a', true);
        if (is_troubled(d, step, FAILS) || is_troubled(d, step, UNDO_FAILS) ||
                        is_troubled(d, step, UNDO_UNWELL) || is_troubled(d, step, UNDO_CANCELLED) ||
                        (is_troubled(d, step, AFTER_FAILS) && d->times-- > 0))
                return error_set(e, ERROR_FAILED, -EIO, "step %d broke", step);
        if (is_troubled(d, step, CANCELLED)) {
                fiber_cancel(fiber_current());
                return fiber_sleep(3600 * USEC_PER_SEC);
        }
        set_half(d, step, 'b', true);
        if (is_troubled(d, step, LATE_CANCEL))
                fiber_cancel(fiber_current());
        return 0;
}

static int undo(Deploy *d, int step, Error *e) {
        assert_int_equal(text_addf(&d->log, "-%d", step), 0);
        set_half(d, step, 'b', false);
        if (is_troubled(d, step, UNDO_FAILS) && d->times-- > 0)
                return error_set(e, ERROR_FAILED, -EROFS, "step %d stays", step);
        if (is_troubled(d, step, UNDO_CANCELLED) && d->times-- > 0) {
                fiber_cancel(fiber_current());
                return fiber_sleep(3600 * USEC_PER_SEC);
        }
        set_half(d, step, 'a', false);
        if (is_troubled(d, step, UNDO_UNWELL))
                return error_set(e, ERROR_FAILED, ENGINE_UNHEALTHY, "what was before %d is unwell", step);
        return 0;
}

static int inspect(Deploy *d, int step) {
        bool a = half_is_there(d, step, 'a'), b = half_is_there(d, step, 'b');

        point(d);
        if (d->trouble == LIES_HAPPENED)
                return 1;
        if (d->trouble == LIES_TORN || a != b)
                return -EUCLEAN;
        return a;
}

#define DEFINE_STEP(n)                                                                                       \
        static int start_##n(Deploy *d, Error *e) {                                                          \
                return start(d, n, e);                                                                       \
        }                                                                                                    \
        static int undo_##n(Deploy *d, Error *e) {                                                           \
                return undo(d, n, e);                                                                        \
        }                                                                                                    \
        static int inspect_##n(Deploy *d, Error *e _unused_) {                                               \
                return inspect(d, n);                                                                        \
        }                                                                                                    \
        static const StepType step_##n = {"step" #n, start_##n, n < N_BEFORE ? undo_##n : NULL, inspect_##n}

DEFINE_STEP(0);
DEFINE_STEP(1);
DEFINE_STEP(2);
DEFINE_STEP(3);
DEFINE_STEP(4);

static const StepTable table = {
                .before = (const StepType *const[]){&step_0, &step_1, &step_2, NULL},
                .after = (const StepType *const[]){&step_3, &step_4, NULL},
};

static void on_moment(EngineMoment moment, const StepType *step, unsigned number, unsigned of,
                const Error *error, void *userdata) {
        Deploy *d = userdata;

        assert_true(number >= 1 && number <= of && of == N_STEPS);
        assert_true(step || moment == MOMENT_COMMIT);
        if (moment == MOMENT_COMMIT)
                assert_int_equal(text_adds(&d->log, "!"), 0);
        if (moment == MOMENT_FAILED || moment == MOMENT_ABORT)
                assert_non_null(error->message);
        point(d);
}

static int on_outcome(const EngineOutcome *outcome _unused_, void *userdata) {
        Deploy *d = userdata;

        point(d);
        d->outcomes_told++;
        return d->trouble == OUTCOME_FAILS ? -ENOSPC : 0;
}

static int run_in_fiber(void *userdata) {
        _cleanup_(journal_free_p) Journal *j = NULL;
        _cleanup_json_ json_t *data = json_object();
        Deploy *d = userdata;
        const EngineObserver observer = {on_moment, d, on_outcome};

        assert_int_equal(journal_create(d->fd, JOURNAL, data, "step0", &j, NULL), 0);
        return engine_run(&table, j, d, &observer, &d->outcome);
}

static int recover_in_fiber(void *userdata) {
        _cleanup_(journal_free_p) Journal *j = NULL;
        Deploy *d = userdata;
        const EngineObserver observer = {on_moment, d, on_outcome};
        int r;

        r = journal_open(d->fd, JOURNAL, &j, NULL);
        if (r < 0 || journal_is_finished(j))
                return MIN_OF(r, 0);
        return engine_recover(&table, j, d, &observer, &d->outcome);
}

static void run(Deploy *d) {
        text_clear(&d->log);
        engine_outcome_clear(&d->outcome);
        assert_int_equal(fiber_run(run_in_fiber, d), 0);
}

static void recover(Deploy *d) {
        text_clear(&d->log);
        engine_outcome_clear(&d->outcome);
        assert_int_equal(fiber_run(recover_in_fiber, d), 0);
}

static bool journal_says(Deploy *d, RecordType type) {
        _cleanup_(journal_free_p) Journal *j = NULL;

        assert_int_equal(journal_open(d->fd, JOURNAL, &j, NULL), 0);
        return journal_has(j, type, NULL);
}

/* Old or new, never between: all steps happened, or none. */
static void check_world(Deploy *d, bool committed) {
        for (int i = 0; i < N_STEPS; i++) {
                assert_int_equal(half_is_there(d, i, 'a'), committed);
                assert_int_equal(half_is_there(d, i, 'b'), committed);
        }
        assert_int_equal(journal_says(d, RECORD_COMMIT), committed);
        assert_true(journal_says(d, RECORD_END));
        assert_false(journal_says(d, RECORD_COMMIT) && journal_says(d, RECORD_ABORT));
}

static int setup(void **state) {
        Deploy *d = calloc(1, sizeof(*d));

        /* in memory where we may: what a process leaves when it dies is there without a disk */
        (void) snprintf(d->directory, sizeof(d->directory), "%s/test-engine-XXXXXX",
                        access("/dev/shm", W_OK) >= 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(d->directory));
        d->fd = fs_open_directory(AT_FDCWD, d->directory);
        assert_true(d->fd >= 0);
        *state = d;
        return 0;
}

static int teardown(void **state) {
        Deploy *d = *state;

        fd_close(d->fd);
        assert_int_equal(fs_remove_tree(AT_FDCWD, d->directory), 0);
        engine_outcome_clear(&d->outcome);
        text_clear(&d->log);
        free(d);
        return 0;
}

/* The world as before the first deployment. */
static void reset(Deploy *d, Trouble trouble, int step, int times) {
        for (int i = 0; i < N_STEPS; i++) {
                set_half(d, i, 'a', false);
                set_half(d, i, 'b', false);
        }
        d->trouble = trouble;
        d->step = step;
        d->times = times;
        d->points = d->die_at = d->outcomes_told = 0;
}

static void test_commits(void **state) {
        Deploy *d = *state;

        run(d);
        assert_string_equal(d->log.data, "+0+1+2!+3+4");
        assert_int_equal(d->outcome.result, ENGINE_COMMITTED);
        assert_null(d->outcome.failed);
        assert_int_equal(d->outcomes_told, 1);
        check_world(d, true);
}

static void test_fails(void **state) {
        static const char *const logs[] = {"+0-0", "+0+1-1-0", "+0+1+2-2-1-0"};
        Deploy *d = *state;

        for (int i = 0; i < N_BEFORE; i++)
                for (Trouble t = FAILS; t <= FAILS_CLEAN; t++) {
                        reset(d, t, i, 0);
                        run(d);
                        assert_string_equal(d->log.data, logs[i]);
                        assert_int_equal(d->outcome.result, ENGINE_TAKEN_BACK);
                        assert_ptr_equal(d->outcome.failed, table.before[i]);
                        assert_true(d->outcome.at_fault == (t == FAILS));
                        assert_int_equal(d->outcome.number, t == FAILS ? -EIO : -EPERM);
                        assert_int_equal(d->outcome.cause.class, t == FAILS ? ERROR_FAILED : ERROR_REFUSED);
                        assert_null(d->outcome.fault.message);
                        check_world(d, false);
                }
}

static void test_cancelled(void **state) {
        Deploy *d = *state;

        for (int i = 0; i < N_BEFORE; i++) {
                reset(d, CANCELLED, i, 0);
                run(d);
                assert_int_equal(d->outcome.result, ENGINE_TAKEN_BACK);
                assert_int_equal(d->outcome.number, -ECANCELED);
                assert_false(d->outcome.at_fault);
                assert_string_equal(d->outcome.cause.message, "stopped on request");
                check_world(d, false);
        }
        reset(d, LATE_CANCEL, N_BEFORE - 1, 0); /* the last moment in which it is in time */
        run(d);
        assert_int_equal(d->outcome.result, ENGINE_TAKEN_BACK);
        assert_false(d->outcome.at_fault);
        check_world(d, false);
        reset(d, LATE_CANCEL, N_BEFORE, 0); /* and the first in which it is not */
        run(d);
        assert_int_equal(d->outcome.result, ENGINE_COMMITTED);
        check_world(d, true);
}

/* The way back does not end at a hindrance that passes, nor at another request to stop. */
static void test_undo_is_tried_again(void **state) {
        Deploy *d = *state;

        for (Trouble t = UNDO_FAILS; t <= UNDO_CANCELLED; t += UNDO_CANCELLED - UNDO_FAILS) {
                reset(d, t, 1, 2);
                run(d);
                assert_string_equal(d->log.data, "+0+1-1-1-1-0");
                assert_int_equal(d->outcome.result, ENGINE_TAKEN_BACK);
                assert_string_equal(d->outcome.cause.message, "step 1 broke");
                assert_null(d->outcome.fault.message);
                check_world(d, false);
        }
}

/* What stands below a step that cannot be undone is left, because it may rest on it. Recover goes on. */
static void test_stuck(void **state) {
        Deploy *d = *state;

        reset(d, UNDO_FAILS, 1, 6);
        run(d);
        assert_string_equal(d->log.data, "+0+1-1-1-1-1");
        assert_int_equal(d->outcome.result, ENGINE_STUCK);
        assert_string_equal(d->outcome.fault.message, "step 1 stays");
        assert_true(half_is_there(d, 0, 'a') && half_is_there(d, 0, 'b'));
        assert_false(journal_says(d, RECORD_END));

        recover(d);
        assert_string_equal(d->log.data, "-1-1-1-0");
        assert_int_equal(d->outcome.result, ENGINE_TAKEN_BACK);
        assert_ptr_equal(d->outcome.failed, &step_1);
        assert_string_equal(d->outcome.cause.message, "step 1 broke"); /* not "interrupted" */
        assert_true(d->outcome.at_fault);
        check_world(d, false);
}

static void test_back_broken(void **state) {
        Deploy *d = *state;

        reset(d, UNDO_UNWELL, 1, 0);
        run(d);
        assert_string_equal(d->log.data, "+0+1-1-0");
        assert_int_equal(d->outcome.result, ENGINE_BACK_BROKEN);
        assert_string_equal(d->outcome.cause.message, "step 1 broke");
        assert_string_equal(d->outcome.fault.message, "what was before 1 is unwell");
        check_world(d, false);
}

static void test_after_commit_is_repeated(void **state) {
        Deploy *d = *state;

        reset(d, AFTER_FAILS, 3, 3);
        run(d);
        assert_string_equal(d->log.data, "+0+1+2!+3+3+3+3+4");
        assert_int_equal(d->outcome.result, ENGINE_COMMITTED);
        check_world(d, true);

        reset(d, AFTER_FAILS, 3, 5);
        run(d);
        assert_int_equal(d->outcome.result, ENGINE_UNFINISHED);
        assert_null(d->outcome.failed);
        assert_string_equal(d->outcome.fault.message, "step 3 broke");
        assert_false(journal_says(d, RECORD_END));
        recover(d);
        assert_string_equal(d->log.data, "+3+3+4");
        assert_int_equal(d->outcome.result, ENGINE_COMMITTED);
        check_world(d, true);
}

/* While nobody could write down what came of it, the journal stays open and recover says it again. */
static void test_outcome_is_not_lost(void **state) {
        Deploy *d = *state;

        reset(d, OUTCOME_FAILS, 0, 0);
        run(d);
        assert_int_equal(d->outcome.result, ENGINE_COMMITTED);
        assert_false(journal_says(d, RECORD_END));
        d->trouble = NONE;
        recover(d);
        assert_int_equal(d->outcome.result, ENGINE_COMMITTED);
        assert_int_equal(d->outcomes_told, 2);
        check_world(d, true);
}

/* Runs @entry in a child that dies at point @die_at. False where it came to its end before. */
static bool dies(Deploy *d, FiberEntry entry, unsigned die_at) {
        int status;
        pid_t pid;

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                d->points = 0;
                d->die_at = die_at;
                _exit(fiber_run(entry, d) < 0 ? 1 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DIED);
        return WEXITSTATUS(status) == DIED;
}

/* What recovery makes of it: which way the journal pointed decides, and the world is whole. */
static void recover_and_check(Deploy *d) {
        bool committed = journal_says(d, RECORD_COMMIT), finished = journal_says(d, RECORD_END);

        d->points = d->die_at = d->outcomes_told = 0;
        if (d->trouble == AFTER_FAILS)
                d->times = 0;
        recover(d);
        check_world(d, committed);
        if (finished) /* then the outcome was told before */
                return;
        assert_int_equal(d->outcomes_told, 1);
        assert_int_equal(d->outcome.result, committed ? ENGINE_COMMITTED : ENGINE_TAKEN_BACK);
        if (!committed) {
                assert_non_null(d->outcome.failed);
                assert_non_null(d->outcome.cause.message);
        }
}

/* Dies at every point of a deployment, and at every point of the recovery from that, and recovers. */
static unsigned die_everywhere(Deploy *d, Trouble trouble, int step, int times) {
        unsigned tried = 0;
        bool more = true;

        for (unsigned n = 1; more; n++) {
                reset(d, trouble, step, times);
                more = dies(d, run_in_fiber, n);
                recover_and_check(d);
                tried++;
        }
        more = true;
        for (unsigned n = 1; more; n++) {
                more = false;
                for (unsigned m = 1;; m++) {
                        reset(d, trouble, step, times);
                        if (!dies(d, run_in_fiber, n))
                                break;
                        more = true;
                        if (!dies(d, recover_in_fiber, m))
                                break;
                        recover_and_check(d);
                        tried++;
                }
        }
        return tried;
}

static void test_dies_everywhere(void **state) {
        Deploy *d = *state;
        unsigned tried = 0;

        tried += die_everywhere(d, NONE, 0, 0);
        for (int i = 0; i < N_BEFORE; i++) {
                tried += die_everywhere(d, FAILS, i, 0);
                tried += die_everywhere(d, FAILS_CLEAN, i, 0);
        }
        tried += die_everywhere(d, CANCELLED, 1, 0);
        tried += die_everywhere(d, LIES_HAPPENED, 0, 0);
        tried += die_everywhere(d, LIES_TORN, 0, 0);
        print_message("# died at %u points\n", tried);
        assert_true(tried > 1000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_commits, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_fails, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_cancelled, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_undo_is_tried_again, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_stuck, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_back_broken, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_after_commit_is_repeated, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_outcome_is_not_lost, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_dies_everywhere, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
