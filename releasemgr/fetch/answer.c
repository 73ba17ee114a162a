#include <ctype.h>
#include <errno.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "fetch/answer.h"
#include "fetch/http.h"

#define RETRY_AFTER_MAX (3600 * USEC_PER_SEC)

/* Digits up to @stop; the text behind them, or NULL. */
static const char *read_number(const char *s, char stop, uint64_t *ret) {
        _cleanup_free_ char *digits = NULL;
        const char *end = strchrnul(s, stop);

        if (*end != stop)
                return NULL;
        digits = strndup(s, end - s);
        if (!digits || parse_u64(digits, INT64_MAX, ret) < 0)
                return NULL;
        return stop ? end + 1 : end;
}

int content_range_parse(const char *value, ContentRange *ret) {
        ContentRange range = {.total = UINT64_MAX};
        const char *p;

        if (strncasecmp(value, "bytes ", 6) != 0)
                return -EBADMSG;
        p = value + 6;
        if (startswith(p, "*/"))
                p += 2;
        else {
                range.satisfied = true;
                p = read_number(p, '-', &range.first);
                if (p)
                        p = read_number(p, '/', &range.last);
                if (!p || range.last < range.first)
                        return -EBADMSG;
        }
        if (streq(p, "*") && range.satisfied) {
                *ret = range;
                return 0;
        }
        if (!read_number(p, '\0', &range.total) || (range.satisfied && range.last >= range.total))
                return -EBADMSG;
        *ret = range;
        return 0;
}

int http_date_parse(const char *value, uint64_t *ret_usec) {
        static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", /* what servers send */
                        "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"};

        for (size_t i = 0; i < ELEMENTS_OF(forms); i++) {
                struct tm tm = {0};
                const char *end = strptime(value, forms[i], &tm);
                time_t seconds = end && !*end ? timegm(&tm) : -1;

                if (seconds < 0)
                        continue;
                *ret_usec = (uint64_t) seconds * USEC_PER_SEC;
                return 0;
        }
        return -EBADMSG;
}

uint64_t retry_after_parse(const char *value, uint64_t now_usec) {
        uint64_t n;

        if (parse_u64(value, UINT64_MAX, &n) >= 0)
                return MIN_OF(n, RETRY_AFTER_MAX / USEC_PER_SEC) * USEC_PER_SEC;
        if (isdigit((unsigned char) value[0]) || http_date_parse(value, &n) < 0 || n <= now_usec)
                return 0;
        return MIN_OF(n - now_usec, RETRY_AFTER_MAX);
}

const char *http_header(char *const *headers, const char *name) {
        size_t n = strlen(name);

        for (; headers && *headers; headers++)
                if (strncasecmp(*headers, name, n) == 0 && (*headers)[n] == ':')
                        return *headers + n + 1 + strspn(*headers + n + 1, " \t");
        return NULL;
}

bool etag_is_lasting(char *const *headers) {
        const char *date = http_header(headers, "Date"), *modified = http_header(headers, "Last-Modified");
        uint64_t now, then;

        return !date || !modified || http_date_parse(date, &now) < 0 ||
               http_date_parse(modified, &then) < 0 || now >= then + 2 * USEC_PER_SEC;
}

uint64_t http_retry_after(char *const *headers, uint64_t now_usec) {
        const char *value = http_header(headers, "Retry-After");

        return value ? retry_after_parse(value, now_usec) : 0;
}

static int status_to_errno(unsigned status) {
        switch (status) {
        case 404:
        case 410:
                return -ENOENT;
        case 401:
        case 403:
        case 407:
                return -EACCES;
        case 408:
        case 425:
        case 429:
        case 500:
        case 502:
        case 503:
        case 504:
                return -EBUSY;
        case 416:
                return -ERANGE;
        default:
                return -EBADE;
        }
}

int http_check_status(const char *url, unsigned status, Error *e) {
        _cleanup_free_ char *shown = NULL;
        int r;

        if (status >= 200 && status <= 299)
                return 0;
        shown = http_url_for_people(url);
        if (!shown)
                return -ENOMEM;
        r = status_to_errno(status);
        if (status >= 300 && status <= 399) {
                error_set(e, ERROR_FAILED, r, "%s redirects (status %u)", shown, status);
                return error_hint(e, r, "Configure the address that it redirects to, or allow redirects");
        }
        if (r == -ENOENT) {
                error_set(e, ERROR_FAILED, r, "%s is not there (status %u)", shown, status);
                return error_hint(e, r, "Check the repository's address, and whether it was uploaded whole");
        }
        if (r == -EACCES) {
                error_set(e, ERROR_FAILED, r, "%s may not be read (status %u)", shown, status);
                return error_hint(e, r, "Check the credentials, and what they are allowed to read");
        }
        error_set(e, ERROR_FAILED, r, "The server answered %s with status %u", shown, status);
        if (r == -EBUSY)
                error_hint(e, r, "It may work later");
        return r;
}
