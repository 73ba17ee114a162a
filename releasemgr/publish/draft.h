#pragma once

/*
 * Drafts: the signed parts of metadata files, made and changed as JSON. Pure: no I/O, no keys but public ones.
 *
 * All functions return 0 (or what they say), or -ENOMEM, or -EINVAL with @e set.
 */

#include <jansson.h>

#include "base/error.h"
#include "trust/metadata.h"

#define SPEC_VERSION "1.0.34"

/* The name of a role's key file: "online" for snapshot and timestamp, otherwise the role. */
const char *draft_key_name(const char *role);

/* {"_type", "spec_version", "version": 0, "expires": ""}; draft_stamp() sets what is missing. */
int draft_new(MetadataType type, json_t **ret);
int draft_stamp(json_t *draft, int64_t version, uint64_t expires_usec);

/* The description of @role in a root, or of a delegated role in a targets file, and the list of keys beside it; both
 * borrowed. NULL where it is not there. */
json_t *draft_role(const json_t *draft, const char *role, json_t **ret_keys);

/* Gives @role of a root one more key (an object as private_key_public() makes it); a role that is not there is made,
 * with threshold 1. */
int draft_add_root_key(json_t *root, const char *role, json_t *key);

/* The same for @app in a targets file: trusted with APP/..., and with nothing else; terminating. */
int draft_add_delegation(json_t *targets, const char *app, json_t *key);

/* Takes a key from a role. -EINVAL where the role has none of that id. A key of no role leaves the list of keys. */
int draft_remove_key(json_t *draft, const char *role, const char *keyid, Error *e);

/* -EINVAL where the role has fewer keys than that. */
int draft_set_threshold(json_t *draft, const char *role, unsigned threshold, Error *e);

/* How many signatures of @role's keys, as @holder (a root's or targets file's signed part) describes it, @m has. */
int draft_count_signatures(const Metadata *m, const json_t *holder, const char *role, unsigned *ret);
