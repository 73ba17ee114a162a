/* A hostile repository: whatever it answers, nothing is stored, since nobody has the keys of the trusted root.
 * Input: answers one after the other, each behind its size as two bytes; size 65535: "not there". */

#include "fuzz.h"
#include "trust/updater.h"

/* signed once by keys that were thrown away; expires in 2100 */
static const char root[] =
#include "fuzz-root.inc"
                ;

static int answer(Updater *u, const uint8_t **data, size_t *size) {
        size_t n;
        int r;

        if (*size < 2)
                return updater_feed_missing(u, NULL);
        n = (size_t) (*data)[0] << 8 | (*data)[1];
        *data += 2;
        *size -= 2;
        if (n == 65535)
                return updater_feed_missing(u, NULL);
        n = n < *size ? n : *size;
        r = updater_feed(u, *data, n, NULL);
        *data += n;
        *size -= n;
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(updater_free_p) Updater *u = NULL;
        UpdaterStep step;
        int r;

        INVARIANT(updater_new(&(UpdaterOptions){.now_usec = 1}, &u) == 0);
        while ((r = updater_next(u, &step, NULL)) > 0) {
                if (step.action == UPDATER_LOAD && strcmp(step.file, "root.json") == 0) {
                        INVARIANT(updater_feed(u, root, sizeof(root) - 1, NULL) == 0);
                        continue;
                }
                INVARIANT(step.action == UPDATER_LOAD || step.action == UPDATER_FETCH);
                if (answer(u, &data, &size) < 0)
                        break;
        }
        INVARIANT(r != 0); /* it cannot have succeeded */
        return 0;
}
