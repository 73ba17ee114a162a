#include <dlfcn.h>
#include <errno.h>

#include "base/library.h"

/* RTLD_LAZY: its own dependencies' functions are found when they are called, most of them never. */
int library_open(const char *soname, const char *const *names, size_t n, void **ret, Error *e) {
        void *library = dlopen(soname, RTLD_LAZY | RTLD_NODELETE);
        int r;

        if (!library) {
                r = error_set(e, ERROR_FAILED, -ELIBACC, "Cannot load a library: %s", dlerror());
                return error_hint(e, r, "Install the package that has %s", soname);
        }
        for (size_t i = 0; i < n; i++) {
                ret[i] = dlsym(library, names[i]);
                if (!ret[i]) {
                        r = error_set(e, ERROR_FAILED, -ELIBACC, "The library %s has no %s()", soname,
                                        names[i]);
                        return error_hint(e, r, "Install a newer one");
                }
        }
        return 0;
}
