#include <endian.h>
#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/text.h"
#include "store/compress.h"
#include "store/decompress.h"
#include "store/diff.h"
#include "store/patch.h"
#include "store/patchmaker.h"

#define PIECE ((size_t) 128 * KIB)

/* A tar stream as it is read into memory. */
typedef struct Stream {
        uint8_t *data;
        size_t size, length; /* there so far, and in the end */
} Stream;

static void stream_clear(Stream *s) {
        free(s->data);
}

static int on_tar(void *userdata, const void *data, size_t size, Error *e) {
        Stream *s = userdata;

        if (size > s->length - s->size)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The bundle is longer than was signed");
        memcpy(s->data + s->size, data, size);
        s->size += size;
        return 0;
}

static int read_stream(int dirfd, const char *bundle, const BundleInfo *info, Stream *s, Error *e) {
        _cleanup_(decompressor_free_p) Decompressor *d = NULL;
        _cleanup_free_ char *buffer = malloc(PIECE);
        Sink sink = {.write = on_tar, .userdata = s};
        _cleanup_close_ int fd = -1;
        ssize_t n = PIECE;
        Digest digest;
        int r = 0;

        fd = fd_openat(dirfd, bundle, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(e, -errno, "Cannot open %s", bundle);
        s->length = info->tar_length;
        s->data = malloc(s->length + 1);
        if (!buffer || !s->data || decompressor_new(&d) < 0)
                return -ENOMEM;
        while (n == (ssize_t) PIECE && r >= 0) {
                n = fd_read_full(fd, buffer, PIECE);
                r = n < 0 ? error_errno(e, (int) n, "Cannot read %s", bundle)
                          : decompressor_push(d, buffer, n, &sink, e);
        }
        if (r < 0 || (r = decompressor_finish(d, e)) < 0 || (r = digest_of(s->data, s->size, &digest)) < 0)
                return r;
        if (s->size != s->length || !digest_equal(&digest, &info->tar_digest))
                return error_set(
                                e, ERROR_UNTRUSTED, -EBADMSG, "%s is not the bundle that was signed", bundle);
        return 0;
}

/* A step makes this much of either kind at most, and a segment is ended when it has the size behind: so that none exceeds
 * PATCH_SEGMENT_MAX, whatever it holds. A copied byte takes two in the parts at worst. */
#define STEP_MAX    (256 * KIB)
#define SEGMENT_END (PATCH_SEGMENT_MAX - 3 * STEP_MAX)

/* A run of differences is cut where it is longer. */
#define RUN_MAX 256

typedef struct Maker {
        const Stream *old, *new;
        Compressor *compressor;
        Text parts[PATCH_PARTS]; /* of the segment under way */
        uint64_t skip;           /* copied bytes without a difference behind the last run */
        uint64_t old_offset;
        uint64_t left; /* bytes of the new stream that no step made yet */
        bool begun;    /* the header is written */
        Error *error;
} Maker;

static int add_number(Text *t, uint64_t v) {
        uint8_t bytes[10];
        size_t n = 0;

        do
                bytes[n++] = (v & 0x7f) | (v > 0x7f ? 0x80 : 0);
        while ((v >>= 7) > 0);
        return text_add(t, bytes, n);
}

/* Not before there is a segment: the compressor takes its memory with the first byte, and a patch of one segment, as most
 * are, is compressed when that of the search is free again. */
static int add_header(Maker *m) {
        uint64_t lengths[] = {htole64(m->old->length), htole64(m->new->length)};
        int r;

        if (m->begun)
                return 0;
        m->begun = true;
        r = compressor_add(m->compressor, PATCH_MAGIC, 8, false, m->error);
        return r < 0 ? r : compressor_add(m->compressor, lengths, sizeof(lengths), false, m->error);
}

static int flush_segment(Maker *m) {
        uint32_t sizes[PATCH_PARTS];
        int r = add_header(m);

        if (r < 0)
                return r;
        for (size_t i = 0; i < PATCH_PARTS; i++)
                sizes[i] = htole32(m->parts[i].size);
        r = compressor_add(m->compressor, sizes, sizeof(sizes), false, m->error);
        for (size_t i = 0; i < PATCH_PARTS && r >= 0; i++) {
                r = compressor_add(m->compressor, m->parts[i].data, m->parts[i].size, false, m->error);
                m->parts[i].size = 0;
        }
        m->skip = 0;
        return r;
}

/* The run of differences @values behind m->skip right bytes. */
static int add_run(Maker *m, const uint8_t *values, size_t run) {
        uint64_t skip = MIN_OF(m->skip, (uint64_t) PATCH_MARK_SKIP),
                 length = MIN_OF(run, (size_t) PATCH_MARK_RUN);
        uint8_t mark = skip + (length - 1) * (PATCH_MARK_SKIP + 1);
        Text *numbers = &m->parts[PATCH_NUMBERS];
        int r;

        r = text_add(&m->parts[PATCH_MARKS], &mark, 1);
        if (r >= 0 && skip == PATCH_MARK_SKIP)
                r = add_number(numbers, m->skip - skip);
        if (r >= 0 && length == PATCH_MARK_RUN)
                r = add_number(numbers, run - length);
        m->skip = 0;
        return r < 0 ? r : text_add(&m->parts[patch_part_of_run(run)], values, run);
}

static int add_differences(Maker *m, const uint8_t *old, const uint8_t *new, size_t n) {
        uint8_t values[RUN_MAX];
        int r = 0;

        for (size_t i = 0; i < n && r >= 0;) {
                size_t run = 0;

                for (; i < n && old[i] != new[i] && run < RUN_MAX; i++)
                        values[run++] = new[i] - old[i];
                if (run > 0) {
                        r = add_run(m, values, run);
                        continue;
                }
                m->skip++;
                i++;
        }
        return r;
}

static int add_step(Maker *m, uint64_t old_offset, uint64_t new_offset, size_t copy, size_t extra) {
        const uint8_t *new = m->new->data + new_offset;
        int64_t seek = (int64_t) (old_offset - m->old_offset);
        Text *steps = &m->parts[PATCH_STEPS];
        int r;

        if ((r = add_number(steps, copy)) < 0 || (r = add_number(steps, extra)) < 0 ||
                        (r = add_number(steps, seek < 0 ? 2 * (uint64_t) -seek - 1 : 2 * (uint64_t) seek)) <
                                        0 ||
                        (r = add_differences(m, m->old->data + old_offset, new, copy)) < 0 ||
                        (r = text_add(&m->parts[PATCH_TEXT], new + copy, extra)) < 0)
                return r;
        m->old_offset = old_offset + copy;
        m->left -= copy + extra;
        return 0;
}

static size_t segment_size(const Maker *m) {
        size_t sum = 0;

        for (size_t i = 0; i < PATCH_PARTS; i++)
                sum += m->parts[i].size;
        return sum;
}

static int on_piece(const DiffPiece *piece, void *userdata) {
        DiffPiece rest = *piece;
        Maker *m = userdata;

        while (rest.copy + rest.extra > 0) {
                size_t copy = MIN_OF(rest.copy, STEP_MAX),
                       extra = copy < rest.copy ? 0 : MIN_OF(rest.extra, STEP_MAX);
                int r = add_step(m, copy > 0 ? rest.old_offset : m->old_offset, rest.new_offset, copy, extra);

                rest.old_offset += copy;
                rest.new_offset += copy + extra;
                rest.copy -= copy;
                rest.extra -= extra;
                if (r >= 0 && segment_size(m) >= SEGMENT_END)
                        r = flush_segment(m);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int make(Maker *m) {
        int r;

        m->left = m->new->length;
        r = diff_run(m->old->data, m->old->length, m->new->data, m->new->length, on_piece, m);
        if (r == -EFBIG)
                return error_set(m->error, ERROR_FAILED, r, "The old release is too large for a patch");
        if (r >= 0 && m->parts[PATCH_STEPS].size > 0)
                r = flush_segment(m);
        if (r >= 0)
                r = add_header(m);
        return r < 0 ? r : compressor_add(m->compressor, NULL, 0, true, m->error);
}

int patch_make(int dirfd, const char *old_bundle, const BundleInfo *old, const char *new_bundle,
                const BundleInfo *new, const char *patch, const char *blocks, Error *e) {
        _cleanup_(compressor_free_p) Compressor *c = NULL;
        _cleanup_(stream_clear) Stream a = {0}, b = {0};
        Maker m = {.old = &a, .new = &b, .error = e};
        int r;

        if ((r = read_stream(dirfd, old_bundle, old, &a, e)) < 0 ||
                        (r = read_stream(dirfd, new_bundle, new, &b, e)) < 0 ||
                        (r = compressor_new(dirfd, patch, &c, e)) < 0)
                return r;
        m.compressor = c;
        r = make(&m);
        for (size_t i = 0; i < PATCH_PARTS; i++)
                text_clear(&m.parts[i]);
        return r < 0 ? r : compressor_finish(c, blocks, e);
}
