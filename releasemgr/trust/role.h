#pragma once

/*
 * Roles: who may sign what (TUF 1.0.34 sections 4.3 and 4.5). A root names the keys of the four top-level roles, a
 * targets file those of the roles it delegates to, together with the paths it trusts them with.
 */

#include <jansson.h>

#include "base/error.h"
#include "trust/key.h"

/* Immutable and counted: role_ref() takes, role_free() gives back. */
typedef struct Role Role;

/* Reads {"keyids", "threshold"} and, where @name is NULL, also the rest of a delegation's entry: its name, paths and
 * "terminating". @keys is the key list beside it; a keyid that is not in it is no error, it only never counts. A
 * threshold below one, a keyid twice, a path given both ways, and the name of a top-level role are -EINVAL. */
int role_from_json(const char *name, const json_t *object, const json_t *keys, Role **ret, Error *e);

const char *role_name(const Role *r); /* borrowed */
unsigned role_threshold(const Role *r);
bool role_is_terminating(const Role *r);

/* The key that @keyid stands for in this role, owned by the caller. -ENOENT where the role has no such key. */
int role_key(const Role *r, const char *keyid, PublicKey **ret);

/* Whether every key of @old is one of @now's as well: otherwise keys were rotated. */
bool role_keeps_keys(const Role *now, const Role *old);

/* Whether the delegator trusts this role with @target, by "paths" or by "path_hash_prefixes", or with some name that
 * begins with @prefix (may say yes too often). Neither given is no path. */
bool role_matches(const Role *r, const char *target);
bool role_may_match_prefix(const Role *r, const char *prefix);

Role *role_ref(Role *r);
Role *role_free(Role *r);

DEFINE_CLEANUP(Role, role_free);

/* Checks the form of a list of keys, {KEYID: KEY, ...}. -EINVAL. */
int role_check_keys(const json_t *keys, Error *e);

/* The delegations of one targets file: a list of roles in the order of trust, or succinct hash bins (TAP 15). */
typedef struct Delegations Delegations;

int delegations_from_json(const json_t *object, Delegations **ret, Error *e);

/* Calls @visit for each role trusted with @target, in order, until it returns non-zero, which is passed on. A visitor
 * that keeps the role takes a reference. */
typedef int (*RoleVisitor)(Role *r, void *userdata);

int delegations_visit(const Delegations *d, const char *target, RoleVisitor visit, void *userdata);

/* The same for each role that may be trusted with some name that begins with @prefix. */
int delegations_visit_prefix(const Delegations *d, const char *prefix, RoleVisitor visit, void *userdata);

Delegations *delegations_free(Delegations *d);

DEFINE_CLEANUP(Delegations, delegations_free);
