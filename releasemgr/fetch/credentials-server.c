#include <errno.h>
#include <fcntl.h>
#include <strings.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "base/json.h"
#include "fetch/address.h"
#include "fetch/credentials.h"

/* The endpoints that give a container or an instance the key of its role. */

#define ECS_ENDPOINT  "http://169.254.170.2"
#define IMDS_ENDPOINT "http://169.254.169.254"
#define IMDS_IPV6     "http://[fd00:ec2::254]"
#define IMDS_KEYS     "latest/meta-data/iam/security-credentials/"

#define ANSWER_MAX   (16 * KIB)
#define TIMEOUT_USEC (2 * USEC_PER_SEC)
#define TRIES        3

static int take_string(const json_t *object, const char *name, char **ret) {
        const char *value = json_get_string(object, name);

        if (isempty(value))
                return 0;
        *ret = strdup(value);
        return *ret ? 1 : -ENOMEM;
}

int aws_key_parse(const char *url, const Text *answer, AwsKey *ret, Error *e) {
        _cleanup_(aws_key_clear) AwsKey key = {.expires_usec = USEC_INFINITY};
        _cleanup_json_ json_t *object = NULL;
        const char *text;
        int r;

        r = json_parse(url, answer->data, answer->size, &object, e);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        text = json_get_string(object, "Code");
        if (text && !streq(text, "Success"))
                return error_set(e, ERROR_FAILED, -EBADMSG, "%s has no credentials: %.100s", url, text);
        text = json_get_string(object, "Expiration");
        if (text && clock_from_text(text, &key.expires_usec) < 0)
                return error_set(e, ERROR_FAILED, -EBADMSG, "The credentials from %s end at no time: '%.40s'",
                                url, text);
        if (take_string(object, "AccessKeyId", &key.access_key) < 0 ||
                        take_string(object, "SecretAccessKey", &key.secret) < 0 ||
                        take_string(object, "Token", &key.token) < 0)
                return -ENOMEM;
        if (!key.access_key || !key.secret)
                return error_set(e, ERROR_FAILED, -EBADMSG, "%s answered without a key", url);
        *ret = TAKE(key);
        return 0;
}

/* One question; what is local is asked without proxies, and soon given up. */
static int ask(Http *http, const char *method, const char *url, const char *header, const char *secret,
                Text *ret, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        char *headers[] = {(char *) header, NULL}, *secrets[] = {(char *) secret, NULL};
        HttpRequest request = {.method = method,
                        .url = url,
                        .headers = headers,
                        .secret_headers = secrets,
                        .proxy = "",
                        .connect_timeout_usec = TIMEOUT_USEC / 2,
                        .timeout_usec = TIMEOUT_USEC,
                        .max = ANSWER_MAX};
        int r;

        for (unsigned tries = 1;; tries++) {
                r = http_get(http, &request, &response, e);
                if (r >= 0)
                        r = http_check_status(url, response.status, e);
                if (r >= 0) {
                        *ret = TAKE(response.body);
                        return 0;
                }
                if (tries == TRIES || (r != -EBUSY && r != -ECONNRESET))
                        return r;
                http_response_clear(&response);
                if (fiber_sleep(100 * USEC_PER_MSEC << tries) < 0)
                        return -ECANCELED;
        }
}

/* Where a container's token may be sent in the clear: to itself, and to the two addresses of ECS and EKS. */
static int check_container_url(const char *url, Error *e) {
        static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]", "169.254.170.2",
                        "169.254.170.23", "[fd00:ec2::23]"};
        bool good = strncasecmp(url, "https://", 8) == 0, plain = strncasecmp(url, "http://", 7) == 0;
        Address a;

        if (!good && plain && address_split(url, &a))
                for (size_t i = 0; i < ELEMENTS_OF(hosts); i++)
                        good |= a.host_size == strlen(hosts[i]) &&
                                strncasecmp(a.host, hosts[i], a.host_size) == 0;
        if (good)
                return 0;
        return error_set(e, ERROR_USAGE, -EINVAL,
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI names neither https:// nor an address of this "
                        "host");
}

static int container_authorization(char **ret, Error *e) {
        const char *file = secure_getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        const char *token = secure_getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        _cleanup_free_ char *content = NULL;
        int r;

        if (!isempty(file)) {
                r = fs_read_file(AT_FDCWD, file, ANSWER_MAX, &content, NULL);
                if (r < 0)
                        return error_errno(e, r, "Cannot read the container's token in %s", file);
                token = content;
        }
        if (isempty(token))
                return 0;
        *ret = text_format("Authorization: %.*s", (int) strcspn(token, "\r\n"), token);
        return *ret ? 0 : -ENOMEM;
}

