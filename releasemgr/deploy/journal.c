/*
 * The journal of a deployment
 *
 * A text file, one record a line:
 *
 *     CHECKSUM SP JSON LF        CHECKSUM: the first 16 hex digits of SHA-256 of JSON
 *     {"n":3,"type":"intent","step":"switch"}
 *
 * Order of the records, for steps 1..n:
 *
 *                          +--------------- every step ---------------+
 *                          v                                          |
 *     (no file) --> BEGIN --> INTENT 1 --> DONE 1 + INTENT 2 --> ... -+--> DONE n + COMMIT --> ... --> END
 *                                 |              |                                 the steps behind COMMIT:
 *                                 +--- ABORT <---+                                 INTENT, DONE, again until they hold
 *                                        |
 *                                        +--> UNDONE n --> ... --> UNDONE 1 --> END
 *
 * Invariants:
 *  1. INTENT of a step is synced before the step starts; DONE after it happened. So a step without INTENT did not begin,
 *     a step with DONE happened, and between the two only the world can tell (StepType.inspect).
 *  2. COMMIT and ABORT exclude each other. COMMIT is the one point of no return: with it, recovery goes forwards;
 *     without it, backwards.
 *  3. A record is valid only if its checksum holds and its number is its predecessor's plus one. What fails this at the
 *     very end of the file, with no record behind it, is a torn write: it was never acted upon and is cut off. Anywhere
 *     else it is damage, which is an error that names the file and the offset: nobody guesses.
 *  4. Records of one append are one write(2): a crash leaves a prefix of them.
 *  5. The file is replaced (rename, synced) only when the journal in it has its END or was set aside. On a full disk it
 *     goes first, and leaves its room: a rollback must not fail because a release filled the disk.
 *  6. A sync that fails leaves it open what is on disk. An append that failed is therefore taken off again, and that is
 *     synced; where this fails too the journal is in doubt, and nobody moves until it was read anew. What is read is
 *     synced before anybody acts on it.
 */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "deploy/journal.h"
#include "trust/digest.h"

#define CHECKSUM_LENGTH  16
#define JOURNAL_MAX      (4 * MIB)
#define JOURNAL_RESERVED (16 * KIB)

struct Journal {
        int fd;
        char *path;
        Record *records;
        size_t n;
        off_t size;    /* of the valid records: where a failed append is cut off again */
        bool in_doubt; /* invariant 6 */
        unsigned synced_writes;
};

static const char *const type_names[_RECORD_MAX] = {
                [RECORD_BEGIN] = "begin",
                [RECORD_INTENT] = "intent",
                [RECORD_DONE] = "done",
                [RECORD_ABORT] = "abort",
                [RECORD_UNDONE] = "undone",
                [RECORD_COMMIT] = "commit",
                [RECORD_END] = "end",
};

static RecordType type_from_name(const char *name) {
        for (int i = 0; name && i < _RECORD_MAX; i++)
                if (streq(type_names[i], name))
                        return i;
        return _RECORD_INVALID;
}

static int checksum(const char *line, size_t size, char ret[static CHECKSUM_LENGTH + 1]) {
        char hex[DIGEST_TEXT_MAX];
        Digest d;
        int r;

        r = digest_of(line, size, &d);
        if (r < 0)
                return r;
        digest_to_text(&d, hex);
        memcpy(ret, hex, CHECKSUM_LENGTH);
        ret[CHECKSUM_LENGTH] = 0;
        return 0;
}

/* Adds one record as text to @t. */
static int format_record(size_t number, const RecordNew *record, Text *t) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *line = NULL;
        char sum[CHECKSUM_LENGTH + 1];
        int r;

        j = json_pack("{sI ss ss* sO*}", "n", (json_int_t) number, "type", type_names[record->type], "step",
                        record->step, "data", record->data);
        line = j ? json_dumps(j, JSON_COMPACT) : NULL;
        if (!line)
                return -ENOMEM;
        r = checksum(line, strlen(line), sum);
        return r < 0 ? r : text_addf(t, "%s %s\n", sum, line);
}

static int remember(Journal *j, RecordType type, const char *step, json_t *data) {
        Record *grown = reallocarray(j->records, j->n + 1, sizeof(Record));
        char *copy = step ? strdup(step) : NULL;

        if (grown)
                j->records = grown;
        if (!grown || (step && !copy)) {
                free(copy);
                return -ENOMEM;
        }
        j->records[j->n++] = (Record){.type = type, .step = copy, .data = json_incref(data)};
        return 0;
}

