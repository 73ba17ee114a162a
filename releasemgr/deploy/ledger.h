#pragma once

/*
 * The ledger: what this host remembers of an app between deployments, in one small file that is replaced as a whole.
 *
 *  - proven: the releases that passed their health here, in the order in which they did;
 *  - quarantine: the bundles (by digest) that failed here, with the reason; `latest` and pull skip them;
 *  - pins: releases that prune must keep;
 *  - the schema: what the database last said of itself, for a rollback that cannot ask it;
 *  - the hold: the timer must leave the app alone, because a person said so or rolled back by hand.
 *
 * Every change is written durably before the function returns (but see ledger_unsynced()), and is made to what stands on
 * disk by then: several may have the ledger open at once. What could not be written did not happen. What the functions return as borrowed is so
 * until the next change.
 */

#include "base/json.h"
#include "db/gate.h"

#define LEDGER_FILE "ledger.json"

/* What is told of ledger_unsynced(). */
#define LEDGER_UNSYNCED LEDGER_FILE " was written, and may not outlast a power cut: %s"

typedef struct Ledger Ledger;

/* Reads @dirfd/ledger.json; a host that has none yet has an empty one. @dirfd is borrowed and must stay open. -EUCLEAN
 * where it is damaged, or cannot be read at all: see ledger_mend(). */
int ledger_load(int dirfd, Ledger **ret, Error *e);

/* As if there were none yet: for who only wants to show what there is, and cannot read it. */
int ledger_new(int dirfd, Ledger **ret);

/* Puts the damaged ledger aside, as *@ret_kept (owned by the caller), and in one step a new one in its place, made of
 * @history (as history_tail() has it): what proved itself, what failed, what was rolled back from. What the history does
 * not know is taken to be so: each release of @here is pinned, and the app is held. For who has the lock. */
int ledger_mend(int dirfd, const json_t *history, char *const *here, uint64_t now_usec, char **ret_kept,
                Error *e);

Ledger *ledger_free(Ledger *l);

DEFINE_CLEANUP(Ledger, ledger_free);

/* Why the last change, though it was made, may not outlast a power cut: the errno of a sync that failed behind it. 0. */
int ledger_unsynced(const Ledger *l);

/* @version passed its health at @now_usec: it is now the newest proven one. */
int ledger_prove(Ledger *l, const char *version, uint64_t now_usec, Error *e);

/* A person rolled back from @version: a later rollback does not return to it, unless it is activated again. */
int ledger_abandon(Ledger *l, const char *version, Error *e);

/* The release was removed from the host. */
int ledger_forget(Ledger *l, const char *version, Error *e);

/* Its place among those that proved themselves, in the order in which they did, from 1; 0: it never did. */
unsigned ledger_proven(const Ledger *l, const char *version);

/* The proven release that a rollback from @current goes to: the newest that was proven before it and was not
 * abandoned; where @current never was proven, the newest at all. @exists tells which are still here. NULL: none. The
 * string is borrowed until the next change. */
const char *ledger_rollback_target(const Ledger *l, const char *current,
                bool (*exists)(const char *version, void *userdata), void *userdata);

/* @digest: the SHA-256 of the bundle's tar, in hex. */
int ledger_quarantine(Ledger *l, const char *digest, const char *version, const char *reason,
                uint64_t now_usec, Error *e);

/* Lifts the quarantine of every bundle of @version. Returns how many there were. */
int ledger_lift(Ledger *l, const char *version, Error *e);

/* The reason, borrowed, or NULL. */
const char *ledger_quarantine_reason(const Ledger *l, const char *digest);

/* Keeps the timer from changing the app, until unhold. */
int ledger_hold(Ledger *l, const char *by, const char *reason, uint64_t now_usec, Error *e);
int ledger_unhold(Ledger *l, Error *e);

/* Why the app is held, borrowed; NULL where it is not. @ret_by and @ret_since may be NULL. */
const char *ledger_hold_reason(const Ledger *l, const char **ret_by, const char **ret_since);

/* What @database (see sql_options_name()) last said. Writes only where that is new. */
int ledger_set_schema(Ledger *l, const char *database, const SchemaState *state, uint64_t now_usec, Error *e);

/* The same, owned by the caller, and since when it is so (borrowed). -ENOENT: nobody ever asked that database. */
int ledger_get_schema(const Ledger *l, const char *database, SchemaState *ret, const char **ret_since);

/* @database is about to be contracted to @floor: from the first statement on there may be no way back behind it. */
int ledger_set_floor(Ledger *l, const char *database, const char *floor, uint64_t now_usec, Error *e);

/* A pinned release is never pruned. */
int ledger_pin(Ledger *l, const char *version, bool pinned, Error *e);
bool ledger_is_pinned(const Ledger *l, const char *version);

/* Calls @visit for each quarantined bundle; for `list` and `status`. */
void ledger_each_quarantined(const Ledger *l,
                void (*visit)(const char *digest, const char *version, const char *reason, const char *since,
                                void *userdata),
                void *userdata);
