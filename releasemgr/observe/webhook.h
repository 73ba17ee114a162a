#pragma once

/* The report of a deployment, sent to where a team reads it. */

#include "base/json.h"
#include "fetch/http.h"

typedef struct WebhookOptions {
        const char *url;   /* a secret, with many services: never shown */
        const char *token; /* sent as a bearer token (RFC 6750, section 2.1); NULL or "": none */
} WebhookOptions;

/* The longest that webhook_send() takes. */
#define WEBHOOK_DEADLINE_USEC (10 * USEC_PER_SEC)

/* POSTs @report as JSON; tries again where the server is away or busy. 0 where it was taken with a status of 2xx, or a
 * negative errno with a sentence that names neither address nor token. Suspends. */
int webhook_send(Http *h, const WebhookOptions *o, const json_t *report, Error *e);
