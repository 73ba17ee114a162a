/* Whatever the patch says, it reads inside the old stream and makes no more than the new one's length; where it is taken,
 * exactly that. Its header is put in front of the input, or nothing else would be tried. */

#include <errno.h>

#include "fuzz.h"
#include "store/patch.h"

#define OLD_LENGTH 1000
#define NEW_LENGTH 1500

static int read_old(void *userdata, uint64_t offset, void *data, size_t size, Error *e) {
        (void) userdata;
        (void) e;
        INVARIANT(offset <= OLD_LENGTH && size <= OLD_LENGTH - offset);
        memset(data, 'o', size);
        return 0;
}

static int count(void *userdata, const void *data, size_t size, Error *e) {
        uint64_t *made = userdata;

        (void) data;
        (void) e;
        *made += size;
        INVARIANT(*made <= NEW_LENGTH);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const uint8_t header[PATCH_HEADER_SIZE] = {'R', 'M', 'P', 'A', 'T', 'C', 'H', '1',
                        OLD_LENGTH & 255, OLD_LENGTH >> 8, [16] = NEW_LENGTH & 255, NEW_LENGTH >> 8};
        _cleanup_(patcher_free_p) Patcher *p = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        uint64_t made = 0;
        Sink sink = {.write = count, .userdata = &made};
        int r;

        if (patcher_new(OLD_LENGTH, NEW_LENGTH, read_old, NULL, &p) < 0)
                return 0;
        r = patcher_push(p, header, sizeof(header), &sink, &e);
        INVARIANT(r == 0);
        r = patcher_push(p, data, size, &sink, &e);
        if (r >= 0)
                r = patcher_finish(p, &e);
        INVARIANT((r < 0) == (e.message != NULL) || r == -ENOMEM);
        INVARIANT(r < 0 || made == NEW_LENGTH);
        return 0;
}
