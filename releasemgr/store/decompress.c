#include <errno.h>
#include <zstd.h>

#include "store/decompress.h"

#define WINDOW_LOG_MAX  23
#define OUTPUT_CAPACITY ((size_t) 128 * KIB)

struct Decompressor {
        ZSTD_DCtx *context;
        bool complete;
        char output[OUTPUT_CAPACITY];
};

int decompressor_new(Decompressor **ret) {
        _cleanup_(decompressor_free_p) Decompressor *d = malloc(sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->complete = false;
        d->context = ZSTD_createDCtx();
        if (!d->context ||
                        ZSTD_isError(ZSTD_DCtx_setParameter(d->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
                return -ENOMEM;
        *ret = TAKE(d);
        return 0;
}

Decompressor *decompressor_free(Decompressor *d) {
        if (!d)
                return NULL;
        ZSTD_freeDCtx(d->context);
        free(d);
        return NULL;
}

static int find_room(Decompressor *d, const Sink *sink, ZSTD_outBuffer *ret) {
        *ret = (ZSTD_outBuffer){.dst = d->output, .size = sizeof(d->output)};
        return sink->room ? sink->room(sink->userdata, &ret->dst, &ret->size) : 0;
}

int decompressor_push(Decompressor *d, const void *data, size_t size, const Sink *sink, Error *e) {
        ZSTD_inBuffer in = {.src = data, .size = size};
        bool full = false;

        while (in.pos < in.size || full) {
                ZSTD_outBuffer out;
                size_t left;
                int r;

                if (d->complete)
                        return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                        "There is something behind the end of the compressed stream");
                r = find_room(d, sink, &out);
                if (r < 0)
                        return r;
                left = ZSTD_decompressStream(d->context, &out, &in);
                if (ZSTD_isError(left))
                        return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                        "The compressed stream cannot be read: %s", ZSTD_getErrorName(left));
                d->complete = left == 0;
                full = !d->complete && out.pos == out.size; /* it may hold back more than fitted */
                r = out.pos > 0 ? sink_write(sink, out.dst, out.pos, e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int decompressor_finish(Decompressor *d, Error *e) {
        if (!d->complete)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The compressed stream ends too early");
        return 0;
}
