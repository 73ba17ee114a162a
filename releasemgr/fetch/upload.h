#pragma once

/*
 * Upload: files into a bucket, whole or not at all
 *
 * Each file carries its SHA-256 (x-amz-meta-sha256), so that what is there already can be told without reading it. Large
 * files go up in parts, and appear when the last one is there; of a failed one nothing is left behind. In which order
 * files go up is the caller's: what metadata names must be there before it.
 */

#include "fetch/source.h"
#include "trust/digest.h"

typedef struct UploadFile {
        const char *path; /* below the source, quoted */
        const void *data; /* all of it; a large file is mapped */
        uint64_t size;
        const char *content_type;
        const char *cache_control;
} UploadFile;

/* @done counts the bytes that are there. */
typedef void (*UploadProgress)(void *userdata, uint64_t done, uint64_t total);

/* Puts one file, unless the same bytes are there already: 1 where it was sent, 0 where it was there. Tries again where
 * that may help. -EOPNOTSUPP, ERROR_USAGE, where the source is no bucket. Suspends; hashing the file does not. */
int upload_file(Source *s, const UploadFile *file, UploadProgress progress, void *userdata, Error *e);
