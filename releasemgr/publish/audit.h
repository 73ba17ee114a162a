#pragma once

/* Audit: everything in a repository is looked at, as a stranger would. First as a host sees it, by the very client that
 * hosts use, from the first root on; then file by file. Changes nothing. */

#include "publish/repository.h"

typedef struct Finding {
        ErrorClass class; /* ERROR_NONE: only worth knowing, or a warning; otherwise what is wrong */
        bool warning;     /* something to do about, soon */
        char *file;       /* below the repository */
        char *text;
} Finding;

typedef struct AuditReport {
        Finding *findings;
        size_t n;
        unsigned metadata_files, signatures, targets; /* that were looked at */
        uint64_t bytes;                               /* of the targets */
        uint64_t expires_usec;                        /* when the first of the metadata in use does */
} AuditReport;

/* Warns of what expires within @soon_usec. Fails only where it cannot look: what it finds is in the report. */
int repository_audit(Repository *r, uint64_t soon_usec, AuditReport **ret, Error *e);

AuditReport *audit_report_free(AuditReport *a);

DEFINE_CLEANUP(AuditReport, audit_report_free);
