#pragma once

/* Reading what servers say in headers. Pure. */

#include "base/util.h"

typedef struct ContentRange {
        uint64_t first, last; /* inclusive; 0, 0 where it is unsatisfied (416) */
        uint64_t total;       /* UINT64_MAX: "*" */
        bool satisfied;
} ContentRange;

/* "bytes 0-99/1000", "bytes 0-99/" followed by an asterisk, and "bytes " with an asterisk before "/1000" (RFC 9110
 * section 14.4). -EBADMSG for anything else, also where the numbers contradict each other. */
int content_range_parse(const char *value, ContentRange *ret);

/* Retry-After: seconds, or an HTTP date (RFC 9110 section 10.2.3). µs from @now_usec, at most an hour; 0 for a time that
 * has passed and for nonsense. */
uint64_t retry_after_parse(const char *value, uint64_t now_usec);

/* An HTTP date, in any of the forms of RFC 9110 section 5.6.7, as µs since 1970. -EBADMSG. */
int http_date_parse(const char *value, uint64_t *ret_usec);

/* Whether the ETag of an answer with @headers will be another once the file is. Servers make it of the time in whole
 * seconds and the size (nginx does): a file that had only just been written may be written again under the same ETag
 * (RFC 9110 section 8.8.2.2 says so of times). */
bool etag_is_lasting(char *const *headers);
