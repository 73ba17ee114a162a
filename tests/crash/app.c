/* A service that starts in a millisecond and says which release it is: what a crash test restarts a thousand times.
 * Answers every request on 127.0.0.1:8000, or on the socket that systemd passes, and on the unix socket at $HEALTH_SOCKET
 * where it is set, with {"status": ..., "version": ...} as its release's files say. One that is not healthy ends soon, so
 * that nobody has to wait for a deadline, which a slow machine needs long; but not while PATIENCE is there. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT     8000
#define PATIENCE "/run/patience"

/* A small file beside the program, as text. */
static void read_beside(const char *name, char *text, size_t size) {
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
        FILE *f;

        path[n < 0 ? 0 : n] = 0;
        strcpy(strrchr(path, '/') + 1, name);
        f = fopen(path, "re");
        if (!f || !fgets(text, (int) size, f))
                exit(1);
        text[strcspn(text, "\n")] = 0;
        fclose(f);
}

static void notify_ready(void) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (!path || strlen(path) >= sizeof(a.sun_path))
                return;
        strcpy(a.sun_path, path);
        if (a.sun_path[0] == '@')
                a.sun_path[0] = 0;
        (void) sendto(fd, "READY=1", 7, 0, (struct sockaddr *) &a,
                        (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path)));
        close(fd);
}

/* systemd's, where it passes one. */
static int listen_to_clients(void) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
        int fd;

        if (getenv("LISTEN_FDS"))
                return 3;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 64) < 0)
                exit(1);
        return fd;
}

/* -1 where nobody wants it: poll() passes that over. */
static int listen_to_probes(void) {
        const char *path = getenv("HEALTH_SOCKET");
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd;

        if (!path || strlen(path) >= sizeof(a.sun_path))
                return -1;
        strcpy(a.sun_path, path);
        (void) unlink(path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 64) < 0)
                exit(1);
        return fd;
}

int main(void) {
        char version[64], status[64], body[256], answer[512], request[4096];
        struct pollfd sockets[2];
        int n, complaints = 0;

        read_beside("version", version, sizeof(version));
        read_beside("status", status, sizeof(status));
        if (strcmp(status, "dead") == 0)
                return 1;
        n = snprintf(body, sizeof(body), "{\"status\": \"%s\", \"version\": \"%s\"}\n", status, version);
        n = snprintf(answer, sizeof(answer),
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                        "Connection: close\r\n\r\n%s",
                        n, body);
        sockets[0] = (struct pollfd){.fd = listen_to_clients(), .events = POLLIN};
        sockets[1] = (struct pollfd){.fd = listen_to_probes(), .events = POLLIN};
        notify_ready();
        while (poll(sockets, 2, -1) >= 0)
                for (int i = 0; i < 2; i++) {
                        int c = sockets[i].revents ? accept4(sockets[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;

                        if (c < 0) /* another instance on the same socket was quicker */
                                continue;
                        if (read(c, request, sizeof(request)) > 0)
                                (void) !write(c, answer, (size_t) n);
                        (void) close(c);
                        if (strcmp(status, "healthy") != 0 && ++complaints > 3 && access(PATIENCE, F_OK) < 0)
                                return 1;
                }
        return 1;
}
