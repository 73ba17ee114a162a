#pragma once

/* Who may sign: replacing keys, giving an app's team a role of its own, and signatures from more than one person. */

#include "publish/repository.h"

/* Makes the key NAME.pem of a keyring where it is not there, and writes its public half beside it as NAME.pub: what
 * others need to let this key sign. The path of that file is owned by the caller. Returns 1 where the key was there,
 * 0 where it was made. */
int repository_make_key(const RepositoryOptions *o, const char *name, char **ret_public, Error *e);

typedef struct RoleChange {
        const char *role; /* "root", "targets", "online" (snapshot and timestamp), or an app that has a role */
        char *const *add;    /* files with public keys (NAME.pub) */
        char *const *remove; /* ids of keys */
        unsigned threshold;  /* 0: as it is */
} RoleChange;

/* Changes the keys of a role. Where @c says nothing but the role, our key of it is replaced by a new one. Needs the key
 * of who names the role's keys (root; of an app, targets). While it changes, what the role signs is signed by both. */
int repository_rotate(Repository *r, const RoleChange *c, RepositoryResult *result, Error *e);

/* Gives @app a role of its own, with the public keys in the files @keys, or where that is NULL, with APP.pem, which is
 * made where it is not there. What targets listed of the app moves to the role. Needs the targets key. */
int repository_delegate(Repository *r, const char *app, char *const *keys, unsigned threshold,
                RepositoryResult *result, Error *e);

/* What is pending, and what it would change: for people to read before they sign. A list of sentences, owned by the
 * caller; NULL where nothing is pending. */
int repository_review(Repository *r, char ***ret, Error *e);

/* Adds our signatures to every pending file that lacks some and that one of our keys may sign. @ret are the roles that were
 * signed, owned by the caller. -ENOKEY with ERROR_USAGE where some lack signatures, and none may be ours. */
int repository_sign(Repository *r, char ***ret, RepositoryResult *result, Error *e);
