#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "server.h"

/* Requests to a real server that misbehaves as it is told (server.py). */

typedef struct Setting {
        Server server;
        Http *http;
        Error error;
} Setting;

static Setting setting;

/* "http://127.0.0.1:PORT/" and the rest, in one of a few buffers. */
static const char *at(const char *rest) {
        static char buffers[4][256];
        static unsigned n;
        char *buffer = buffers[n++ % 4];

        snprintf(buffer, sizeof(buffers[0]), "http://127.0.0.1:%u/%s", setting.server.port, rest);
        return buffer;
}

static int get(const HttpRequest *request, HttpResponse *ret) {
        error_clear(&setting.error);
        http_response_clear(ret);
        return http_get(setting.http, request, ret, &setting.error);
}

#define GET(path, ...) get(&(HttpRequest){.url = at(path), ##__VA_ARGS__}, &response)

static bool said(const char *text) {
        if (strstr(setting.error.message ?: "", text))
                return true;
        print_message("the message is: %s\n", setting.error.message);
        return false;
}

static int gets(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *expected = server_content(300000);

        assert_int_equal(GET("small/200"), 0);
        assert_int_equal(response.status, 200);
        assert_string_equal(response.body.data, "here it is\n");
        assert_true(response.latency_usec > 0);
        assert_int_equal(GET("small/404"), 0);
        assert_int_equal(response.status, 404);
        assert_int_equal(GET("bytes/0"), 0);
        assert_int_equal(response.body.size, 0);
        assert_non_null(response.body.data);
        assert_int_equal(GET("bytes/300000"), 0);
        assert_int_equal(response.body.size, 300000);
        assert_memory_equal(response.body.data, expected, 300000);
        assert_string_equal(http_header(response.headers, "etag"), "\"one\"");
        assert_int_equal(GET("bytes/300000?chunked=1"), 0);
        assert_int_equal(response.body.size, 300000);

        assert_int_equal(GET("bytes/300000", .max = 299999), -EFBIG);
        assert_int_equal(GET("bytes/300000", .max = 300000), 0);
        assert_int_equal(GET("bytes/300000", .offset = 1000, .size = 10), 0);
        assert_int_equal(response.status, 206);
        assert_memory_equal(response.body.data, expected + 1000, 10);
        assert_int_equal(GET("bytes/300000", .offset = 299999), 0);
        assert_int_equal(response.body.size, 1);
        assert_int_equal(GET("bytes/300000", .offset = 300000), 0);
        assert_int_equal(response.status, 416);
        assert_int_equal(GET("bytes/300000?norange=1", .offset = 1000), 0);
        assert_int_equal(response.status, 200);
        assert_int_equal(response.body.size, 300000);
        return 0;
}

static int sends(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        char *headers[] = {(char *) "X-Shown: a", NULL}, *secret[] = {(char *) "X-Secret: b", NULL};

        assert_int_equal(GET("echo", .headers = headers, .secret_headers = secret, .body = "hello",
                                         .body_size = 5),
                        0);
        assert_non_null(startswith(response.body.data, "PUT /echo\n"));
        assert_non_null(strstr(response.body.data, "X-Shown: a\r\n")
                                        ?: strstr(response.body.data, "X-Shown: a\n"));
        assert_non_null(strstr(response.body.data, "X-Secret: b"));
        assert_non_null(strstr(response.body.data, "Content-Length: 5"));
        assert_true(endswith(response.body.data, "hello"));
        assert_int_equal(GET("echo", .method = "POST"), 0);
        assert_non_null(startswith(response.body.data, "POST /echo\n"));
        assert_non_null(strstr(response.body.data, "Content-Length: 0"));
        assert_int_equal(GET("small/200", .method = "HEAD"), 0);
        assert_int_equal(response.body.size, 0);
        assert_string_equal(http_header(response.headers, "content-length"), "11");
        return 0;
}