/* Keeps the first @n records. */
static void forget(Journal *j, size_t n) {
        while (j->n > n) {
                j->n--;
                free(j->records[j->n].step);
                json_decref(j->records[j->n].data);
        }
}

/* Reads one line (without its LF). -EBADMSG where it is not a valid record. */
static int parse_record(Journal *j, const char *line, size_t size) {
        _cleanup_json_ json_t *object = NULL;
        char sum[CHECKSUM_LENGTH + 1];
        const char *json = line + CHECKSUM_LENGTH + 1;
        RecordType type;
        int r;

        if (size <= CHECKSUM_LENGTH + 1 || line[CHECKSUM_LENGTH] != ' ')
                return -EBADMSG;
        r = checksum(json, size - CHECKSUM_LENGTH - 1, sum);
        if (r < 0)
                return r;
        if (memcmp(sum, line, CHECKSUM_LENGTH) != 0)
                return -EBADMSG;
        r = json_parse(j->path, json, size - CHECKSUM_LENGTH - 1, &object, NULL);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        type = type_from_name(json_get_string(object, "type"));
        if (type < 0 || json_get_integer(object, "n", -1) != (int64_t) j->n ||
                        (j->n == 0) != (type == RECORD_BEGIN))
                return -EBADMSG;
        return remember(j, type, json_get_string(object, "step"), json_object_get(object, "data"));
}

/* Whether the text of a record, with its right checksum, stands anywhere in @text. */
static bool holds_record(const char *text, size_t size) {
        static const char head[] = " {\"n\":";
        const char *end = text + size, *p = text, *feed;
        char sum[CHECKSUM_LENGTH + 1];

        while ((p = memmem(p, end - p, head, strlen(head)))) {
                const char *json = p++ + 1;

                feed = memchr(json, '\n', end - json);
                if (feed && json - text > CHECKSUM_LENGTH && checksum(json, feed - json, sum) >= 0 &&
                                memcmp(sum, json - 1 - CHECKSUM_LENGTH, CHECKSUM_LENGTH) == 0)
                        return true;
        }
        return false;
}

/* Reads all records; *ret_valid is where the valid ones end. */
static int parse_journal(Journal *j, const char *text, size_t size, size_t *ret_valid, Error *e) {
        size_t offset = 0;

        while (offset < size) {
                const char *line = text + offset, *end = memchr(line, '\n', size - offset);
                int r = end ? parse_record(j, line, end - line) : -EBADMSG;

                if (r == -EBADMSG && (!end || end + 1 == text + size) &&
                                !holds_record(line + 1, size - offset - 1))
                        break; /* invariant 3: torn */
                if (r == -EBADMSG)
                        return error_set(e, ERROR_FAILED, -EUCLEAN,
                                        "%s: damaged at offset %zu: the record's checksum "
                                        "or number is wrong",
                                        j->path, offset);
                if (r < 0)
                        return r;
                offset = end + 1 - text;
        }
        *ret_valid = offset;
        return 0;
}

static int journal_new(const char *path, Journal **ret) {
        Journal *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        j->fd = -1;
        j->path = strdup(path);
        if (!j->path) {
                journal_free(j);
                return -ENOMEM;
        }
        *ret = j;
        return 0;
}

/* Room for the way back on a full disk; where the file system cannot, we do without. */
static void reserve(Journal *j) {
        (void) fallocate(j->fd, FALLOC_FL_KEEP_SIZE, 0, JOURNAL_RESERVED);
}

/* Makes the file end behind the valid records, durably, and says whether this is now known. */
static int settle(Journal *j) {
        j->in_doubt = ftruncate(j->fd, j->size) < 0 || fsync(j->fd) < 0;
        if (j->in_doubt)
                return -errno;
        reserve(j); /* cutting gave it back */
        return 0;
}

