#include <fcntl.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/text.h"
#include "host/oom.h"

uint64_t oom_kills_from_text(const char *text) {
        unsigned long long n;

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (sscanf(line, "oom_kill %llu", &n) == 1)
                        return n;
        }
        return UINT64_MAX;
}

uint64_t host_oom_kills(void) {
        _cleanup_free_ char *text = NULL;

        if (fs_read_file(AT_FDCWD, "/proc/vmstat", 64 * KIB, &text, NULL) < 0)
                return UINT64_MAX;
        return oom_kills_from_text(text);
}

uint64_t unit_oom_kills(const UnitState *s) {
        static const char *const files[][2] = {
                        {"/sys/fs/cgroup", "memory.events"}, {"/sys/fs/cgroup/memory", "memory.oom_control"}};
        uint64_t n = UINT64_MAX;

        if (isempty(s->control_group))
                return n;
        for (size_t i = 0; i < ELEMENTS_OF(files) && n == UINT64_MAX; i++) {
                _cleanup_free_ char *path =
                                text_format("%s%s/%s", files[i][0], s->control_group, files[i][1]);
                _cleanup_free_ char *text = NULL;

                if (path && fs_read_file(AT_FDCWD, path, 4096, &text, NULL) >= 0)
                        n = oom_kills_from_text(text);
        }
        return n;
}
