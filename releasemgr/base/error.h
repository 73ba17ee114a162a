#pragma once

/*
 * Errors
 *
 * Functions return 0 or a positive code of their own on success, and a negative errno on failure, which is
 * passed on unchanged. What a person must know goes beside it, in an Error that the caller lends: what was
 * wrong, where (file, line, offset), and what to do about it. A function that takes an Error sets it whenever
 * it returns a negative number, except for -ENOMEM and -ECANCELED, which say everything by themselves.
 * Libraries never print: only cli/ shows an Error, or the log of a deployment.
 *
 * The class of an error is what it means to the person who typed the command; its number is the exit code of a
 * command that ends with it and changed nothing.
 */

#include "base/util.h"

typedef enum ErrorClass {
        ERROR_NONE = 0,
        ERROR_FAILED = 1,     /* it did not work, nothing had changed */
        ERROR_USAGE = 2,      /* the command line or the configuration is wrong */
        ERROR_TAKEN_BACK = 3, /* failed and taken back, the old release is healthy */
        ERROR_UNHEALTHY = 4,  /* failed, and the old release is not healthy either */
        ERROR_LOCKED = 5,     /* another deployment holds the lock */
        ERROR_REFUSED = 6,    /* a gate says no: schema, quarantine, expired metadata, disk */
        ERROR_UNTRUSTED = 7,  /* a signature or a hash is wrong */
} ErrorClass;

typedef struct Error {
        ErrorClass class;
        char *message; /* one sentence, no full stop, UTF-8 whatever went into it; owned */
        char *hint;    /* what to do next, one sentence; owned; NULL where nothing can be advised */
} Error;

#define ERROR_INIT ((Error){0})

/* Sets @e (may be NULL), replacing what it held, and returns @r, so that `return error_set(...)` reads well.
 * @r is a negative errno. */
int error_set(Error *e, ErrorClass class, int r, const char *format, ...) _printf_(4, 5);

/* As error_set() with class ERROR_FAILED, and ": " and the text of errno @r appended. Where the host itself is at its end (no
 * room, a dying disk, no descriptors), with what helps against that. */
int error_errno(Error *e, int r, const char *format, ...) _printf_(3, 4);

/* Adds what to do next. Returns @r. */
int error_hint(Error *e, int r, const char *format, ...) _printf_(3, 4);

/* Puts text in front of the message: where it happened, seen from further up. Returns @r. */
int error_prefix(Error *e, int r, const char *format, ...) _printf_(3, 4);

/* The message to show for a failure @r: the one in @e, or the text of the errno. Borrowed from @e or static. */
const char *error_message(const Error *e, int r);

/* The hint to show beside it, or NULL. Borrowed as above. */
const char *error_advice(const Error *e, int r);

/* Moves what @from holds into @to (may be NULL), leaving @from empty. */
void error_move(Error *to, Error *from);

void error_clear(Error *e);

#define _cleanup_error_ _cleanup_(error_clear)
