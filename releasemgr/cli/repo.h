#pragma once

/* What the verbs of `releasemgr repo` share: which repository and which keys, passphrases, and how it ended. */

#include "cli/session.h"
#include "publish/repository.h"

/* The options that stand in every verb's entry. */
#define REPO_OPTIONS                                                                                         \
        {"repo", "DIR", "The repository; the current directory"},                                            \
                        {"keys", "DIR", "The private keys; the repository's path with .keys behind it"}, {   \
                "passphrase-file", "FILE", "Holds the passphrase of encrypted keys"                          \
        }

/* Those of verbs that make keys. */
#define REPO_KEY_OPTIONS                                                                                     \
        {"key-type", "TYPE", "ed25519 (the default), ecdsa-p256 or rsa-pss"}, {                              \
                "encrypt", NULL, "Encrypt new keys with a passphrase"                                        \
        }

/* Those of verbs that sign. */
#define REPO_EXPIRY_OPTIONS                                                                                  \
        {"root-expires", "SPAN", "How long a new root is good for; 365d"},                                   \
                        {"targets-expires", "SPAN", "How long a new list of releases is good for; 365d"}, {  \
                "online-expires", "SPAN", "How long a new snapshot and timestamp are good for; 7d"           \
        }

/* A repository under a verb. */
typedef struct Repo {
        RepositoryOptions options;
        char *new_passphrase;
        Repository *repository;
        RepositoryResult result;
} Repo;

/* Reads the options. What they hold is owned by @r or borrowed from @a. */
int repo_read_options(const Arguments *a, Repo *r, Error *e);

/* Reads the options and opens the repository. */
int repo_open(const Arguments *a, Repo *r, Error *e);
void repo_close(Repo *r);

#define _cleanup_repo_ _cleanup_(repo_close)

/* --app, or the only app that the repository has; owned by the caller. */
int repo_app(const Arguments *a, const Repo *r, char **ret, Error *e);

/* Ends a verb: prints @text, or with --json the event @event with the members of @values (taken, may be NULL), and what
 * else there is to know: keys made, what waits, what was finished. */
int repo_report(Session *s, const Repo *r, const char *event, json_t *values, const char *text);
