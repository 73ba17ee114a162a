#pragma once

/*
 * Updater: the TUF client (1.0.34 section 5) as a machine that takes bytes and says what it needs next
 *
 * It never opens a file or a socket. Whoever drives it repeats
 *
 *        while ((r = updater_next(u, &step, e)) > 0)
 *                switch (step.action) {
 *                case UPDATER_LOAD:   the local copy of step.file    -> updater_feed() or updater_feed_missing()
 *                case UPDATER_FETCH:  METADATA-URL/step.url          -> updater_feed() or updater_feed_missing()
 *                case UPDATER_STORE:  write step.data to step.file, atomically, byte for byte
 *                case UPDATER_DELETE: remove step.file, which may not be there
 *                }
 *
 * until 0: first for the refresh, which begins by itself, then for each search begun with updater_find() or
 * updater_list(). The order of the steps is the specification's, and no request is made that is not needed.
 *
 * The time is fixed once, by the caller (5.1). A failure is final: nothing more is asked for, and nothing was stored
 * that was not verified. Classes of failures: ERROR_UNTRUSTED (a signature, hash, version or form is wrong),
 * ERROR_REFUSED (metadata has expired), ERROR_FAILED (a file the repository must have is missing).
 */

#include <jansson.h>

#include "base/error.h"
#include "trust/digest.h"

typedef struct Updater Updater;

typedef enum UpdaterAction {
        UPDATER_LOAD,
        UPDATER_FETCH,
        UPDATER_STORE,
        UPDATER_DELETE,
} UpdaterAction;

typedef struct UpdaterStep {
        UpdaterAction action;
        const char *file; /* in the trust directory: "root.json"; percent-encoded, never with a '/' */
        const char *url;  /* of a FETCH, below the metadata's address, quoted: "3.targets.json" */
        uint64_t max;     /* of LOAD and FETCH: more bytes than this are an attack; feed nothing, fail */
        const void *data; /* of a STORE */
        size_t size;
} UpdaterStep; /* its texts and data are borrowed until the next call */

typedef struct UpdaterOptions {
        uint64_t now_usec;      /* the reference time, µs since 1970 */
        uint64_t root_max;      /* limits in bytes; 0 stands for the default */
        uint64_t timestamp_max; /* (512,000; 16,384; 2,000,000; 5,000,000) */
        uint64_t snapshot_max;
        uint64_t targets_max;
        unsigned roots_max;       /* new roots taken in one refresh; 256 */
        unsigned delegations_max; /* delegated roles visited in one search; 32 */
        /* Only looks at the local copies: asks for no FETCH, STORE or DELETE, and lets expired metadata pass, since it
         * decides nothing new. A copy that is missing or not signed is an error. For `status` and `list`. */
        bool offline;
} UpdaterOptions;

int updater_new(const UpdaterOptions *options, Updater **ret);
Updater *updater_free(Updater *u);

DEFINE_CLEANUP(Updater, updater_free);

/* 1 and a step, 0 when the refresh or search is done, or a negative errno. */
int updater_next(Updater *u, UpdaterStep *ret, Error *e);

/* Answers a LOAD or FETCH. @data is borrowed for the call. */
int updater_feed(Updater *u, const void *data, size_t size, Error *e);

/* Answers a LOAD of what is not there, and a FETCH to which the server said 404 or 403. */
int updater_feed_missing(Updater *u, Error *e);

/* Begins the search for one target, once the refresh is done. The answer is updater_target()'s. */
int updater_find(Updater *u, const char *target, Error *e);

/* Begins the visit of every delegated role that may speak about names that begin with @prefix; afterwards
 * updater_targets() lists them. */
int updater_list(Updater *u, const char *prefix, Error *e);

typedef struct TargetFile {
        char *name;
        uint64_t length;
        Hashes hashes;
        json_t *custom; /* an object, NULL where none is given */
} TargetFile;

/* The target of the last updater_find(); NULL where no role vouches for it. Borrowed until the next search. */
const TargetFile *updater_target(const Updater *u);

/* The targets of the last updater_list(), sorted by name; borrowed until the next search. */
size_t updater_targets(const Updater *u, const TargetFile **ret);

/* The path of @t below the targets' address, quoted: with its hash in front where the repository is consistent. */
int updater_target_url(const Updater *u, const TargetFile *t, char **ret);

/* When the first of the metadata in use expires (µs since 1970), and which role's it is (borrowed; may be NULL). To
 * warn days before. UINT64_MAX before the refresh is done. */
uint64_t updater_expires(const Updater *u, const char **ret_role);

/* The version of the metadata in use of @role ("root", ...); 0 where there is none. */
int64_t updater_version(const Updater *u, const char *role);

/* Percent-encodes all of @s but RFC 3986's unreserved characters and those in @safe: with "" a name of one file. Owned
 * by the caller, NULL when memory ran out. */
char *updater_quote(const char *s, const char *safe);
