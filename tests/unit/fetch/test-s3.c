#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fiber.h"
#include "fetch/credentials.h"
#include "fetch/download.h"
#include "fetch/s3.h"
#include "fetch/upload.h"
#include "server.h"

/* Against a server that checks every signature (aws.py), with credentials from wherever AWS's tools look for them. */

typedef struct Setting {
        Server server;
        Http *http;
        Error error;
        char endpoint[64];
} Setting;

static Setting setting;

static bool said(const char *text) {
        if (strstr(setting.error.message ?: "", text))
                return true;
        print_message("the message is: %s\n", setting.error.message);
        return false;
}

static void forget_environment(void) {
        extern char **environ;

        for (char **v = environ; *v;) {
                _cleanup_free_ char *name = strndup(*v, strcspn(*v, "="));

                if (startswith(name, "AWS_"))
                        unsetenv(name);
                else
                        v++;
        }
        setenv("HOME", setting.server.directory, 1);
        setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static void write_file(const char *name, const char *content) {
        _cleanup_free_ char *path = text_format("%s/%s", setting.server.directory, name);

        assert_int_equal(fs_mkdir_parents(AT_FDCWD, setting.server.directory, 0755), 0);
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, content, strlen(content), 0600), 0);
}

static void use_static_key(void) {
        forget_environment();
        setenv("AWS_ACCESS_KEY_ID", "STATIC", 1);
        setenv("AWS_SECRET_ACCESS_KEY", "secret-static", 1);
}

/* Reads a file of a source that is made for it. */
static int get(const SourceOptions *options, const char *path, const char *expected) {
        _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT;
        _cleanup_(source_free_p) Source *source = NULL;
        SourceOptions o = *options;
        int r;

        error_clear(&setting.error);
        if (!o.s3_endpoint)
                o.s3_endpoint = setting.endpoint;
        o.s3_path_style = !strstr(o.s3_endpoint, "localhost");
        o.tries = 1;
        r = source_new(setting.http, &o, &source, &setting.error);
        if (r >= 0)
                r = source_get(source, path, MIB, NULL, &file, &setting.error);
        if (r >= 0)
                assert_string_equal(file.data.data, expected);
        return r;
}

#define GET(address, path, expected, ...) get(&(SourceOptions){.url = address, ##__VA_ARGS__}, path, expected)

static int gets(void *userdata _unused_) {
        char localhost[64];

        use_static_key();
        assert_int_equal(GET("s3://plain", "root.json", "the root"), 0);
        assert_int_equal(GET("s3://plain/", "dir/a%20b%2Bc~.json", "odd"), 0);
        assert_int_equal(GET("s3://plain/", "dir/a%20b+c~.json", "odd"), 0);
        assert_int_equal(GET("s3://plain/dir", "a%20b%2Bc~.json", "odd"), 0);
        assert_int_equal(GET("s3://plain/", "nothing", ""), -ENOENT);
        assert_int_equal(GET("s3://nobucket/", "root.json", ""), -ENOENT);
        assert_int_equal(GET("s3://closed/", "nothing", ""), -EACCES);
        assert_non_null(strstr(setting.error.hint, "may not be there"));

        /* the bucket in the host's name */
        snprintf(localhost, sizeof(localhost), "http://localhost:%u", setting.server.port);
        assert_int_equal(GET("s3://plain/dir/", "a%20b%2Bc~.json", "odd", .s3_endpoint = localhost), 0);
        return 0;
}

static int learns(void *userdata _unused_) {
        use_static_key();
        assert_int_equal(GET("s3://far/", "root.json", "the root"), 0);
        assert_int_equal(GET("s3://far/", "root.json", "the root", .s3_region = "us-west-2"), 0);
        assert_int_equal(GET("s3://moved/", "root.json", "the root", .redirects = true), 0);
        assert_int_equal(GET("s3://skewed/", "root.json", "the root"), 0);
        setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
        assert_int_equal(GET("s3://plain/", "root.json", ""), -EKEYREJECTED);
        assert_true(said("SignatureDoesNotMatch"));
        setenv("AWS_ACCESS_KEY_ID", "NOBODY", 1);
        assert_int_equal(GET("s3://plain/", "root.json", ""), -EKEYREJECTED);
        assert_true(said("InvalidAccessKeyId"));
        assert_null(strstr(setting.error.message, "wrong"));
        return 0;
}

