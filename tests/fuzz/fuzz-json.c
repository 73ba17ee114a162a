/* What json_parse() takes is JSON without reals, without NUL, in UTF-8, and no deeper than it promises. */

#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"

static void check(const json_t *value, int depth) {
        const char *key;
        json_t *member;
        size_t i;

        INVARIANT(!json_is_real(value));
        INVARIANT(depth <= JSON_DEPTH_MAX);
        if (json_is_string(value)) {
                INVARIANT(strlen(json_string_value(value)) == json_string_length(value));
                INVARIANT(utf8_is_valid(json_string_value(value), json_string_length(value)));
        }
        json_object_foreach((json_t *) value, key, member)
                check(member, depth + 1);
        json_array_foreach(value, i, member)
                check(member, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = json_parse("input", data, size, &j, &e);
        INVARIANT((r < 0) == (e.message != NULL));
        if (r >= 0)
                check(j, 0);
        return 0;
}
