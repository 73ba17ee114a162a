/* history: one line a deployment; show: all that is known about one. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/app.h"
#include "cli/failure.h"
#include "cli/verbs.h"
#include "deploy/history.h"

#define LINES_DEFAULT 20

static const char *verdict_colour(const char *verdict) {
        if (streq(verdict, "succeeded"))
                return "green";
        return streq(verdict, "taken-back") ? "yellow" : "red";
}

static int add_line(Table *t, const json_t *entry) {
        const char *verdict = json_get_string(entry, "verdict") ?: "";
        char took[CLOCK_TEXT_MAX], outage[CLOCK_TEXT_MAX];
        int64_t down = json_get_integer(entry, "outage", -1);
        const char *cells[] = {
                        json_get_string(entry, "id"),
                        json_get_string(entry, "verb"),
                        json_get_string(entry, "version"),
                        json_get_string(entry, "from"),
                        verdict,
                        span_to_text(json_get_integer(entry, "took", 0), took),
                        down > 0   ? span_to_text(down, outage)
                        : down < 0 ? "?"
                                   : "",
                        json_get_string(entry, "by"),
        };
        int r = table_add(t, cells);

        return r < 0 ? r : table_colour(t, 4, verdict_colour(verdict));
}

static int print_table(Session *s, const json_t *entries) {
        static const TableColumn columns[] = {
                        {"DEPLOYMENT", false},
                        {"VERB", false},
                        {"VERSION", false},
                        {"FROM", false},
                        {"VERDICT", false},
                        {"TOOK", true},
                        {"OUTAGE", true},
                        {"BY", false},
        };
        _cleanup_(table_free_p) Table *t = NULL;
        int r;

        r = table_new(columns, ELEMENTS_OF(columns), screen_has_colour(s->screen), &t);
        for (size_t i = 0; r >= 0 && i < json_array_size(entries); i++)
                r = add_line(t, json_array_get(entries, i));
        return r < 0 ? r : table_print(t, stdout);
}

int verb_history(Session *s, const Arguments *a, Error *e) {
        const char *lines = arguments_option(a, "lines");
        _cleanup_json_ json_t *entries = NULL;
        uint64_t max = LINES_DEFAULT;
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE, &app, e);
        if (r < 0)
                return r;
        if (lines && parse_u64(lines, 1000000, &max) < 0)
                return error_set(e, ERROR_USAGE, -EINVAL, "--lines=%s: expected a number", lines);
        r = app_read_history(&app, max, &entries, e);
        if (r < 0)
                return r;
        if (screen_is_json(s->screen)) {
                for (size_t i = 0; i < json_array_size(entries); i++)
                        screen_json(s->screen, json_array_get(entries, i));
                return 0;
        }
        if (json_array_size(entries) == 0) {
                puts("no deployment yet");
                return 0;
        }
        r = print_table(s, entries);
        return r < 0 ? r : 0;
}

static void print_span(const char *name, int64_t usec) {
        char text[CLOCK_TEXT_MAX];

        if (usec > 0)
                print_pair(name, span_to_text(usec, text));
}

static void print_hooks(const json_t *hooks) {
        const json_t *hook, *line;
        size_t i, n;

        json_array_foreach(hooks, i, hook) {
                print_pair(json_get_string(hook, "hook"),
                                json_get_string(hook, "sentence") ?: json_get_string(hook, "program"));
                json_array_foreach(json_object_get(hook, "output"), n, line)
                        printf("%12s| %s\n", "", json_string_value(line));
        }
}

static void print_entry(const json_t *entry) {
        const json_t *stage;
        size_t i;

        print_pair("deployment", json_get_string(entry, "id"));
        printf("%12s: %s %s\n", "did", json_get_string(entry, "verb"), json_get_string(entry, "version"));
        print_pair("from", json_get_string(entry, "from"));
        print_pair("by", json_get_string(entry, "by"));
        print_pair("begun", json_get_string(entry, "begun"));
        print_pair("ended", json_get_string(entry, "ended"));
        print_span("took", json_get_integer(entry, "took", 0));
        if (!json_object_get(entry, "failure") && json_object_get(entry, "outage"))
                print_span("outage", json_get_integer(entry, "outage", 0));
        else if (!json_object_get(entry, "failure"))
                print_pair("outage", "nobody measured it");
        print_span("revert", json_get_integer(entry, "revert", 0));
        json_array_foreach(json_object_get(entry, "stages"), i, stage)
                print_span(json_get_string(stage, "stage") ?: "", json_get_integer(stage, "took", 0));
        print_pair("verdict", json_get_string(entry, "verdict"));
        print_pair("", json_get_string(entry, "text"));
        print_pair("", json_get_string(entry, "hint"));
        failure_print(entry, true);
        print_hooks(json_object_get(entry, "hooks"));
}

/* The deployment that is asked for, or the newest. */
static int find_entry(const App *app, const char *id, json_t **ret, Error *e) {
        _cleanup_json_ json_t *newest = NULL;
        int r;

        if (id)
                return history_find(app->deploy.state_fd, id, ret, e);
        r = app_read_history(app, 1, &newest, e);
        if (r < 0)
                return r;
        if (json_array_size(newest) == 0)
                return error_set(e, ERROR_USAGE, -ENOENT, "there was no deployment yet");
        *ret = json_incref(json_array_get(newest, 0));
        return 0;
}

int verb_show(Session *s, const Arguments *a, Error *e) {
        _cleanup_json_ json_t *entry = NULL;
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE, &app, e);
        if (r >= 0)
                r = find_entry(&app, a->positional[0], &entry, e);
        if (r < 0)
                return r;
        if (screen_is_json(s->screen))
                screen_json(s->screen, entry);
        else
                print_entry(entry);
        return 0;
}
