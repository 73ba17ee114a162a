#pragma once

/*
 * What the parts of the repository share
 *
 *      repository.c   opening, locking, init, refresh
 *      state.c        reads what is on disk, and believes only what is signed
 *      write.c        drafts: a role's next version, signed with the keys at hand, into pending/
 *      files.c        targets' files go to their places
 *      settle.c       what is ready goes from pending/ to metadata/, in the safe order
 *      superseded.c   what nobody can need any more goes from metadata/
 *      release.c, patches.c, roles.c, sign.c    the verbs, which change drafts
 *
 * Invariants:
 *  1. A verb's changes go to pending/ first, one file a role; settle moves each, by rename(2), to its place once it has
 *     the signatures. So a run killed anywhere leaves files that the next one finds and finishes.
 *  2. Files in metadata/ with a number never change, and go only when nobody can use them. Numbers are not used twice,
 *     but may be left out (not root's).
 *  3. The order of a publish: targets, then N.APP.json and N.targets.json, then N.snapshot.json, then timestamp.json,
 *     which alone is replaced. A new N.root.json comes last, and only when timestamp, snapshot and targets are good by
 *     its keys too; while a key changes, those are signed with both. So no moment is bad for a client, or for a copy.
 *  4. Nothing is signed that was built on unsigned bytes: a pending file counts only if a key of its role is on it.
 */

#include "publish/draft.h"
#include "publish/keyring.h"
#include "publish/repository.h"
#include "trust/metadata.h"

/* One role's file. */
typedef struct RoleFile {
        char *role;
        Metadata *metadata; /* the newest good one in metadata/; NULL: none yet */
        char *data;         /* its bytes */
        size_t size;
        int64_t highest;   /* the highest number that is taken */
        Metadata *pending; /* the one in pending/, or NULL */
        json_t *draft;     /* under change: see repository_edit() */
} RoleFile;

struct Repository {
        char *path;
        int fd; /* of the directory; holds the lock */
        RepositoryOptions options;
        uint64_t now_usec;
        Keyring *keys;

        Metadata **roots; /* the chain: version i + 1 */
        size_t n_roots;
        RoleFile root;   /* its metadata stays NULL: see repository_root() */
        RoleFile *roles; /* targets, then the apps that are delegated to, by what is published or pending */
        size_t n_roles;
        Metadata *snapshot, *timestamp; /* as published; NULL: none yet */
        int64_t snapshot_highest;
        char **names; /* in metadata/ */
};

#define REPOSITORY_FILE_MAX (5 * 1000 * 1000) /* the most that a client takes: trust/updater.h */

/* --- state.c --- */

/* Reads everything. */
int repository_load(Repository *r, Error *e);
void repository_unload(Repository *r);

/* The root in force; NULL in a repository under construction. */
const Metadata *repository_root(const Repository *r);

/* The file of @role, "root" included; NULL where there is no such role. */
RoleFile *repository_role(Repository *r, const char *role);
RoleFile *repository_targets(Repository *r);

/* Makes room for @role, where it is not there. What repository_role() returned before is no longer good. */
int repository_add_role(Repository *r, const char *role);

/* The metadata whose signed part says who signs @role: of root and targets the root, of an app the targets. In force,
 * and pending (NULL where nothing is). */
const Metadata *repository_holder(const Repository *r, const char *role);
const Metadata *repository_pending_holder(const Repository *r, const char *role);

/* Whether @m is signed as @holder wants of @role: 1 or 0. */
int repository_is_signed(const Metadata *m, const Metadata *holder, const char *role);

/* The number in front of ".ROLE.json", 0 where @name is another file's. */
int64_t repository_number_of(const char *name, const char *role);

/* Reads FOLDER/NAME. */
int repository_read(const Repository *r, const char *folder, const char *name, char **ret, size_t *ret_size,
                Error *e);

static inline MetadataType role_type(const char *role) {
        return streq(role, "root")        ? METADATA_ROOT
               : streq(role, "timestamp") ? METADATA_TIMESTAMP
               : streq(role, "snapshot")  ? METADATA_SNAPSHOT
                                          : METADATA_TARGETS;
}

/* --- write.c --- */

/* The signed part to change: a copy of what is pending, or else of what is in force, or else an empty one. Borrowed; a
 * second call returns the same. */
int repository_edit(Repository *r, RoleFile *f, json_t **ret, Error *e);

/* Makes sure that a key of @role is at hand, before work is done for it. -ENOKEY with ERROR_USAGE. */
int repository_need_key(Repository *r, const char *role, Error *e);

/* Signs @envelope with our keys for @role that one of the holders (each may be NULL) lists. Returns their number. */
int repository_sign_envelope(Repository *r, const char *role, json_t *envelope, const json_t *holder,
                const json_t *other_holder, Error *e);

/* Writes every draft to pending/ and drops it. */
int repository_write_drafts(Repository *r, Error *e);

/* Writes to metadata/, durably and atomically. */
int repository_write(Repository *r, const char *folder, const char *name, const json_t *envelope, Error *e);

/* --- files.c --- */

#define REPOSITORY_STAGING ".staging"

/* The file that speaks about the app, and what it lists, as a draft; both borrowed. */
int repository_edit_listing(Repository *r, const char *app, RoleFile **ret, json_t **ret_targets, Error *e);
void repository_drop_draft(RoleFile *f);

/* The file @staged (below the repository) goes to its place, and into the listing @targets. */
int repository_add_file(Repository *r, json_t *targets, const char *staged, const char *name,
                const json_t *facts, uint64_t *ret_length, Error *e);

/* --- settle.c --- */

/* Publishes what is ready; @online: and a new snapshot and timestamp whatever. Then says in @result what waits. */
int repository_settle(Repository *r, bool online, RepositoryResult *result, Error *e);

/* Begins a verb: finishes what an earlier one left. */
int repository_begin(Repository *r, RepositoryResult *result, Error *e);

/* Ends a verb: writes the drafts and settles. */
int repository_commit(Repository *r, RepositoryResult *result, Error *e);

/* --- online.c --- */

/* Whether the timestamp in force names what is newest, and is good by the root in force: 1 or 0. */
int repository_online_is_current(Repository *r);

/* Whether snapshot and timestamp are good by @root: 1 or 0. */
int repository_online_is_signed(const Repository *r, const Metadata *root);

/* Signs and writes both, with the keys at hand. 1; 0 where those are too few by the root in force. */
int repository_sign_online(Repository *r, Error *e);

/* --- superseded.c --- */

/* Removes the files of metadata/ that have been replaced and that no host can be using: see there. */
int repository_remove_superseded(Repository *r, Error *e);
