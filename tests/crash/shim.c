/*
 * The fault shim: makes the n-th call of a kind fail, or the process die at it
 *
 * Loaded into every process of a throwaway host with LD_PRELOAD; nothing of it is in the product. It does nothing but
 * in a process of releasemgr, and there only while the file "plan" is in $FAULT_DIRECTORY (or /run/fault), one line:
 *
 *     CLASSES N ACTION WHEN WORD [MARK]
 *
 * CLASSES  joined by commas, of: sync rename symlink unlink mkdir truncate write bus net, which "all" stands for, and: create
 *          (files that are opened to be made) fd (whatever makes a descriptor) open (those of files) read (of files, links
 *          and directories)
 * N        which call, from 1; 0: none, count only
 * ACTION   "kill": SIGKILL; "cut:DIR:...": the power of each ext4 there is cut, then SIGKILL; "hold": the process stands
 *          still there until it is asked to end, and then goes on; or the number of an errno that the call fails with, with
 *          a "+" behind it: this one and all that follow
 * WHEN     "before": in place of the call; "after": the call is made first, and takes effect
 * WORD     only in processes that have this word on their command line, or with "!" before it, that have not; "-": in all
 * MARK     calls count from the first on that comes behind a write of a text which has this in it
 *
 * While the file "clock" is beside it, the wall clock is wrong in releasemgr by as many seconds as stand in it.
 *
 * Every call of the classes adds a line "N CLASS CALL WHAT" to "log" beside it, with " <- here" at the one that is N; and at
 * the end of the process every descriptor that was not closed a line "left FD WHAT".
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

#define DIRECTORY "/run/fault"

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define NO_LOG_FLUSH      2

static const struct {
        const char *name;
        int class;
} classes[] = {{"sync", SYNC}, {"rename", RENAME}, {"symlink", SYMLINK}, {"unlink", UNLINK}, {"mkdir", MKDIR},
                {"truncate", TRUNCATE}, {"write", WRITE}, {"create", CREATE}, {"bus", BUS}, {"net", NET},
                {"fd", FD}, {"open", OPEN}, {"read", READ}, {"all", ALL}};

static struct {
        char log[PATH_MAX];
        bool read;
        int classes; /* 0: inert */
        unsigned n;
        unsigned count;
        char mark[64]; /* "": none */
        bool marked;
        int number; /* 0: kill */
        bool hold;
        bool on; /* this one and all that follow */
        bool after;
        int fds[4]; /* of the disks whose power is cut, opened before anything is */
        int n_fds;
} plan;

/* Reads a small file with bare system calls: we may stand inside open() ourselves. */
static ssize_t slurp(const char *path, char *buffer, size_t size) {
        int fd = (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        ssize_t n = fd < 0 ? -1 : syscall(SYS_read, fd, buffer, size - 1);

        if (fd >= 0)
                (void) syscall(SYS_close, fd);
        if (n >= 0)
                buffer[n] = 0;
        return n;
}

static bool is_for_us(const char *word) {
        char program[PATH_MAX] = "", line[8192];
        const char *slash;
        ssize_t n;

        if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
                return false;
        slash = strrchr(program, '/');
        if (!slash || strcmp(slash + 1, "releasemgr") != 0)
                return false;
        if (strcmp(word, "-") == 0)
                return true;
        n = slurp("/proc/self/cmdline", line, sizeof(line));
        for (const char *p = line; p < line + n; p += strlen(p) + 1)
                if (strcmp(p, word + (*word == '!')) == 0)
                        return *word != '!';
        return *word == '!';
}

static int parse_classes(char *list) {
        int found = 0;

        for (char *name = strtok(list, ","); name; name = strtok(NULL, ","))
                for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
                        if (strcmp(classes[i].name, name) == 0)
                                found |= classes[i].class;
        return found;
}

static void read_plan(void) {
        const char *directory = getenv("FAULT_DIRECTORY") ?: DIRECTORY;
        char path[PATH_MAX], text[512], list[128], action[256], when[16], word[64];

        (void) snprintf(path, sizeof(path), "%s/plan", directory);
        (void) snprintf(plan.log, sizeof(plan.log), "%s/log", directory);
        if (slurp(path, text, sizeof(text)) <= 0)
                return;
        if (sscanf(text, "%127s %u %255s %15s %63s %63s", list, &plan.n, action, when, word, plan.mark) < 5 ||
                        !is_for_us(word))
                return;
        plan.hold = strcmp(action, "hold") == 0;
        if (strncmp(action, "cut:", 4) == 0)
                for (char *disk = strtok(action + 4, ":"); disk && plan.n_fds < 4; disk = strtok(NULL, ":"))
                        plan.fds[plan.n_fds++] = (int) syscall(
                                        SYS_openat, AT_FDCWD, disk, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        plan.number = atoi(action);
        plan.on = action[strspn(action, "0123456789")] == '+';
        plan.after = strcmp(when, "after") == 0;
        plan.classes = parse_classes(list);
}

/* The plan is read at the first call, which is long before there are threads. */
bool shim_counts(int classes) {
        if (!plan.read) {
                plan.read = true;
                read_plan();
        }
        return plan.classes & classes;
}

static const char *class_name(int class) {
        for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
                if (classes[i].class & class)
                        return classes[i].name;
        return "?";
}

/* The program takes its signals from a descriptor: one that has come is pending until then. */
static void hold(void) {
        sigset_t pending;

        do {
                (void) syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 5000000}, NULL);
                (void) sigpending(&pending);
        } while (!sigismember(&pending, SIGTERM) && !sigismember(&pending, SIGINT));
}

