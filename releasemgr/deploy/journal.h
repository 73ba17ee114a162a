#pragma once

/* The journal of the deployment under way: what it set out to do, what it did. See journal.c for the format, the
 * invariants and the state diagram. */

#include <errno.h>

#include "base/json.h"

#define JOURNAL_FILE "journal"

typedef struct Journal Journal;

typedef enum RecordType {
        RECORD_BEGIN,  /* who, what, from where to where; first and once */
        RECORD_INTENT, /* a step is about to start */
        RECORD_DONE,   /* a step happened */
        RECORD_ABORT,  /* from here on backwards: what happened is undone */
        RECORD_UNDONE, /* a step was undone */
        RECORD_COMMIT, /* the point of no return: from here on forwards only */
        RECORD_END,    /* nothing is left to do; last and once */
        _RECORD_MAX,
        _RECORD_INVALID = -EINVAL,
} RecordType;

typedef struct Record {
        RecordType type;
        char *step;   /* of INTENT, DONE and UNDONE; owned by the journal */
        json_t *data; /* of BEGIN, ABORT and END: an object; owned by the journal; may be NULL */
} Record;

/* Reads the journal at @path (in directory @dirfd) for appending. A torn tail is cut off, and what is left is synced. A
 * damaged record before the last is -EUCLEAN, with file and offset in @e. -ENOENT where there is none. */
int journal_open(int dirfd, const char *path, Journal **ret, Error *e);

/* Starts a journal in the place of a finished one, with its BEGIN and the INTENT of the first step, which are on
 * disk when this returns. @data is borrowed. */
int journal_create(
                int dirfd, const char *path, json_t *data, const char *first_step, Journal **ret, Error *e);

/* Puts the journal aside for forensics, as PATH.damaged-TIME (µs since 1970), durably. */
int journal_set_aside(int dirfd, const char *path, uint64_t now_usec, char **ret_name);

typedef struct RecordNew {
        RecordType type;
        const char *step;
        json_t *data;
} RecordNew;

/* Appends records with one write and one sync: they are on disk when this returns, and what a crash leaves of them is
 * a prefix. @records are borrowed. Where it fails, none of them is on disk, unless journal_is_in_doubt(). */
int journal_append(Journal *j, const RecordNew *records, size_t n, Error *e);

/* Whether the disk did not let us know which of the records of an append that failed are on it. Ends with the next
 * append that succeeds. */
bool journal_is_in_doubt(const Journal *j);

/* All records in order, borrowed until the next append. */
const Record *journal_records(const Journal *j, size_t *ret_n);

/* The data of the BEGIN record, borrowed. */
const json_t *journal_begin(const Journal *j);

/* The data of the first record of @type, borrowed; NULL where there is none. */
const json_t *journal_data(const Journal *j, RecordType type);

/* Whether a record of @type stands there for @step (NULL: for any). */
bool journal_has(const Journal *j, RecordType type, const char *step);

/* Whether an END record stands there: nothing to recover. */
bool journal_is_finished(const Journal *j);

/* How many synced writes this object made: for the figures. */
unsigned journal_synced_writes(const Journal *j);

Journal *journal_free(Journal *j);

DEFINE_CLEANUP(Journal, journal_free);
