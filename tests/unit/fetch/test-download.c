#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "fetch/download.h"
#include "server.h"

/* Downloads from a real server that misbehaves as it is told (server.py), into memory. */

#define BLOCK (256 * KIB)

typedef struct Setting {
        Server server;
        Http *http;
        Source *source;
        Error error;
        DownloadReport report;

        char *expected;
        uint64_t length;
        Text got;
        uint64_t stop_at;   /* the sink fails here */
        uint64_t sink_usec; /* and takes so long for a block */
        uint64_t progressed;
} Setting;

static Setting setting;

static int sink(void *userdata _unused_, const void *data, size_t size, Error *e) {
        if (setting.got.size >= setting.stop_at)
                return error_set(e, ERROR_REFUSED, -ENOSPC, "The sink is full");
        /* never a byte that is not right */
        assert_true(setting.got.size + size <= setting.length);
        assert_memory_equal(data, setting.expected + setting.got.size, size);
        assert_int_equal(text_add(&setting.got, data, size), 0);
        return setting.sink_usec ? fiber_sleep(setting.sink_usec) : 0;
}

static void progress(void *userdata _unused_, uint64_t done, uint64_t total) {
        assert_int_equal(total, setting.length);
        assert_true(done > setting.progressed);
        setting.progressed = done;
}

static void use_source(const SourceOptions *options) {
        _cleanup_free_ char *url = text_format("http://127.0.0.1:%u", setting.server.port);
        SourceOptions o = *options;

        if (!o.url)
                o.url = url;
        if (!o.stall_timeout_usec)
                o.stall_timeout_usec = 30 * USEC_PER_SEC; /* none that a busy machine could bring about */
        setting.source = source_free(setting.source);
        assert_int_equal(source_new(setting.http, &o, &setting.source, NULL), 0);
}

#define USE_SOURCE(...) use_source(&(SourceOptions){__VA_ARGS__})

static char *list_blocks(const char *data, uint64_t length, size_t *ret_size) {
        size_t n = (length + BLOCK - 1) / BLOCK;
        Digest *list = calloc(n + 1, sizeof(Digest));

        for (size_t i = 0; i < n; i++)
                assert_int_equal(digest_of(data + i * BLOCK, MIN_OF(BLOCK, length - i * BLOCK), &list[i]), 0);
        *ret_size = n * sizeof(Digest);
        return (char *) list;
}

/* Fetches /bytes/LENGTH?OPTIONS. */
static int fetch(uint64_t length, const char *options, const char *partial) {
        _cleanup_free_ char *path = text_format("bytes/%lu?%s", (unsigned long) length, options);
        _cleanup_free_ char *blocks = NULL;
        DownloadFile file = {.path = path, .name = "the file", .length = length, .block_size = BLOCK};
        DownloadOptions o = {.sink = sink,
                        .progress = progress,
                        .partial_dirfd = AT_FDCWD,
                        .partial_name = partial};
        int r;

        free(setting.expected);
        setting.expected = server_content(length);
        setting.length = length;
        setting.progressed = 0;
        text_clear(&setting.got);
        error_clear(&setting.error);
        blocks = list_blocks(setting.expected, length, &file.blocks_size);
        file.blocks = blocks;
        r = download_blocks(setting.source, &file, &o, &setting.report, &setting.error);
        if (r >= 0)
                assert_int_equal(setting.got.size, length);
        return r;
}

/* The same, with the list of blocks read from the server meanwhile; @change alters it first. */
static int fetch_listed(uint64_t length, void (*change)(char *list)) {
        _cleanup_free_ char *path = text_format("bytes/%lu", (unsigned long) length), *list = NULL;
        _cleanup_free_ char *file = text_format("%s/list", setting.server.directory);
        Hashes hashes;
        size_t size;

        free(setting.expected);
        setting.expected = server_content(length);
        setting.length = length;
        setting.progressed = 0;
        text_clear(&setting.got);
        error_clear(&setting.error);
        list = list_blocks(setting.expected, length, &size);
        assert_int_equal(hashes_of(list, size, &hashes), 0);
        if (change)
                change(list);
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, file, list, size, 0644), 0);
        return download_blocks(setting.source,
                        &(DownloadFile){.path = path,
                                        .name = "the file",
                                        .length = length,
                                        .block_size = BLOCK,
                                        .list = &(DownloadList){.path = "repository/list",
                                                        .name = "the list",
                                                        .length = size,
                                                        .hashes = &hashes}},
                        &(DownloadOptions){.sink = sink, .progress = progress}, &setting.report,
                        &setting.error);
}

