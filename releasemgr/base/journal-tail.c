#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <systemd/sd-journal.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"
#include "base/journal-tail.h"
#include "base/text.h"

#define LINE_MAX_SHOWN 500
#define SYNC_USEC      USEC_PER_SEC

#define JOURNALD_ADDRESS "/run/systemd/journal/io.systemd.journal"

/* What a process wrote just before it died stands in journald's sockets until journald comes to read it. Its varlink
 * call Synchronize answers when everything sent before was written; `journalctl --sync` uses the same. */
static int journald_synchronize(void) {
        static const char call[] =
                        "{\"method\":\"io.systemd.Journal.Synchronize\"}"; /* ended by NUL, as varlink says */
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNALD_ADDRESS};
        _cleanup_close_ int fd = -1;
        uint64_t until = clock_monotonic() + SYNC_USEC, now;
        char answer[512];
        ssize_t n;
        int r;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = fd_write_all(fd, call, sizeof(call));
        if (r < 0)
                return r;
        for (;;) {
                now = clock_monotonic();
                r = fiber_await_fd(fd, EPOLLIN, now < until ? until - now : 0);
                if (r < 0)
                        return r;
                n = read(fd, answer, sizeof(answer));
                if (n <= 0)
                        return n < 0 ? -errno : -ECONNRESET;
                if (memchr(answer, '\0', n))
                        return 0;
        }
}

/* Field @name of the entry, as text of its own; "" where it has none. */
static int entry_field(sd_journal *j, const char *name, char **ret) {
        const void *data;
        const char *text;
        size_t size, prefix = strlen(name) + 1;
        int r;

        r = sd_journal_get_data(j, name, &data, &size);
        if (r == -ENOENT || (r >= 0 && size < prefix)) {
                data = "";
                size = prefix = 0;
        } else if (r < 0)
                return r;
        text = (const char *) data + prefix;
        *ret = strndup(text, MIN_OF(size - prefix, (size_t) LINE_MAX_SHOWN));
        return *ret ? 0 : -ENOMEM;
}

static void blank_controls(char *s) {
        for (; *s; s++)
                if (iscntrl((unsigned char) *s))
                        *s = ' ';
}

static int entry_line(sd_journal *j, char **ret) {
        _cleanup_free_ char *name = NULL, *pid = NULL, *message = NULL;
        int r;

        r = entry_field(j, "SYSLOG_IDENTIFIER", &name);
        if (r >= 0)
                r = entry_field(j, "_PID", &pid);
        if (r >= 0)
                r = entry_field(j, "MESSAGE", &message);
        if (r < 0)
                return r;
        blank_controls(message);
        *ret = text_format("%s[%s]: %s", name, pid, message);
        return *ret ? 0 : -ENOMEM;
}

static int journal_match(sd_journal *j, const char *field, const char *id) {
        char match[128];
        int n = snprintf(match, sizeof(match), "%s=%s", field, id);

        return n < 0 || (size_t) n >= sizeof(match) ? -EINVAL : sd_journal_add_match(j, match, 0);
}

static void reverse(char **l) {
        size_t n = strv_length(l);

        for (size_t i = 0; i < n / 2; i++) {
                char *s = l[i];

                l[i] = l[n - 1 - i];
                l[n - 1 - i] = s;
        }
}

static int journal_select_name(sd_journal *j, const char *unit) {
        int r;

        r = journal_match(j, "_SYSTEMD_UNIT", unit);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = journal_match(j, "UNIT", unit);
        if (r >= 0)
                r = journal_match(j, "_PID", "1");
        return r < 0 ? r : sd_journal_seek_tail(j);
}

/* By the unit's processes, or by PID 1 about the unit. */
static int journal_select(sd_journal *j, const JournalSource *source) {
        int r;

        if (!source->invocation_id)
                return journal_select_name(j, source->unit);
        r = journal_match(j, "_SYSTEMD_INVOCATION_ID", source->invocation_id);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = journal_match(j, "INVOCATION_ID", source->invocation_id);
        if (r >= 0 && source->unit) {
                r = sd_journal_add_disjunction(j);
                if (r >= 0)
                        r = journal_match(j, "_SYSTEMD_UNIT", source->unit);
        }
        return r < 0 ? r : sd_journal_seek_tail(j);
}

/* 1: it is the source's, 0: it is not, -ENODATA: neither is any older one. */
static int entry_belongs(sd_journal *j, const JournalSource *source) {
        _cleanup_free_ char *by = NULL, *about = NULL;
        sd_id128_t boot;
        uint64_t usec;
        int r;

        if (!source->invocation_id)
                return 1;
        r = entry_field(j, "_SYSTEMD_INVOCATION_ID", &by);
        if (r >= 0)
                r = entry_field(j, "INVOCATION_ID", &about);
        if (r < 0)
                return r;
        if (streq(by, source->invocation_id) || streq(about, source->invocation_id))
                return 1;
        r = sd_journal_get_monotonic_usec(j, &usec, &boot);
        if (r == -ESTALE) /* of another boot */
                return -ENODATA;
        if (r < 0)
                return r;
        return usec < source->since_usec ? -ENODATA : isempty(by);
}

static int journal_read(const JournalSource *source, size_t lines, char ***ret) {
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        _cleanup_strv_ char **l = NULL;
        int r;

        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = journal_select(j, source);
        if (r < 0)
                return r;
        while (strv_length(l) < lines && (r = sd_journal_previous(j)) > 0) {
                _cleanup_free_ char *line = NULL;

                r = entry_belongs(j, source);
                if (r == -ENODATA)
                        break;
                if (r == 0)
                        continue;
                if (r > 0)
                        r = entry_line(j, &line);
                if (r >= 0)
                        r = strv_add(&l, line);
                if (r < 0)
                        return r;
        }
        if (r < 0 && r != -ENODATA)
                return r;
        reverse(l);
        *ret = TAKE(l);
        return 0;
}

int journal_tail(const JournalSource *source, size_t lines, char ***ret) {
        int r;

        if (source->invocation_id && !*source->invocation_id) {
                *ret = NULL;
                return 0;
        }
        r = journald_synchronize();
        if (r == -ECANCELED || r == -ENOMEM)
                return r;
        return journal_read(source, lines, ret); /* what is there is better than nothing */
}
