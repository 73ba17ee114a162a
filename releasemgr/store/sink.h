#pragma once

/* Where a stage hands its bytes. 0 or a negative errno, which ends the stage. */

#include "base/error.h"

typedef struct Sink {
        int (*write)(void *userdata, const void *data, size_t size, Error *e);
        void *userdata;

        /* Where the next bytes may be made, so many at most, before they are written from there. NULL: the stage has a
         * buffer of its own. */
        int (*room)(void *userdata, void **ret, size_t *ret_size);
} Sink;

static inline int sink_write(const Sink *s, const void *data, size_t size, Error *e) {
        return s->write(s->userdata, data, size, e);
}
