#include <errno.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/text.h"
#include "observe/webhook.h"

#define TRY_TIMEOUT (4 * USEC_PER_SEC)
#define FIRST_PAUSE (500 * USEC_PER_MSEC)

static const char *const headers[] = {
                "Content-Type: application/json", "User-Agent: releasemgr/" RELEASEMGR_VERSION, NULL};

/* The sentence is our own: those of http tell the address. */
static int refused(unsigned status, Error *e) {
        int r = http_check_status("", status, NULL);

        return r < 0 ? error_set(e, ERROR_FAILED, r, "the webhook answered with status %u", status) : 0;
}

static int try_once(Http *h, const HttpRequest *request, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        int r;

        r = http_get(h, request, &response, NULL);
        if (r == -ECANCELED)
                return r;
        return r < 0 ? error_errno(e, r, "the webhook cannot be reached") : refused(response.status, e);
}

static bool may_pass(int r) {
        return r == -EBUSY || r == -ECONNREFUSED || r == -ECONNRESET || r == -ETIMEDOUT || r == -EHOSTUNREACH;
}

static int send_in_time(Http *h, HttpRequest *request, Error *e) {
        uint64_t until = clock_monotonic() + WEBHOOK_DEADLINE_USEC;
        int r;

        for (uint64_t pause = FIRST_PAUSE;; pause *= 2) {
                _cleanup_error_ Error error = ERROR_INIT;

                request->timeout_usec = MIN_OF(TRY_TIMEOUT, until - clock_monotonic());
                r = try_once(h, request, &error);
                if (r >= 0 || !may_pass(r) || clock_monotonic() + pause >= until) {
                        error_move(e, &error);
                        return r;
                }
                r = fiber_sleep(pause);
                if (r < 0)
                        return r;
        }
}

int webhook_send(Http *h, const WebhookOptions *o, const json_t *report, Error *e) {
        _cleanup_free_ char *body = json_dumps(report, JSON_COMPACT),
                            *secret = text_format("Authorization: Bearer %s", o->token ?: "");
        char *const secrets[] = {secret, NULL};
        HttpRequest request = {.method = "POST",
                        .url = o->url,
                        .headers = (char *const *) headers,
                        .secret_headers = isempty(o->token) ? NULL : secrets,
                        .body = body,
                        .max = 64 * KIB};

        if (!body || !secret)
                return -ENOMEM;
        request.body_size = strlen(body);
        return send_in_time(h, &request, e);
}
