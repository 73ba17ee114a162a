#include <errno.h>

#include "base/text.h"
#include "cli/announce.h"
#include "cli/secret.h"
#include "observe/metrics.h"
#include "observe/webhook.h"

static int call_webhook(App *app, const json_t *entry, Error *e) {
        const Config *c = app->config;
        _cleanup_free_ char *url = NULL, *token = NULL;
        int r;

        if (c->webhook_file)
                r = secret_read(c->webhook_file, NULL, &url, e);
        else
                r = (url = strdup(c->webhook)) ? 0 : -ENOMEM;
        if (r >= 0)
                r = secret_read(c->webhook_token_file, NULL, &token, e);
        if (r < 0)
                return r;
        return webhook_send(app->deploy.http, &(WebhookOptions){.url = url, .token = token}, entry, e);
}

static void warn(App *app, int r, const Error *e) {
        if (r < 0 && r != -ECANCELED)
                progress_warn(app->progress, "%s", error_message(e, r));
}

void announce(App *app, const DeployReport *report) {
        _cleanup_error_ Error metrics = ERROR_INIT, webhook = ERROR_INIT;
        const Config *c = app->config;

        if (!report->entry)
                return;
        if (c->metrics_file)
                warn(app, metrics_write(c->metrics_file, c->app, report->entry, &metrics), &metrics);
        /* at boot, before the network, there is nobody to tell */
        if ((c->webhook || c->webhook_file) && app->deploy.http)
                warn(app, call_webhook(app, report->entry, &webhook), &webhook);
}