static int fails(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *url = NULL;
        uint64_t start;

        assert_int_equal(GET("bytes/100000?cut=5000"), -ECONNRESET);
        assert_true(said("was lost"));
        assert_int_equal(GET("bytes/100000?lie=1000"), -ECONNRESET);
        assert_int_equal(GET("bytes/1000?shift=1", .offset = 10), -EPROTO);
        start = clock_monotonic();
        assert_int_equal(GET("bytes/100000?stall=50", .stall_timeout_usec = USEC_PER_SEC), -ETIMEDOUT);
        assert_true(said("has stalled"));
        assert_int_equal(GET("bytes/100000?drip=30", .stall_timeout_usec = USEC_PER_SEC), -ETIMEDOUT);
        assert_int_equal(GET("bytes/100000?stall=50", .timeout_usec = 200 * USEC_PER_MSEC), -ETIMEDOUT);
        assert_true(said("in time"));
        assert_true(clock_monotonic() - start < 10 * USEC_PER_SEC);

        assert_int_equal(get(&(HttpRequest){.url = "http://127.0.0.1:1/"}, &response), -ECONNREFUSED);
        assert_string_equal(setting.error.message, "Nothing listens at http://127.0.0.1:1/");
        assert_int_equal(get(&(HttpRequest){.url = "http://nowhere.invalid/"}, &response), -EHOSTUNREACH);
        assert_int_equal(get(&(HttpRequest){.url = "gopher://127.0.0.1/"}, &response), -EINVAL);
        assert_int_equal(setting.error.class, ERROR_USAGE);
        assert_int_equal(get(&(HttpRequest){.url = "no address"}, &response), -EINVAL);
        /* what speaks no TLS */
        url = text_format("https://127.0.0.1:%u/small/200", setting.server.port);
        assert_int_equal(get(&(HttpRequest){.url = url}, &response), -EPROTO);
        return 0;
}

static int redirects(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        char *secret[] = {(char *) "Authorization: b", NULL};

        assert_int_equal(GET("redirect?to=/echo"), 0);
        assert_int_equal(response.status, 302);
        assert_int_equal(GET("redirect?to=/echo", .redirects = true, .secret_headers = secret), 0);
        assert_int_equal(response.status, 200);
        assert_non_null(startswith(response.body.data, "GET /echo\n"));
        assert_null(strstr(response.body.data, "Authorization"));
        assert_int_equal(GET("redirect?to=https://127.0.0.1/", .redirects = true), -EPROTO);
        assert_true(said("another protocol"));
        assert_int_equal(GET("redirect?to=file:///etc/passwd", .redirects = true), -EPROTO);
        assert_int_equal(GET("redirect?to=/redirect?to=/echo", .redirects = true), 0);
        assert_int_equal(response.status, 200);
        assert_int_equal(GET("circle", .redirects = true), -ELOOP);
        return 0;
}

static int uses_sockets(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;

        assert_int_equal(get(&(HttpRequest){.url = "http://app/small/200",
                                             .unix_socket = setting.server.socket},
                                         &response),
                        0);
        assert_int_equal(response.status, 200);
        assert_int_equal(get(&(HttpRequest){.url = "http://app/", .unix_socket = "/nowhere/at/all"},
                                         &response),
                        -ENOENT);

        /* a kept connection is used again, but not for those who ask for a fresh one */
        for (int i = 0; i < 3; i++)
                assert_int_equal(GET("bytes/10?key=kept"), 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(GET("bytes/10?key=fresh", .fresh = true), 0);
        assert_int_equal(GET("count?of=kept"), 0);
        assert_non_null(startswith(response.body.data, "3 30 "));
        assert_false(endswith(response.body.data, " 3"));
        assert_int_equal(GET("count?of=fresh"), 0);
        assert_string_equal(response.body.data, "3 30 3");
        return 0;
}

static int reads_files(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *url = text_format("file://%s/a%%20file", setting.server.directory);
        _cleanup_free_ char *path = text_format("%s/a file", setting.server.directory);
        _cleanup_free_ char *nothing = text_format("file://%s/nothing", setting.server.directory);
        _cleanup_free_ char *directory = text_format("file://%s", setting.server.directory);
        _cleanup_free_ char *known = NULL;
        char *headers[2] = {NULL, NULL};

        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, "0123456789", 10, 0644), 0);
        assert_int_equal(get(&(HttpRequest){.url = url}, &response), 0);
        assert_int_equal(response.status, 200);
        assert_string_equal(response.body.data, "0123456789");
        known = text_format("If-None-Match: %s", http_header(response.headers, "ETag"));
        headers[0] = known;
        assert_int_equal(get(&(HttpRequest){.url = url, .headers = headers}, &response), 0);
        assert_int_equal(response.status, 304);
        assert_int_equal(get(&(HttpRequest){.url = url, .offset = 3, .size = 4}, &response), 0);
        assert_int_equal(response.status, 206);
        assert_string_equal(response.body.data, "3456");
        assert_int_equal(get(&(HttpRequest){.url = url, .offset = 10}, &response), 0);
        assert_int_equal(response.status, 416);
        assert_int_equal(get(&(HttpRequest){.url = url, .max = 9}, &response), -EFBIG);
        assert_int_equal(get(&(HttpRequest){.url = nothing}, &response), 0);
        assert_int_equal(response.status, 404);
        assert_int_equal(get(&(HttpRequest){.url = directory}, &response), 0);
        assert_int_equal(response.status, 404);
        return 0;
}

