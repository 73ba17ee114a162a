/* argv → session → verb → exit code */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "base/text.h"
#include "cli/session.h"

typedef struct Main {
        Session session;
        Arguments arguments;
        Error error;
        Fiber *fiber; /* the verb's */
} Main;

/* The verb, in its fiber. */
static int run_verb(void *userdata) {
        Main *m = userdata;

        return m->arguments.verb->run(&m->session, &m->arguments, &m->error);
}

static void on_done(Fiber *f _unused_, void *userdata) {
        (void) sd_event_exit(userdata, 0);
}

/* Ctrl-C, a closing terminal, systemctl stop: the verb is asked to stop, and unwinds. */
static int on_signal(sd_event_source *s _unused_, const struct signalfd_siginfo *si, void *userdata) {
        Main *m = userdata;

        m->session.signal = (int) si->ssi_signo;
        fiber_cancel(m->fiber);
        return 0;
}

static int run_loop(Main *m) {
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(signals); i++) {
                r = sd_event_add_signal(
                                m->session.event, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK, on_signal, m);
                if (r < 0)
                        return r;
        }
        r = fiber_new(m->session.event, m->arguments.verb->name, run_verb, m, &m->fiber);
        if (r < 0)
                return r;
        fiber_on_done(m->fiber, on_done, m->session.event);
        r = sd_event_loop(m->session.event);
        if (r < 0)
                return r;
        r = fiber_result(m->fiber);
        m->fiber = fiber_free(m->fiber);
        return r;
}

static int parse_colour(const Arguments *a, ScreenColour *ret, Error *e) {
        const char *colour = arguments_option(a, "colour");

        if (!colour || streq(colour, "auto"))
                *ret = SCREEN_COLOUR_AUTO;
        else if (streq(colour, "always"))
                *ret = SCREEN_COLOUR_ALWAYS;
        else if (streq(colour, "never"))
                *ret = SCREEN_COLOUR_NEVER;
        else
                return error_set(e, ERROR_USAGE, -EINVAL, "--colour=%s: expected auto, always or never",
                                colour);
        return 0;
}

static int run(Main *m, int argc, char **argv) {
        ScreenColour colour = SCREEN_COLOUR_AUTO;
        int r;

        r = arguments_parse(argc, argv, &m->arguments, &m->error);
        if (r >= 0)
                r = parse_colour(&m->arguments, &colour, &m->error);
        if (r < 0)
                return r;
        if (!m->arguments.verb && arguments_flag(&m->arguments, "version")) {
                puts("releasemgr " RELEASEMGR_VERSION);
                return 0;
        }
        if (!m->arguments.verb || arguments_flag(&m->arguments, "help")) {
                verb_help(m->arguments.verb);
                return m->arguments.verb || arguments_flag(&m->arguments, "help") ? 0 : ERROR_USAGE;
        }
        m->session.root = arguments_option(&m->arguments, "root") ?: "";
        r = screen_new(colour, arguments_flag(&m->arguments, "json"), &m->session.screen);
        if (r >= 0)
                r = sd_event_default(&m->session.event);
        return r < 0 ? r : run_loop(m);
}

/* Where the caller closed one of the standard streams ("releasemgr activate >&-"), the next file opened would take its
 * number, and what is meant for the terminal could be written into a file of ours. What is written to a closed output fails
 * as if it were closed still. */
static int fill_standard_streams(Error *e) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 &&
                                fd_openat(AT_FDCWD, "/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) < 0)
                        return error_errno(e, -errno,
                                        "cannot open /dev/null"); /* not O_CLOEXEC: for children too */
        return 0;
}

/* Standard output did not take what was said. Where saying it was all that there was to do, the command failed; what was
 * done is done. Who closed the pipe knows it: then we end like everybody else. */
static int end_output(Main *m, int exit_code, bool pipe_kills) {
        const Verb *verb = m->arguments.verb;
        bool in_vain = !verb || verb->tells || arguments_flag(&m->arguments, "help");
        int r = screen_end(m->session.screen);

        if (r >= 0)
                return exit_code;
        if (r == -EPIPE && in_vain && pipe_kills) {
                (void) signal(SIGPIPE, SIG_DFL);
                (void) raise(SIGPIPE);
        }
        error_clear(&m->error);
        error_errno(&m->error, r, "cannot write to standard output");
        screen_error(NULL, &m->error, r);
        return exit_code == 0 && in_vain ? ERROR_FAILED : exit_code;
}

/* What helps with nearly every refusal that somebody meets who is not root. */
static void hint_at_root(Error *e, int r) {
        if ((r == -EACCES || r == -EPERM) && geteuid() != 0 && !e->hint)
                (void) error_hint(e, r, "run it as root");
}

int main(int argc, char **argv) {
        /* More than any help text: why the library could not make room in a full one, it does not say. */
        static char output[64 * KIB];
        bool pipe_kills;
        Main m = {0};
        int r;

        pipe_kills = signal(SIGPIPE, SIG_IGN) == SIG_DFL;
        (void) umask(0022);
        if (!isatty(STDOUT_FILENO))
                (void) setvbuf(stdout, output, _IOFBF, sizeof(output));
        r = fill_standard_streams(&m.error);
        if (r >= 0)
                r = run(&m, argc, argv);
        if (r < 0) {
                hint_at_root(&m.error, r);
                screen_error(m.session.screen, &m.error, r);
                r = m.error.class ?: ERROR_FAILED;
        }
        r = end_output(&m, r, pipe_kills);
        error_clear(&m.error);
        session_clear(&m.session);
        return r;
}