int aws_key_from_container(Http *http, AwsKey *ret, Error *e) {
        const char *relative = secure_getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        const char *full = secure_getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        _cleanup_free_ char *url = NULL, *authorization = NULL;
        _cleanup_text_ Text answer = TEXT_INIT;
        int r;

        if (isempty(relative) && isempty(full))
                return 0;
        url = isempty(relative) ? strdup(full) : text_format(ECS_ENDPOINT "%s", relative);
        if (!url)
                return -ENOMEM;
        r = check_container_url(url, e);
        if (r >= 0)
                r = container_authorization(&authorization, e);
        if (r >= 0)
                r = ask(http, "GET", url, NULL, authorization, &answer, e);
        if (r >= 0)
                r = aws_key_parse(url, &answer, ret, e);
        if (r < 0)
                return r;
        ret->origin = "the container's role";
        return 1;
}

static const char *imds_endpoint(void) {
        const char *endpoint = secure_getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        const char *mode = secure_getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
        const char *disabled = secure_getenv("AWS_EC2_METADATA_DISABLED");

        if (disabled && strcasecmp(disabled, "true") == 0)
                return NULL;
        if (!isempty(endpoint))
                return endpoint;
        return mode && strcasecmp(mode, "IPv6") == 0 ? IMDS_IPV6 : IMDS_ENDPOINT;
}

/* Asks the instance: first for a token (IMDSv2), then with it. 0 where this is no instance. */
static int imds_begin(Http *http, char **ret_base, char **ret_token, Error *e) {
        const char *endpoint = imds_endpoint();
        _cleanup_free_ char *base = NULL, *url = NULL;
        _cleanup_text_ Text token = TEXT_INIT;
        int r;

        if (!endpoint)
                return 0;
        base = text_format("%.*s", (int) (strlen(endpoint) - endswith(endpoint, "/")), endpoint);
        url = base ? text_format("%s/latest/api/token", base) : NULL;
        if (!url)
                return -ENOMEM;
        r = ask(http, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 21600", NULL, &token, NULL);
        if (r == -ECANCELED || r == -ENOMEM)
                return r;
        if (r == -EACCES) {
                r = error_set(e, ERROR_FAILED, r, "The instance's metadata service is switched off");
                return error_hint(e, r,
                                "Enable it: aws ec2 modify-instance-metadata-options --http-endpoint "
                                "enabled");
        }
        if (r < 0) /* nobody there; or, in a container, the answer was dropped on its way: the hop limit is 1 */
                return 0;
        *ret_token = text_format(
                        "X-aws-ec2-metadata-token: %.*s", (int) strcspn(token.data, "\r\n"), token.data);
        if (!*ret_token)
                return -ENOMEM;
        *ret_base = TAKE(base);
        return 1;
}

int aws_key_from_instance(Http *http, AwsKey *ret, Error *e) {
        _cleanup_free_ char *base = NULL, *token = NULL, *url = NULL, *key_url = NULL;
        _cleanup_text_ Text role = TEXT_INIT, answer = TEXT_INIT;
        int r;

        r = imds_begin(http, &base, &token, e);
        if (r <= 0)
                return r;
        url = text_format("%s/" IMDS_KEYS, base);
        if (!url)
                return -ENOMEM;
        r = ask(http, "GET", url, NULL, token, &role, e);
        if (r == -ENOENT)
                return 0; /* an instance without a role */
        if (r < 0)
                return r;
        key_url = text_format("%s%.*s", url, (int) strcspn(role.data, "\r\n"), role.data);
        if (!key_url)
                return -ENOMEM;
        r = ask(http, "GET", key_url, NULL, token, &answer, e);
        if (r >= 0)
                r = aws_key_parse(key_url, &answer, ret, e);
        if (r < 0)
                return r;
        ret->origin = "the instance's role";
        return 1;
}

int aws_region_from_instance(Http *http, char **ret, Error *e) {
        _cleanup_free_ char *base = NULL, *token = NULL, *url = NULL;
        _cleanup_text_ Text region = TEXT_INIT;
        int r;

        r = imds_begin(http, &base, &token, e);
        if (r <= 0)
                return r;
        url = text_format("%s/latest/meta-data/placement/region", base);
        if (!url)
                return -ENOMEM;
        r = ask(http, "GET", url, NULL, token, &region, e);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        *ret = text_format("%.*s", (int) strcspn(region.data, "\r\n"), region.data);
        return *ret ? 1 : -ENOMEM;
}
