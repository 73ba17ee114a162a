/* A block list that is taken has exactly the blocks of the file, and vouches for no other bytes. The first 8 bytes of the
 * input are the file's length. */

#include "fuzz.h"
#include "store/blocks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(blocks_free_p) Blocks *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        uint64_t length, sum = 0;
        int r;

        if (size < sizeof(length))
                return 0;
        memcpy(&length, data, sizeof(length));
        r = blocks_parse(data + sizeof(length), size - sizeof(length), length, &b, &e);
        INVARIANT((r < 0) == (e.class == ERROR_UNTRUSTED));
        if (r < 0)
                return 0;
        for (size_t i = 0; i < blocks_count(b); i++) {
                INVARIANT(blocks_size(b, i) > 0 && blocks_size(b, i) <= BLOCK_SIZE);
                sum += blocks_size(b, i);
        }
        INVARIANT(sum == length);
        (void) blocks_verify(b, 0, data, size, NULL);
        return 0;
}
