#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "observe/answer.h"
#include "observe/mask.h"

#define VALUE_SHOWN 80

/* The value at @path ("checks.0.state"): member names and indices of lists, joined by '.'. NULL where there is none. */
static const json_t *json_at(const json_t *j, const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        char *rest = copy, *name;
        uint64_t index;

        if (!copy)
                return NULL;
        while (j && (name = strsep(&rest, "."))) {
                if (json_is_array(j))
                        j = parse_u64(name, SIZE_MAX, &index) < 0 ? NULL : json_array_get(j, index);
                else
                        j = json_object_get(j, name);
        }
        return j;
}

static bool value_is(const json_t *j, const char *expected) {
        char *end;

        switch (json_typeof(j)) {
        case JSON_STRING:
                return streq(json_string_value(j), expected);
        case JSON_INTEGER: {
                long long n = strtoll(expected, &end, 10);

                return *expected && !*end && n == json_integer_value(j);
        }
        case JSON_REAL: {
                double d = strtod(expected, &end);

                return *expected && !*end && d == json_real_value(j);
        }
        case JSON_TRUE:
                return streq(expected, "true");
        case JSON_FALSE:
                return streq(expected, "false");
        case JSON_NULL:
                return streq(expected, "null");
        default:
                return false;
        }
}

/* The value for people: "'unhealthy'", "17", "an object". */
static char *value_to_text(const json_t *j) {
        _cleanup_free_ char *shown = NULL;

        switch (json_typeof(j)) {
        case JSON_STRING:
                shown = text_excerpt(json_string_value(j), json_string_length(j), VALUE_SHOWN);
                return shown ? text_format("'%s'", shown) : NULL;
        case JSON_OBJECT:
                return strdup("an object");
        case JSON_ARRAY:
                return strdup("a list");
        default:
                return json_dumps(j, JSON_ENCODE_ANY);
        }
}

static int say(char **ret, char *sentence) {
        *ret = sentence;
        return sentence ? 0 : -ENOMEM;
}

static int judge_member(const json_t *j, const char *path, const char *expected, const char *why,
                char **ret_sentence) {
        const json_t *value = json_at(j, path);
        _cleanup_free_ char *is = NULL;

        if (!value)
                return say(ret_sentence,
                                text_format("the answer has no '%s', expected '%s'%s", path, expected, why));
        if (value_is(value, expected))
                return 1;
        is = value_to_text(value);
        if (!is)
                return -ENOMEM;
        return say(ret_sentence, text_format("'%s' is %s, expected '%s'%s", path, is, expected, why));
}

static int judge_json(const ProbeSpec *s, const char *version, const json_t *j, char **ret_sentence) {
        int r;

        for (char *const *e = s->expect_json; e && *e; e++) {
                const char *equals = strchr(*e, '=');
                _cleanup_free_ char *path = strndup(*e, equals ? (size_t) (equals - *e) : strlen(*e));

                if (!path)
                        return -ENOMEM;
                r = judge_member(j, path, equals ? equals + 1 : "", "", ret_sentence);
                if (r != 1)
                        return r;
        }
        if (!s->expect_version || !version)
                return 1;
        return judge_member(j, s->expect_version, version, ", the release that was activated", ret_sentence);
}

int answer_judge(const ProbeSpec *s, const char *version, const Answer *a, char **ret_sentence) {
        bool wants_json = (s->expect_json && *s->expect_json) || (s->expect_version && version);
        char is[CLOCK_TEXT_MAX], allowed[CLOCK_TEXT_MAX];
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_json_ json_t *j = NULL;
        int r;

        if (s->expect_status ? a->status != s->expect_status : a->status / 100 != 2) {
                if (s->expect_status)
                        return say(ret_sentence, text_format("the status is %u, expected %u", a->status,
                                                                 s->expect_status));
                return say(ret_sentence, text_format("the status is %u, expected 200 to 299", a->status));
        }
        if (wants_json) {
                r = json_parse_foreign("answer", a->body, a->size, &j, &e);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return say(ret_sentence,
                                        text_format("the answer is no JSON (%s)", error_message(&e, r)));
                r = judge_json(s, version, j, ret_sentence);
                if (r != 1)
                        return r;
        }
        if (a->latency_usec > s->max_latency_usec)
                return say(ret_sentence, text_format("it took %s, MaxLatency= is %s",
                                                         span_to_text(a->latency_usec, is),
                                                         span_to_text(s->max_latency_usec, allowed)));
        return 1;
}