static void die(void) {
        uint32_t flag = NO_LOG_FLUSH;

        if (plan.hold)
                return hold();
        for (int i = 0; i < plan.n_fds; i++)
                (void) ioctl(plan.fds[i], EXT4_IOC_SHUTDOWN, &flag);
        (void) syscall(SYS_kill, getpid(), SIGKILL);
        for (;;)
                (void) pause();
}

static void log_line(const char *line, int size) {
        int fd = (int) syscall(
                        SYS_openat, AT_FDCWD, plan.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

        if (fd < 0)
                return;
        (void) syscall(SYS_write, fd, line, size);
        (void) syscall(SYS_close, fd);
}

Verdict shim_judge(int classes, const char *call, const char *what) {
        char line[PATH_MAX + 64];
        unsigned count;
        bool here;

        if (!shim_counts(classes) || (plan.mark[0] && !plan.marked))
                return PASS;
        count = __atomic_add_fetch(&plan.count, 1, __ATOMIC_SEQ_CST);
        here = plan.n > 0 && (count == plan.n || (plan.on && count > plan.n));
        log_line(line, snprintf(line, sizeof(line), "%u %s %s %s%s\n", count, class_name(classes), call, what,
                                       here ? " <- here" : ""));
        if (here && !plan.after && plan.number == 0)
                die();
        return !here ? PASS : plan.after ? CALL_THEN_FAIL : plan.number == 0 ? PASS : FAIL;
}

bool shim_fails(void) {
        if (plan.number == 0)
                die();
        else
                errno = plan.number;
        return plan.number != 0;
}

void shim_look_for_mark(const void *data, size_t size) {
        if (plan.mark[0] && memmem(data, size, plan.mark, strlen(plan.mark)))
                plan.marked = true;
}

/* The clock that a file says how wrong it is. */
int clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = (int) syscall(SYS_clock_gettime, clock, ts);
        char path[PATH_MAX], text[32];
        static int ours = -1;

        if (ours < 0)
                ours = is_for_us("-");
        if (r < 0 || clock != CLOCK_REALTIME || !ours)
                return r;
        (void) snprintf(path, sizeof(path), "%s/clock", getenv("FAULT_DIRECTORY") ?: DIRECTORY);
        if (slurp(path, text, sizeof(text)) > 0)
                ts->tv_sec += atoll(text);
        return r;
}

static const char *fd_path(int fd, char buffer[PATH_MAX]) {
        char link[32];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, buffer, PATH_MAX - 1);
        buffer[n < 0 ? 0 : n] = 0;
        return buffer;
}

const char *shim_path(int classes, int fd, char buffer[PATH_MAX]) {
        return shim_counts(classes) ? fd_path(fd, buffer) : "";
}

bool shim_is_file(int classes, int fd) {
        struct stat st;

        return shim_counts(classes) && fd > 2 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode);
}

/* Whether @fd is the socket through which libsystemd speaks to the journal: it keeps it for good. */
static bool is_journal(int fd) {
        socklen_t size = sizeof(int);
        int type;

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) >= 0 && type == SOCK_DGRAM;
}

__attribute__((destructor)) static void tell_what_is_left(void) {
        char path[PATH_MAX], line[PATH_MAX + 64];

        for (int fd = 3; plan.classes && fd < 64; fd++) {
                if (fcntl(fd, F_GETFD) < 0 || is_journal(fd))
                        continue;
                log_line(line, snprintf(line, sizeof(line), "left %d %s\n", fd, fd_path(fd, path)));
        }
}
