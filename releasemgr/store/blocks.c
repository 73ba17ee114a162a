#include <errno.h>

#include "store/blocks.h"

struct Blocks {
        uint64_t length; /* of the file */
        size_t n;
        Digest digests[];
};

static uint64_t block_count(uint64_t length) {
        return length / BLOCK_SIZE + (length % BLOCK_SIZE != 0);
}

uint64_t blocks_list_size(uint64_t length) {
        return block_count(length) * DIGEST_SIZE;
}

int blocks_parse(const void *data, size_t size, uint64_t length, Blocks **ret, Error *e) {
        Blocks *b;

        if (size != blocks_list_size(length))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "The block list has %zu bytes, but a file of %llu bytes needs one of %llu",
                                size, (unsigned long long) length,
                                (unsigned long long) blocks_list_size(length));
        b = malloc(sizeof(*b) + size);
        if (!b)
                return -ENOMEM;
        b->length = length;
        b->n = size / DIGEST_SIZE;
        if (size > 0)
                memcpy(b->digests, data, size);
        *ret = b;
        return 0;
}

size_t blocks_count(const Blocks *b) {
        return b->n;
}

size_t blocks_size(const Blocks *b, size_t i) {
        return MIN_OF(BLOCK_SIZE, b->length - i * BLOCK_SIZE);
}

int blocks_verify(const Blocks *b, size_t i, const void *data, size_t size, Error *e) {
        Digest d;
        int r;

        if (i >= b->n || size != blocks_size(b, i))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "Block %zu of %zu has the wrong length", i + 1,
                                b->n);
        r = digest_of(data, size, &d);
        if (r < 0)
                return r;
        if (!digest_equal(&d, &b->digests[i]))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "Block %zu of %zu does not have the SHA-256 that was signed", i + 1, b->n);
        return 0;
}

Blocks *blocks_free(Blocks *b) {
        free(b);
        return NULL;
}

struct BlockLister {
        Hasher *hasher;
        uint64_t fill; /* bytes of the block under way */
        Text list;
};

int block_lister_new(BlockLister **ret) {
        BlockLister *l = calloc(1, sizeof(*l));
        int r = l ? hasher_new(&l->hasher) : -ENOMEM;

        if (r < 0) {
                block_lister_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

static int block_lister_end(BlockLister *l) {
        Digest d;
        int r = hasher_finish(l->hasher, &d);

        l->fill = 0;
        return r < 0 ? r : text_add(&l->list, d.bytes, sizeof(d.bytes));
}

int block_lister_add(BlockLister *l, const void *data, size_t size) {
        const uint8_t *p = data;
        int r;

        while (size > 0) {
                size_t n = MIN_OF(size, BLOCK_SIZE - l->fill);

                r = hasher_add(l->hasher, p, n);
                if (r < 0)
                        return r;
                p += n;
                size -= n;
                l->fill += n;
                if (l->fill == BLOCK_SIZE && (r = block_lister_end(l)) < 0)
                        return r;
        }
        return 0;
}

int block_lister_finish(BlockLister *l, Text *ret) {
        int r = l->fill > 0 ? block_lister_end(l) : 0;

        if (r < 0)
                return r;
        *ret = TAKE(l->list);
        return 0;
}

BlockLister *block_lister_free(BlockLister *l) {
        if (!l)
                return NULL;
        hasher_free(l->hasher);
        text_clear(&l->list);
        free(l);
        return NULL;
}
