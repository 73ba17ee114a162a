#pragma once

/*
 * Download: files of which we know what they must be
 *
 * Large ones come in blocks whose SHA-256 are known beforehand: no byte is handed on before the hash of its block was
 * found to be right, so the reader may decompress and unpack while the rest is still on its way. Blocks are fetched
 * over one connection, and over up to eight where that turns out to be faster, and handed on in order.
 *
 * What was verified is not fetched again: not after a lost connection, and not after the end of this process. For the
 * latter the verified blocks also go to a partial file, which the next download of the same file reads first. That
 * file is the only copy of those bytes that anything could go on from (the state of a decompressor cannot be saved).
 * It is never synced (a block that a power cut tore has the wrong hash, and is fetched again), so of a release that is
 * sealed within the kernel's write-back interval it never reaches the disk. A full disk ends the partial file, not the
 * download. Whoever seals what came of it calls download_partial_clean() then: until that moment the blocks may still
 * be needed. Give no name where the disk has no room for both.
 *
 * Classes of errors: ERROR_UNTRUSTED (-EBADMSG) where the bytes are not the signed ones, also when fetched a second
 * time; what the sink returned, unchanged; ERROR_FAILED otherwise.
 */

#include "fetch/source.h"
#include "trust/digest.h"

/* A small file of which length and hashes are signed. */
typedef struct DownloadList {
        const char *path, *name;
        uint64_t length;
        const Hashes *hashes;
} DownloadList;

typedef struct DownloadFile {
        const char *path;         /* below the source, quoted (updater_target_url()) */
        const char *name;         /* for messages: the target's name */
        uint64_t length;          /* signed */
        uint64_t block_size;      /* 256 KiB; every block but the last has it */
        const void *blocks;       /* the SHA-256 of each, DIGEST_SIZE bytes each, in order */
        size_t blocks_size;       /* bytes of that list */
        const DownloadList *list; /* what to read it from, where @blocks is NULL: beside the first blocks */
} DownloadFile;

/* Takes the next verified bytes. A negative return ends the download and is passed on. May suspend. */
typedef int (*DownloadSink)(void *userdata, const void *data, size_t size, Error *e);

/* @done counts the bytes handed on. */
typedef void (*DownloadProgress)(void *userdata, uint64_t done, uint64_t total);

typedef struct DownloadOptions {
        DownloadSink sink;
        DownloadProgress progress; /* may be NULL */
        void *userdata;            /* of both */
        int partial_dirfd;         /* where the partial file is kept; used where partial_name is set */
        const char *partial_name;
} DownloadOptions;

typedef struct DownloadReport {
        uint64_t fetched; /* bytes that came from the source, those thrown away as well */
        uint64_t resumed; /* bytes that the partial file already had */
        unsigned retries; /* tries that failed, and were repeated */
        unsigned ranges;  /* the most that were fetched at a time */
} DownloadReport;

/* Fetches all of it. @ret_report (may be NULL) is filled in case of failure too. Suspends. */
int download_blocks(Source *s, const DownloadFile *file, const DownloadOptions *options,
                DownloadReport *ret_report, Error *e);

/* Fetches a small file that must have this length and these hashes. Suspends. */
int download_small(Source *s, const char *path, const char *name, uint64_t length, const Hashes *hashes,
                Text *ret, Error *e);

/* ".partial-<digest>": what the partial file of a file with this SHA-256 is called. */
#define DOWNLOAD_PARTIAL_MAX (sizeof(".partial-") + 2 * DIGEST_SIZE)
char *download_partial_name(const Digest *digest, char buffer[static DOWNLOAD_PARTIAL_MAX]);

/* Removes all partial files below @dirfd but @keep (may be NULL). */
int download_partial_clean(int dirfd, const char *keep, Error *e);
