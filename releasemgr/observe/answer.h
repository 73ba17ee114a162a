#pragma once

/* Whether a service's answer is the expected one. No I/O. */

#include <jansson.h>

#include "observe/probe.h"

typedef struct Answer {
        unsigned status;
        const void *body;
        size_t size;
        uint64_t latency_usec;
} Answer;

/* 1 where @a is what @s expects of release @version (NULL: of any), 0 where it is not, with the reason in @ret_sentence
 * (owned by the caller), -ENOMEM. */
int answer_judge(const ProbeSpec *s, const char *version, const Answer *a, char **ret_sentence);
