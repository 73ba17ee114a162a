/* A key object: whatever it says, it never verifies a signature that was not made. */

#include "base/json.h"
#include "fuzz.h"
#include "trust/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(public_key_free_p) PublicKey *k = NULL;
        _cleanup_json_ json_t *j = NULL;
        char id[DIGEST_TEXT_MAX];
        uint8_t signature[96];

        if (json_parse("input", data, size, &j, NULL) < 0 || public_key_from_json("id", j, &k, NULL) < 0)
                return 0;
        INVARIANT(key_id_of(j, id) == 0);
        memset(signature, 0x42, sizeof(signature));
        for (size_t n = 0; n <= sizeof(signature); n += 32)
                INVARIANT(public_key_verify(k, "message", 7, signature, n) == 0);
        INVARIANT(public_key_equal(k, k) == public_key_is_usable(k));
        return 0;
}
