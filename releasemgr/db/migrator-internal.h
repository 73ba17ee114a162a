#pragma once

/* What the files of db/migrator share. */

#include "db/guard.h"
#include "db/migrator.h"
#include "db/records.h"

struct Migrator {
        SqlOptions sql;
        uint64_t deadline_usec;
        char *deployment;
        Guard guard;     /* open from the first call on, until the connection is lost */
        unsigned losses; /* of connections, since a statement got done */
        bool lost;       /* a connection, in the work under way */

        MigratorProgress at,
                        blocked_at; /* what was told last of a statement; and when a lock was missed last */
        uint64_t blocked_usec;      /* since when one is missed there (clock_monotonic()); 0: none */
        MigratorProgressFunction progress;
        void *userdata;
};

/* Connects where that is not done; otherwise does nothing. */
int migrator_connect(Migrator *m, Error *e);

/* Connects, takes the lock, makes our tables, reads the records. */
int migrator_begin(Migrator *m, Records *ret, Error *e);

/* Gives the lock back. What was lost is dropped. Returns @r. */
int migrator_end(Migrator *m, int r);

/* Calls @work, and again in a new connection where one was lost, as long as that helps; or where a lock is missed (-EAGAIN),
 * until the deadline. */
int migrator_persist(
                Migrator *m, int (*work)(Migrator *m, void *userdata, Error *e), void *userdata, Error *e);

/* Records how the schema looks now. */
int migrator_remember_look(Migrator *m, Error *e);
