#pragma once

/* One deployment of an app at a time. The lock is on a file in /run and belongs to the open file: the kernel lets go of
 * it when the holder ends, however it ends, so a stale lock cannot exist. The file also says who holds it. */

#include "base/json.h"

typedef struct Lock Lock;

/* Takes the lock in @dirfd, waiting (suspended) for it up to @wait_usec (0: not at all; but some seconds for a
 * holder without an id). @holder says who we are: {"id", "verb", "version", "by", "since"}; kept. -EBUSY with class ERROR_LOCKED, and a sentence that names the holder. */
int lock_take(int dirfd, json_t *holder, uint64_t wait_usec, Lock **ret, Error *e);

/* Says at which stage the holder is. */
int lock_set_stage(Lock *l, const char *stage);

/* Who holds the lock now: an object owned by the caller (empty where the holder has not said it yet), or NULL where it
 * is free. Is in nobody's way. */
int lock_holder(int dirfd, json_t **ret, Error *e);

/* Lets go. Returns NULL. */
Lock *lock_free(Lock *l);

DEFINE_CLEANUP(Lock, lock_free);
