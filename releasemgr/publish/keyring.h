#pragma once

/*
 * Keyring: a directory of private keys, one PEM file for each role that its owner signs for
 *
 *      root.pem  targets.pem  online.pem (snapshot and timestamp)  APP.pem (a delegated app)
 *
 * The directory must be nobody else's (0700), and so must the files (0600); a key is read when it is first needed, so
 * that nobody is asked for the passphrase of a key that is not used. While a role changes its key, the new one waits
 * as ROLE.next.pem; when it took over, the old one is kept as ROLE.old.pem, and never read again.
 */

#include "base/error.h"
#include "trust/key.h"

typedef struct Keyring Keyring;

/* The directory @path need not be there: then the ring is empty until keyring_make(). ERROR_USAGE where others may
 * enter it. @ask may be NULL. */
int keyring_open(const char *path, KeyPassphrase ask, void *userdata, Keyring **ret, Error *e);

Keyring *keyring_free(Keyring *k);

DEFINE_CLEANUP(Keyring, keyring_free);

const char *keyring_path(const Keyring *k);

/* The key in NAME.pem, borrowed. 1, or 0 where there is none. */
int keyring_get(Keyring *k, const char *name, const PrivateKey **ret, Error *e);

/* As keyring_get(), and where there is none, makes one, encrypted where @passphrase is not NULL: 1 it was there, 0 it
 * was made. */
int keyring_make(Keyring *k, const char *name, KeyScheme scheme, const char *passphrase,
                const PrivateKey **ret, Error *e);

/* Both keys that @name may sign with at the moment, NAME.pem and NAME.next.pem; returns how many there are. */
#define KEYRING_SIGNERS_MAX 2
int keyring_signers(
                Keyring *k, const char *name, const PrivateKey *ret[static KEYRING_SIGNERS_MAX], Error *e);

/* NAME.next.pem takes over. */
int keyring_advance(Keyring *k, const char *name, Error *e);
