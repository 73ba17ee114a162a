#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/id.h"

char *id_new(uint64_t usec, char buffer[static ID_TEXT_MAX]) {
        time_t t = (time_t) (usec / USEC_PER_SEC);
        uint32_t random = 0;
        struct tm tm;
        size_t n;

        if (getrandom(&random, sizeof(random), 0) < 0)
                random = (uint32_t) usec; /* the time alone is nearly always enough */
        (void) gmtime_r(&t, &tm);
        n = strftime(buffer, ID_TEXT_MAX, "%Y%m%dT%H%M%S", &tm);
        (void) snprintf(buffer + n, ID_TEXT_MAX - n, ".%03u-%06x",
                        (unsigned) (usec % USEC_PER_SEC / USEC_PER_MSEC), random & 0xffffff);
        return buffer;
}

bool id_is_valid(const char *id) {
        static const char shape[] = "ddddddddTdddddd.ddd-xxxxxx";

        if (strlen(id) != sizeof(shape) - 1)
                return false;
        for (const char *s = shape; *s; s++, id++)
                if (*s == 'd'               ? !strchr("0123456789", *id)
                                : *s == 'x' ? !strchr("0123456789abcdef", *id)
                                            : *id != *s)
                        return false;
        return true;
}
