#include <stdarg.h>

#include "base/prefix.h"
#include "base/text.h"

static const char *const prefixes[_PREFIX_MAX] = {
                [PREFIX_CONFIG] = "/etc/releasemgr",
                [PREFIX_APPS] = "/opt",
                [PREFIX_STATE] = "/var/lib/releasemgr",
                [PREFIX_RUN] = "/run/releasemgr",
                [PREFIX_UNITS] = "/etc/systemd/system",
};

char *prefix_path(const char *root, Prefix prefix, ...) {
        _cleanup_text_ Text t = TEXT_INIT;
        const char *part;
        va_list ap;
        int r;

        r = text_addf(&t, "%s%s", root, prefixes[prefix]);
        va_start(ap, prefix);
        while (r >= 0 && (part = va_arg(ap, const char *)))
                r = text_addf(&t, "/%s", part);
        va_end(ap);
        return r < 0 ? NULL : text_take(&t);
}
