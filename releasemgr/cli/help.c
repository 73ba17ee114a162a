#include <stdio.h>

#include "base/text.h"
#include "cli/verb.h"

#define HELP_COLUMN 34

static void print_option(const Option *o) {
        _cleanup_free_ char *left =
                        text_format("  --%s%s%s", o->name, o->argument ? "=" : "", o->argument ?: "");

        printf("%-*s %s\n", HELP_COLUMN, left ?: "", o->help);
}

static void print_options(const char *title, const Option *options) {
        if (!options->name)
                return;
        printf("\n%s:\n", title);
        for (const Option *o = options; o->name; o++)
                print_option(o);
}

void verb_help(const Verb *verb) {
        if (verb) {
                printf("releasemgr [OPTION...] %s%s%s\n\n%s.\n", verb->name, *verb->arguments ? " " : "",
                                verb->arguments, verb->help);
                print_options("Options", verb->options);
                print_options("Global options", global_options);
                return;
        }
        printf("releasemgr [OPTION...] VERB [ARGUMENT...]\n\n"
               "Brings this host to a release of an app, and back.\n\nVerbs:\n");
        for (const Verb *v = verbs; v->name; v++) {
                _cleanup_free_ char *left = text_format("  %s %s", v->name, v->arguments);

                if (!v->hidden)
                        printf("%-*s %s\n", HELP_COLUMN, left ?: "", v->help);
        }
        print_options("Options", global_options);
        printf("\nExit status:\n"
               "  0 done                              1 failed, nothing had changed\n"
               "  2 wrong usage or configuration      3 failed and taken back, the old release is healthy\n"
               "  4 failed, the old one is unhealthy  5 another deployment holds the lock\n"
               "  6 refused by a gate                 7 a signature or hash is wrong\n");
}
