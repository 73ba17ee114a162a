#pragma once

/* Passphrases of keys: from a file, from systemd's credentials, or asked for on the terminal. */

#include "base/error.h"

/* Asks on the terminal, without showing what is typed. Returns the length. -ENOTTY with ERROR_USAGE where there is no
 * terminal. */
int passphrase_ask(const char *prompt, char *buffer, size_t size, Error *e);

/* A KeyPassphrase (trust/key.h) whose @userdata is the path of a file, or NULL: then systemd's credential
 * "releasemgr.passphrase", and where there is none, the terminal. */
int passphrase_for_key(const char *path, char *buffer, size_t size, void *userdata, Error *e);

/* One for new keys, from the same places; on the terminal asked for twice. Owned by the caller. */
int passphrase_for_new_keys(const char *file, char **ret, Error *e);
