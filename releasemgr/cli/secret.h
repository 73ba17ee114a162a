#pragma once

/* Secrets come from files and from systemd, never from the command line or the configuration itself. */

#include "base/error.h"

/* A secret from a file (which others must not be able to read) or, where @credential is given, from systemd's
 * credentials directory. One trailing newline is cut off. *@ret is owned by the caller; "" where neither is given. */
int secret_read(const char *file, const char *credential, char **ret, Error *e);
