/*
 * A deployment in small: the engine, the journal, the ledger and the history on real files, without a host
 *
 *     releasemgr run|recover DIR [fail]
 *
 * Its steps write DIR/file and point DIR/current at "new"; "fail" lets the one before COMMIT fail. Prints what came of it.
 * It bears the program's name, so that the fault shim takes it for it.
 */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "deploy/engine.h"
#include "deploy/history.h"
#include "deploy/ledger.h"

#define JOURNAL "journal"

struct Deploy {
        int fd;
        bool recover;
        bool fail;
        const char *verdict;
};

static int write_version(Deploy *d, const char *version, Error *e) {
        int r = fs_write_file_atomic(d->fd, "file", version, strlen(version), 0644);

        return r < 0 ? error_errno(e, r, "cannot write file") : 0;
}

static int file_start(Deploy *d, Error *e) {
        return write_version(d, "new", e);
}

static int file_undo(Deploy *d, Error *e) {
        return write_version(d, "old", e);
}

static int file_inspect(Deploy *d, Error *e _unused_) {
        _cleanup_free_ char *text = NULL;
        int r = fs_read_file(d->fd, "file", KIB, &text, NULL);

        return r < 0 ? r : streq(text, "new");
}

static int point_to(Deploy *d, const char *version, Error *e) {
        int r = fs_symlink_atomic(d->fd, version, "current");

        return r < 0 ? error_errno(e, r, "cannot switch") : 0;
}

static int switch_start(Deploy *d, Error *e) {
        return point_to(d, "new", e);
}

static int switch_undo(Deploy *d, Error *e) {
        return point_to(d, "old", e);
}

static int prove_start(Deploy *d, Error *e) {
        return d->fail ? error_set(e, ERROR_FAILED, -EIO, "it is not well") : 0;
}

static int prove_undo(Deploy *d _unused_, Error *e _unused_) {
        return 0;
}

static int finish_start(Deploy *d, Error *e) {
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        int r = ledger_load(d->fd, &l, e);

        return r < 0 ? r : ledger_prove(l, "new", 0, e);
}

static const StepType step_file = {"file", file_start, file_undo, file_inspect};
static const StepType step_switch = {"switch", switch_start, switch_undo, NULL};
static const StepType step_prove = {"prove", prove_start, prove_undo, NULL};
static const StepType step_finish = {"finish", finish_start, NULL, NULL};

static const StepTable table = {
                .before = (const StepType *const[]){&step_file, &step_switch, &step_prove, NULL},
                .after = (const StepType *const[]){&step_finish, NULL},
};

static void on_moment(EngineMoment moment _unused_, const StepType *step _unused_, unsigned number _unused_,
                unsigned of _unused_, const Error *error _unused_, void *userdata _unused_) {
}

static int on_outcome(const EngineOutcome *outcome, void *userdata) {
        static const char *const names[] = {"committed", "unfinished", "taken-back", "back-broken", "stuck"};
        _cleanup_json_ json_t *entry = NULL;
        Deploy *d = userdata;

        d->verdict = names[outcome->result];
        entry = json_pack("{ss ss}", "id", "the-deployment", "verdict", d->verdict);
        return history_append(d->fd, entry, NULL);
}

static int work(void *userdata) {
        _cleanup_(engine_outcome_clear) EngineOutcome outcome = {0};
        _cleanup_(journal_free_p) Journal *j = NULL;
        _cleanup_json_ json_t *begin = json_object();
        Deploy *d = userdata;
        const EngineObserver observer = {on_moment, d, on_outcome};
        int r;

        if (!d->recover)
                r = journal_create(d->fd, JOURNAL, begin, "file", &j, NULL);
        else {
                r = journal_open(d->fd, JOURNAL, &j, NULL);
                if (r == -ENOENT || (r >= 0 && journal_is_finished(j))) {
                        d->verdict = "nothing";
                        return 0;
                }
        }
        if (r < 0)
                return r;
        return d->recover ? engine_recover(&table, j, d, &observer, &outcome)
                          : engine_run(&table, j, d, &observer, &outcome);
}

int main(int argc, char **argv) {
        Deploy d = {.fail = argc > 3};
        int r;

        if (argc < 3)
                return 2;
        d.recover = streq(argv[1], "recover");
        d.fd = fs_open_directory(AT_FDCWD, argv[2]);
        r = d.fd < 0 ? d.fd : fiber_run(work, &d);
        fd_close(d.fd);
        puts(r < 0 ? strerror(-r) : d.verdict);
        return r < 0;
}