static bool said(const char *text) {
        if (strstr(setting.error.message ?: "", text))
                return true;
        print_message("the message is: %s\n", setting.error.message);
        return false;
}

static int sizes(void *userdata _unused_) {
        static const uint64_t lengths[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 20 * BLOCK, 101 * BLOCK + 7};

        USE_SOURCE(.max_ranges = 1,
                        .stall_timeout_usec = 60 * USEC_PER_SEC); /* none takes over, none tries again */
        for (size_t i = 0; i < ELEMENTS_OF(lengths); i++) {
                assert_int_equal(fetch(lengths[i], "", NULL), 0);
                assert_int_equal(setting.report.fetched, lengths[i]);
                assert_int_equal(setting.report.retries, 0);
                assert_int_equal(setting.progressed, lengths[i]);
                assert_int_equal(fetch(lengths[i], "norange=1", NULL), 0);
                assert_int_equal(setting.report.fetched, lengths[i]);
                assert_int_equal(fetch(lengths[i], "chunked=1", NULL), 0);
        }
        return 0;
}

static void flip(char *list) {
        list[0] ^= 1;
}

/* Nothing is handed on before the list is here and right. */
static int listed(void *userdata _unused_) {
        static const uint64_t lengths[] = {1, BLOCK, 20 * BLOCK + 7};

        USE_SOURCE(.stall_timeout_usec = 60 * USEC_PER_SEC);
        for (size_t i = 0; i < ELEMENTS_OF(lengths); i++) {
                assert_int_equal(fetch_listed(lengths[i], NULL), 0);
                assert_int_equal(setting.got.size, lengths[i]);
                assert_int_equal(setting.report.fetched, lengths[i]);
                assert_int_equal(fetch_listed(lengths[i], flip), -EBADMSG);
                assert_true(said("the list from"));
                assert_int_equal(setting.got.size, 0);
        }
        return 0;
}

/* Closed anywhere, it goes on there: nothing is fetched twice. */
static int closes(void *userdata _unused_) {
        static const unsigned offsets[] = {
                        1, 2, 100, 16383, 16384, 16385, 262143, 262144, 262145, 524288, 699999};

        USE_SOURCE();
        for (size_t i = 0; i < ELEMENTS_OF(offsets); i++) {
                _cleanup_free_ char *options = text_format("key=cut%u&cut=%u&cuts=2", offsets[i], offsets[i]);

                assert_int_equal(fetch(700000, options, NULL), 0);
                assert_int_equal(setting.report.fetched, 700000);
                assert_in_range(setting.report.retries, 1, 2);
        }
        assert_int_equal(fetch(700000, "cut=150000", NULL), 0); /* and always */
        assert_int_equal(setting.report.fetched, 700000);
        assert_int_equal(setting.report.retries, 4);
        assert_int_equal(fetch(700000, "key=whole&cut=300000&cuts=2&norange=1", NULL), 0);
        assert_int_equal(setting.report.fetched, 300000 + 300000 + 700000);

        USE_SOURCE(.tries = 3);
        assert_int_equal(fetch(700000, "cut=0", NULL), -ECONNRESET); /* no progress */
        assert_int_equal(setting.report.retries, 2);
        USE_SOURCE(.tries = 1, .deadline_usec = clock_monotonic() + 20 * USEC_PER_SEC);
        assert_int_equal(fetch(700000, "cut=300000&norange=1", NULL),
                        -ECONNRESET); /* nor what is sent again */
        assert_int_equal(setting.report.retries, 1);
        return 0;
}

