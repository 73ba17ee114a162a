#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/webhook.h"
#include "tests/unit/fetch/server.h"

static struct {
        Server server;
        Http *http;
        Error error;
} setting;

static int send_to(const char *format, const char *token) {
        _cleanup_json_ json_t *report = json_pack("{ss}", "text", "1.1.0 is active and healthy");
        _cleanup_free_ char *url = text_format("http://127.0.0.1:%u/%s", setting.server.port, format);

        error_clear(&setting.error);
        return webhook_send(setting.http, &(WebhookOptions){url, token}, report, &setting.error);
}

static int takes(void *userdata _unused_) {
        assert_int_equal(send_to("small/202", NULL), 0);
        assert_int_equal(send_to("echo", "a token"), 0);
        return 0;
}

/* Neither the address nor the token is told. */
static int refuses(void *userdata _unused_) {
        assert_int_equal(send_to("small/403", "hush"), -EACCES);
        assert_string_equal(setting.error.message, "the webhook answered with status 403");
        return 0;
}

static int tries_again(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse count = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *url = text_format("http://127.0.0.1:%u/count?of=busy", setting.server.port);

        assert_int_equal(send_to("bytes/3?key=busy&status=503&times=1", NULL), 0);
        assert_int_equal(http_get(setting.http, &(HttpRequest){.url = url}, &count, NULL), 0);
        assert_memory_equal(count.body.data, "2 ", 2);
        return 0;
}

static int run_scene(void *userdata) {
        Scene *scene = userdata;
        int r;

        assert_int_equal(http_new(fiber_event(), &setting.http), 0);
        r = (*scene)(NULL);
        error_clear(&setting.error);
        setting.http = http_free(setting.http);
        return r;
}

static int start(void **state _unused_) {
        return server_start(&setting.server, "tests/unit/fetch/server.py");
}

static int end(void **state _unused_) {
        server_end(&setting.server);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        SCENE(takes),
                        SCENE(refuses),
                        SCENE(tries_again),
        };

        return cmocka_run_group_tests(tests, start, end);
}
