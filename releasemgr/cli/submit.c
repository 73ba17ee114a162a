#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/text.h"
#include "cli/environment.h"
#include "cli/follow.h"
#include "cli/submit.h"
#include "deploy/history.h"
#include "deploy/ledger.h"
#include "deploy/lock.h"
#include "host/transient.h"

#define START_TIMEOUT (30 * USEC_PER_SEC)
/* What undoing may take before systemd loses its patience; recovery comes after that. */
#define STOP_TIMEOUT (5 * 60 * USEC_PER_SEC)
/* Lines of a deployment that ended without a word, with those of systemd about it, which may stand between. */
#define LAST_WORDS 20
/* How often the unit is looked at where this is all that can be seen. */
#define LOOK_USEC USEC_PER_SEC

typedef struct Following {
        Session *session;
        App *app;
        char *id;
        char *unit;
        int fd, watch; /* the progress, and what tells that more came */
        Error unseen;  /* why it cannot be seen any more */
        bool may_stop; /* Ctrl-C stops what this command began, not what it looks at */
        bool asked_to_stop;
        bool blind; /* the progress cannot be read any more */
} Following;

static void following_clear(Following *f) {
        free(f->id);
        free(f->unit);
        error_clear(&f->unseen);
        f->fd = fd_close(f->fd);
        f->watch = fd_close(f->watch);
}

static int following_init(Following *f, Session *s, App *app, const char *id) {
        *f = (Following){.session = s, .app = app, .fd = -1, .watch = -1};
        f->id = strdup(id);
        f->unit = text_format("releasemgr-%s-%s.service", app->config->app, id);
        return f->id && f->unit ? 0 : -ENOMEM;
}

/* All that following needs: what cannot be followed is not begun. */
static int open_progress(Following *f, int flags, Error *e) {
        _cleanup_free_ char *file = progress_file(f->id);
        int r;

        if (!file)
                return -ENOMEM;
        f->fd = fd_openat(f->app->deploy.run_fd, file, flags | O_RDONLY | O_CLOEXEC, 0644);
        if (f->fd < 0)
                return error_errno(e, -errno, "cannot open the progress of deployment %s", f->id);
        r = f->watch = follow_watch(f->fd);
        return r < 0 ? error_errno(e, r, "cannot watch the progress of deployment %s", f->id) : 0;
}

/* Whether the unit still runs, or what comes after its end does. */
static int is_alive(void *userdata) {
        Following *f = userdata;
        UnitState state;
        int r;

        r = unit_read(f->app->deploy.bus, f->unit, &state, &f->unseen);
        if (r < 0)
                return r;
        return !streq(state.active_state, "inactive") && !streq(state.active_state, "failed");
}

static void show_note(const Following *f, const char *text) {
        _cleanup_json_ json_t *note =
                        json_pack("{ss sI ss*}", "event", "note", "at", (json_int_t) 0, "text", text);

        if (note)
                screen_event(note, f->session->screen);
}

/* Follows the events to the end; where they cannot be read any more the unit still tells when it comes, and the history what
 * came of it. As follow_events(). */
static int look(Following *f) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (!f->blind) {
                r = follow_events(f->session->screen, f->id, f->fd, f->watch, f->may_stop, is_alive, f);
                if (r >= 0 || r == -ECANCELED || r == -EPIPE || f->unseen.message)
                        return r;
                f->blind = true;
                text = text_format("its progress cannot be read any more: %s; waiting for its end",
                                strerror(-r));
                show_note(f, text);
        }
        for (r = 1; r > 0;) {
                r = fiber_sleep(LOOK_USEC);
                if (r >= 0)
                        r = is_alive(f);
        }
        return r < 0 ? r : -EPIPE;
}

static int lose_sight(Following *f, int r, Error *e) {
        if (r == -ECANCELED)
                return r;
        error_set(e, ERROR_FAILED, r, "deployment %s was begun, and cannot be followed: %s", f->id,
                        error_message(&f->unseen, r));
        return error_hint(e, r, "releasemgr status says what became of it");
}

/* What the unit's processes said in the system's journal. */
static void show_last_words(const Following *f) {
        _cleanup_strv_ char **lines = NULL;

        if (unit_tail_by_name(f->unit, LAST_WORDS, &lines) < 0)
                return;
        for (char **i = lines; i && *i; i++)
                show_note(f, *i);
}