static int waits(void *userdata _unused_) {
        uint64_t start;

        USE_SOURCE(.stall_timeout_usec = USEC_PER_SEC / 2);
        assert_int_equal(fetch(700000, "key=stalls&stall=60000&stalls=1", NULL), 0);
        assert_in_range(setting.report.retries, 1, 4);
        USE_SOURCE();
        assert_int_equal(fetch(700000, "key=busy&status=503&times=2", NULL), 0);
        start = clock_monotonic();
        assert_int_equal(fetch(700000, "key=after&status=429&times=1&after=2", NULL), 0);
        assert_true(clock_monotonic() - start >= 2 * USEC_PER_SEC);
        /* a server that goes away in the middle of a file is waited for longer than one that is not there */
        USE_SOURCE(.tries = 2);
        assert_int_equal(fetch(700000, "key=away&status=503&times=2", NULL), -EBUSY);
        assert_int_equal(fetch(700000, "key=back&cut=300000&cuts=1&skip=1&status=503&times=2", NULL), 0);
        USE_SOURCE();
        assert_int_equal(fetch(700000, "status=404", NULL), -ENOENT);
        assert_int_equal(setting.report.retries, 0);

        USE_SOURCE(.deadline_usec = clock_monotonic() + 2 * USEC_PER_SEC);
        start = clock_monotonic();
        assert_int_equal(fetch(700000, "status=503&after=60", NULL), -EBUSY);
        assert_true(clock_monotonic() - start < 30 * USEC_PER_SEC);
        assert_int_equal(setting.error.class, ERROR_FAILED);
        return 0;
}

static int lies(void *userdata _unused_) {
        USE_SOURCE(.tries = 2);
        assert_int_equal(fetch(700000, "flip=300000", NULL), -EBADMSG);
        assert_int_equal(setting.error.class, ERROR_UNTRUSTED);
        assert_true(said("Block 1 of the file from http://127.0.0.1"));
        assert_int_equal(setting.got.size, BLOCK);
        assert_int_equal(fetch(700000, "flip=0", NULL), -EBADMSG);
        assert_int_equal(fetch(700000, "flip=699999", NULL), -EBADMSG);
        assert_int_equal(fetch(700000, "key=once&flip=300000&flips=1", NULL), 0);
        assert_int_equal(setting.report.retries, 1);
        assert_int_equal(fetch(700000, "gzip=1", NULL), -EBADMSG);
        assert_true(said("Content-Encoding: gzip"));
        assert_int_equal(fetch(700000, "lie=1", NULL), -EBADMSG);
        assert_true(said("700001 bytes"));
        assert_int_equal(fetch(700000, "lie=-1", NULL), -EBADMSG);
        assert_int_equal(fetch(700000, "lie=1000&norange=1", NULL), -EBADMSG);
        assert_int_equal(fetch(700000, "shift=1", NULL), -EPROTO);
        assert_int_equal(fetch(700000, "key=changed&cut=300000&change=200000", NULL), -EBADMSG);
        assert_true(said("changed there meanwhile"));
        /* a change to the same bytes is no harm */
        assert_int_equal(fetch(700000, "key=touched&cut=300000&change=700000", NULL), 0);
        return 0;
}

static int ends(void *userdata _unused_) {
        USE_SOURCE();
        setting.stop_at = 3 * BLOCK;
        assert_int_equal(fetch(40 * BLOCK, "", NULL), -ENOSPC);
        assert_string_equal(setting.error.message, "The sink is full");
        assert_int_equal(setting.error.class, ERROR_REFUSED);
        return 0;
}

