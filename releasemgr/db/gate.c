#include <errno.h>

#include "base/version.h"
#include "db/gate.h"

void schema_state_clear(SchemaState *s) {
        free(s->level);
        free(s->floor);
        *s = (SchemaState){0};
}

bool schema_is_above(const char *a, const char *b) {
        return a && (!b || version_compare(a, b) > 0);
}

bool schema_survives(const SchemaRange *range, const char *floor) {
        return !schema_is_above(floor, range->knows);
}

bool schema_admits(const SchemaRange *range, const SchemaState *state) {
        return schema_survives(range, state->floor);
}

bool schema_admits_now(const SchemaRange *range, const SchemaState *state) {
        return schema_admits(range, state) && !schema_is_above(range->needs, state->level);
}

int schema_gate(const SchemaRange *range, const SchemaState *state, bool going_back, const char *version,
                const char *nearest, Error *e) {
        int r = -EPERM;

        if (!schema_admits(range, state))
                (void) error_set(e, ERROR_REFUSED, r,
                                "release %s cannot run on this database: contract migration %s ran on it, "
                                "and the "
                                "release knows %s%s",
                                version, state->floor, range->knows ? "none after " : "none",
                                range->knows ?: "");
        else if (going_back && !schema_admits_now(range, state))
                (void) error_set(e, ERROR_REFUSED, r,
                                "release %s cannot run on this database: it needs migration %s, and the "
                                "database is "
                                "at %s",
                                version, range->needs, state->level ?: "none");
        else
                return 0;
        if (nearest)
                return error_hint(e, r, "The nearest release that may run on it is %s.", nearest);
        return error_hint(e, r, "No release that is known here may run on it: publish one that does.");
}
