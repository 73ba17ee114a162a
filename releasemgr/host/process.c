#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "base/text.h"
#include "host/process.h"
#include "host/unit.h"

#define LOOK_AGAIN_USEC (5 * USEC_PER_MSEC)

int prove_process_from_string(const char *s, ProveProcess *ret, const char **ret_why) {
        static const char *const names[] = {[PROVE_AUTO] = "auto", [PROVE_EXE] = "exe", [PROVE_CWD] = "cwd"};
        const char *why = startswith(s, "off ");
        ProveProcess how = PROVE_AUTO;

        why = why ? why + strspn(why, " ") : "";
        while (how < PROVE_OFF && !streq(s, names[how]))
                how++;
        if (how == PROVE_OFF && !*why)
                return -EINVAL;
        *ret = how;
        if (ret_why)
                *ret_why = how == PROVE_OFF ? why : NULL;
        return 0;
}

void process_proof_clear(ProcessProof *p) {
        free(p->exe);
        free(p->cwd);
        *p = (ProcessProof){0};
}

/* What the link /proc/PID/@name says; NULL in @ret where it may not be read (a kernel thread, a zombie). */
static int process_link(pid_t pid, const char *name, char path[static 64], char **ret) {
        int r;

        (void) snprintf(path, 64, "/proc/%d/%s", (int) pid, name);
        r = fs_readlink(AT_FDCWD, path, ret);
        if (r != -ENOENT && r != -ESRCH && r != -EACCES && r != -EPERM) /* gone, or hidden from us */
                return r;
        *ret = NULL;
        return 0;
}

/* Whether @target, read from the link @link of /proc, lies in @directory (already resolved). The text of such a
 * link is seen from the process's own mounts, so it counts only where it leads us to the same file. */
static bool link_is_inside(const char *link, const char *target, const char *directory) {
        struct stat there, here;
        const char *rest;

        if (!target || stat(link, &there) < 0 || stat(target, &here) < 0)
                return false;
        if (there.st_dev != here.st_dev || there.st_ino != here.st_ino)
                return false;
        rest = startswith(target, directory);
        return rest && (*rest == '/' || *rest == '\0');
}

bool process_is_hidden(pid_t pid) {
        _cleanup_free_ char *target = NULL;
        char path[64];
        int r;

        if (pid <= 0)
                return false;
        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        r = fs_readlink(AT_FDCWD, path, &target);
        return r == -EACCES || r == -EPERM;
}

int process_prove(pid_t pid, const char *release_directory, ProveProcess how, ProcessProof *ret) {
        _cleanup_(process_proof_clear) ProcessProof p = {.pid = pid};
        char exe_link[64], cwd_link[64];
        _cleanup_free_ char *directory = NULL;
        int r;

        directory = realpath(release_directory, NULL);
        if (!directory)
                return -errno;
        r = process_link(pid, "exe", exe_link, &p.exe);
        if (r >= 0)
                r = process_link(pid, "cwd", cwd_link, &p.cwd);
        if (r < 0)
                return r;
        if (!p.exe && !p.cwd)
                return -ESRCH;
        if (how != PROVE_CWD && link_is_inside(exe_link, p.exe, directory))
                p.by = "exe";
        else if (how != PROVE_EXE && link_is_inside(cwd_link, p.cwd, directory))
                p.by = "cwd";
        p.proven = p.by;
        *ret = TAKE(p);
        return 0;
}

/* Between fork and exec a unit's main process is still a copy of systemd, or its sd-executor. */
static bool is_before_exec(const ProcessProof *p) {
        return p->exe && (strstr(p->exe, "/systemd/systemd") || strstr(p->exe, "/systemd-executor"));
}

static int explain(
                const char *unit, const char *directory, ProveProcess how, const ProcessProof *p, Error *e) {
        int r;

        if (p->pid <= 0) {
                r = error_set(e, ERROR_FAILED, -ESTALE,
                                "%s has no main process to prove that it runs the release", unit);
                return error_hint(e, r,
                                "Type=forking needs PIDFile=; where there is none by design, "
                                "ProveProcess=off WHY");
        }
        r = error_set(e, ERROR_FAILED, -ESTALE,
                        "Process %d of %s does not run from %s: its executable is %s, its working directory "
                        "%s",
                        (int) p->pid, unit, directory, p->exe ? p->exe : "unknown",
                        p->cwd ? p->cwd : "unknown");
        return error_hint(e, r, "Let %s in the unit go through the current link, or say ProveProcess=off WHY",
                        how == PROVE_EXE ? "ExecStart=" : "WorkingDirectory= (or ExecStart=)");
}

static int prove_main_process(Bus *b, const char *unit, const char *directory, ProveProcess how,
                ProcessProof *ret, Error *e) {
        UnitState s;
        int r;

        r = unit_read(b, unit, &s, e);
        if (r < 0)
                return r;
        ret->pid = s.main_pid;
        if (s.main_pid <= 0)
                return 0;
        r = process_prove(s.main_pid, directory, how, ret);
        if (r == -ESRCH) /* gone since we asked; its state will say so */
                return 0;
        if (r < 0 && r != -ENOMEM) /* that says nothing about the release, which -EIO would */
                return error_set(e, ERROR_FAILED, -ENODATA, "Cannot look at process %d of %s: %s",
                                (int) s.main_pid, unit, strerror(-r));
        return r;
}

int unit_prove_process(Bus *b, const char *unit, const char *release_directory, ProveProcess how,
                uint64_t deadline_usec, ProcessProof *ret, Error *e) {
        int r;

        if (how == PROVE_OFF)
                return 0;
        for (;;) {
                _cleanup_(process_proof_clear) ProcessProof p = {0};

                r = prove_main_process(b, unit, release_directory, how, &p, e);
                if (r < 0)
                        return r;
                if (p.proven) {
                        if (ret)
                                *ret = TAKE(p);
                        return 0;
                }
                if (!is_before_exec(&p) || clock_monotonic() >= deadline_usec)
                        return explain(unit, release_directory, how, &p, e);
                r = fiber_sleep(LOOK_AGAIN_USEC);
                if (r < 0)
                        return r;
        }
}
