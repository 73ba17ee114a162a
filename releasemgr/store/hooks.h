#pragma once

/*
 * Hooks: programs that are run around a switch
 *
 * A release brings its own as executable files, hooks/before-switch and so on. The publisher signs which there are, so
 * that a host knows it before the release is here.
 */

#include "base/error.h"

typedef enum Hook {
        HOOK_BEFORE_SWITCH, /* `current` is about to change; a failure stops the deployment */
        HOOK_AFTER_SWITCH,  /* the release serves and is healthy; a failure takes it back */
        HOOK_AFTER_SUCCESS, /* all is done */
        HOOK_AFTER_FAILURE, /* all is undone */
        _HOOK_MAX,
} Hook;

#define HOOKS_FOLDER "hooks"

/* A set of hooks has the bit of each that is in it. */
#define HOOK_BIT(hook) (1U << (hook))

/* "before-switch", ...; static. Back: -EINVAL. */
const char *hook_name(Hook h);
int hook_from_name(const char *name, Hook *ret);

/* The path below a release: "hooks/before-switch". Static. */
const char *hook_path(Hook h);

/* The hooks of the release in @dirfd. A file of that name that is no executable program is -EINVAL. */
int hooks_find(int dirfd, unsigned *ret, Error *e);
