#pragma once

/* Work: blocking work on a tree (hash it, remove it, sync it) beside the loop. Called in a fiber, it runs in a thread and
 * the fiber suspends; called elsewhere, it simply runs. */

#include "base/error.h"

typedef struct Work Work;
typedef int (*WorkEntry)(Work *w, void *userdata, Error *e);

/* Returns what @entry returned, after it ended: a fiber that is cancelled meanwhile makes work_is_cancelled() true and
 * waits on; if the work went to its end all the same, the cancelling is kept for the fiber's next wait. */
int work_run(WorkEntry entry, void *userdata, Error *e);

/* For the entry: whether to stop with -ECANCELED. */
bool work_is_cancelled(Work *w);
