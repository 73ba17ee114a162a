#pragma once

/* Drives an Updater: metadata from a repository into a trust directory. */

#include "fetch/source.h"
#include "trust/updater.h"

/* Gives @u what it asks for until it is done: metadata from below "metadata/" of @source, local copies from @trust_fd,
 * into which what was verified is written, atomically and durably. The first trusted root is @root_file where
 * @trust_fd has none yet. @source is NULL for an updater that is offline. Called once for the refresh, and again after
 * each updater_find() and updater_list(). Waits meanwhile for other processes that do the same in @trust_fd: after
 * minutes -EBUSY. Suspends. */
int refresh_run(Updater *u, Source *source, int trust_fd, const char *root_file, Error *e);

/* As above, with the metadata below @directory of @source ("" for the source itself, otherwise ended by '/'). */
int refresh_run_below(Updater *u, Source *source, const char *directory, int trust_fd, const char *root_file,
                Error *e);

/* Removes what killed processes left of their files in the trust directory, unless somebody writes there now: then the next
 * one does. */
void refresh_sweep(int trust_fd);
