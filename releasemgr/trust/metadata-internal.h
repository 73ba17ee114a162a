#pragma once

/* What metadata.c (the envelope) and metadata-body.c (what is signed) share. */

#include "base/text.h"
#include "trust/metadata.h"

struct Metadata {
        char *name;
        json_t *json;
        const json_t *signed_part; /* borrowed from json, as are signatures */
        const json_t *signatures;
        Text canonical; /* of the signed part: what the signatures are of */

        MetadataType type;
        int64_t version;
        uint64_t expires_usec;
        Role *roles[_METADATA_TYPE_MAX]; /* of a root */
        bool consistent_snapshot;
        Delegations *delegations; /* of a targets file */
};

/* Checks the part of the signed member that only m->type has, and keeps what it says. */
int metadata_interpret_body(Metadata *m, Error *e);
