#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <termios.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "base/text.h"
#include "cli/passphrase.h"
#include "cli/secret.h"

#define CREDENTIAL     "releasemgr.passphrase"
#define PASSPHRASE_MAX 1024

/* Reads one line. Returns its length without the newline. Suspends, so that Ctrl-C ends it. */
static int read_line(int fd, char *buffer, size_t size) {
        size_t n = 0;
        char c;

        while (n + 1 < size) {
                int r = fiber_await_fd(fd, EPOLLIN, USEC_INFINITY);
                ssize_t k = r < 0 ? r : read(fd, &c, 1);

                if (k < 0)
                        return r < 0 ? r : -errno;
                if (k == 0 || c == '\n')
                        break;
                buffer[n++] = c;
        }
        buffer[n] = 0;
        return (int) n;
}

int passphrase_ask(const char *prompt, char *buffer, size_t size, Error *e) {
        _cleanup_close_ int fd = fd_openat(AT_FDCWD, "/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
        struct termios shown, hidden;
        int r;

        if (fd < 0 || tcgetattr(fd, &shown) < 0) {
                (void) error_set(e, ERROR_USAGE, -ENOTTY,
                                "a passphrase is needed, and there is no terminal to ask on");
                return error_hint(e, -ENOTTY,
                                "say with --passphrase-file=FILE where it is, or give it as systemd's "
                                "credential " CREDENTIAL);
        }
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t) ECHO;
        if (tcsetattr(fd, TCSAFLUSH, &hidden) < 0)
                return error_errno(e, -errno, "cannot ask for a passphrase");
        (void) dprintf(fd, "%s: ", prompt);
        r = read_line(fd, buffer, size);
        (void) tcsetattr(fd, TCSAFLUSH, &shown);
        (void) dprintf(fd, "\n");
        return r < 0 && r != -ECANCELED ? error_errno(e, r, "cannot read the passphrase") : r;
}

/* What a file or credential holds, into @buffer; 0 where neither is there. */
static int read_stored(const char *file, char *buffer, size_t size, Error *e) {
        _cleanup_free_ char *secret = NULL, *path = NULL;
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        bool credential;
        size_t n;
        int r;

        path = directory ? text_format("%s/%s", directory, CREDENTIAL) : NULL;
        credential = path && access(path, F_OK) >= 0;
        if (!file && !credential)
                return 0;
        r = secret_read(file, file ? NULL : CREDENTIAL, &secret, e);
        if (r < 0)
                return r;
        n = strlen(secret);
        if (n > 0 && n < size)
                memcpy(buffer, secret, n + 1);
        explicit_bzero(secret, n);
        if (n == 0 || n >= size)
                return error_set(e, ERROR_USAGE, -EINVAL, "the passphrase in %s is empty or too long",
                                file ?: CREDENTIAL);
        return (int) n;
}

int passphrase_for_key(const char *path, char *buffer, size_t size, void *userdata, Error *e) {
        _cleanup_free_ char *prompt = NULL;
        int r = read_stored(userdata, buffer, size, e);

        if (r != 0)
                return r;
        prompt = text_format("Passphrase of %s", path);
        return prompt ? passphrase_ask(prompt, buffer, size, e) : -ENOMEM;
}

int passphrase_for_new_keys(const char *file, char **ret, Error *e) {
        char first[PASSPHRASE_MAX] = "", again[PASSPHRASE_MAX] = "";
        int r = read_stored(file, first, sizeof(first), e);

        if (r == 0) {
                r = passphrase_ask("Passphrase for the new keys", first, sizeof(first), e);
                if (r >= 0)
                        r = passphrase_ask("The same again", again, sizeof(again), e);
                if (r >= 0 && (isempty(first) || !streq(first, again)))
                        r = error_set(e, ERROR_USAGE, -EINVAL, "the passphrases are empty or not the same");
        }
        if (r >= 0) {
                *ret = strdup(first);
                r = *ret ? 0 : -ENOMEM;
        }
        explicit_bzero(first, sizeof(first));
        explicit_bzero(again, sizeof(again));
        return r;
}
