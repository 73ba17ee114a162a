#pragma once

/* A fuzz target takes any bytes, and aborts where an invariant does not hold. Built with libFuzzer (-Dfuzzing=true) it
 * runs for as long as it is told; otherwise replay.c gives it the corpus, as an ordinary test. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INVARIANT(condition)                                                                                 \
        do {                                                                                                 \
                if (!(condition))                                                                            \
                        abort();                                                                             \
        } while (0)
