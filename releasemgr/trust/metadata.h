#pragma once

/*
 * Metadata files: {"signed": {...}, "signatures": [{"keyid", "sig"}, ...]} (TUF 1.0.34 section 4.2)
 *
 * A file is taken in three steps, so that nothing is believed, nor even looked at closely, before it is known who
 * signed it:
 *
 *      metadata_read()         the envelope: JSON, and the list of signatures
 *      metadata_verify()       is it signed by this role?
 *      metadata_interpret()    its type, versions, expiry and body
 *
 * metadata_parse() is the first and the last, for files that one wrote oneself. The second half of the page is the
 * publisher's: to make such files.
 */

#include <jansson.h>

#include "base/error.h"
#include "trust/digest.h"
#include "trust/key.h"
#include "trust/role.h"

typedef enum MetadataType {
        METADATA_ROOT,
        METADATA_TIMESTAMP,
        METADATA_SNAPSHOT,
        METADATA_TARGETS,
        _METADATA_TYPE_MAX,
} MetadataType;

/* "root", "timestamp", "snapshot", "targets": the value of "_type", and the name of the top-level role. */
const char *metadata_type_to_text(MetadataType type);

typedef struct Metadata Metadata;

/* What timestamp.json and snapshot.json say about another metadata file. */
typedef struct MetaFile {
        int64_t version;
        int64_t length; /* -1 where it is not stated */
        bool has_hashes;
        Hashes hashes;
} MetaFile;

/* Reads @size bytes: JSON as base/json.h takes it, and the envelope. A keyid with two signatures, and what is no
 * signature at all, are -EINVAL with class ERROR_UNTRUSTED. @name (copied) is for messages. */
int metadata_read(const char *name, const void *data, size_t size, Metadata **ret, Error *e);

/* Checks that at least @role's threshold of @role's keys, distinct as keys, signed @m. Signatures by others, of an
 * unknown kind or malformed only do not count. -EBADMSG with class ERROR_UNTRUSTED. */
int metadata_verify(const Metadata *m, const Role *role, Error *e);

/* Checks "_type" (must be @type), "spec_version" (1.x), "version" (at least 1), "expires" and the body. -EINVAL with
 * class ERROR_UNTRUSTED. The functions below need it. */
int metadata_interpret(Metadata *m, MetadataType type, Error *e);

/* metadata_read() and metadata_interpret(). */
int metadata_parse(
                const char *name, MetadataType type, const void *data, size_t size, Metadata **ret, Error *e);

Metadata *metadata_free(Metadata *m);

DEFINE_CLEANUP(Metadata, metadata_free);

const char *metadata_name(const Metadata *m); /* borrowed, as is what follows */
MetadataType metadata_type(const Metadata *m);
int64_t metadata_version(const Metadata *m);
uint64_t metadata_expires(const Metadata *m); /* µs since 1970 */

/* The member "signed" as read, and the whole file. */
const json_t *metadata_signed(const Metadata *m);
const json_t *metadata_json(const Metadata *m);

/* Of a root: the role that signs the metadata of @type. */
Role *metadata_root_role(const Metadata *root, MetadataType type);
bool metadata_root_consistent_snapshot(const Metadata *root);

/* Of a timestamp or snapshot: what it says of the file @name ("snapshot.json", "targets.json", "ROLE.json"). False
 * where it is not listed. */
bool metadata_meta(const Metadata *m, const char *name, MetaFile *ret);

/* Of a snapshot: checks that it lists all that @old lists, at no lower version (5.5.5). -EBADMSG. */
int metadata_check_rollback(const Metadata *m, const Metadata *old, Error *e);

/* Of a targets file: the entry of @target, {"length", "hashes", "custom"}, which was checked; NULL where it is not
 * there. And all entries by name, an object. */
const json_t *metadata_target(const Metadata *targets, const char *target);
const json_t *metadata_targets(const Metadata *targets);

/* Of a targets file: its delegations. NULL where it delegates nothing. */
const Delegations *metadata_delegations(const Metadata *targets);

/* --- for publishers --- */

/* A file without signatures around @signed_part, which stays the caller's. */
int metadata_envelope(json_t *signed_part, json_t **ret);

/* Signs the canonical form of the member "signed" of @envelope and adds the signature, replacing one of the same key. */
int metadata_sign(json_t *envelope, const PrivateKey *k, Error *e);

/* The file's bytes as published: the same for the same content. Owned by the caller. */
int metadata_write(const json_t *envelope, char **ret, size_t *ret_size);

/* {"version", "length", "hashes"} of a finished file, for the "meta" of a snapshot or timestamp. */
int metadata_describe(int64_t version, const void *data, size_t size, json_t **ret);
