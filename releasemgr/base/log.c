#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/log.h"
#include "base/text.h"

#define LOG_FIELDS_MAX 32

void log_event(int priority, const char *message_id, char *const *fields, const char *format, ...) {
        _cleanup_free_ char *message = NULL, *text = NULL, *id = NULL, *level = NULL;
        struct iovec iov[LOG_FIELDS_MAX + 3];
        va_list ap;
        int n = 0;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        message = text_format("MESSAGE=%s", text ?: "");
        level = text_format("PRIORITY=%d", priority);
        id = message_id ? text_format("MESSAGE_ID=%s", message_id) : NULL;
        if (!message || !level)
                return;
        iov[n++] = (struct iovec){message, strlen(message)};
        iov[n++] = (struct iovec){level, strlen(level)};
        if (id)
                iov[n++] = (struct iovec){id, strlen(id)};
        for (; fields && *fields && n < (int) ELEMENTS_OF(iov); fields++)
                iov[n++] = (struct iovec){*fields, strlen(*fields)};
        (void) sd_journal_sendv(iov, n);
}