/* What is here is not fetched again, wherever the process died. */
static int resumes(void *userdata _unused_) {
        _cleanup_free_ char *partial = text_format("%s/.partial-x", setting.server.directory);
        uint64_t fetched = 0, length = 24 * BLOCK + 5;
        char zeros[100] = "";
        int fd;

        USE_SOURCE(.max_rate = 200 * MIB);
        for (unsigned i = 0; i < 24; i += 3) {
                setting.stop_at = i * BLOCK;
                assert_int_equal(fetch(length, "", partial), -ENOSPC);
                fetched += setting.report.fetched;
        }
        setting.stop_at = UINT64_MAX;
        assert_int_equal(fetch(length, "", partial), 0);
        fetched += setting.report.fetched;
        assert_true(setting.report.resumed > 0);
        assert_true(fetched <= length + 8 * BLOCK);

        /* all of it is here; then a block is not what it was */
        assert_int_equal(fetch(length, "", partial), 0);
        assert_int_equal(setting.report.fetched, 0);
        assert_int_equal(setting.report.resumed, length);
        fd = open(partial, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 5 * BLOCK + 7), sizeof(zeros));
        assert_int_equal(fetch(length, "", partial), 0);
        assert_int_equal(setting.report.fetched, BLOCK);
        assert_int_equal(ftruncate(fd, 7 * BLOCK + 1), 0);
        close(fd);
        assert_int_equal(fetch(length, "", partial), 0);
        assert_int_equal(setting.report.resumed, 7 * BLOCK);

        fd = fs_open_directory(AT_FDCWD, setting.server.directory);
        assert_int_equal(download_partial_clean(fd, ".partial-x", NULL), 0);
        assert_true(fs_exists(fd, ".partial-x"));
        assert_int_equal(download_partial_clean(fd, NULL, NULL), 0);
        assert_false(fs_exists(fd, ".partial-x"));
        close(fd);
        return 0;
}

/* A long way, on which one connection cannot be filled: more of them are. One that is alone is asked once. */
static int spreads(void *userdata _unused_) {
        _cleanup_(source_file_clear) SourceFile count = SOURCE_FILE_INIT;
        uint64_t start = clock_monotonic(), alone;

        USE_SOURCE(.max_ranges = 1);
        assert_int_equal(fetch(10 * BLOCK, "pace=8", NULL), 0);
        alone = clock_monotonic() - start;
        USE_SOURCE();
        assert_int_equal(fetch(100 * BLOCK + 1, "pace=8", NULL), 0);
        assert_true(setting.report.ranges > 1);
        assert_true(clock_monotonic() - start < 10 * alone);
        assert_in_range(setting.report.fetched, 100 * BLOCK + 1, 108 * BLOCK);
        USE_SOURCE(.max_ranges = 1);
        assert_int_equal(fetch(100 * BLOCK + 1, "key=alone", NULL), 0);
        assert_int_equal(setting.report.ranges, 1);
        assert_int_equal(source_get(setting.source, "count?of=alone", 100, NULL, &count, NULL), 0);
        assert_non_null(startswith(count.data.data, "1 "));
        return 0;
}

/* One of several connections that says nothing for long does not hold the others. */
static int overtakes(void *userdata _unused_) {
        USE_SOURCE(.stall_timeout_usec = 20 * USEC_PER_SEC);
        uint64_t start = clock_monotonic();

        assert_int_equal(fetch(100 * BLOCK + 1, "key=over&pace=4&stall=70000&stalls=1&skip=8", NULL), 0);
        assert_true(setting.report.ranges > 1);
        assert_true(clock_monotonic() - start < 20 * USEC_PER_SEC); /* or it would have waited for that one */
        return 0;
}

static int keeps_rate(void *userdata _unused_) {
        uint64_t start = clock_monotonic(), took;

        USE_SOURCE(.max_rate = 2 * MIB);
        assert_int_equal(fetch(3 * MIB, "", NULL), 0);
        took = clock_monotonic() - start;
        assert_in_range(took, 1400 * USEC_PER_MSEC, 30 * USEC_PER_SEC);
        assert_int_equal(setting.report.ranges, 1);
        return 0;
}

/* A slow reader is nobody's fault. */
static int is_patient(void *userdata _unused_) {
        USE_SOURCE(.stall_timeout_usec = 300 * USEC_PER_MSEC);
        setting.sink_usec = 400 * USEC_PER_MSEC;
        assert_int_equal(fetch(5 * BLOCK, "", NULL), 0);
        assert_int_equal(setting.report.retries, 0);
        return 0;
}

