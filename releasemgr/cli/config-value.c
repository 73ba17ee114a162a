#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/config-value.h"
#include "cli/config.h"
#include "deploy/plan.h"
#include "host/process.h"

static int parse_string(const char *value, void *place, const char **ret_expected) {
        char *copy = strdup(value);

        *ret_expected = "a value";
        if (!copy)
                return -ENOMEM;
        free(*(char **) place);
        *(char **) place = copy;
        return isempty(value) ? -EINVAL : 0;
}

static int parse_path(const char *value, void *place, const char **ret_expected) {
        int r = parse_string(value, place, ret_expected);

        *ret_expected = "an absolute path";
        return r < 0 ? r : *value == '/' ? 0 : -EINVAL;
}

static int parse_url(const char *value, void *place, const char **ret_expected) {
        int r = parse_string(value, place, ret_expected);

        *ret_expected = "https://, http://, s3:// or file:///";
        if (r < 0)
                return r;
        return startswith(value, "https://") || startswith(value, "http://") || startswith(value, "s3://") ||
                                               startswith(value, "file:///")
                               ? 0
                               : -EINVAL;
}

static int parse_unit(const char *value, void *place, const char **ret_expected) {
        int r = parse_string(value, place, ret_expected);

        *ret_expected = "the name of a service, such as shop.service or shop@.service";
        return r < 0 ? r : endswith(value, ".service") && !strchr(value, '/') ? 0 : -EINVAL;
}

static int parse_list(const char *value, void *place, const char **ret_expected) {
        _cleanup_strv_ char **words = NULL;
        int r;

        *ret_expected = "one or more words";
        r = strv_split(value, " ", &words);
        for (char **i = words; r >= 0 && i && *i; i++)
                r = strv_add(place, *i);
        return r < 0 ? r : words ? 0 : -EINVAL;
}

static int parse_shared(const char *value, void *place, const char **ret_expected) {
        int r = parse_list(value, place, ret_expected);

        *ret_expected = "paths relative to the release, without . or ..";
        for (char **i = *(char ***) place; r >= 0 && i && *i; i++) {
                _cleanup_strv_ char **parts = NULL;

                r = strv_split(*i, "/", &parts);
                if (r >= 0 && (**i == '/' || !parts || strv_contains(parts, ".") ||
                                              strv_contains(parts, "..")))
                        r = -EINVAL;
        }
        return r;
}

/* "infinity" is so long: nobody waits for its end, and it can be added to any clock. */
#define SPAN_MAX (UINT64_C(100) * 365 * 24 * 3600 * USEC_PER_SEC)

static int parse_span(const char *value, void *place, const char **ret_expected) {
        uint64_t span;
        int r = span_from_text(value, &span);

        *ret_expected = "a time span such as 500ms, 30s or 2min";
        if (r < 0 || span == 0)
                return -EINVAL;
        *(uint64_t *) place = MIN_OF(span, SPAN_MAX);
        return 0;
}

/* As above, and 0 is none at all. */
static int parse_span_or_none(const char *value, void *place, const char **ret_expected) {
        uint64_t span;

        *ret_expected = "a time span such as 30s or 5min, or 0";
        if (span_from_text(value, &span) < 0 || span == USEC_INFINITY)
                return -EINVAL;
        *(uint64_t *) place = MIN_OF(span, SPAN_MAX);
        return 0;
}

static int parse_strategy(const char *value, void *place, const char **ret_expected) {
        Strategy strategy;
        int r;

        r = parse_string(value, place, ret_expected);
        *ret_expected = "restart, reload or handover";
        return r < 0 ? r : strategy_from_name(value, &strategy);
}

static int parse_rate(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "bytes a second, such as 500K or 10M";
        return size_from_text(value, place) < 0 || *(uint64_t *) place == 0 ? -EINVAL : 0;
}

static int parse_yes(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "yes or no";
        return parse_boolean(value, place);
}

/* "none" becomes "", which is what libcurl takes for none at all. */
static int parse_proxy(const char *value, void *place, const char **ret_expected) {
        int r = parse_string(value, place, ret_expected);

        *ret_expected = "an address such as http://proxy:3128, or none";
        if (r < 0 || strstr(value, "://"))
                return r;
        **(char **) place = 0;
        return streq(value, "none") ? 0 : -EINVAL;
}

