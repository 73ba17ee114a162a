#include "store/blocks.h"
#include "tests/unit/store/tree.h"

/* The list of @size bytes of @data, written in pieces of @step. */
static void make_list(const uint8_t *data, size_t size, size_t step, Text *ret) {
        _cleanup_(block_lister_free_p) BlockLister *l = NULL;

        assert_int_equal(block_lister_new(&l), 0);
        for (size_t i = 0; i < size; i += step)
                assert_int_equal(block_lister_add(l, data + i, MIN_OF(step, size - i)), 0);
        assert_int_equal(block_lister_finish(l, ret), 0);
}

static void test_blocks(void **state _unused_) {
        static const size_t sizes[] = {0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE + 17};
        _cleanup_free_ uint8_t *data = malloc(4 * BLOCK_SIZE);

        for (size_t i = 0; i < 4 * BLOCK_SIZE; i++)
                data[i] = (uint8_t) (i * 31 + i / 977);
        for (size_t n = 0; n < ELEMENTS_OF(sizes); n++) {
                _cleanup_text_ Text list = TEXT_INIT, other = TEXT_INIT;
                _cleanup_(blocks_free_p) Blocks *b = NULL;
                size_t size = sizes[n], count = (size + BLOCK_SIZE - 1) / BLOCK_SIZE;

                make_list(data, size, 4 * BLOCK_SIZE, &list);
                make_list(data, size, 70001, &other);
                assert_int_equal(list.size, 32 * count);
                assert_int_equal(other.size, list.size);
                assert_memory_equal(other.data ?: "", list.data ?: "", list.size);
                assert_int_equal(blocks_parse(list.data, list.size, size, &b, NULL), 0);
                assert_int_equal(blocks_count(b), count);
                for (size_t i = 0; i < count; i++) {
                        uint8_t *block = data + i * BLOCK_SIZE;
                        _cleanup_error_ Error e = ERROR_INIT;

                        assert_int_equal(blocks_verify(b, i, block, blocks_size(b, i), NULL), 0);
                        block[blocks_size(b, i) - 1] ^= 1;
                        assert_int_equal(blocks_verify(b, i, block, blocks_size(b, i), &e), -EBADMSG);
                        assert_int_equal(e.class, ERROR_UNTRUSTED);
                        block[blocks_size(b, i) - 1] ^= 1;
                        assert_int_equal(blocks_verify(b, i, block, blocks_size(b, i) - 1, NULL), -EBADMSG);
                }
                assert_int_equal(blocks_verify(b, count, data, 0, NULL), -EBADMSG);
        }
}

static void test_parse(void **state _unused_) {
        char list[96] = {0};
        Blocks *b = NULL;

        assert_int_equal(blocks_parse(list, 32, BLOCK_SIZE + 1, &b, NULL), -EBADMSG);
        assert_int_equal(blocks_parse(list, 64, BLOCK_SIZE, &b, NULL), -EBADMSG);
        assert_int_equal(blocks_parse(list, 33, BLOCK_SIZE + 1, &b, NULL), -EBADMSG);
        assert_int_equal(blocks_parse(list, 32, UINT64_MAX, &b, NULL), -EBADMSG);
        assert_null(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_blocks),
                        cmocka_unit_test(test_parse),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
