#pragma once

/* What the parts of the audit share: audit.c (the report, and the metadata file by file), audit-client.c (as a host sees
 * it, with every target), audit-orphans.c (what nothing refers to). */

#include "publish/audit.h"
#include "publish/repository-internal.h"

typedef struct Audit {
        Repository *repository;
        AuditReport *report;
        json_t *known; /* files of targets/ that metadata lists, by path */
        bool listed;   /* all of them are in known */
        uint64_t soon_usec;
} Audit;

/* Adds a finding; @file is below the repository. */
int audit_add(Audit *a, ErrorClass class, bool warning, const char *file, const char *format, ...)
                _printf_(5, 6);

/* Runs the client, and checks every target that it finds. */
int audit_as_client(Audit *a, Error *e);

/* Files that no metadata speaks of. */
int audit_orphans(Audit *a, Error *e);