static int trusts(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *ca = text_format("%s/ca.pem", setting.server.directory);
        _cleanup_free_ char *key = text_format("%s/key.pem", setting.server.directory);
        _cleanup_free_ char *port_file = text_format("%s/tls-port", setting.server.directory);
        _cleanup_free_ char *port = NULL, *url = NULL, *other = NULL, *redirect = NULL;

        assert_int_equal(fs_read_file(AT_FDCWD, port_file, 16, &port, NULL), 0);
        url = text_format("https://127.0.0.1:%s/echo", port);
        other = text_format("https://localhost:%s/echo", port);
        redirect = text_format("https://127.0.0.1:%s/redirect?to=/echo", port);

        assert_int_equal(get(&(HttpRequest){.url = url}, &response), -EKEYREJECTED);
        assert_true(said("is not trusted"));
        assert_int_equal(get(&(HttpRequest){.url = other, .ca_file = ca}, &response), -EKEYREJECTED);
        assert_int_equal(get(&(HttpRequest){.url = url, .ca_file = "/nowhere.pem"}, &response), -EINVAL);
        assert_int_equal(get(&(HttpRequest){.url = url, .ca_file = ca}, &response), 0);
        assert_string_equal(http_header(response.headers, "X-Certificate"), "none");
        assert_int_equal(get(&(HttpRequest){.url = url, .ca_file = ca, .certificate = ca, .key = key},
                                         &response),
                        0);
        assert_string_equal(http_header(response.headers, "X-Certificate"), "shown");
        /* it is not shown where a redirect leads */
        assert_int_equal(get(&(HttpRequest){.url = redirect,
                                             .ca_file = ca,
                                             .certificate = ca,
                                             .key = key,
                                             .redirects = true},
                                         &response),
                        0);
        assert_string_equal(http_header(response.headers, "X-Certificate"), "none");
        assert_int_equal(GET("redirect?to=https://127.0.0.1/", .redirects = true), -EPROTO);
        return 0;
}

/* A reader that does not read holds the sender back; one that goes on gets everything. */
static int holds_back(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *expected = server_content(64 * MIB), *data = malloc(100000);
        _cleanup_(http_close_p) HttpTransfer *t = NULL;
        uint64_t sent, at_byte = 0;
        ssize_t n;

        assert_int_equal(http_open(setting.http, &(HttpRequest){.url = at("bytes/67108864?key=slow")}, &t,
                                         NULL),
                        0);
        assert_int_equal(http_transfer_total(t), 64 * MIB);
        assert_int_equal(fiber_sleep(300 * USEC_PER_MSEC), 0);
        assert_int_equal(GET("count?of=slow"), 0);
        sent = strtoull(strchr(response.body.data, ' '), NULL, 10);
        assert_true(sent <
                        16 * MIB); /* what the kernel keeps for a loopback connection, and the little we do */
        while ((n = http_read(t, data, 100000, NULL)) > 0) {
                assert_memory_equal(data, expected + at_byte, n);
                at_byte += n;
        }
        assert_int_equal(n, 0);
        assert_int_equal(at_byte, 64 * MIB);
        return 0;
}

static int hangs(void *userdata) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;

        *(int *) userdata = GET("bytes/100000?stall=10");
        return 0;
}

static int cancels(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_(fiber_stop_p) Fiber *f = NULL;
        int result = 0;

        assert_int_equal(fiber_new(fiber_event(), "hangs", hangs, &result, &f), 0);
        assert_int_equal(fiber_sleep(100 * USEC_PER_MSEC), 0);
        fiber_cancel(f);
        assert_int_equal(fiber_join(f), 0);
        assert_int_equal(result, -ECANCELED);
        assert_int_equal(GET("small/200"), 0);
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
                        SCENE(gets),
                        SCENE(sends),
                        SCENE(fails),
                        SCENE(redirects),
                        SCENE(uses_sockets),
                        SCENE(reads_files),
                        SCENE(trusts),
                        SCENE(holds_back),
                        SCENE(cancels),
        };

        return cmocka_run_group_tests(tests, start, end);
}
