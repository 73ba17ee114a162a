#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/environment.h"

/* HTTP_PROXY is none of them: where a web server started us, a client could set it. */
static const char *const passed_on[] = {"AWS_", "http_proxy=", "https_proxy=", "HTTPS_PROXY=", "all_proxy=",
                "ALL_PROXY=", "no_proxy=", "NO_PROXY="};

bool environment_is_passed_on(const char *assignment) {
        for (size_t i = 0; i < ELEMENTS_OF(passed_on); i++)
                if (startswith(assignment, passed_on[i]))
                        return true;
        return false;
}

/* NAME="value", with what means something inside quotes escaped. */
static int add_assignment(Text *t, const char *assignment) {
        const char *value = strchr(assignment, '=') + 1;
        int r = text_add(t, assignment, value - assignment);

        if (r >= 0)
                r = text_adds(t, "\"");
        for (; *value && r >= 0; value++) {
                if (strchr("\"\\`$", *value))
                        r = text_adds(t, "\\");
                if (r >= 0)
                        r = text_add(t, value, 1);
        }
        return r < 0 ? r : text_adds(t, "\"\n");
}

int environment_pass_on(char *const *environment, int *ret_fd, char **ret_path, Error *e) {
        _cleanup_text_ Text text = TEXT_INIT;
        _cleanup_close_ int fd = -1;
        int r = 0;

        *ret_fd = -1;
        *ret_path = NULL;
        for (; environment && *environment && r >= 0; environment++)
                if (strchr(*environment, '=') && environment_is_passed_on(*environment))
                        r = add_assignment(&text, *environment);
        if (r < 0 || text.size == 0)
                return r;
        fd = memfd_create("environment", MFD_CLOEXEC);
        if (fd < 0 || (r = fd_write_all(fd, text.data, text.size)) < 0)
                return error_errno(e, fd < 0 ? -errno : r, "cannot pass on the environment");
        *ret_path = text_format("/proc/%d/fd/%d", (int) getpid(), fd);
        if (!*ret_path)
                return -ENOMEM;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
