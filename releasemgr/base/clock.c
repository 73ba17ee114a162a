#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

static uint64_t read_clock(clockid_t id) {
        struct timespec ts;

        (void) clock_gettime(id, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

uint64_t clock_now(void) {
        return read_clock(CLOCK_REALTIME);
}

uint64_t clock_monotonic(void) {
        return read_clock(CLOCK_BOOTTIME);
}

char *clock_to_text(uint64_t usec, char buffer[static CLOCK_TEXT_MAX]) {
        time_t t = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;

        (void) gmtime_r(&t, &tm);
        (void) strftime(buffer, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
        return buffer;
}

int clock_from_text(const char *text, uint64_t *ret_usec) {
        char again[CLOCK_TEXT_MAX];
        struct tm tm = {0};
        const char *end;
        time_t t;

        end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        if (!end || *end)
                return -EINVAL;
        t = timegm(&tm);
        if (t < 0)
                return -EINVAL;
        /* strptime() is lenient (spaces, 31 February): only what we would write ourselves is taken */
        if (!streq(clock_to_text((uint64_t) t * USEC_PER_SEC, again), text))
                return -EINVAL;
        *ret_usec = (uint64_t) t * USEC_PER_SEC;
        return 0;
}

static const struct {
        const char *name;
        uint64_t usec;
} units[] = {
                {"w", 7 * 86400 * USEC_PER_SEC},
                {"d", 86400 * USEC_PER_SEC},
                {"h", 3600 * USEC_PER_SEC},
                {"min", 60 * USEC_PER_SEC},
                {"m", 60 * USEC_PER_SEC},
                {"s", USEC_PER_SEC},
                {"ms", USEC_PER_MSEC},
                {"us", 1},
};

char *span_to_text(uint64_t usec, char buffer[static CLOCK_TEXT_MAX]) {
        static const struct {
                uint64_t big;
                const char *big_name;
                uint64_t small;
                const char *small_name;
        } pairs[] = {
                        {86400 * USEC_PER_SEC, "d", 3600 * USEC_PER_SEC, "h"},
                        {3600 * USEC_PER_SEC, "h", 60 * USEC_PER_SEC, "min"},
                        {60 * USEC_PER_SEC, "min", USEC_PER_SEC, "s"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(pairs); i++)
                if (usec >= pairs[i].big) {
                        (void) snprintf(buffer, CLOCK_TEXT_MAX, "%llu%s %llu%s",
                                        (unsigned long long) (usec / pairs[i].big), pairs[i].big_name,
                                        (unsigned long long) (usec % pairs[i].big / pairs[i].small),
                                        pairs[i].small_name);
                        return buffer;
                }
        if (usec >= USEC_PER_SEC)
                (void) snprintf(buffer, CLOCK_TEXT_MAX, "%.1fs", (double) usec / (double) USEC_PER_SEC);
        else
                (void) snprintf(buffer, CLOCK_TEXT_MAX, "%llums",
                                (unsigned long long) (usec / USEC_PER_MSEC));
        return buffer;
}

int span_from_text(const char *text, uint64_t *ret_usec) {
        uint64_t sum = 0;

        if (streq(text, "infinity")) {
                *ret_usec = USEC_INFINITY;
                return 0;
        }
        text += strspn(text, " ");
        if (!*text)
                return -EINVAL;
        while (*text) {
                size_t digits = strspn(text, "0123456789"), letters;
                uint64_t n = 0, unit = 0;

                if (digits == 0)
                        return -EINVAL;
                for (size_t i = 0; i < digits; i++)
                        if (__builtin_mul_overflow(n, 10, &n) ||
                                        __builtin_add_overflow(n, (uint64_t) (text[i] - '0'), &n))
                                return -ERANGE;
                text += digits;
                text += strspn(text, " ");
                letters = strspn(text, "abcdefghijklmnopqrstuvwxyz");
                if (letters == 0 && *text)
                        return -EINVAL;
                for (size_t i = 0; i < ELEMENTS_OF(units); i++)
                        if (strlen(units[i].name) == letters && strncmp(units[i].name, text, letters) == 0)
                                unit = units[i].usec;
                if (letters == 0)
                        unit = USEC_PER_SEC;
                if (unit == 0)
                        return -EINVAL;
                if (__builtin_mul_overflow(n, unit, &n) || __builtin_add_overflow(sum, n, &sum))
                        return -ERANGE;
                text += letters;
                text += strspn(text, " ");
        }
        *ret_usec = sum;
        return 0;
}