int journal_open(int dirfd, const char *path, Journal **ret, Error *e) {
        _cleanup_(journal_free_p) Journal *j = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size, valid = 0;
        int r;

        r = journal_new(path, &j);
        if (r < 0)
                return r;
        r = fs_read_file(dirfd, path, JOURNAL_MAX, &text, &size);
        if (r < 0)
                return error_errno(e, r, "cannot read the journal %s", path);
        r = parse_journal(j, text, size, &valid, e);
        if (r < 0)
                return r;
        if (j->n == 0) /* the file is made whole, with its BEGIN: this cannot be a torn write */
                return error_set(e, ERROR_FAILED, -EUCLEAN, "%s: damaged at offset 0: there is no record",
                                path);
        j->fd = fd_openat(dirfd, path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (j->fd < 0)
                return error_errno(e, -errno, "cannot open the journal %s", path);
        j->size = valid;
        r = settle(j);
        if (r < 0)
                return error_errno(e, r, "cannot settle the end of the journal %s", path);
        *ret = TAKE(j);
        return 0;
}

int journal_create(
                int dirfd, const char *path, json_t *data, const char *first_step, Journal **ret, Error *e) {
        const RecordNew records[] = {{RECORD_BEGIN, NULL, data}, {RECORD_INTENT, first_step, NULL}};
        _cleanup_(journal_free_p) Journal *j = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = journal_new(path, &j);
        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(records); i++) {
                r = format_record(i, &records[i], &t);
                if (r >= 0)
                        r = remember(j, records[i].type, records[i].step, records[i].data);
        }
        if (r < 0)
                return r;
        (void) fs_remove_temporaries(dirfd, path);
        r = fs_write_file_atomic(dirfd, path, t.data, t.size, 0600);
        if ((r == -ENOSPC || r == -EDQUOT) && unlinkat(dirfd, path, 0) >= 0) /* the finished one makes room */
                r = fs_write_file_atomic(dirfd, path, t.data, t.size, 0600);
        if (r < 0)
                return error_errno(e, r, "cannot write the journal %s", path);
        j->fd = fd_openat(dirfd, path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (j->fd < 0)
                return error_errno(e, -errno, "cannot open the journal %s", path);
        j->size = t.size;
        j->synced_writes = 1;
        reserve(j);
        *ret = TAKE(j);
        return 0;
}

int journal_set_aside(int dirfd, const char *path, uint64_t now_usec, char **ret_name) {
        _cleanup_free_ char *name = text_format("%s.damaged-%llu", path, (unsigned long long) now_usec);
        int r;

        if (!name)
                return -ENOMEM;
        r = fs_rename_durable(dirfd, path, dirfd, name);
        if (r < 0)
                return r;
        *ret_name = TAKE(name);
        return 0;
}

/* Writes and syncs; or takes off again what it wrote of it (invariant 6). */
static int write_synced(Journal *j, const Text *t) {
        int r = j->in_doubt ? settle(j) : 0;

        if (r < 0)
                return r;
        r = fd_write_all(j->fd, t->data, t->size);
        if (r >= 0 && fdatasync(j->fd) < 0)
                r = -errno;
        if (r < 0)
                (void) settle(j);
        return r;
}

int journal_append(Journal *j, const RecordNew *records, size_t n, Error *e) {
        _cleanup_text_ Text t = TEXT_INIT;
        size_t before = j->n;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = format_record(j->n, &records[i], &t);
                if (r >= 0)
                        r = remember(j, records[i].type, records[i].step, records[i].data);
        }
        if (r >= 0) {
                r = write_synced(j, &t);
                if (r < 0)
                        error_errno(e, r, "cannot write to the journal %s", j->path);
        }
        if (r < 0) {
                forget(j, before);
                return r;
        }
        j->size += t.size;
        j->synced_writes++;
        return 0;
}

bool journal_is_in_doubt(const Journal *j) {
        return j->in_doubt;
}

const Record *journal_records(const Journal *j, size_t *ret_n) {
        *ret_n = j->n;
        return j->records;
}

const json_t *journal_begin(const Journal *j) {
        return j->records[0].data;
}

const json_t *journal_data(const Journal *j, RecordType type) {
        for (size_t i = 0; i < j->n; i++)
                if (j->records[i].type == type)
                        return j->records[i].data;
        return NULL;
}

bool journal_has(const Journal *j, RecordType type, const char *step) {
        for (size_t i = 0; i < j->n; i++)
                if (j->records[i].type == type && (!step || streq_ptr(j->records[i].step, step)))
                        return true;
        return false;
}

bool journal_is_finished(const Journal *j) {
        return j->records[j->n - 1].type == RECORD_END;
}

unsigned journal_synced_writes(const Journal *j) {
        return j->synced_writes;
}

Journal *journal_free(Journal *j) {
        if (!j)
                return NULL;
        forget(j, 0);
        free(j->records);
        free(j->path);
        fd_close(j->fd);
        free(j);
        return NULL;
}
