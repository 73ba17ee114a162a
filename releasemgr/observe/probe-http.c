#include <errno.h>

#include "base/text.h"
#include "fetch/http.h"
#include "observe/answer.h"
#include "observe/mask.h"
#include "observe/probe-kind.h"

/* A health page is small; what is larger is another page. */
#define BODY_MAX     (256 * KIB)
#define ANSWER_SHOWN 300

/* A connection that the old release took would be answered by the old release, for as long as it drains. */
static const char *const own_headers[] = {"Connection: close", "Accept: application/json, */*;q=0.5",
                "User-Agent: releasemgr/" RELEASEMGR_VERSION, NULL};

static int describe_question(const ProbeSpec *s, ProbeResult *ret) {
        _cleanup_free_ char *url = http_url_for_people(s->target);

        if (!url)
                return -ENOMEM;
        ret->asked = s->unix_socket ? text_format("GET %s over %s", url, s->unix_socket)
                                    : text_format("GET %s", url);
        return ret->asked ? 0 : -ENOMEM;
}

static int describe_answer(const HttpResponse *response, ProbeResult *ret) {
        _cleanup_free_ char *body = text_excerpt(response->body.data, response->body.size, ANSWER_SHOWN);

        if (!body)
                return -ENOMEM;
        ret->answered = isempty(body) ? text_format("%u", response->status)
                                      : text_format("%u %s", response->status, body);
        return ret->answered ? 0 : -ENOMEM;
}

int probe_http(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        HttpRequest request = {.url = s->target,
                        .unix_socket = s->unix_socket,
                        .headers = (char *const *) own_headers,
                        .ca_file = s->ca_file,
                        .proxy = "",
                        .timeout_usec = s->timeout_usec,
                        .connect_timeout_usec = s->timeout_usec,
                        .max = BODY_MAX};
        _cleanup_error_ Error error = ERROR_INIT;
        Answer answer;
        int r;

        r = describe_question(s, ret);
        if (r < 0)
                return r;
        r = http_get(c->http, &request, &response, &error);
        if (r == -ENOMEM || r == -ECANCELED)
                return r;
        if (r == -EMFILE || r == -ENFILE) { /* nothing is wrong with who was to be asked */
                error_move(e, &error);
                return r;
        }
        if (r < 0) /* whatever keeps it from answering, such as a socket that is not there (yet) */
                return probe_verdict(ret, r == -EFBIG || r == -EPROTO ? PROBE_BAD : PROBE_NO_ANSWER,
                                strdup(error_message(&error, r)));
        r = describe_answer(&response, ret);
        if (r < 0)
                return r;
        ret->latency_usec = response.latency_usec;
        answer = (Answer){.status = response.status,
                        .body = response.body.data,
                        .size = response.body.size,
                        .latency_usec = response.latency_usec};
        r = answer_judge(s, c->version, &answer, &ret->sentence);
        if (r >= 0)
                ret->verdict = r > 0 ? PROBE_GOOD : PROBE_BAD;
        return r < 0 ? r : 0;
}
