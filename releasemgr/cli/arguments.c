#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "base/text.h"
#include "cli/verb.h"

/* How many words of @words the name of @v takes, 0 where it is not this verb. */
static int verb_matches(const Verb *v, char *const *words) {
        const char *space = strchr(v->name, ' ');

        if (!space)
                return streq(v->name, words[0]);
        if (strlen(words[0]) != (size_t) (space - v->name) || !startswith(v->name, words[0]))
                return 0;
        return words[1] && streq(space + 1, words[1]) ? 2 : 0;
}

/* The second word of @v where its first one is @first, otherwise NULL. */
static const char *second_word(const Verb *v, const char *first) {
        const char *rest = startswith(v->name, first);

        return rest && *rest == ' ' ? rest + 1 : NULL;
}

/* Says what the first word could have gone on with, for "repo" alone. */
static int unknown_verb(char *const *words, Error *e) {
        _cleanup_text_ Text second = TEXT_INIT;

        for (const Verb *v = verbs; v->name; v++) {
                const char *word = second_word(v, words[0]);

                if (word && text_addf(&second, "%s%s", second.size > 0 ? ", " : "", word) < 0)
                        return -ENOMEM;
        }
        if (second.size > 0) {
                error_set(e, ERROR_USAGE, -EINVAL, "\"%s%s%s\" is not a verb", words[0], words[1] ? " " : "",
                                words[1] ?: "");
                return error_hint(e, -EINVAL, "behind \"%s\" stands one of: %s", words[0], second.data);
        }
        error_set(e, ERROR_USAGE, -EINVAL, "\"%s\" is not a verb", words[0]);
        return error_hint(e, -EINVAL, "see releasemgr --help");
}

static const Option *find_option(const Option *options, const char *name) {
        for (; options->name; options++)
                if (streq(options->name, name))
                        return options;
        return NULL;
}

/* An option of the verb, or else a global one: a verb may give a global name a meaning of its own. */
static const Option *known_option(const Verb *verb, const char *name) {
        const Option *o = verb ? find_option(verb->options, name) : NULL;

        return o ?: find_option(global_options, name);
}

/* A table for getopt. */
typedef struct LongOptions {
        struct option table[VERB_OPTIONS_MAX * 4];
        size_t n;
} LongOptions;

/* Of two with one name, the first one added counts. */
static void long_options_add(LongOptions *l, const Option *o) {
        for (size_t i; o->name; o++) {
                for (i = 0; i < l->n && !streq(l->table[i].name, o->name); i++)
                        ;
                if (i < l->n)
                        continue;
                if (l->n + 1 == ELEMENTS_OF(l->table))
                        abort();
                l->table[l->n++] = (struct option){
                                o->name, o->argument ? required_argument : no_argument, NULL, 0};
        }
}

/*
 * The second word of a verb may stand behind options as well: "tuf --metadata-dir D init" is "tuf init --metadata-dir D".
 * Which words are options' values is known from the options of all verbs that begin with this word; whether an option
 * is one of the verb's own is looked at afterwards.
 */
static void join_words(int argc, char **argv) {
        LongOptions l = {0};
        bool found = false;

        for (const Verb *v = verbs; v->name; v++)
                if (second_word(v, argv[0])) {
                        long_options_add(&l, v->options);
                        found = true;
                }
        if (!found)
                return;
        long_options_add(&l, global_options);
        optind = 0;
        opterr = 0;
        while (getopt_long(argc, argv, "+:", l.table, NULL) != -1)
                ;
        if (optind < argc) {
                char *second = argv[optind];

                memmove(argv + 2, argv + 1, ((size_t) optind - 1) * sizeof(*argv));
                argv[1] = second;
        }
}

static int take_option(Arguments *a, const char *name, Error *e) {
        const Option *o = known_option(a->verb, name);

        if (a->n_given == ELEMENTS_OF(a->given))
                return error_set(e, ERROR_USAGE, -E2BIG, "more than %zu options", ELEMENTS_OF(a->given));
        a->given[a->n_given].option = o;
        a->given[a->n_given++].value = optarg ?: "";
        return 0;
}

static int wrong_option(const Verb *verb, int c, const char *word, Error *e) {
        const char *name = verb ? verb->name : "";

        error_set(e, ERROR_USAGE, -EINVAL, "%s%s%s: %s", name, verb ? " " : "", word,
                        c == ':' ? "the option needs a value" : "no such option, or it takes no value");
        return error_hint(e, -EINVAL, "see releasemgr %s%s--help", name, verb ? " " : "");
}

/* One pass over argv. With "+" in @order it stops at the first word that is no option; else getopt moves those to
 * the end. */
static int parse_options(int argc, char **argv, const char *order, Arguments *a, Error *e) {
        LongOptions l = {0};
        int index, c, r;

        if (a->verb)
                long_options_add(&l, a->verb->options);
        long_options_add(&l, global_options);
        opterr = 0;
        while ((c = getopt_long(argc, argv, order, l.table, &index)) != -1) {
                if (c == '?' || c == ':') {
                        const char letter[] = {'-', (char) optopt, 0}; /* of several in one word, perhaps */

                        return wrong_option(a->verb, c, optopt ? letter : argv[optind - 1], e);
                }
                r = take_option(a, l.table[index].name, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_count(const Arguments *a, Error *e) {
        const Verb *v = a->verb;
        int n = a->n_positional;

        if (arguments_flag(a, "help") ||
                        (n >= v->min_arguments && (v->max_arguments < 0 || n <= v->max_arguments)))
                return 0;
        error_set(e, ERROR_USAGE, -EINVAL, "%s: too %s arguments", v->name,
                        n < v->min_arguments ? "few" : "many");
        return error_hint(e, -EINVAL, "usage: releasemgr %s %s", v->name, v->arguments);
}

int arguments_parse(int argc, char **argv, Arguments *ret, Error *e) {
        Arguments a = {0};
        int words = 0, r;

        optind = 0; /* GNU: start over */
        r = parse_options(argc, argv, "+:", &a, e);
        if (r < 0)
                return r;
        argc -= optind;
        argv += optind;
        if (argc > 0) {
                join_words(argc, argv);
                for (const Verb *v = verbs; v->name && !a.verb; v++) {
                        words = verb_matches(v, argv);
                        if (words > 0)
                                a.verb = v;
                }
                if (!a.verb)
                        return unknown_verb(argv, e);
                argc -= words - 1; /* getopt skips the first word, as it would the program's name */
                argv += words - 1;
                optind = 0;
                r = parse_options(argc, argv, ":", &a, e);
                if (r < 0)
                        return r;
                a.positional = argv + optind;
                a.n_positional = argc - optind;
                r = check_count(&a, e);
                if (r < 0)
                        return r;
        }
        *ret = a;
        return 0;
}

const char *arguments_option_at(const Arguments *a, const char *name, size_t i) {
        for (size_t j = 0; j < a->n_given; j++)
                if (streq(a->given[j].option->name, name) && i-- == 0)
                        return a->given[j].value;
        return NULL;
}

const char *arguments_option(const Arguments *a, const char *name) {
        const char *last = NULL;

        for (size_t i = 0; i < a->n_given; i++)
                if (streq(a->given[i].option->name, name))
                        last = a->given[i].value;
        return last;
}
