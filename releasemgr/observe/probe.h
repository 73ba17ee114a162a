#pragma once

/* One question to a service, and whether the answer is the one that was expected. */

#include "base/error.h"

typedef struct Http Http; /* fetch/http.h */
typedef struct Bus Bus;

typedef enum ProbeKind {
        PROBE_HTTP, /* http:// or https://, over TCP or over .unix_socket */
        PROBE_TCP,  /* a connection that is taken: "127.0.0.1:80", "[::1]:80", "localhost:80", "unix:/PATH" */
        PROBE_COMMAND, /* a program in a sandboxed transient unit, which ends with status 0 */
        PROBE_UNIT,    /* a unit of systemd that is active, and was not started again a moment ago */
} ProbeKind;

/* All pointers are borrowed for as long as the spec is in use. */
typedef struct ProbeSpec {
        ProbeKind kind;
        const char *name;        /* for reports; NULL: the target */
        const char *target;      /* the URL, the address to connect to, or the unit */
        char *const *argv;       /* PROBE_COMMAND: the program and its arguments; the target is for reports */
        const char *unix_socket; /* connect here and not where the URL says; may be NULL */
        const char *ca_file;     /* for https; NULL: the system's */
        unsigned expect_status;  /* 0: any 2xx */
        char *const *expect_json; /* "path=value", all must hold; a path is member names and indices joined by '.' */
        const char *expect_version; /* path of the member that must equal the release's version; NULL: not asked */
        uint64_t timeout_usec;      /* for one answer */
        uint64_t max_latency_usec; /* USEC_INFINITY: any */
        uint64_t interval_usec; /* after the first probe; then backed off by half as much again each time */
        uint64_t interval_max_usec;
        unsigned successes; /* that are needed in a row */
} ProbeSpec;

#define PROBE_SPEC_DEFAULT                                                                                   \
        ((ProbeSpec){.expect_status = 200,                                                                   \
                        .timeout_usec = 5 * USEC_PER_SEC,                                                    \
                        .max_latency_usec = USEC_INFINITY,                                                   \
                        .interval_usec = 100 * USEC_PER_MSEC,                                                \
                        .interval_max_usec = USEC_PER_SEC,                                                   \
                        .successes = 1})

typedef enum ProbeVerdict {
        PROBE_NOT_ASKED,
        PROBE_GOOD,
        PROBE_NO_ANSWER, /* nothing listens, or it took too long */
        PROBE_BAD,       /* answered, but not what was expected */
} ProbeVerdict;

typedef struct ProbeResult {
        ProbeVerdict verdict;
        char *asked;    /* "GET http://127.0.0.1:8080/health"; owned, as are the others */
        char *answered; /* "503 Service Unavailable: {...}", cut at 300 bytes, one line; NULL: no answer */
        char *sentence; /* why it is not good; NULL where it is */
        uint64_t latency_usec;
        uint64_t at_usec; /* clock_now() of the question */
} ProbeResult;

void probe_result_clear(ProbeResult *r);

/* What probes need from the house; borrowed. */
typedef struct ProbeContext {
        Http *http;
        Bus *bus;
        const char *version; /* of the release that should answer; NULL: any */
        const char *user;    /* who runs commands; NULL: root */
        uint64_t since_usec; /* clock_monotonic() when it was started; 0: long ago */
} ProbeContext;

/* Checks what can be wrong in a spec before anything moves. Class ERROR_USAGE. */
int probe_check(const ProbeSpec *s, Error *e);

/* Asks once. 0 with the verdict in @ret, good or bad; negative only where it could not be asked at all (-ENOMEM,
 * -ECANCELED, ...). Suspends. */
int probe_run(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e);
