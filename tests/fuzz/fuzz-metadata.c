/* Metadata of one type (FUZZ_TYPE): what is taken is whole, and is not signed by anybody. */

#include "fuzz.h"
#include "trust/metadata.h"

static int visit(Role *r, void *userdata) {
        size_t *n = userdata;

        INVARIANT(*role_name(r) && role_threshold(r) > 0);
        return ++*n == 100;
}

static void check_targets(const Metadata *m) {
        const Delegations *d = metadata_delegations(m);
        size_t n = 0;

        INVARIANT(json_is_object(metadata_targets(m)));
        if (!d)
                return;
        INVARIANT(delegations_visit(d, "app/1.0/app.tar.zst", visit, &n) >= 0);
        n = 0;
        INVARIANT(delegations_visit_prefix(d, "app/", visit, &n) >= 0);
}

static void check(const Metadata *m) {
        MetaFile f;

        INVARIANT(metadata_version(m) > 0);
        switch (metadata_type(m)) {
        case METADATA_ROOT:
                for (MetadataType t = 0; t < _METADATA_TYPE_MAX; t++)
                        INVARIANT(role_threshold(metadata_root_role(m, t)) > 0);
                (void) metadata_verify(m, metadata_root_role(m, METADATA_ROOT), NULL);
                return;
        case METADATA_TIMESTAMP:
                INVARIANT(metadata_meta(m, "snapshot.json", &f) && f.version > 0);
                return;
        case METADATA_SNAPSHOT:
                INVARIANT(metadata_meta(m, "targets.json", &f) && f.version > 0);
                INVARIANT(metadata_check_rollback(m, m, NULL) == 0);
                return;
        default:
                check_targets(m);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        int r;

        r = metadata_parse("input", FUZZ_TYPE, data, size, &m, &e);
        INVARIANT((r < 0) == (e.message != NULL));
        if (r < 0)
                INVARIANT(e.class == ERROR_UNTRUSTED);
        else
                check(m);
        return 0;
}