/* It ended, and its progress does not say how: it was killed, or could not write there. The history may know. */
static int find_end(Following *f, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        _cleanup_json_ json_t *entry = NULL;
        int r;

        r = history_find(f->app->deploy.state_fd, f->id, &entry, &error);
        if (r >= 0 && json_object_set_new(entry, "event", json_string("end")) >= 0) {
                screen_event(entry, f->session->screen);
                return (int) json_get_integer(entry, "exit", ERROR_FAILED);
        }
        if (r < 0 && r != -ENOENT) {
                error_set(e, ERROR_FAILED, r, "deployment %s ended, and how cannot be seen: %s", f->id,
                                error_message(&error, r));
                return error_hint(e, r, "releasemgr status says what runs");
        }
        show_last_words(f);
        error_set(e, ERROR_FAILED, -EPIPE, "deployment %s ended without a word, and is not in the history",
                        f->id);
        return error_hint(e, -EPIPE, "journalctl -u %s; releasemgr recover makes sure that nothing is left",
                        f->unit);
}

static int detach(Following *f, Error *e) {
        error_set(e, ERROR_FAILED, -EINTR, "deployment %s goes on without this terminal", f->id);
        return error_hint(e, -EINTR, "releasemgr status follows it again");
}

/* The first Ctrl-C: a clean stop, if it is not too late. */
static int ask_to_stop(Following *f, Error *e) {
        f->asked_to_stop = true;
        if (!screen_is_json(f->session->screen))
                fputs("\nasked it to stop; Ctrl-C again lets it go on without this terminal\n", stderr);
        return unit_kill(f->app->deploy.bus, f->unit, "main", SIGINT, e);
}

static int follow(Following *f, Error *e) {
        int r;

        for (;;) {
                r = look(f);
                if (r != -ECANCELED)
                        break;
                if (f->session->signal != SIGINT || !f->may_stop || f->asked_to_stop)
                        return detach(f, e);
                r = ask_to_stop(f, e);
                if (r < 0) /* the second one may come before systemd answers */
                        return r == -ECANCELED ? detach(f, e) : r;
        }
        if (r == -EPIPE)
                r = find_end(f, e);
        else if (r < 0)
                r = lose_sight(f, r, e);
        if (r == 0 && f->asked_to_stop && !screen_is_json(f->session->screen))
                fputs("it was past the point of no return when it was asked to stop\n", stderr);
        return r;
}

/* The command line of the process that does the work. */
static int worker_argv(const Following *f, const Arguments *a, const DeployRequest *request, char ***ret) {
        const char *wait = arguments_option(a, "wait");
        _cleanup_free_ char *exe = NULL, *app = NULL, *id = NULL, *by = NULL, *span = NULL;
        _cleanup_strv_ char **argv = NULL;
        int r;

        r = fs_readlink(AT_FDCWD, "/proc/self/exe", &exe);
        if (r < 0)
                return r;
        app = text_format("--app=%s", f->app->config->app);
        id = text_format("--id=%s", f->id);
        by = text_format("--by=%s", f->app->user);
        span = wait ? text_format("--wait=%s", wait) : NULL;
        if (!app || !id || !by || (wait && !span))
                return -ENOMEM;
        const char *const words[] = {exe, app, "run", id, by, span ?: "--wait=0",
                        request->verify ? "--verify" : "--colour=never", "--", plan_goal_name(request->goal),
                        request->version};

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(words) && words[i]; i++)
                r = strv_add(&argv, words[i]);
        if (r < 0)
                return r;
        *ret = TAKE(argv);
        return 0;
}

/* What runs after the worker, however it ended: with nothing to do it returns at once. */
static int recover_argv(char *const *worker, char ***ret) {
        const char *const words[] = {worker[0], worker[1], "recover"};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(words); i++)
                r = strv_add(ret, words[i]);
        return r;
}

static int start(Following *f, const Arguments *a, const DeployRequest *request, Error *e) {
        _cleanup_strv_ char **argv = NULL, **after = NULL;
        _cleanup_free_ char *description = NULL, *environment = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        r = worker_argv(f, a, request, &argv);
        if (r >= 0)
                r = recover_argv(argv, &after);
        if (r >= 0)
                r = environment_pass_on(environ, &fd, &environment, e);
        if (r < 0)
                return r;
        description = text_format("%s: %s%s%s", f->app->config->app, plan_goal_name(request->goal),
                        request->version ? " " : "", request->version ?: "");
        if (!description)
                return -ENOMEM;
        return transient_start(f->app->deploy.bus,
                        &(TransientSpec){
                                        .unit = f->unit,
                                        .description = description,
                                        .argv = argv,
                                        .after = after,
                                        .environment_file = environment,
                                        .identifier = "releasemgr",
                                        .stop_timeout_usec = STOP_TIMEOUT,
                        },
                        clock_monotonic() + START_TIMEOUT, NULL, e);
}

