#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

void error_clear(Error *e) {
        free(e->message);
        free(e->hint);
        *e = ERROR_INIT;
}

/* An Error without a message still carries its class, so a failed allocation loses the text alone. */
_printf_(1, 0) static char *format_text(const char *format, va_list ap) {
        char *text;

        return vasprintf(&text, format, ap) < 0 ? NULL : utf8_mend(text);
}

int error_set(Error *e, ErrorClass class, int r, const char *format, ...) {
        va_list ap;
        char *text;

        if (!e)
                return r;
        va_start(ap, format);
        text = format_text(format, ap); /* first: the arguments may come from @e itself */
        va_end(ap);
        error_clear(e);
        e->class = class;
        e->message = text;
        return r;
}

/* What the host itself is short of, or does badly, is the same wherever it is met. */
static const char *advice(int r) {
        switch (-r) {
        case ENOSPC:
                return "make room, then run it again: df -h and df -i show what is full";
        case EDQUOT:
                return "make room below the quota, or raise it, then run it again";
        case EIO:
                return "the disk, or what lies on it, is damaged: dmesg says more";
        case EROFS:
                return "the file system cannot be written: mount shows how it is mounted, dmesg says why";
        case EMFILE:
        case ENFILE:
                return "too many files are open: raise the limit (ulimit -n, fs.file-max), then run it again";
        case EINTR:
                return "run it again";
        default:
                return NULL;
        }
}

int error_errno(Error *e, int r, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        const char *hint = advice(r);
        va_list ap;

        if (!e)
                return r;
        va_start(ap, format);
        text = format_text(format, ap);
        va_end(ap);
        error_set(e, ERROR_FAILED, r, "%s: %s", text ?: "failed", strerror(-r));
        return hint ? error_hint(e, r, "%s", hint) : r;
}

int error_hint(Error *e, int r, const char *format, ...) {
        va_list ap;
        char *text;

        if (!e)
                return r;
        va_start(ap, format);
        text = format_text(format, ap);
        va_end(ap);
        free(e->hint);
        e->hint = text;
        return r;
}

int error_prefix(Error *e, int r, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        char *whole;
        va_list ap;

        if (!e || !e->message)
                return r;
        va_start(ap, format);
        text = format_text(format, ap);
        va_end(ap);
        if (text && asprintf(&whole, "%s%s", text, e->message) >= 0) {
                free(e->message);
                e->message = whole;
        }
        return r;
}

const char *error_message(const Error *e, int r) {
        if (e && e->message)
                return e->message;
        return strerror(r < 0 ? -r : r);
}

const char *error_advice(const Error *e, int r) {
        return e && e->message ? e->hint : advice(r);
}

void error_move(Error *to, Error *from) {
        if (!to)
                return error_clear(from);
        error_clear(to);
        *to = TAKE(*from);
}
