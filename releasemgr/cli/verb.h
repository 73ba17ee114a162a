#pragma once

/*
 * Verbs: the table that main.c searches, and what a verb is given.
 *
 * Every verb is one entry in verbs.c and one function in a file of its own. Its options stand in the same entry, so
 * that parsing, `--help` and the completion are made from one place. A verb runs in a fiber of the main loop, so it
 * may suspend. It returns an exit code of DESIGN.md (0 to 7), or a negative errno with the Error set, whose class is then
 * the exit code.
 */

#include "base/error.h"

typedef struct Session Session;
typedef struct Arguments Arguments;

typedef struct Option {
        const char *name;     /* without the dashes */
        const char *argument; /* what it takes, as --help shows it, or NULL */
        const char *help;
} Option;

#define VERB_OPTIONS_MAX 20

typedef struct Verb {
        const char *name;      /* "activate", or two words: "repo publish" */
        const char *arguments; /* as --help shows them */
        int min_arguments;
        int max_arguments; /* -1: any number */
        const char *help;
        int (*run)(Session *s, const Arguments *a, Error *e);
        const Option options[VERB_OPTIONS_MAX]; /* ended by one without a name */
        bool hidden;                            /* left out of --help: for units, not for people */
        bool tells;                             /* what it says is all that it is for */
} Verb;

/* The table, ended by an entry without a name. */
extern const Verb verbs[];

/* Options that stand before or behind every verb; same end. */
extern const Option global_options[];

struct Arguments {
        const Verb *verb;
        char **positional; /* ended by NULL; borrowed from argv */
        int n_positional;
        struct {
                const Option *option;
                const char *value; /* "" for an option without an argument */
        } given[64];
        size_t n_given;
};

/* Reads a command line into @ret, which borrows from @argv. -EINVAL with class ERROR_USAGE. */
int arguments_parse(int argc, char **argv, Arguments *ret, Error *e);

/* The value of --@name, the last one where it was given several times; NULL where it was not given. */
const char *arguments_option(const Arguments *a, const char *name);

static inline bool arguments_flag(const Arguments *a, const char *name) {
        return arguments_option(a, name) != NULL;
}

/* All values of an option that may be repeated: the @i-th, or NULL. */
const char *arguments_option_at(const Arguments *a, const char *name, size_t i);

/* Prints the help of one verb, or of the program where @verb is NULL, to standard output. */
void verb_help(const Verb *verb);
