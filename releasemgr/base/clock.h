#pragma once

/* Time: reading it, reading and writing it as text. */

#include "base/util.h"

/* µs since 1970, CLOCK_REALTIME. */
uint64_t clock_now(void);

/* µs, CLOCK_BOOTTIME: runs on in suspend, never goes back. */
uint64_t clock_monotonic(void);

/* "2026-11-23T19:54:20Z" (RFC 3339, UTC, whole seconds) into @buffer; returns @buffer. */
#define CLOCK_TEXT_MAX 32
char *clock_to_text(uint64_t usec, char buffer[static CLOCK_TEXT_MAX]);

/* Reads what clock_to_text() writes, and nothing else. -EINVAL. */
int clock_from_text(const char *text, uint64_t *ret_usec);

/* A span of time for people: "42ms", "1.3s", "2min 5s", "3h 4min", "2d 3h". */
char *span_to_text(uint64_t usec, char buffer[static CLOCK_TEXT_MAX]);

/* A span as systemd.time(7) writes it, in one or more of us ms s min h d w, e.g. "1min 30s"; a bare number is
 * seconds; "infinity" is USEC_INFINITY. -EINVAL, -ERANGE. */
int span_from_text(const char *text, uint64_t *ret_usec);
