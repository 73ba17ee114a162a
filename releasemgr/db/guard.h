#pragma once

/*
 * A session that may change the database
 *
 * One connection, with the lock of the database on it. The lock (GET_LOCK) belongs to the session, so it is also a
 * fence: whoever has it knows that no session of a runner before is still executing, even if that runner was killed
 * long ago while the server went on with its ALTER. For that the lock and the statements must share one session; so a
 * connection through a pooling proxy is refused, as are servers where the lock is not one for all (Galera) or where
 * nothing can be written (a replica). All functions suspend.
 */

#include "db/lexer.h"
#include "db/sql.h"

typedef void (*GuardWaiting)(const char *what, void *userdata);

typedef struct Guard {
        Sql *sql;
        char *database; /* in back quotes */
        char *lock;     /* in quotes */
        SqlMode mode;   /* of a session that is as new */
        bool mariadb;
        bool innodb; /* is where tables are made whose engine is not named */
        bool locked;
} Guard;

typedef enum GuardNeed {
        GUARD_READ,  /* any server will do */
        GUARD_WRITE, /* servers that cannot do are refused */
        GUARD_WRITE_AGAIN, /* the one before was lost: one that is read-only is a failover under way, and waited for */
} GuardNeed;

/* Connects, and waits until @deadline (clock_monotonic()) for a server that is not there; calls @waiting (may be NULL)
 * once a wait begins. */
int guard_open(const SqlOptions *options, GuardNeed need, uint64_t deadline, GuardWaiting waiting,
                void *userdata, Guard *ret, Error *e);

/* Takes the lock: 0, or -EBUSY (ERROR_LOCKED) where @deadline passed while somebody else held it. */
int guard_lock(Guard *g, uint64_t deadline, GuardWaiting waiting, void *userdata, Error *e);

/* Who holds the lock now, for people: 0, with NULL where nobody does, or where it cannot be told; -ECANCELED or -ENOMEM.
 * @ret is owned by the caller. */
int guard_lock_holder(const Guard *g, char **ret);

/* Who may hold the lock that a statement did not get, for people and as far as it can be told: 0, -ECANCELED or -ENOMEM.
 * @ret is owned by the caller. */
int guard_blockers(const Guard *g, char **ret);

/* How long to wait until the statement is tried again: not the same for all who do. */
uint64_t guard_pause(void);

/* Makes the session as new: variables, modes, temporary tables. The lock is lost by it. */
int guard_renew(Guard *g, Error *e);

/* From here on the session runs statements of ours only: the server takes those that name no key, whatever its
 * sql_safe_updates says to people. */
int guard_keep_books(Guard *g, Error *e);

void guard_close(Guard *g);

#define _cleanup_guard_ _cleanup_(guard_close)
