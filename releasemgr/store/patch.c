#include <endian.h>
#include <errno.h>

#include "store/patch.h"

#define SEGMENT_HEADER_SIZE ((size_t) PATCH_PARTS * sizeof(uint32_t))

/* What is made at a time. */
#define PIECE ((size_t) 64 * KIB)

/* What is left of a part of the segment. */
typedef struct Part {
        const uint8_t *p, *end;
} Part;

struct Patcher {
        uint64_t old_length, new_length;
        PatchOldReader read_old;
        void *userdata;
        uint64_t old_offset; /* the place in the old stream */
        uint64_t made;       /* bytes of the new one */

        /* What is being collected: the header, a segment's header, or a segment. */
        enum {
                HEADER,
                SEGMENT_HEADER,
                SEGMENT
        } state;
        size_t need, have;
        uint32_t sizes[PATCH_PARTS]; /* of the segment's parts */
        size_t capacity;
        uint8_t *buffer;

        /* Of the segment that is being run. */
        Part parts[PATCH_PARTS];
        uint64_t skip, run; /* left of the right bytes and of the run under way */
        Part *values;       /* of that run */

        uint8_t piece[PIECE];
};

static int malformed(Error *e, const char *what) {
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The patch %s", what);
}

static int reserve(Patcher *p, size_t size) {
        uint8_t *grown;

        if (size <= p->capacity)
                return 0;
        grown = realloc(p->buffer, size);
        if (!grown)
                return -ENOMEM;
        p->buffer = grown;
        p->capacity = size;
        return 0;
}

int patcher_new(uint64_t old_length, uint64_t new_length, PatchOldReader read_old, void *userdata,
                Patcher **ret) {
        _cleanup_(patcher_free_p) Patcher *p = malloc(sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (Patcher){.old_length = old_length,
                        .new_length = new_length,
                        .read_old = read_old,
                        .userdata = userdata,
                        .state = HEADER,
                        .need = PATCH_HEADER_SIZE};
        if (reserve(p, MAX_OF(PATCH_HEADER_SIZE, SEGMENT_HEADER_SIZE)) < 0)
                return -ENOMEM;
        *ret = TAKE(p);
        return 0;
}

Patcher *patcher_free(Patcher *p) {
        if (!p)
                return NULL;
        free(p->buffer);
        free(p);
        return NULL;
}

static uint64_t read_u64(const uint8_t *p) {
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return le64toh(v);
}

static uint32_t read_u32(const uint8_t *p) {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return le32toh(v);
}

/* LEB128, at most 64 bits; false where it is cut off or longer. */
static bool read_number(Part *part, uint64_t *ret) {
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64 && part->p < part->end; shift += 7) {
                uint8_t byte = *part->p++;

                if (shift == 63 && byte > 1)
                        return false;
                v |= (uint64_t) (byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret = v;
                        return true;
                }
        }
        return false;
}

static int take_header(Patcher *p, Error *e) {
        if (memcmp(p->buffer, PATCH_MAGIC, 8) != 0)
                return malformed(e, "is not a patch");
        if (read_u64(p->buffer + 8) != p->old_length || read_u64(p->buffer + 16) != p->new_length)
                return malformed(e, "is one between other releases");
        p->state = SEGMENT_HEADER;
        p->need = SEGMENT_HEADER_SIZE;
        return 0;
}

static int take_segment_header(Patcher *p, Error *e) {
        uint64_t sum = 0;

        for (size_t i = 0; i < PATCH_PARTS; i++) {
                p->sizes[i] = read_u32(p->buffer + i * sizeof(uint32_t));
                sum += p->sizes[i];
        }
        if (sum > PATCH_SEGMENT_MAX || p->sizes[PATCH_STEPS] == 0)
                return malformed(e, "has a segment of a forbidden size");
        p->state = SEGMENT;
        p->need = sum;
        return reserve(p, p->need);
}

/* The next run of differences. False where it is malformed. */
static bool next_run(Patcher *p) {
        uint8_t mark = *p->parts[PATCH_MARKS].p++;
        uint64_t more = 0;

        p->skip = mark % (PATCH_MARK_SKIP + 1);
        p->run = mark / (PATCH_MARK_SKIP + 1) + 1;
        if (p->skip == PATCH_MARK_SKIP) {
                if (!read_number(&p->parts[PATCH_NUMBERS], &more) || more > p->new_length)
                        return false;
                p->skip += more;
        }
        if (p->run == PATCH_MARK_RUN) {
                if (!read_number(&p->parts[PATCH_NUMBERS], &more) || more > PATCH_SEGMENT_MAX)
                        return false;
                p->run += more;
        }
        p->values = &p->parts[patch_part_of_run(p->run)];
        return p->run <= (uint64_t) (p->values->end - p->values->p);
}

