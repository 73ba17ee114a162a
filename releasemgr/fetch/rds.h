#pragma once

/*
 * Passwords for databases on RDS with IAM authentication
 *
 * The password is a token: the presigned address of a request that nobody sends ("Connecting to your DB instance using
 * IAM authentication" in the RDS user guide). It is good for 15 minutes, made here without asking anybody, and signed with
 * the key of fetch/credentials.h; so each connection gets a new one.
 */

#include "fetch/http.h"

typedef struct RdsSigner RdsSigner;

typedef struct RdsSignerOptions {
        const char *host; /* the endpoint, as RDS names it; a name of one's own for it is refused by RDS */
        unsigned port;    /* 0: 3306 */
        const char *user;
        const char *region; /* NULL: the one that @host names, or else the one that we are in */
} RdsSignerOptions;

/* The options are copied; @http must outlive it. */
int rds_signer_new(Http *http, const RdsSignerOptions *options, RdsSigner **ret);
RdsSigner *rds_signer_free(RdsSigner *s);

DEFINE_CLEANUP(RdsSigner, rds_signer_free);

/* A new token, owned by the caller, who erases it. @signer is an RdsSigner: this is a password_provider of db/sql.h.
 * -ENOKEY with a hint where there are no credentials. Suspends. */
int rds_signer_make_password(void *signer, char **ret, Error *e);

/* "eu-west-1" of "db.cluster-abc.eu-west-1.rds.amazonaws.com". NULL where the name is not of that form. Owned by the
 * caller. No I/O. */
int rds_region_of(const char *host, char **ret);