static int finds_keys(void *userdata _unused_) {
        _cleanup_free_ char *config = text_format("%s/config", setting.server.directory);
        _cleanup_free_ char *credentials = text_format("%s/credentials", setting.server.directory);
        _cleanup_free_ char *container = text_format("http://127.0.0.1:%u/container", setting.server.port);
        _cleanup_free_ char *long_lines = NULL;
        char imds[64], token[1001];

        forget_environment();
        assert_int_equal(GET("s3://plain/", "root.json", ""), -ENOKEY);
        assert_non_null(strstr(setting.error.hint, "AWS_ACCESS_KEY_ID"));
        setenv("AWS_ACCESS_KEY_ID", "STATIC", 1);
        assert_int_equal(GET("s3://plain/", "root.json", ""), -EINVAL);

        forget_environment();
        setenv("AWS_CONFIG_FILE", config, 1);
        setenv("AWS_SHARED_CREDENTIALS_FILE", credentials, 1);
        setenv("AWS_PROFILE", "web", 1);
        write_file("credentials", "[default]\naws_access_key_id = NOBODY\naws_secret_access_key = wrong\n");
        write_file("config", "[default]\nregion = eu-west-1\n[profile web]\nregion = us-west-9\n"
                             "aws_access_key_id = STATIC\naws_secret_access_key = secret-static\n");
        assert_int_equal(GET("s3://plain/", "root.json", "the root"), 0);
        /* with what else stands there: a session's token, which is long, what belongs to another key, what is no key */
        memset(token, 't', sizeof(token) - 1);
        token[sizeof(token) - 1] = 0;
        long_lines = text_format("# ours\nregion = x\n[default]\ns3 =\n  aws_access_key_id = NOBODY\n[ web "
                                 "]\r\nnonsense\n"
                                 "s3 =\n    aws_access_key_id = NOBODY\nAWS_Access_Key_ID=STATIC\r\n;x = y\n"
                                 "aws_secret_access_key = secret-static\naws_session_token = %s\n[other",
                        token);
        write_file("credentials", long_lines);
        assert_int_equal(GET("s3://plain/", "root.json", "the root"), 0);
        write_file("credentials", "[web]\naws_access_key_id = NOBODY\naws_secret_access_key = wrong\n");
        assert_int_equal(GET("s3://plain/", "root.json", ""), -EKEYREJECTED);

        forget_environment();
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", container, 1);
        assert_int_equal(GET("s3://plain/", "root.json", ""), -EACCES);
        setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc", 1);
        assert_int_equal(GET("s3://plain/", "root.json", "the root"), 0);
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x", 1);
        assert_int_equal(GET("s3://plain/", "root.json", ""), -EINVAL);

        forget_environment();
        unsetenv("AWS_EC2_METADATA_DISABLED");
        snprintf(imds, sizeof(imds), "http://127.0.0.1:%u/", setting.server.port);
        setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds, 1);
        assert_int_equal(GET("s3://plain/", "root.json", "the root"), 0);
        snprintf(imds, sizeof(imds), "http://127.0.0.1:%u/silent", setting.server.port);
        setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds, 1);
        assert_int_equal(GET("s3://plain/", "root.json", ""), -ENOKEY);
        assert_non_null(strstr(setting.error.hint, "hop limit"));
        setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
        assert_int_equal(GET("s3://plain/", "root.json", ""), -ENOKEY);
        return 0;
}

static unsigned handed(void) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *url = text_format("%s/count", setting.endpoint);

        assert_int_equal(http_get(setting.http, &(HttpRequest){.url = url}, &response, NULL), 0);
        return strtoul(response.body.data, NULL, 10);
}

/* A role's key serves until its end, and is fetched anew when the server says that it ended early. */
static int keeps_keys(void *userdata _unused_) {
        _cleanup_(credentials_free_p) Credentials *other = NULL;
        _cleanup_(source_free_p) Source *source = NULL;
        SourceOptions o = {.url = "s3://plain", .s3_endpoint = setting.endpoint, .s3_path_style = true};
        const AwsKey *key;
        unsigned before;

        forget_environment();
        unsetenv("AWS_EC2_METADATA_DISABLED");
        setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", setting.endpoint, 1);
        assert_int_equal(source_new(setting.http, &o, &source, NULL), 0);
        before = handed();
        assert_true(before >= 1); /* the one that ends within the minute was handed out before */
        for (int i = 0; i < 3; i++) {
                _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT;

                assert_int_equal(source_get(source, "root.json", 100, NULL, &file, NULL), 0);
                assert_int_equal(handed(), before + 1);
        }
        assert_int_equal(credentials_new(setting.http, &other), 0);
        assert_int_equal(credentials_get(other, &key, NULL), 0); /* ends the source's one */
        assert_string_equal(key->origin, "the instance's role");
        for (int i = 0; i < 2; i++) {
                _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT;

                assert_int_equal(source_get(source, "root.json", 100, NULL, &file, NULL), 0);
                assert_int_equal(handed(), before + 3);
        }
        return 0;
}

static int count_bytes(void *userdata, const void *data _unused_, size_t size, Error *e _unused_) {
        *(uint64_t *) userdata += size;
        return 0;
}

static int downloads(void *userdata _unused_) {
        _cleanup_free_ char *content = server_content(3 * 256 * KIB + 9);
        _cleanup_(source_free_p) Source *source = NULL;
        SourceOptions o = {.url = "s3://far/", .s3_endpoint = setting.endpoint, .s3_path_style = true};
        DownloadFile file = {.path = "bundle",
                        .name = "bundle",
                        .length = 3 * 256 * KIB + 9,
                        .block_size = 256 * KIB};
        _cleanup_free_ char *path = text_format("%s/bundle", setting.server.directory);
        uint64_t got = 0;
        Digest list[4];

        use_static_key();
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(digest_of(content + i * 256 * KIB, i < 3 ? 256 * KIB : 9, &list[i]), 0);
        file.blocks = list;
        file.blocks_size = sizeof(list);
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, content, file.length, 0644), 0);
        assert_int_equal(source_new(setting.http, &o, &source, NULL), 0);
        assert_int_equal(download_blocks(source, &file,
                                         &(DownloadOptions){.sink = count_bytes, .userdata = &got}, NULL,
                                         &setting.error),
                        0);
        assert_int_equal(got, file.length);
        return 0;
}

