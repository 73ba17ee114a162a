#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/failure.h"
#include "cli/screen.h"

#define RED    "\x1b[31m"
#define GREEN  "\x1b[32m"
#define YELLOW "\x1b[33m"
#define BOLD   "\x1b[1m"
#define FAINT  "\x1b[2m"
#define PLAIN  "\x1b[0m"

#define BAR_WIDTH   24
#define STAGE_WIDTH 9

struct Screen {
        bool json;
        bool colour;
        bool live;       /* one line may be written over again */
        bool live_shown; /* and there is one now */
        int lost;        /* why standard output did not take all of it, the first time: -errno; 0: it did */
};

static void flush(Screen *s) {
        if (fflush(stdout) != 0 && s->lost == 0)
                s->lost = -errno;
}

int screen_new(ScreenColour colour, bool json, Screen **ret) {
        const char *term = getenv("TERM");
        bool terminal = isatty(STDOUT_FILENO) && term && !streq(term, "dumb");
        Screen *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->json = json;
        s->live = terminal && !json;
        s->colour = !json && (colour == SCREEN_COLOUR_ALWAYS || (colour == SCREEN_COLOUR_AUTO && terminal &&
                                                                                isempty(getenv("NO_COLOR"))));
        *ret = s;
        return 0;
}

Screen *screen_free(Screen *s) {
        free(s);
        return NULL;
}

bool screen_is_json(const Screen *s) {
        return s->json;
}

bool screen_has_colour(const Screen *s) {
        return s->colour;
}

int screen_end(Screen *s) {
        int lost = fflush(stdout) != 0 ? -errno : 0;

        if (s && s->lost < 0)
                lost = s->lost;
        return lost ?: ferror(stdout) ? -EIO : 0;
}

void screen_json(Screen *s, const json_t *value) {
        (void) json_dumpf(value, stdout, JSON_COMPACT);
        (void) putchar('\n');
        flush(s);
}

static const char *paint(const Screen *s, const char *colour) {
        return s->colour ? colour : "";
}

static void erase_live(Screen *s) {
        if (s->live_shown)
                (void) fputs("\r\x1b[K", stdout);
        s->live_shown = false;
}

/* "[ 5.2s +2.1s] ": since the beginning, and of the stage, where the event is of one. */
static void print_clocks(const Screen *s, const json_t *event) {
        int64_t at = json_get_integer(event, "at", 0), took = json_get_integer(event, "took", -1);

        if (!json_get_string(event, "stage"))
                took = -1;

        printf("%s[%5.1fs", paint(s, FAINT), (double) at / USEC_PER_SEC);
        if (took >= 0)
                printf(" +%.1fs]%s ", (double) took / USEC_PER_SEC, paint(s, PLAIN));
        else
                printf("      ]%s ", paint(s, PLAIN));
}

static void print_stage(const Screen *s, const json_t *event, const char *colour) {
        int of = (int) json_get_integer(event, "of", 0);

        print_clocks(s, event);
        if (of > 0) /* before the plan is made nobody knows */
                printf("%d/%d ", (int) json_get_integer(event, "n", 0), of);
        printf("%s%-*s%s ", paint(s, colour), STAGE_WIDTH, json_get_string(event, "stage") ?: "",
                        paint(s, PLAIN));
}

static void print_line(const Screen *s, const json_t *event, const char *colour, const char *lead) {
        print_clocks(s, event);
        printf("%s%s%s%s\n", paint(s, colour), lead, json_get_string(event, "text") ?: "", paint(s, PLAIN));
}

static void print_begin(const Screen *s, const json_t *event) {
        const char *from = json_get_string(event, "from"), *version = json_get_string(event, "version");

        printf("%s%s %s%s%s%s  deployment %s\n", paint(s, BOLD), json_get_string(event, "verb") ?: "",
                        version ?: "", paint(s, PLAIN), from ? ", from " : "", from ?: "",
                        json_get_string(event, "id") ?: "");
}

static void print_bytes(Screen *s, const json_t *event) {
        int64_t done = json_get_integer(event, "done", 0), total = json_get_integer(event, "total", 0);
        int filled = total > 0 ? (int) (done * BAR_WIDTH / total) : 0;
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];

        if (!s->live)
                return;
        erase_live(s);
        print_clocks(s, event);
        printf("    %-*s [", STAGE_WIDTH, json_get_string(event, "stage") ?: "");
        for (int i = 0; i < BAR_WIDTH; i++)
                (void) putchar(i < filled ? '#' : '.');
        printf("] %s of %s", size_to_text(done, a), size_to_text(total, b));
        s->live_shown = true;
}

static void print_end(const Screen *s, const json_t *event) {
        int exit_code = (int) json_get_integer(event, "exit", 0);
        const char *hint = json_get_string(event, "hint");

        print_line(s, event, exit_code == 0 ? GREEN : RED, "");
        failure_print(event, false);
        print_pair("next", hint);
}

static void print_error(Screen *s, const json_t *event) {
        const char *hint = json_get_string(event, "hint");

        flush(s);
        fprintf(stderr, "%sreleasemgr: %s%s\n", paint(s, RED), json_get_string(event, "text") ?: "",
                        paint(s, PLAIN));
        if (hint)
                fprintf(stderr, "            %s\n", hint);
}

void screen_event(const json_t *event, void *screen) {
        const char *name = json_get_string(event, "event");
        Screen *s = screen;

        if (s->json)
                return screen_json(s, event);
        if (streq(name, "bytes")) {
                print_bytes(s, event);
        } else {
                erase_live(s);
                if (streq(name, "begin"))
                        print_begin(s, event);
                else if (streq(name, "stage") && s->live) {
                        print_stage(s, event, BOLD);
                        s->live_shown = true;
                } else if (streq(name, "done") || streq(name, "failed")) {
                        print_stage(s, event, streq(name, "done") ? GREEN : RED);
                        printf("%s\n", json_get_string(event, "text") ?: "");
                } else if (streq(name, "back"))
                        print_line(s, event, YELLOW, "going back: ");
                else if (streq(name, "note"))
                        print_line(s, event, "", "");
                else if (streq(name, "warning"))
                        print_line(s, event, YELLOW, "warning: ");
                else if (streq(name, "end"))
                        print_end(s, event);
                else if (streq(name, "error"))
                        print_error(s, event);
        }
        flush(s);
}

void screen_error(Screen *s, const Error *e, int r) {
        _cleanup_json_ json_t *event = error_event(e, r);

        if (s && event)
                screen_event(event, s);
        else /* the command line itself could not be read, or there is no memory */
                fprintf(stderr, "releasemgr: %s%s%s\n", error_message(e, r), e->hint ? "\n            " : "",
                                e->hint ?: "");
}

json_t *error_event(const Error *e, int r) {
        return json_pack("{ss ss ss* si}", "event", "error", "text", error_message(e, r), "hint",
                        error_advice(e, r), "exit", (int) (e->class ?: ERROR_FAILED));
}
