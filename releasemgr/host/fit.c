#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "host/fit.h"

/* A new process of the same service starts smaller than an old one, but a new release may be larger. */
#define GROWTH_PERCENT 125

/* What a host needs for its page cache and for the unforeseen, of all its memory. */
#define RESERVE_PERCENT 5

#define PRESSURE_MAX 90

/* "MemAvailable:  123 kB" of /proc/meminfo, in bytes. */
static uint64_t meminfo(const char *text, const char *name) {
        const char *line = strstr(text, name);
        unsigned long long kib;

        if (!line || sscanf(line + strlen(name), ": %llu kB", &kib) != 1)
                return UINT64_MAX;
        return kib * KIB;
}

/* Where systemd does not count a unit's memory: that of its main process. */
static uint64_t process_memory(pid_t pid) {
        _cleanup_free_ char *path = text_format("/proc/%d/statm", (int) pid), *text = NULL;
        unsigned long long size, resident;

        if (!path || fs_read_file(AT_FDCWD, path, 4096, &text, NULL) < 0 ||
                        sscanf(text, "%llu %llu", &size, &resident) != 2)
                return UINT64_MAX;
        return resident * (uint64_t) sysconf(_SC_PAGESIZE);
}

/* "some avg10=0.12 avg60=3.45 ..." of /proc/pressure/cpu. */
static unsigned pressure(const char *text) {
        double average;

        return sscanf(text, "some avg10=%*f avg60=%lf", &average) == 1 ? (unsigned) average : UINT_MAX;
}

int fit_facts_read(const UnitState *s, FitFacts *ret) {
        _cleanup_free_ char *memory = NULL, *cpu = NULL;
        FitFacts f = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT_MAX};
        int r;

        if (s && s->memory_current != UINT64_MAX && s->memory_current > 0)
                f.instance_memory = s->memory_current;
        else if (s && s->main_pid > 0)
                f.instance_memory = process_memory(s->main_pid);
        r = fs_read_file(AT_FDCWD, "/proc/meminfo", 64 * KIB, &memory, NULL);
        if (r == -ENOMEM)
                return r;
        if (r >= 0) {
                f.available_memory = meminfo(memory, "MemAvailable");
                f.total_memory = meminfo(memory, "MemTotal");
        }
        r = fs_read_file(AT_FDCWD, "/proc/pressure/cpu", 4096, &cpu, NULL);
        if (r == -ENOMEM)
                return r;
        if (r >= 0)
                f.cpu_pressure = pressure(cpu);
        *ret = f;
        return 0;
}

int fit_judge(const FitFacts *f, Error *e) {
        char needs[SIZE_TEXT_MAX], free_text[SIZE_TEXT_MAX];
        uint64_t need, reserve;
        int r;

        if (f->instance_memory != UINT64_MAX && f->available_memory != UINT64_MAX &&
                        f->total_memory != UINT64_MAX) {
                need = f->instance_memory / 100 * GROWTH_PERCENT;
                reserve = f->total_memory / 100 * RESERVE_PERCENT;
                if (need + reserve > f->available_memory) {
                        r = error_set(e, ERROR_REFUSED, -EBUSY,
                                        "Two instances do not fit into memory: a second one needs about %s, "
                                        "and %s are "
                                        "available",
                                        size_to_text(need, needs),
                                        size_to_text(f->available_memory, free_text));
                        return error_hint(e, r, "Free memory, or use Strategy=restart");
                }
        }
        if (f->cpu_pressure != UINT_MAX && f->cpu_pressure > PRESSURE_MAX) {
                (void) error_set(e, ERROR_FAILED, -EBUSY,
                                "the processors are taken: for %u %% of the last minute somebody waited for "
                                "one",
                                f->cpu_pressure);
                return 1;
        }
        return 0;
}
