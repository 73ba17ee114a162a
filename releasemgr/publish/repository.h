#pragma once

/*
 * Repository: the publisher's side of a static TUF repository with consistent snapshots
 *
 *      DIR/metadata/N.root.json N.targets.json N.APP.json N.snapshot.json timestamp.json
 *      DIR/targets/APP/VERSION/SHA256.APP-VERSION.tar.zst and SHA256.APP-VERSION.tar.zst.blocks
 *      DIR/targets/APP/channels/SHA256.NAME.json
 *      DIR/pending/ROLE.json     signed by too few, or waiting for another file: see repository_sign()
 *      DIR/.staging/             what is being packed
 *
 * The first two are for the world; any web server, and any tool that copies files, will do. A file with a number or
 * hash in its name never changes once it is there.
 *
 * Usage: repository_init() or repository_open(), one verb, repository_free(). Open, the repository is locked against
 * other publishers (flock(2)). Every verb first finishes what an earlier one was killed in. All of it blocks: this is a
 * command's code, not a service's.
 *
 * Classes of errors: ERROR_USAGE, ERROR_LOCKED, ERROR_UNTRUSTED (a file in the repository is not signed or not what
 * was signed), ERROR_REFUSED, ERROR_FAILED.
 */

#include "base/error.h"
#include "base/json.h"
#include "store/bundle.h"
#include "trust/key.h"

typedef struct RepositoryOptions {
        const char *path; /* the repository */
        const char *keys; /* the keyring; NULL: the repository's path with ".keys" behind it */

        uint64_t root_expires_usec; /* how long new metadata is good for; 0: a year, a year, a week */
        uint64_t targets_expires_usec;
        uint64_t online_expires_usec;

        KeyPassphrase passphrase; /* asked for encrypted keys; may be NULL */
        void *userdata;
        KeyScheme scheme;           /* of keys that are made */
        const char *new_passphrase; /* what they are encrypted with; NULL: they are not */
} RepositoryOptions;

#define REPOSITORY_ROOT_EXPIRES   (365 * 24 * 3600 * USEC_PER_SEC)
#define REPOSITORY_ONLINE_EXPIRES (7 * 24 * 3600 * USEC_PER_SEC)

typedef struct Repository Repository;

/* What a verb came to. */
typedef struct RepositoryResult {
        bool changed;          /* something was signed anew */
        bool invisible;        /* signed, but a refresh with the online key must still make it known */
        char **pending;        /* what waits, and for what: a sentence each */
        char **finished;       /* what an earlier run had left, and this one finished: a file each */
        char **made;           /* keys that were made: a file each */
        uint64_t expires_usec; /* when the first of the metadata in use expires */
} RepositoryResult;

#define REPOSITORY_RESULT_INIT ((RepositoryResult){0})

void repository_result_clear(RepositoryResult *result);

#define _cleanup_result_ _cleanup_(repository_result_clear)

/* Makes an empty repository and, where they are not there, its keys. Killed in the middle, it is finished by being
 * called again. -EEXIST with ERROR_USAGE where there is a repository. */
int repository_init(const RepositoryOptions *o, Repository **ret, RepositoryResult *result, Error *e);

/* Opens, locks and reads a repository. -EBUSY with ERROR_LOCKED where another publisher has it open; ERROR_USAGE where
 * there is none. */
int repository_open(const RepositoryOptions *o, Repository **ret, Error *e);

Repository *repository_free(Repository *r);

DEFINE_CLEANUP(Repository, repository_free);

/* Absolute paths, borrowed. */
const char *repository_path(const Repository *r);
const char *repository_keys(const Repository *r);

/* The app to publish where none was said: the only one there is, owned by the caller. -ENOENT or -ENOTUNIQ with
 * ERROR_USAGE. */
int repository_only_app(const Repository *r, char **ret, Error *e);

/* Signs a new snapshot and timestamp. Needs the online key only; where @role ("root", "targets" or an app) is not NULL,
 * that role's metadata is signed anew as well, with a new expiry, and its key is needed too. */
int repository_refresh(Repository *r, const char *role, RepositoryResult *result, Error *e);
