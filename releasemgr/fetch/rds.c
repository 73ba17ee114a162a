#include <ctype.h>
#include <errno.h>

#include "base/clock.h"
#include "fetch/credentials.h"
#include "fetch/rds.h"
#include "fetch/sigv4.h"

#define PORT 3306

struct RdsSigner {
        Credentials *credentials;
        char *host;
        unsigned port;
        char *user;
        char *region; /* NULL: not known yet */
};

int rds_region_of(const char *host, char **ret) {
        const char *service = strcasestr(host, ".rds.amazonaws.com"), *begin = service;

        *ret = NULL;
        while (begin && begin > host && begin[-1] != '.')
                begin--;
        if (!begin || begin == host || begin == service)
                return 0;
        *ret = strndup(begin, service - begin);
        if (!*ret)
                return -ENOMEM;
        for (char *c = *ret; *c; c++)
                *c = tolower((unsigned char) *c);
        return 0;
}

int rds_signer_new(Http *http, const RdsSignerOptions *o, RdsSigner **ret) {
        _cleanup_(rds_signer_free_p) RdsSigner *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->port = o->port ?: PORT;
        s->host = strdup(o->host);
        s->user = strdup(o->user);
        if (!s->host || !s->user)
                return -ENOMEM;
        if (o->region)
                r = (s->region = strdup(o->region)) ? 0 : -ENOMEM;
        else
                r = rds_region_of(o->host, &s->region);
        if (r >= 0)
                r = credentials_new(http, &s->credentials);
        if (r < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

RdsSigner *rds_signer_free(RdsSigner *s) {
        if (!s)
                return NULL;
        credentials_free(s->credentials);
        free(s->host);
        free(s->user);
        free(s->region);
        free(s);
        return NULL;
}

int rds_signer_make_password(void *signer, char **ret, Error *e) {
        RdsSigner *s = signer;
        const AwsKey *key;
        Sigv4Key with;
        int r = 0;

        if (!s->region)
                r = credentials_get_region(s->credentials, &s->region, e);
        if (r >= 0)
                r = credentials_get(s->credentials, &key, e);
        if (r < 0)
                return error_prefix(e, r, "no token for the database: ");
        with = (Sigv4Key){.access_key = key->access_key,
                        .secret = key->secret,
                        .token = key->token,
                        .region = s->region,
                        .service = "rds-db"};
        return sigv4_rds_password(s->host, s->port, s->user, &with, clock_now(), ret);
}