/* The deployment under way where it does what @request asks for: its id, owned by the caller. */
static int find_same(const App *app, const DeployRequest *request, char **ret, Error *e) {
        _cleanup_json_ json_t *holder = NULL;
        const char *id;
        int r;

        r = lock_holder(app->deploy.run_fd, &holder, e);
        if (r < 0)
                return r;
        id = json_get_string(holder, "id");
        if (!id || !streq_ptr(json_get_string(holder, "verb"), plan_goal_name(request->goal)) ||
                        !streq_ptr(json_get_string(holder, "version"), request->version))
                return 0;
        *ret = strdup(id);
        return *ret ? 1 : -ENOMEM;
}

/* A rollback cuts a soak short: the release that is watched is taken back as if it had turned bad, and the timer must not
 * bring it again. 1 where this was all, with the exit code; 0 where there is more to do. */
static int cut_soak_short(Session *s, App *app, const DeployRequest *request, int *ret_exit, Error *e) {
        _cleanup_(following_clear) Following f = {.fd = -1, .watch = -1};
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_json_ json_t *holder = NULL;
        const char *stage, *id;
        int r;

        r = lock_holder(app->deploy.run_fd, &holder, e);
        if (r < 0)
                return r;
        id = json_get_string(holder, "id");
        stage = json_get_string(holder, "stage");
        if (request->goal != GOAL_ROLLBACK || !id || !stage || !startswith(stage, DEPLOY_SOAK_STAGE))
                return 0;
        r = following_init(&f, s, app, id);
        if (r >= 0)
                r = open_progress(&f, 0, e);
        if (r >= 0)
                r = unit_kill(app->deploy.bus, f.unit, "main", SIGINT, e);
        if (r >= 0)
                r = follow(&f, e);
        if (r <= 0) /* an error; or the soak had just ended: then an ordinary rollback does it */
                return r;
        *ret_exit = r;
        if (r != ERROR_TAKEN_BACK)
                return 1;
        *ret_exit = 0;
        r = ledger_load(app->deploy.state_fd, &ledger, e);
        if (r >= 0)
                r = ledger_hold(ledger, app->user, "rolled back by hand", clock_now(), e);
        return r < 0 ? r : !request->version;
}

/* A worker that ends at once (it was refused, or another holds the lock) may end before systemd calls it started. What it
 * said then is the truth, and not that its start failed, which @e holds as @r. */
static int follow_the_ended(Following *f, int r, Error *e) {
        int exit_code = follow_events(f->session->screen, f->id, f->fd, f->watch, f->may_stop, is_alive, f);

        if (exit_code < 0 && exit_code != -EPIPE)
                return error_hint(e, r, "releasemgr status says whether it runs all the same");
        if (exit_code < 0) {
                show_last_words(f);
                return error_hint(e, r, "journalctl -u %s says more", f->unit);
        }
        error_clear(e);
        return exit_code;
}

int submit_run(Session *s, const Arguments *a, App *app, const DeployRequest *request, Error *e) {
        _cleanup_(following_clear) Following f = {.fd = -1, .watch = -1};
        _cleanup_free_ char *same = NULL;
        char id[ID_TEXT_MAX];
        int exit_code = 0, r;

        r = cut_soak_short(s, app, request, &exit_code, e);
        if (r != 0)
                return r < 0 ? r : exit_code;
        r = find_same(app, request, &same, e);
        if (r < 0)
                return r;
        r = following_init(&f, s, app, same ?: id_new(clock_now(), id));
        if (r >= 0)
                r = open_progress(&f, same ? 0 : O_CREAT | O_EXCL, e);
        if (r < 0)
                return r;
        f.may_stop = true;
        r = same ? 0 : start(&f, a, request, e);
        if (r == -ECANCELED) {
                error_set(e, ERROR_FAILED, r, "stopped while deployment %s was handed to systemd", f.id);
                return error_hint(e, r, "releasemgr status says whether it runs");
        }
        if (r < 0)
                return follow_the_ended(&f, r, e);
        return follow(&f, e);
}

int submit_attach(Session *s, App *app, Error *e) {
        _cleanup_(following_clear) Following f = {.fd = -1, .watch = -1};
        _cleanup_json_ json_t *holder = NULL;
        const char *id;
        int r;

        r = lock_holder(app->deploy.run_fd, &holder, e);
        if (r < 0)
                return r;
        id = json_get_string(holder, "id");
        if (!id || following_init(&f, s, app, id) < 0 || open_progress(&f, 0, NULL) < 0)
                return 0; /* none, or one that ran in the foreground of somebody else */
        return follow(&f, e);
}