static int parse_number(const char *value, uint64_t min, uint64_t max, unsigned *place) {
        uint64_t n;

        if (parse_u64(value, max, &n) < 0 || n < min)
                return -EINVAL;
        *place = n;
        return 0;
}

static int parse_positive(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "a number from 1 to 100000";
        return parse_number(value, 1, 100000, place);
}

static int parse_port(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "a number from 1 to 65535";
        return parse_number(value, 1, 65535, place);
}

static int parse_status(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "an HTTP status from 100 to 599";
        return parse_number(value, 100, 599, place);
}

static int parse_tls(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "verify-full or off";
        if (streq(value, "verify-full"))
                *(Tls *) place = TLS_VERIFY_FULL;
        else if (streq(value, "off"))
                *(Tls *) place = TLS_OFF;
        else
                return -EINVAL;
        return 0;
}

static int parse_auth(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "password or iam";
        if (!streq(value, "password") && !streq(value, "iam"))
                return -EINVAL;
        *(Auth *) place = streq(value, "iam") ? AUTH_IAM : AUTH_PASSWORD;
        return 0;
}

static int parse_contract(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "manual or activation";
        if (!streq(value, "manual") && !streq(value, "activation"))
                return -EINVAL;
        *(Contract *) place = streq(value, "manual") ? CONTRACT_MANUAL : CONTRACT_ACTIVATION;
        return 0;
}

static int parse_prove(const char *value, void *place, const char **ret_expected) {
        ProveProcess how;

        *ret_expected = "auto, exe, cwd, or off and why, such as: off it runs in a container";
        if (prove_process_from_string(value, &how, NULL) >= 0)
                return parse_string(value, place, &(const char *){NULL});
        if (streq(value, "off")) /* plain enough for a rollback, which takes what can be had */
                (void) parse_string("off without a reason", place, &(const char *){NULL});
        return -EINVAL;
}

static int parse_expect_json(const char *value, void *place, const char **ret_expected) {
        *ret_expected = "PATH=VALUE, such as status=healthy";
        if (!strchr(value, '=') || *value == '=')
                return -EINVAL;
        return strv_add(place, value);
}

/* The words are the program and its arguments. A later one replaces an earlier. */
static int parse_command(const char *value, void *place, const char **ret_expected) {
        _cleanup_strv_ char **words = NULL;
        int r;

        *ret_expected = "/PATH/PROGRAM ARGUMENT..., without quotes: what needs more is a script";
        if (strpbrk(value, "\"'\\"))
                return -EINVAL;
        r = strv_split(value, " \t", &words);
        if (r < 0 || !words || *words[0] != '/')
                return r < 0 ? r : -EINVAL;
        strv_free(*(char ***) place);
        *(char ***) place = TAKE(words);
        return 0;
}

static void free_string(void *place) {
        free(*(char **) place);
}

static void free_list(void *place) {
        strv_free(*(char ***) place);
}

const ValueType value_string = {parse_string, free_string};
const ValueType value_path = {parse_path, free_string};
const ValueType value_url = {parse_url, free_string};
const ValueType value_unit = {parse_unit, free_string};
const ValueType value_shared = {parse_shared, free_list};
const ValueType value_span = {parse_span};
const ValueType value_span_or_none = {parse_span_or_none};
const ValueType value_strategy = {parse_strategy, free_string};
const ValueType value_rate = {parse_rate};
const ValueType value_yes = {parse_yes};
const ValueType value_proxy = {parse_proxy, free_string};
const ValueType value_positive = {parse_positive};
const ValueType value_port = {parse_port};
const ValueType value_status = {parse_status};
const ValueType value_tls = {parse_tls};
const ValueType value_auth = {parse_auth};
const ValueType value_contract = {parse_contract};
const ValueType value_prove = {parse_prove, free_string};
const ValueType value_expect_json = {parse_expect_json, free_list};
const ValueType value_command = {parse_command, free_list};
