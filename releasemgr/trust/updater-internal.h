#pragma once

/*
 * What the parts of the updater share: updater.c (the machine), updater-root.c (5.3), updater-top.c (5.4 to 5.6),
 * updater-search.c (5.6.7) and updater-list.c.
 *
 * The machine stands in one phase. A phase asks for one file, then takes its bytes or learns that it is missing, and
 * sets the phase that follows (NULL: nothing more to do).
 *
 *      root_local -> root_next (again and again) -> timestamp_local -> timestamp_new -> snapshot_local
 *          [-> snapshot_new] -> targets_local [-> targets_new] -> NULL
 *      updater_find, updater_list:  (role_local [-> role_new]), role after role -> NULL
 */

#include "trust/metadata.h"
#include "trust/updater.h"

typedef struct Phase {
        /* Fills in @ret and returns 1, or returns 0 where no file is needed and the phase was changed. */
        int (*ask)(Updater *u, UpdaterStep *ret, Error *e);
        int (*take)(Updater *u, const void *data, size_t size, Error *e);
        int (*missing)(Updater *u, Error *e);
} Phase;

/* A file to store or delete: said by updater_next() before the phase goes on. */
typedef struct Write {
        char *file;
        void *data; /* NULL: delete */
        size_t size;
} Write;

#define WRITES_MAX 2

/* A delegated role as loaded, and the delegators' descriptions it was verified against: one good signature list may be
 * good for one delegator and not for another. */
typedef struct Delegated {
        char *name;
        Metadata *metadata;
        Role **verified;
        size_t n_verified;
} Delegated;

typedef struct Search Search;

struct Updater {
        UpdaterOptions options;
        const Phase *phase;
        bool asked;  /* a step waits for its answer */
        bool failed; /* nothing more will be asked */
        char *file, *url;
        uint64_t max; /* of the step that waits */

        Write writes[WRITES_MAX];
        size_t n_writes;
        Write said; /* the one that the last step borrows from */

        Metadata *root, *timestamp, *snapshot, *targets;
        unsigned roots_taken;
        bool timestamp_rotated, snapshot_rotated;

        Delegated *delegated;
        size_t n_delegated;
        Search *search;
        TargetFile *found; /* of a find: one at most */
        size_t n_found;
};

/* --- updater.c --- */

/* Fill in a step and return 1. -ENAMETOOLONG for a role that no file can be named after. */
int updater_ask_local(Updater *u, UpdaterStep *ret, const char *role, Error *e);

/* @version prefixes the name where it is not 0. */
int updater_ask_remote(
                Updater *u, UpdaterStep *ret, const char *role, int64_t version, uint64_t max, Error *e);

/* The limits for the metadata of @type. */
uint64_t updater_limit(const Updater *u, MetadataType type);

/* Queues writes. @data is copied. */
int updater_store(Updater *u, const char *role, const void *data, size_t size);
int updater_delete(Updater *u, const char *role);

/* Reads, verifies against @role and interprets @data: signature, then type, then form. */
int updater_read(Updater *u, const Role *role, MetadataType type, const void *data, size_t size,
                Metadata **ret, Error *e);

/* -ESTALE with ERROR_REFUSED where @m has expired by the fixed time; 0 always in an offline updater. */
int updater_check_expiry(const Updater *u, const Metadata *m, Error *e);

/* Checks @data's length and hashes against what @meta states. -EBADMSG. */
int updater_check_meta(const char *name, const MetaFile *meta, const void *data, size_t size, Error *e);

/* What a phase says where the repository has not what it must have. */
int updater_missing_remote(Updater *u, Error *e);

/* --- the phases --- */

extern const Phase phase_root_local, phase_timestamp_local, phase_role_local;

/* What snapshot.json says of the file of the role @name. */
int updater_meta_of(const Updater *u, const char *name, MetaFile *ret, Error *e);

/* Asks for a targets file of any level as the snapshot describes it. */
int updater_ask_targets(Updater *u, UpdaterStep *ret, const char *role, Error *e);

/* The checks of 5.6.2 to 5.6.5, which targets files of every level have in common: hashes, signature, version, expiry. */
int updater_read_targets(
                Updater *u, const Role *role, const void *data, size_t size, Metadata **ret, Error *e);

/* --- updater-search.c --- */

/* A search under way: the roles still to be visited, and those that were. */
struct Search {
        char *name; /* of the target, or the prefix of names */
        bool list;
        Role **stack;          /* the next one last */
        size_t n_stack, below; /* how many lay there when the visit began */
        unsigned roles_max;    /* that may be visited */
        json_t *visited;
        unsigned n_visited;
        Role *current; /* the one whose file was asked for */
};

int search_new(const Updater *u, const char *name, bool list, Search **ret);
Search *search_free(Search *s);

DEFINE_CLEANUP(Search, search_free);

/* Visits @m: 1 where it has the target, whose entry is then in @ret; otherwise 0, and the roles it delegates to are
 * the next on the stack (5.6.7.1 and 5.6.7.2). */
int search_visit(Search *s, const Metadata *m, const json_t **ret);

/* The next role that was not visited, owned by the caller; NULL where the search is at its end or at its limit. */
Role *search_pop(Search *s);

/* The metadata of a role where it is in memory and signed as @role wants, otherwise NULL. */
const Metadata *updater_delegated(Updater *u, Role *role);

/* Adds a target to what was found. */
int updater_add_found(Updater *u, const char *name, const json_t *entry);
void updater_drop_found(Updater *u);

/* --- updater-list.c --- */

/* Fills in what was found once every role was visited. */
int updater_finish_list(Updater *u, const char *prefix);