static void count(unsigned *ret_kept, unsigned *ret_open) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *url = text_format("%s/count", setting.endpoint);

        assert_int_equal(http_get(setting.http, &(HttpRequest){.url = url}, &response, NULL), 0);
        assert_int_equal(sscanf(response.body.data, "%*u %u %u", ret_kept, ret_open), 2);
}

static int uploads(void *userdata _unused_) {
        size_t size = 17 * MIB + 3;
        _cleanup_free_ char *content = server_content(size), *there = NULL;
        _cleanup_free_ char *path = text_format("%s/up/a b", setting.server.directory);
        _cleanup_(source_free_p) Source *source = NULL;
        SourceOptions o = {.url = "s3://far/up", .s3_endpoint = setting.endpoint, .s3_path_style = true};
        UploadFile file = {.path = "small.json",
                        .data = "{}",
                        .size = 2,
                        .content_type = "application/json",
                        .cache_control = "no-cache"};
        unsigned kept, open;
        size_t got;

        use_static_key();
        assert_int_equal(source_new(setting.http, &o, &source, NULL), 0);
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), 1);
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), 0);
        file.data = "[]"; /* as long, and another */
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), 1);
        count(&kept, &open);
        assert_int_equal(kept, 2);

        /* in parts, of which one is lost on the way */
        file = (UploadFile){.path = "a%20b",
                        .data = content,
                        .size = size,
                        .content_type = "application/zstd",
                        .cache_control = "max-age=31536000, immutable"};
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), 1);
        assert_int_equal(fs_read_file(AT_FDCWD, path, 2 * size, &there, &got), 0);
        assert_int_equal(got, size);
        assert_memory_equal(there, content, size);
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), 0);

        /* the answer to the last question is lost */
        file.path = "lost";
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), 1);

        /* what fails leaves nothing behind */
        file.path = "refused";
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), -EBADE);
        count(&kept, &open);
        assert_int_equal(kept, 4);
        assert_int_equal(open, 0);

        source = source_free(source);
        o.url = "file:///srv";
        assert_int_equal(source_new(setting.http, &o, &source, NULL), 0);
        assert_int_equal(upload_file(source, &file, NULL, NULL, &setting.error), -EOPNOTSUPP);
        return 0;
}

static void test_parse(void **state _unused_) {
        static const char *const bad[] = {"", "[]", "{}", "{\"Code\":\"Failed\"}",
                        "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"\"}",
                        "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"secret\",\"Expiration\":\"soon\"}"};
        _cleanup_(aws_key_clear) AwsKey key = {0};
        _cleanup_error_ Error e = ERROR_INIT;
        Text text = {0};

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
                text = (Text){.data = (char *) bad[i], .size = strlen(bad[i])};
                assert_int_equal(aws_key_parse("http://x", &text, &key, &e), -EBADMSG);
                assert_null(strstr(e.message, "secret"));
        }
        text = (Text){.data = (char *) "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}", .size = 41};
        assert_int_equal(aws_key_parse("http://x", &text, &key, &e), 0);
        assert_true(key.expires_usec == USEC_INFINITY && !key.token);
}

static int refuses(void *userdata _unused_) {
        static const char *const bad[] = {
                        "s3://", "s3:///x", "s3://A/", "s3://ab", "s3://-abc/", "s3://a_b_c/x"};

        use_static_key();
        for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
                assert_int_equal(GET(bad[i], "x", ""), -EINVAL);
                assert_int_equal(setting.error.class, ERROR_USAGE);
        }
        assert_int_equal(GET("s3://plain", "x", "", .s3_endpoint = "localhost:80"), -EINVAL);
        assert_int_equal(GET("s3://plain", "x", "", .s3_endpoint = "http://localhost/path"), -EINVAL);
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
        _cleanup_free_ char *directory = NULL;

        if (server_start(&setting.server, "tests/unit/fetch/aws.py") < 0)
                return -1;
        snprintf(setting.endpoint, sizeof(setting.endpoint), "http://127.0.0.1:%u", setting.server.port);
        directory = text_format("%s/dir", setting.server.directory);
        if (fs_mkdir_parents(AT_FDCWD, directory, 0755) < 0)
                return -1;
        write_file("root.json", "the root");
        write_file("dir/a b+c~.json", "odd");
        return 0;
}

static int end(void **state _unused_) {
        server_end(&setting.server);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        SCENE(gets),
                        SCENE(learns),
                        SCENE(finds_keys),
                        SCENE(keeps_keys),
                        SCENE(downloads),
                        SCENE(uploads),
                        cmocka_unit_test(test_parse),
                        SCENE(refuses),
        };

        return cmocka_run_group_tests(tests, start, end);
}
