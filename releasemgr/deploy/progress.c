#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "deploy/progress.h"

#define LISTENERS_MAX  4
#define BYTES_INTERVAL (100 * USEC_PER_MSEC)

struct Progress {
        struct {
                ProgressListener listener;
                void *userdata;
        } listeners[LISTENERS_MAX];
        size_t n_listeners;
        uint64_t begun;
        uint64_t stage_begun;
        uint64_t bytes_told;
        char *id;
        char *stage;
        char *summary;
        unsigned n, of;
        json_t *stages;
};

int progress_new(Progress **ret) {
        Progress *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->stages = json_array();
        if (!p->stages) {
                free(p);
                return -ENOMEM;
        }
        p->begun = p->stage_begun = clock_monotonic();
        *ret = p;
        return 0;
}

Progress *progress_free(Progress *p) {
        if (p) {
                json_decref(p->stages);
                free(p->id);
                free(p->stage);
                free(p->summary);
                free(p);
        }
        return NULL;
}

void progress_listen(Progress *p, ProgressListener listener, void *userdata) {
        if (p->n_listeners == LISTENERS_MAX)
                return;
        p->listeners[p->n_listeners].listener = listener;
        p->listeners[p->n_listeners++].userdata = userdata;
}

/* Adds the members every event has, and hands it to the listeners. Takes the reference; NULL (no memory) is told to
 * nobody. */
static void emit(Progress *p, const char *event, json_t *j) {
        if (!j)
                return;
        (void) json_object_set_new(j, "event", json_string(event));
        (void) json_object_set_new(j, "at", json_integer(clock_monotonic() - p->begun));
        if (p->id)
                (void) json_object_set_new(j, "id", json_string(p->id));
        for (size_t i = 0; i < p->n_listeners; i++)
                p->listeners[i].listener(j, p->listeners[i].userdata);
        json_decref(j);
}

static void replace(char **place, const char *text) {
        free(*place);
        *place = text ? strdup(text) : NULL;
}

void progress_begin(Progress *p, const char *id, const char *verb, const char *version, const char *from) {
        if (!p)
                return;
        replace(&p->id, id);
        emit(p, "begin", json_pack("{ss ss* ss*}", "verb", verb, "version", version, "from", from));
}

void progress_stage(Progress *p, const char *stage, unsigned n, unsigned of) {
        if (!p)
                return;
        replace(&p->stage, stage);
        replace(&p->summary, NULL);
        p->n = n;
        p->of = of;
        p->stage_begun = clock_monotonic();
        p->bytes_told = 0;
        emit(p, "stage", json_pack("{si si ss}", "n", n, "of", of, "stage", stage));
}

void progress_bytes(Progress *p, uint64_t done, uint64_t total) {
        uint64_t now = clock_monotonic();

        if (!p || (now - p->bytes_told < BYTES_INTERVAL && done < total))
                return;
        p->bytes_told = now;
        emit(p, "bytes",
                        json_pack("{ss* sI sI}", "stage", p->stage, "done", (json_int_t) done, "total",
                                        (json_int_t) total));
}

/* The members that tell of the stage under way. */
static json_t *stage_event(const Progress *p, const char *text) {
        return json_pack("{sI si si ss* ss*}", "took", (json_int_t) (clock_monotonic() - p->stage_begun), "n",
                        p->n, "of", p->of, "stage", p->stage, "text", text);
}

static void remember_stage(Progress *p) {
        (void) json_array_append_new(
                        p->stages, json_pack("{ss* sI}", "stage", p->stage, "took",
                                                   (json_int_t) (clock_monotonic() - p->stage_begun)));
}

void progress_done(Progress *p) {
        if (!p)
                return;
        remember_stage(p);
        emit(p, "done", stage_event(p, p->summary));
}

void progress_failed(Progress *p, const Error *error, int r) {
        json_t *j;

        if (!p)
                return;
        remember_stage(p);
        j = stage_event(p, error_message(error, r));
        if (j && error && error->hint)
                (void) json_object_set_new(j, "hint", json_string(error->hint));
        emit(p, "failed", j);
}

void progress_back(Progress *p, const char *text) {
        if (p)
                emit(p, "back", json_pack("{ss}", "text", text));
}

_printf_(3, 0) static void emit_text(Progress *p, const char *event, const char *format, va_list ap) {
        _cleanup_free_ char *text = NULL;

        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        else
                emit(p, event, json_pack("{ss}", "text", utf8_mend(text)));
}

void progress_note(Progress *p, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (p)
                emit_text(p, "note", format, ap);
        va_end(ap);
}

void progress_warn(Progress *p, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (p)
                emit_text(p, "warning", format, ap);
        va_end(ap);
}