/* Adds the next @n differences to @data. False where they are malformed. */
static bool add_differences(Patcher *p, uint8_t *data, size_t n) {
        while (n > 0) {
                size_t k;

                if (p->skip == 0 && p->run == 0) {
                        if (p->parts[PATCH_MARKS].p == p->parts[PATCH_MARKS].end)
                                return true; /* no more differences in this segment */
                        if (!next_run(p))
                                return false;
                }
                k = MIN_OF(p->skip, n);
                p->skip -= k;
                data += k;
                n -= k;
                k = p->skip == 0 ? MIN_OF(p->run, n) : 0;
                for (size_t i = 0; i < k; i++)
                        data[i] += p->values->p[i];
                p->run -= k;
                p->values->p += k;
                data += k;
                n -= k;
        }
        return true;
}

/* Makes @size bytes from the old stream and the differences. */
static int make_copy(Patcher *p, uint64_t size, const Sink *sink, Error *e) {
        if (size > p->old_length - p->old_offset)
                return malformed(e, "copies from behind the end of the old release");
        while (size > 0) {
                size_t n = MIN_OF(size, PIECE);
                int r = p->read_old(p->userdata, p->old_offset, p->piece, n, e);

                if (r < 0)
                        return r;
                if (!add_differences(p, p->piece, n))
                        return malformed(e, "has malformed differences");
                r = sink_write(sink, p->piece, n, e);
                if (r < 0)
                        return r;
                p->old_offset += n;
                size -= n;
        }
        return 0;
}

static int seek_old(Patcher *p, uint64_t zigzag, Error *e) {
        uint64_t distance = (zigzag >> 1) + (zigzag & 1); /* 2n is n forwards, 2n - 1 is n back */

        if (zigzag & 1 ? distance > p->old_offset : distance > p->old_length - p->old_offset)
                return malformed(e, "leaves the old release");
        p->old_offset = zigzag & 1 ? p->old_offset - distance : p->old_offset + distance;
        return 0;
}

static int run_step(Patcher *p, const Sink *sink, Error *e) {
        Part *steps = &p->parts[PATCH_STEPS], *text = &p->parts[PATCH_TEXT];
        uint64_t copy, extra, seek, left = p->new_length - p->made;
        int r;

        if (!read_number(steps, &copy) || !read_number(steps, &extra) || !read_number(steps, &seek))
                return malformed(e, "has a malformed step");
        if (extra > (uint64_t) (text->end - text->p))
                return malformed(e, "has a step beyond its segment");
        if (copy > left || extra > left - copy)
                return malformed(e, "makes more than it announces");
        if ((r = seek_old(p, seek, e)) < 0 || (r = make_copy(p, copy, sink, e)) < 0 ||
                        (extra > 0 && (r = sink_write(sink, text->p, extra, e)) < 0))
                return r;
        text->p += extra;
        p->made += copy + extra;
        return 0;
}

static int run_segment(Patcher *p, const Sink *sink, Error *e) {
        const uint8_t *at = p->buffer;

        for (size_t i = 0; i < PATCH_PARTS; i++) {
                p->parts[i] = (Part){.p = at, .end = at + p->sizes[i]};
                at += p->sizes[i];
        }
        p->skip = p->run = 0;
        p->values = NULL;
        while (p->parts[PATCH_STEPS].p < p->parts[PATCH_STEPS].end) {
                int r = run_step(p, sink, e);

                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < PATCH_PARTS; i++)
                if (p->parts[i].p < p->parts[i].end || p->run > 0)
                        return malformed(e, "has a segment with bytes left over");
        p->state = SEGMENT_HEADER;
        p->need = SEGMENT_HEADER_SIZE;
        return 0;
}

static int take(Patcher *p, const Sink *sink, Error *e) {
        p->have = 0;
        if (p->state == HEADER)
                return take_header(p, e);
        return p->state == SEGMENT_HEADER ? take_segment_header(p, e) : run_segment(p, sink, e);
}

int patcher_push(Patcher *p, const void *data, size_t size, const Sink *sink, Error *e) {
        const uint8_t *in = data;

        while (size > 0) {
                size_t n = MIN_OF(size, p->need - p->have);
                int r;

                memcpy(p->buffer + p->have, in, n);
                p->have += n;
                in += n;
                size -= n;
                r = p->have == p->need ? take(p, sink, e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int patcher_finish(Patcher *p, Error *e) {
        if (p->state != SEGMENT_HEADER || p->have > 0 || p->made != p->new_length)
                return malformed(e, "ends too early");
        return 0;
}
