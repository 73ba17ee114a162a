#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fiber.h"
#include "fetch/download.h"
#include "server.h"

/* Connections that end, bits that flip and processes that die: at every place there is, in files of few and small
 * blocks. */

#define BLOCK  64u
#define BLOCKS 5u
#define LENGTH (BLOCK * (BLOCKS - 1) + 60)

/* Headers and body of an answer of server.py take less. */
#define ANSWER_MAX (LENGTH + 400)

static Server server;
static Http *http;
static Source *source;

/* One download, into memory. */
typedef struct Try {
        char options[64];
        unsigned die_at; /* this process, with the block that it is handed then; 0: never */
        const char *partial;
        int result;
        Text got;
        DownloadReport report;
        Fiber *fiber;
} Try;

static const char *expected(void) {
        static char *content;

        return content ?: (content = server_content(LENGTH));
}

static int sink(void *userdata, const void *data, size_t size, Error *e _unused_) {
        Try *t = userdata;

        /* never a byte that is not right */
        assert_true(t->got.size + size <= LENGTH);
        assert_memory_equal(data, expected() + t->got.size, size);
        assert_int_equal(text_add(&t->got, data, size), 0);
        if (t->die_at > 0 && t->got.size >= (size_t) t->die_at * BLOCK)
                raise(SIGKILL);
        return 0;
}

static int download(void *userdata) {
        _cleanup_free_ char *path = text_format("bytes/%u?%s", LENGTH, ((Try *) userdata)->options);
        _cleanup_error_ Error e = ERROR_INIT;
        Digest blocks[BLOCKS];
        Try *t = userdata;

        for (size_t i = 0; i < BLOCKS; i++)
                assert_int_equal(digest_of(expected() + i * BLOCK, MIN_OF(BLOCK, LENGTH - i * BLOCK),
                                                 &blocks[i]),
                                0);
        t->result = download_blocks(source,
                        &(DownloadFile){.path = path,
                                        .name = "it",
                                        .length = LENGTH,
                                        .block_size = BLOCK,
                                        .blocks = blocks,
                                        .blocks_size = sizeof(blocks)},
                        &(DownloadOptions){.sink = sink,
                                        .userdata = t,
                                        .partial_dirfd = AT_FDCWD,
                                        .partial_name = t->partial},
                        &t->report, &e);
        if (t->result < 0 && t->result != -EBADMSG)
                print_message("%s: %s\n", t->options, error_message(&e, t->result));
        return 0;
}

/* Many at the same time: each waits for a while before it asks again. */
static void download_many(Try *tries, size_t n) {
        for (size_t i = 0; i < n; i++)
                assert_int_equal(fiber_new(fiber_event(), "try", download, &tries[i], &tries[i].fiber), 0);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(fiber_join(tries[i].fiber), 0);
                tries[i].fiber = fiber_free(tries[i].fiber);
        }
}

/* Wherever the connection ends, also in the middle of a header, it goes on there; and begins anew where the server ignores
 * ranges. */
static int closes(void *userdata _unused_) {
        Try *tries = calloc(2 * ANSWER_MAX, sizeof(Try));
        size_t n = 0;

        for (unsigned i = 0; i < ANSWER_MAX; i++)
                snprintf(tries[n++].options, sizeof(tries->options), "close=%u&key=close-%u", i, i);
        for (unsigned i = 0; i < ANSWER_MAX; i += 7)
                snprintf(tries[n++].options, sizeof(tries->options), "close=%u&key=whole-%u&norange=1", i, i);
        for (size_t i = 0; i < n; i += 200)
                download_many(tries + i, MIN_OF((size_t) 200, n - i));
        for (size_t i = 0; i < n; i++) {
                if (tries[i].result < 0 || tries[i].got.size != LENGTH)
                        fail_msg("%s: %d", tries[i].options, tries[i].result);
                if (i < ANSWER_MAX)
                        assert_int_equal(tries[i].report.fetched, LENGTH);
                text_clear(&tries[i].got);
        }
        free(tries);
        return 0;
}