void progress_warn_error(Progress *p, const Error *error, int r) {
        const char *advice = error_advice(error, r);

        progress_warn(p, "%s%s%s", error_message(error, r), advice ? "; " : "", advice ?: "");
}

void progress_end(Progress *p, const json_t *report) {
        if (p)
                emit(p, "end", json_deep_copy(report));
}

void progress_summary(Progress *p, const char *format, ...) {
        va_list ap;

        if (!p)
                return;
        free(p->summary);
        va_start(ap, format);
        if (vasprintf(&p->summary, format, ap) < 0)
                p->summary = NULL;
        utf8_mend(p->summary);
        va_end(ap);
}

void progress_number(Progress *p, unsigned n, unsigned of) {
        if (p) {
                p->n = n;
                p->of = of;
        }
}

json_t *progress_stages(const Progress *p) {
        return p ? json_deep_copy(p->stages) : json_array();
}

uint64_t progress_elapsed(const Progress *p) {
        return clock_monotonic() - p->begun;
}

#define FILE_SUFFIX   ".progress"
#define FILE_AGE_USEC (3600 * USEC_PER_SEC)

char *progress_file(const char *id) {
        return text_format("%s" FILE_SUFFIX, id);
}

void progress_files_clean(int dirfd) {
        _cleanup_strv_ char **names = NULL;
        struct stat st;

        if (fs_list_directory(dirfd, ".", &names) < 0)
                return;
        for (char **i = names; i && *i; i++)
                if (endswith(*i, FILE_SUFFIX) && fstatat(dirfd, *i, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
                                (uint64_t) st.st_mtime * USEC_PER_SEC + FILE_AGE_USEC < clock_now())
                        (void) unlinkat(dirfd, *i, 0);
}

void progress_to_file(const json_t *event, void *userdata) {
        _cleanup_free_ char *line = json_dumps(event, JSON_COMPACT);
        size_t n;

        if (!line)
                return;
        n = strlen(line);
        line[n] = '\n'; /* one write: a reader sees whole lines, or the beginning of one */
        (void) fd_write_all(*(int *) userdata, line, n + 1);
}

/* Ids made once with `systemd-id128 new`; never change one, units/releasemgr.catalog and people's alerts name them. */
static const struct {
        const char *event;
        int priority;
        const char *message_id;
} messages[] = {
                {"begin", LOG_INFO, "0d2f8ef380ac4fe8a22ffb1f875f9e8c"},
                {"stage", LOG_DEBUG, "d7f84f2a22504d4f99731a42ad6af386"},
                {"done", LOG_INFO, "53199f159bd14e8da996acf5d4823754"},
                {"failed", LOG_ERR, "1f8541b710474493aa5fe02c8cd28060"},
                {"back", LOG_WARNING, "7b83bcc2243c4067af3eaddd63a57aeb"},
                {"note", LOG_INFO, "e68f7ff667af457fa569f4a5e70d65a9"},
                {"warning", LOG_WARNING, "114927e24f0c4e7d8c54327120d12661"},
                {"end", LOG_NOTICE, "8070215bb00b49b8b67262e0a7740c32"},
};

/* Adds the journal field RELEASEMGR_KEY=value. */
static int add_text(char ***fields, const char *key, const char *value) {
        _cleanup_free_ char *field = text_format("RELEASEMGR_%s=%s", key, value);

        if (!field)
                return -ENOMEM;
        for (char *c = field + strlen("RELEASEMGR_"); *c && *c != '='; c++)
                if (*c >= 'a' && *c <= 'z')
                        *c -= 'a' - 'A';
        return strv_add(fields, field);
}

/* Lists and objects are for --json and the history. */
static int add_member(char ***fields, const char *key, const json_t *value) {
        char number[32];

        if (!json_is_string(value) && !json_is_integer(value))
                return 0;
        if (json_is_string(value))
                return add_text(fields, key, json_string_value(value));
        (void) snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return add_text(fields, key, number);
}

void progress_to_journal(const json_t *event, void *userdata) {
        const char *name = json_get_string(event, "event"), *stage = json_get_string(event, "stage");
        const char *text = json_get_string(event, "text"), *version = json_get_string(event, "version");
        _cleanup_strv_ char **fields = NULL;
        const char *key;
        json_t *value;
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(messages); i++) {
                if (!streq(messages[i].event, name))
                        continue;
                r = strv_add(&fields, "SYSLOG_IDENTIFIER=releasemgr");
                if (r >= 0)
                        r = add_text(&fields, "app", userdata);
                json_object_foreach((json_t *) event, key, value)
                        if (r >= 0)
                                r = add_member(&fields, key, value);
                if (r >= 0)
                        log_event(messages[i].priority, messages[i].message_id, fields, "%s%s%s%s%s", name,
                                stage || version ? " " : "", stage ?: version ?: "", text ? ": " : "", text ?: "");
        }
}
