/* The canonical form of a value does not depend on how the value was written. */

#include "base/json.h"
#include "fuzz.h"
#include "trust/canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ json_t *j = NULL, *again = NULL;
        _cleanup_text_ Text one = TEXT_INIT, two = TEXT_INIT;
        _cleanup_free_ char *dump = NULL;

        if (json_parse("input", data, size, &j, NULL) < 0)
                return 0;
        INVARIANT(canonical_write(j, &one) == 0);
        INVARIANT(utf8_is_valid(one.data, one.size));
        dump = json_dumps(j, JSON_ENCODE_ANY | JSON_INDENT(3) | JSON_ENSURE_ASCII);
        INVARIANT(dump && json_parse("again", dump, strlen(dump), &again, NULL) == 0);
        INVARIANT(canonical_write(again, &two) == 0);
        INVARIANT(one.size == two.size && memcmp(one.data, two.data, one.size) == 0);
        return 0;
}
