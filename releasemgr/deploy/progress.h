#pragma once

/*
 * What a deployment tells while it runs: events, each a JSON object, handed to whoever listens. The terminal, --json, the
 * journal and a client that attaches later all read the same events.
 *
 *   {"event": "begin", "at": µs, "id", "verb", "version", "from"}
 *   {"event": "stage", "at", "n", "of", "stage"}                      a stage starts
 *   {"event": "bytes", "at", "stage", "done", "total"}                at most ten a second
 *   {"event": "done",  "at", "took", "n", "of", "stage", "text"}
 *   {"event": "failed", "at", "took", "n", "of", "stage", "text", "hint"}
 *   {"event": "back",  "at", "text"}                                  from here on it goes backwards
 *   {"event": "note",  "at", "text"} and {"event": "warning", ...}
 *   {"event": "end",   "at", "verdict", "exit", "text", "hint", ...}  the report, as the history keeps it
 *
 * "at" is µs since the deployment began, "took" µs of the stage.
 */

#include "base/json.h"

typedef struct Progress Progress;

typedef void (*ProgressListener)(const json_t *event, void *userdata);

int progress_new(Progress **ret);

Progress *progress_free(Progress *p);

DEFINE_CLEANUP(Progress, progress_free);

/* Adds a listener (four at most), called with every event from here on. */
void progress_listen(Progress *p, ProgressListener listener, void *userdata);

/* All take what they need and never fail: a deployment does not end because nobody could be told. @p may be NULL.
 * Texts are copied. */
void progress_begin(Progress *p, const char *id, const char *verb, const char *version, const char *from);
void progress_stage(Progress *p, const char *stage, unsigned n, unsigned of);
void progress_bytes(Progress *p, uint64_t done, uint64_t total);
void progress_failed(Progress *p, const Error *error, int r);
void progress_back(Progress *p, const char *text);
void progress_note(Progress *p, const char *format, ...) _printf_(2, 3);
void progress_warn(Progress *p, const char *format, ...) _printf_(2, 3);

/* Warns of what @error says of the failure @r, with its advice. */
void progress_warn_error(Progress *p, const Error *error, int r);

/* @report: what came of it, an object with at least "verdict", "exit" and "text"; copied. */
void progress_end(Progress *p, const json_t *report);

/* What the stage under way will be summed up with when it is done. */
void progress_summary(Progress *p, const char *format, ...) _printf_(2, 3);

/* Numbers the stage under way again: the plan knows only at its end how many stages there are. */
void progress_number(Progress *p, unsigned n, unsigned of);

/* The stage under way is done. */
void progress_done(Progress *p);

/* The stages so far with their µs, as [{"stage", "took"}]; for the history. Owned by the caller. */
json_t *progress_stages(const Progress *p);

/* µs since it began. */
uint64_t progress_elapsed(const Progress *p);

/* A listener that writes each event to the journal, with fields and a MESSAGE_ID (units/releasemgr.catalog explains
 * them). @userdata is the app's name. */
void progress_to_journal(const json_t *event, void *userdata);

/* The name of the file below /run/releasemgr/APP that deployment @id's events go to. Owned by the caller, NULL when
 * memory ran out. */
char *progress_file(const char *id);

/* Removes the files of deployments that ended long ago. */
void progress_files_clean(int dirfd);

/* A listener that appends each event as a line to the file whose descriptor @userdata points to, for whoever follows
 * the deployment from outside. */
void progress_to_file(const json_t *event, void *userdata);
