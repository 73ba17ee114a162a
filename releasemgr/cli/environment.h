#pragma once

/* What of this command's environment the deployment needs that it submits to a unit: the proxies (http_proxy and its
 * like), and who we are to AWS (AWS_*). */

#include "base/error.h"

/* Such a variable? @assignment is "NAME=value". */
bool environment_is_passed_on(const char *assignment);

/* Writes them as systemd.exec(5) reads an EnvironmentFile=, into a file in memory, since any user may read the
 * properties of a unit, and a proxy's address may hold a password. @ret_path (below /proc, owned by the caller) serves as
 * long as the descriptor in @ret_fd is open. -1 and NULL where there is nothing to pass on. */
int environment_pass_on(char *const *environment, int *ret_fd, char **ret_path, Error *e);
