#include <errno.h>

#include "base/clock.h"
#include "fetch/credentials.h"

/* Temporary keys are renewed so long before their end; where that fails, they serve to the end. */
#define RENEW_USEC (5 * 60 * USEC_PER_SEC)

struct Credentials {
        Http *http;
        AwsKey key;
        bool known;
};

void aws_key_clear(AwsKey *k) {
        if (k->secret)
                explicit_bzero(k->secret, strlen(k->secret));
        free(k->access_key);
        free(k->secret);
        free(k->token);
        *k = (AwsKey){0};
}

int credentials_new(Http *http, Credentials **ret) {
        Credentials *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->http = http;
        *ret = c;
        return 0;
}

Credentials *credentials_free(Credentials *c) {
        if (!c)
                return NULL;
        aws_key_clear(&c->key);
        free(c);
        return NULL;
}

static int copy_text(const char *text, char **ret) {
        if (isempty(text))
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int key_from_environment(AwsKey *ret, Error *e) {
        const char *access = secure_getenv("AWS_ACCESS_KEY_ID"),
                   *secret = secure_getenv("AWS_SECRET_ACCESS_KEY");

        if (isempty(access) && isempty(secret))
                return 0;
        if (isempty(access) || isempty(secret))
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set");
        ret->expires_usec = USEC_INFINITY;
        ret->origin = "the environment";
        if (copy_text(access, &ret->access_key) < 0 || copy_text(secret, &ret->secret) < 0 ||
                        copy_text(secure_getenv("AWS_SESSION_TOKEN"), &ret->token) < 0)
                return -ENOMEM;
        return 1;
}

static int key_from_profile(AwsKey *ret, Error *e) {
        int r;

        r = aws_profile_get("aws_access_key_id", &ret->access_key, e);
        if (r >= 0)
                r = aws_profile_get("aws_secret_access_key", &ret->secret, e);
        if (r >= 0)
                r = aws_profile_get("aws_session_token", &ret->token, e);
        if (r < 0)
                return r;
        if (!ret->access_key && !ret->secret)
                return 0;
        if (!ret->access_key || !ret->secret)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "The AWS profile names only one of aws_access_key_id and "
                                "aws_secret_access_key");
        ret->expires_usec = USEC_INFINITY;
        ret->origin = "the AWS profile";
        return 1;
}

static int credentials_look(Credentials *c, AwsKey *ret, Error *e) {
        int r;

        r = key_from_environment(ret, e);
        if (r == 0)
                r = key_from_profile(ret, e);
        if (r == 0)
                r = aws_key_from_container(c->http, ret, e);
        if (r == 0)
                r = aws_key_from_instance(c->http, ret, e);
        if (r != 0)
                return r;
        r = error_set(e, ERROR_FAILED, -ENOKEY, "There are no AWS credentials");
        return error_hint(e, r,
                        "Give the instance a role (inside a container it also needs a hop limit of 2), or "
                        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a public bucket is read by its "
                        "https:// address");
}

int credentials_get(Credentials *c, const AwsKey **ret, Error *e) {
        _cleanup_(aws_key_clear) AwsKey key = {0};
        uint64_t now = clock_now();
        int r;

        if (!c->known || (c->key.expires_usec != USEC_INFINITY && now + RENEW_USEC >= c->key.expires_usec)) {
                r = credentials_look(c, &key, e);
                if (r < 0 && (r == -ECANCELED || r == -ENOMEM || !c->known || now >= c->key.expires_usec))
                        return r;
                if (r > 0) {
                        aws_key_clear(&c->key);
                        c->key = TAKE(key);
                        c->known = true;
                }
        }
        *ret = &c->key;
        return 0;
}

void credentials_forget(Credentials *c) {
        aws_key_clear(&c->key);
        c->known = false;
}

int credentials_get_region(Credentials *c, char **ret, Error *e) {
        static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
        _cleanup_free_ char *region = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(names) && !region; i++)
                if (copy_text(secure_getenv(names[i]), &region) < 0)
                        return -ENOMEM;
        if (!region) {
                r = aws_profile_get("region", &region, e);
                if (r < 0)
                        return r;
        }
        if (!region) {
                r = aws_region_from_instance(c->http, &region, NULL);
                if (r == -ECANCELED || r == -ENOMEM)
                        return r;
        }
        if (!region)
                region = strdup("us-east-1");
        if (!region)
                return -ENOMEM;
        *ret = TAKE(region);
        return 0;
}
