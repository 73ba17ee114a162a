#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fetch/adapt.h"

/* So many MiB at a pace (bytes a second) that depends on the ranges; the reader takes @reader of a hundred. */
static void transfer(Adapt *a, uint64_t mib, const uint64_t pace[static 9], unsigned reader) {
        for (uint64_t i = 0; i < 4 * mib; i++) {
                uint64_t usec = MIB / 4 * USEC_PER_SEC / pace[a->ranges];

                adapt_count(a, MIB / 4, usec, usec * reader / 100);
        }
}

static void test_adapt(void **state _unused_) {
        static const uint64_t scales[] = {0, 2 * MIB, 4 * MIB, 6 * MIB, 8 * MIB, 0, 0, 0, 16 * MIB};
        static const uint64_t levels[] = {0, 2 * MIB, 4 * MIB, 0, 4 * MIB, 0, 0, 0, 4 * MIB};
        static const uint64_t flat[] = {0, 9 * MIB, 9 * MIB, 0, 9 * MIB, 0, 0, 0, 9 * MIB};
        Adapt a = ADAPT_INIT(8);

        transfer(&a, 30, scales, 10);
        assert_int_equal(a.ranges, 8);

        a = ADAPT_INIT(3);
        transfer(&a, 30, scales, 10);
        assert_int_equal(a.ranges, 3);

        a = ADAPT_INIT(8);
        transfer(&a, 30, levels, 10);
        assert_int_equal(a.ranges, 2);

        a = ADAPT_INIT(8);
        transfer(&a, 30, flat, 10);
        assert_int_equal(a.ranges, 1);
        /* and later it is tried again */
        transfer(&a, 100, scales, 10);
        assert_int_equal(a.ranges, 8);

        /* the reader is the slow one */
        a = ADAPT_INIT(8);
        transfer(&a, 30, scales, 90);
        assert_int_equal(a.ranges, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_adapt),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