/* A bit flipped anywhere: the blocks before it come, and nothing else. */
static int flips(void *userdata _unused_) {
        Digest blocks[BLOCKS];
        Hashes hashes;

        for (unsigned i = 0; i < LENGTH; i++) {
                Try t = {0};

                snprintf(t.options, sizeof(t.options), "flip=%u", i);
                assert_int_equal(download(&t), 0);
                assert_int_equal(t.result, -EBADMSG);
                assert_int_equal(t.got.size, i / BLOCK * BLOCK);
                text_clear(&t.got);
        }
        /* the same of a list of blocks, which is a small file with a hash of its own */
        assert_int_equal(hashes_of(expected(), sizeof(blocks), &hashes), 0);
        for (unsigned i = 0; i < sizeof(blocks); i++) {
                _cleanup_free_ char *path = text_format("bytes/%zu?flip=%u", sizeof(blocks), i);
                _cleanup_text_ Text text = TEXT_INIT;
                _cleanup_error_ Error e = ERROR_INIT;

                assert_int_equal(download_small(source, path, "list", sizeof(blocks), &hashes, &text, &e),
                                -EBADMSG);
                assert_int_equal(e.class, ERROR_UNTRUSTED);
        }
        return 0;
}

/* A process that dies with each block in turn. The server stops in the middle of the next one until then. */
static int dies(void *userdata _unused_) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *partial = text_format("%s/.partial-x", server.directory),
                            *port = text_format("%u", server.port), *url = NULL;
        Try last = {.options = "key=dies", .partial = partial};
        unsigned sent;

        for (unsigned i = 1; i < BLOCKS; i++) {
                _cleanup_free_ char *at = text_format("%u", i);
                int status;
                pid_t pid = fork();

                if (pid == 0) {
                        execl("/proc/self/exe", "die", at, port, partial, NULL);
                        _exit(127);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
        assert_int_equal(download(&last), 0);
        assert_int_equal(last.result, 0);
        assert_int_equal(last.report.resumed, (BLOCKS - 1) * BLOCK);
        text_clear(&last.got);
        url = text_format("http://127.0.0.1:%u/count?of=dies", server.port);
        assert_int_equal(http_get(http, &(HttpRequest){.url = url}, &response, NULL), 0);
        assert_int_equal(sscanf(response.body.data, "%*u %u", &sent), 1);
        assert_int_equal(sent, LENGTH + (BLOCKS - 1) * BLOCK / 2);
        return 0;
}

/* The process that dies: block @at, port, partial file. */
static int die(void *userdata) {
        _cleanup_free_ char *url = NULL;
        char **argv = userdata;
        Try t = {.partial = argv[3], .die_at = strtoul(argv[1], NULL, 10)};

        url = text_format("http://127.0.0.1:%s", argv[2]);
        snprintf(t.options, sizeof(t.options), "key=dies&stall=%u", BLOCK + BLOCK / 2);
        if (http_new(fiber_event(), &http) < 0 ||
                        source_new(http, &(SourceOptions){.url = url}, &source, NULL) < 0)
                return -EIO;
        return download(&t);
}

static int run_scene(void *userdata) {
        _cleanup_free_ char *url = text_format("http://127.0.0.1:%u", server.port);
        Scene *scene = userdata;
        int r;

        assert_int_equal(http_new(fiber_event(), &http), 0);
        assert_int_equal(source_new(http, &(SourceOptions){.url = url}, &source, NULL), 0);
        r = (*scene)(NULL);
        source = source_free(source);
        http = http_free(http);
        return r;
}

static int start(void **state _unused_) {
        return server_start(&server, "tests/unit/fetch/server.py");
}

static int end(void **state _unused_) {
        server_end(&server);
        return 0;
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {SCENE(closes), SCENE(flips), SCENE(dies)};

        if (argc == 4)
                return fiber_run(die, argv) < 0;
        return cmocka_run_group_tests(tests, start, end);
}