static int small(void *userdata _unused_) {
        _cleanup_free_ char *expected = server_content(5000);
        _cleanup_text_ Text text = TEXT_INIT;
        Hashes hashes;

        USE_SOURCE(.tries = 3);
        assert_int_equal(hashes_of(expected, 5000, &hashes), 0);
        assert_int_equal(download_small(setting.source, "bytes/5000", "it", 5000, &hashes, &text,
                                         &setting.error),
                        0);
        assert_memory_equal(text.data, expected, 5000);
        assert_int_equal(download_small(setting.source, "bytes/5000?flip=1", "it", 5000, &hashes, &text,
                                         &setting.error),
                        -EBADMSG);
        assert_int_equal(setting.error.class, ERROR_UNTRUSTED);
        assert_int_equal(download_small(setting.source, "bytes/5001", "it", 5000, &hashes, &text,
                                         &setting.error),
                        -EBADMSG);
        assert_int_equal(download_small(setting.source, "bytes/4999", "it", 5000, &hashes, &text,
                                         &setting.error),
                        -EBADMSG);
        assert_int_equal(download_small(setting.source, "small/404", "it", 5000, &hashes, &text,
                                         &setting.error),
                        -ENOENT);
        assert_int_equal(download_small(setting.source, "small/403", "it", 5000, &hashes, &text,
                                         &setting.error),
                        -EACCES);
        return 0;
}

static int conditions(void *userdata _unused_) {
        _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT, again = SOURCE_FILE_INIT;
        _cleanup_free_ char *path = text_format("%s/timestamp.json", setting.server.directory);
        _cleanup_free_ char *local = text_format("file://%s", setting.server.directory);

        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, "{}", 2, 0644), 0);
        for (int i = 0; i < 2; i++) {
                USE_SOURCE(.url = i == 1 ? local : NULL);
                const char *name = i == 1 ? "timestamp.json" : "repository/timestamp.json";

                assert_int_equal(source_get(setting.source, name, 100, NULL, &file, NULL), 0);
                assert_string_equal(file.data.data, "{}");
                assert_false(file.unmodified);
                assert_int_equal(source_get(setting.source, name, 100, file.etag, &again, NULL), 0);
                assert_true(again.unmodified);
                assert_int_equal(again.data.size, 0);
                source_file_clear(&again);
                assert_int_equal(source_get(setting.source, name, 1, NULL, &again, NULL), -EFBIG);
                assert_int_equal(source_get(setting.source, name, 100, "\"x\"", &again, NULL), 0);
                assert_false(again.unmodified);
                source_file_clear(&again);
                source_file_clear(&file);
        }
        return 0;
}

static int refuses(void *userdata _unused_) {
        static const char *const bad[] = {"", "ftp://x/", "https://", "/srv", "file://x", "http://x/?a=b"};
        Source *s = NULL;

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
                assert_int_equal(
                                source_new(setting.http, &(SourceOptions){.url = bad[i]}, &s, &setting.error),
                                -EINVAL);
                assert_int_equal(setting.error.class, ERROR_USAGE);
        }
        return 0;
}

static int run_scene(void *userdata) {
        Scene *scene = userdata;
        int r;

        assert_int_equal(http_new(fiber_event(), &setting.http), 0);
        setting.stop_at = UINT64_MAX;
        setting.sink_usec = 0;
        r = (*scene)(NULL);
        error_clear(&setting.error);
        text_clear(&setting.got);
        free(setting.expected);
        setting.expected = NULL;
        setting.source = source_free(setting.source);
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
                        SCENE(sizes),
                        SCENE(listed),
                        SCENE(closes),
                        SCENE(waits),
                        SCENE(lies),
                        SCENE(ends),
                        SCENE(resumes),
                        SCENE(spreads),
                        SCENE(overtakes),
                        SCENE(keeps_rate),
                        SCENE(is_patient),
                        SCENE(small),
                        SCENE(conditions),
                        SCENE(refuses),
        };

        return cmocka_run_group_tests(tests, start, end);
}
