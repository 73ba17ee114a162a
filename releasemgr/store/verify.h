#pragma once

/*
 * Verify: a sealed release against its manifest
 *
 * Every file is hashed again, and everything that stands in the directory must be in the manifest. The manifest came in
 * the signed stream; its own SHA-256 was written to release.json when the release was sealed.
 */

#include "base/error.h"
#include "store/release.h"

typedef enum VerifyKind {
        VERIFY_CHANGED,
        VERIFY_MISSING,
        VERIFY_ADDED,
} VerifyKind;

typedef struct VerifyFinding {
        VerifyKind kind;
        char *path;
        char *detail; /* "mode is 0755, should be 0644"; NULL where the kind says it all */
} VerifyFinding;

typedef struct VerifyReport {
        VerifyFinding *findings; /* in the order of their paths */
        size_t n;
        uint64_t files; /* what was looked at */
        uint64_t bytes;
} VerifyReport;

/* Reads the whole release below @dirfd. 1 where it is whole, 0 where @ret names what is not, or a negative errno where
 * it could not be read. Suspends in a fiber, blocks elsewhere; cancelled by fiber_cancel(). */
int verify_release(int dirfd, VerifyReport **ret, Error *e);

VerifyReport *verify_report_free(VerifyReport *r);

DEFINE_CLEANUP(VerifyReport, verify_report_free);

/* "changed", "missing", "added" */
const char *verify_kind_to_string(VerifyKind kind);
