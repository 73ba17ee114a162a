#pragma once

/* What a person sees: the story of a deployment as it happens, and errors. On a terminal with colour and one live line;
 * elsewhere as plain lines; with --json as JSON Lines. */

#include "base/json.h"

typedef struct Screen Screen;

typedef enum ScreenColour {
        SCREEN_COLOUR_AUTO, /* on a terminal, unless $NO_COLOR is set or $TERM is "dumb" */
        SCREEN_COLOUR_ALWAYS,
        SCREEN_COLOUR_NEVER,
} ScreenColour;

int screen_new(ScreenColour colour, bool json, Screen **ret);
Screen *screen_free(Screen *s);

DEFINE_CLEANUP(Screen, screen_free);

bool screen_is_json(const Screen *s);
bool screen_has_colour(const Screen *s);

/* A ProgressListener (deploy/progress.h) whose @userdata is a Screen. */
void screen_event(const json_t *event, void *screen);

/* Writes out what was printed, by whomever. -errno where standard output did not take all that was said since the
 * beginning. @s may be NULL. */
int screen_end(Screen *s);

/* A failure @r as an event {"event": "error", "text", "hint", "exit"}, owned by the caller; NULL: no memory. */
json_t *error_event(const Error *e, int r);

/* The error that ends the command, and what to do next, on standard error. @s may be NULL. */
void screen_error(Screen *s, const Error *e, int r);

/* One JSON value, for --json. */
void screen_json(Screen *s, const json_t *value);
