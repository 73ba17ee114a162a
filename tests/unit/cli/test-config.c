#include <errno.h>
#include <sys/stat.h>

#include "tests/unit/scratch.h"

#include "base/text.h"
#include "cli/config.h"
#include "cli/secret.h"

#define URL "[Repository]\nUrl=https://releases.example.com/\n"

/* Makes the scratch directory a root with these files. */
static void write_config(Scratch *s, const char *text, const char *dropin) {
        assert_int_equal(fs_mkdir_parents(s->fd, "etc/releasemgr/shop.conf.d", 0755), 0);
        if (text)
                scratch_write(s, "etc/releasemgr/shop.conf", text, strlen(text));
        if (dropin)
                scratch_write(s, "etc/releasemgr/shop.conf.d/10.conf", dropin, strlen(dropin));
}

static Config *load(Scratch *s) {
        _cleanup_error_ Error e = ERROR_INIT;
        Config *c = NULL;

        if (config_load(s->path, "shop", &c, &e) < 0)
                fail_msg("%s", e.message);
        return c;
}

static void test_defaults(void **state) {
        _cleanup_(config_free_p) Config *c = NULL;

        write_config(*state, URL, NULL);
        c = load(*state);
        assert_string_equal(c->app, "shop");
        assert_true(endswith(c->path, "/etc/releasemgr/shop.conf"));
        assert_string_equal(c->url, "https://releases.example.com/");
        assert_string_equal(c->channel, "stable");
        assert_string_equal(c->unit, "shop.service");
        assert_int_equal(c->start_timeout_usec, 90 * USEC_PER_SEC);
        assert_string_equal(c->prove_process, "auto");
        assert_int_equal(c->n_probes, 1);
        assert_false(config_probe_asks(c->probes));
        assert_int_equal(c->probes[0].expect_status, 200);
        assert_int_equal(c->probes[0].interval_usec, 100 * USEC_PER_MSEC);
        assert_int_equal(c->deadline_usec, 30 * USEC_PER_SEC);
        assert_int_equal(c->probes[0].successes, 1);
        assert_null(c->db_name);
        assert_int_equal(c->db_port, 3306);
        assert_int_equal(c->db_tls, TLS_VERIFY_FULL);
        assert_int_equal(c->db_deadline_usec, 600 * USEC_PER_SEC);
        assert_int_equal(c->keep, 5);
        assert_null(c->shared);
        assert_null(c->proxy);
        assert_false(c->redirects || c->s3_path_style);
        assert_int_equal(c->max_rate, 0);
}

static void test_everything(void **state) {
        _cleanup_(config_free_p) Config *c = NULL;

        write_config(*state,
                        "# a comment\n[Release]\nShared=uploads var/cache\n" URL
                        "Channel=beta\nCaFile=/ca.pem\nClientCertificate=/my.pem\nClientKey=/my.key\n"
                        "Proxy=http://proxy:3128\nRedirects=yes\nMaxRate=10M\nS3Region=eu-central-1\n"
                        "S3Endpoint=https://minio:9000\nS3PathStyle=yes\n"
                        "[Service]\nUnit=web.service\nStartTimeout=1min 5s\nProveProcess=cwd\n"
                        "[Health]\nUrl=http://localhost/health\nSocket=/run/x\nExpectStatus=204\n"
                        "ExpectJson=a.b=c\nExpectJson=d=\nExpectVersion=version\nInterval=50ms\nSuccesses=3\n"
                        "[Database]\nName=shop\nSocket=/run/db\nUser=me\nPasswordFile=/secret\nTls=off\n"
                        "[Retention]\nKeep=2\n",
                        "[Retention]\nKeep=7\n[Repository]\nUrl=file:///srv/repo\n");
        c = load(*state);
        assert_int_equal(strv_length(c->shared), 2);
        assert_string_equal(c->shared[1], "var/cache");
        assert_string_equal(c->url, "file:///srv/repo");
        assert_string_equal(c->channel, "beta");
        assert_string_equal(c->certificate, "/my.pem");
        assert_string_equal(c->key, "/my.key");
        assert_string_equal(c->proxy, "http://proxy:3128");
        assert_true(c->redirects && c->s3_path_style);
        assert_int_equal(c->max_rate, 10 * MIB);
        assert_string_equal(c->s3_region, "eu-central-1");
        assert_string_equal(c->s3_endpoint, "https://minio:9000");
        assert_string_equal(c->unit, "web.service");
        assert_int_equal(c->start_timeout_usec, 65 * USEC_PER_SEC);
        assert_string_equal(c->probes[0].socket, "/run/x");
        assert_int_equal(c->probes[0].expect_status, 204);
        assert_int_equal(strv_length(c->probes[0].expect_json), 2);
        assert_string_equal(c->probes[0].expect_json[1], "d=");
        assert_int_equal(c->probes[0].interval_usec, 50 * USEC_PER_MSEC);
        assert_int_equal(c->probes[0].successes, 3);
        assert_string_equal(c->db_password_file, "/secret");
        assert_int_equal(c->db_tls, TLS_OFF);
        assert_int_equal(c->keep, 7);
}

/* Each section asks a question of its own, and takes its times from [Health] where it has none. */
static void test_probes(void **state) {
        _cleanup_(config_free_p) Config *c = NULL;

        write_config(*state,
                        URL "[Health worker]\nUnit=worker.service\nSuccesses=2\n"
                            "[Health]\nUrl=http://x/\nInterval=7ms\nTimeout=3s\nExpectStatus=204\n"
                            "[Health mail]\nTcp=[::1]:25\nMaxLatency=1s\n"
                            "[Health orders]\nCommand=/bin/false first\nTimeout=9s\n",
                        "[Health orders]\nCommand=/bin/test  -e\t/x/%v\n");
        c = load(*state);
        assert_int_equal(c->n_probes, 4);
        assert_string_equal(c->probes[0].url, "http://x/");
        assert_null(c->probes[0].name);
        assert_string_equal(c->probes[1].name, "worker");
        assert_string_equal(c->probes[1].unit, "worker.service");
        assert_int_equal(c->probes[1].successes, 2);
        assert_int_equal(c->probes[1].interval_usec, 7 * USEC_PER_MSEC);
        assert_int_equal(c->probes[1].timeout_usec, 3 * USEC_PER_SEC);
        assert_string_equal(c->probes[2].section, "Health mail");
        assert_string_equal(c->probes[2].tcp, "[::1]:25");
        assert_null(c->probes[2].url);
        assert_int_equal(c->probes[2].expect_status, 204);
        assert_int_equal(c->probes[2].max_latency_usec, USEC_PER_SEC);
        assert_true(c->probes[3].max_latency_usec > UINT64_C(1000000) * USEC_PER_SEC);
        assert_int_equal(c->probes[3].timeout_usec, 9 * USEC_PER_SEC);
        assert_int_equal(strv_length(c->probes[3].command), 3);
        assert_string_equal(c->probes[3].command[2], "/x/%v");
}

/* What is wrong is said with its file and line, and what would be right. */
static void test_wrong_lines(void **state) {
        static const struct {
                const char *text, *place, *hint;
        } wrong[] = {
                        {"[Repository]\nUrl=ftp://x\n",
                                        ":2: Url=ftp://x: expected https://, http://, s3:// or file:///",
                                        NULL},
                        {URL "Nonsense=1\n", ":3: unknown key Nonsense= in [Repository]",
                                        "known are: Url= Channel= CaFile= ClientCertificate= ClientKey= "
                                        "Proxy= "
                                        "Redirects= MaxRate= Deadline= S3Region= S3Endpoint= S3PathStyle="},
                        {URL "[Nonsense]\na=b\n", ":4: unknown section [Nonsense]",
                                        "known are: [Release] [Repository] [Service] [Health] [Hooks] "
                                        "[Database] "
                                        "[Retention] [Report]"},
                        {URL "Channel=\n", ":3: Channel=: expected a value", NULL},
                        {"Url=x\n", ":1: Url= stands before any [Section]", NULL},
                        {"[Repository\n", ":1: expected [Section], Key=Value or a # comment", NULL},
                        {URL "no equals sign\n", ":3: expected [Section], Key=Value or a # comment", NULL},
                        {URL "MaxRate=fast\n", ":3: MaxRate=fast: expected bytes a second, such as", NULL},
                        {URL "MaxRate=0\n", ":3: MaxRate=0: expected bytes a second", NULL},
                        {URL "Redirects=maybe\n", ":3: Redirects=maybe: expected yes or no", NULL},
                        {URL "Proxy=proxy\n", ":3: Proxy=proxy: expected an address such as", NULL},
                        {URL "CaFile=relative\n", ":3: CaFile=relative: expected an absolute path", NULL},
                        {"[Release]\nShared=a ../b\n", ":2: Shared=a ../b: expected ", NULL},
                        {"[Release]\nShared=/etc\n", ":2: Shared=/etc: expected ", NULL},
                        {"[Release]\nShared=a/./b\n", ":2: Shared=a/./b: expected ", NULL},
                        {"[Release]\nShared=\n", ":2: Shared=: expected ", NULL},
                        {"[Service]\nUnit=shop\n",
                                        ":2: Unit=shop: expected the name of a service, such as shop.service",
                                        NULL},
                        {"[Service]\nStartTimeout=soon\n",
                                        ":2: StartTimeout=soon: expected a time span such as 500ms, 30s or "
                                        "2min",
                                        NULL},
                        {"[Service]\nProveProcess=maybe\n",
                                        ":2: ProveProcess=maybe: expected auto, exe, cwd, or off and why, "
                                        "such as: off it runs in a container",
                                        NULL},
                        {"[Health]\nExpectStatus=20\n",
                                        ":2: ExpectStatus=20: expected an HTTP status from 100 to 599", NULL},
                        {"[Health]\nExpectStatus=600\n", ":2: ExpectStatus=600: expected an HTTP status",
                                        NULL},
                        {"[Health]\nInterval=0\n", ":2: Interval=0: expected a time span", NULL},
                        {"[Health]\nDeadline=0s\n", ":2: Deadline=0s: expected a time span", NULL},
                        {"[Health]\nSuccesses=0\n", ":2: Successes=0: expected a number from 1 to 100000",
                                        NULL},
                        {"[Health]\nSuccesses=-1\n", ":2: Successes=-1: expected a number from 1 to 100000",
                                        NULL},
                        {"[Health]\nExpectJson=status\n",
                                        ":2: ExpectJson=status: expected PATH=VALUE, such as status=healthy",
                                        NULL},
                        {"[Health]\nExpectJson==x\n", ":2: ExpectJson==x: expected PATH=VALUE", NULL},
                        {"[Health web]\nDeadline=1s\n", ":2: unknown key Deadline= in [Health web]",
                                        "known are: Url= Tcp= Command= Unit= Socket= CaFile= ExpectStatus= "
                                        "ExpectJson= ExpectVersion= Interval= IntervalMax= Timeout= "
                                        "MaxLatency= Successes="},
                        {"[Healthy]\nUrl=x\n", ":2: unknown section [Healthy]", NULL},
                        {"[Health a/b]\nUrl=x\n",
                                        ":2: [Health a/b]: the name of a probe is at most 32 letters, "
                                        "digits,",
                                        NULL},
                        {"[Health abcdefghijklmnopqrstuvwxyz0123456789abcdefghi]\nUrl=x\n",
                                        ":2: [Health abcdefghijklmnopqrstuvwxyz0123456789", NULL},
                        {"[Health]\nCommand=test -e /x\n",
                                        ":2: Command=test -e /x: expected /PATH/PROGRAM ARGUMENT..., without "
                                        "quotes",
                                        NULL},
                        {"[Health]\nCommand=/bin/sh -c 'exit 1'\n",
                                        ":2: Command=/bin/sh -c 'exit 1': expected", NULL},
                        {"[Database]\nPort=65536\n", ":2: Port=65536: expected a number from 1 to 65535",
                                        NULL},
                        {"[Database]\nPort=99999999999999999999\n", ":2: Port=99999999999999999999: expected",
                                        NULL},
                        {"[Database]\nTls=yes\n", ":2: Tls=yes: expected verify-full or off", NULL},
                        {"[Retention]\n\n\nKeep=many\n", ":4: Keep=many: expected a number from 1 to 100000",
                                        NULL},
        };
        Scratch *s = *state;

        for (size_t i = 0; i < ELEMENTS_OF(wrong); i++) {
                _cleanup_free_ char *place = NULL;
                _cleanup_error_ Error e = ERROR_INIT;
                Config *c = NULL;

                write_config(s, wrong[i].text, NULL);
                assert_int_equal(config_load(s->path, "shop", &c, &e), -EINVAL);
                assert_null(c);
                assert_int_equal(e.class, ERROR_USAGE);
                place = text_format("%s/etc/releasemgr/shop.conf%s", s->path, wrong[i].place);
                if (!startswith(e.message, place))
                        fail_msg("expected %s, not %s", place, e.message);
                if (wrong[i].hint)
                        assert_string_equal(e.hint, wrong[i].hint);
        }
}

static void test_wrong_in_dropin(void **state) {
        _cleanup_error_ Error e = ERROR_INIT;
        Scratch *s = *state;
        Config *c;

        write_config(s, URL, "[Retention]\nKeep=0\n");
        assert_int_equal(config_load(s->path, "shop", &c, &e), -EINVAL);
        assert_non_null(strstr(e.message, "/etc/releasemgr/shop.conf.d/10.conf:2: Keep=0: expected"));
}

/* What shows after a reload which release answers. */
static void test_reload_proofs(void **state) {
        static const char *const proofs[] = {"[Health]\nUrl=http://x/\nExpectVersion=version\n",
                        "[Health x]\nCommand=/bin/x --version %v\n", "[Health x]\nUrl=http://x/is/%v\n"};

        for (size_t i = 0; i < ELEMENTS_OF(proofs); i++) {
                _cleanup_free_ char *text = text_format(URL "[Service]\nStrategy=reload\n%s", proofs[i]);
                _cleanup_(config_free_p) Config *c = NULL;

                write_config(*state, text, NULL);
                c = load(*state);
        }
}

/* What no single line can show: the file is named, and what to add. */
static void test_missing(void **state) {
        static const struct {
                const char *text, *what;
        } wrong[] = {
                        {"", "Url= in [Repository] is missing"},
                        {"[Service]\nUnit=a.service\n", "Url= in [Repository] is missing"},
                        {URL "ClientKey=/k\n", "ClientCertificate= in [Repository] is missing"},
                        {URL "[Health]\nSocket=/run/x\n", "Url= in [Health] is missing"},
                        {URL "[Health]\nUrl=http://x/\nCaFile=/c\n", "Url= in [Health] is missing"},
                        {URL "[Health]\nExpectVersion=v\n", "Url= in [Health] is missing"},
                        {URL "[Health]\nExpectJson=a=b\n", "Url= in [Health] is missing"},
                        {URL "[Health web]\nTimeout=1s\n", "Url= in [Health web] is missing"},
                        {URL "[Health web]\nTcp=[::1]:1\nExpectJson=a=b\n",
                                        "Url= in [Health web] is missing"},
                        {URL "[Health]\nTcp=[::1]:1\nUnit=a.service\n",
                                        "[Health] asks more than one thing: Url=, Tcp=, Command= and Unit= "
                                        "exclude each other"},
                        {URL "[Service]\nStrategy=handover\n[Health]\nUnit=a.service\n"
                             "[Health web]\nTcp=[::1]:1\n",
                                        "[Health web]: with Strategy=handover the new instance must be asked "
                                        "itself, not whoever answers first"},
                        {URL "[Service]\nStrategy=reload\n[Health]\nUrl=http://x/\n"
                             "[Health x]\nCommand=/bin/x --version\n",
                                        "with Strategy=reload nothing shows that the new release answers, "
                                        "and "
                                        "not the old one"},
                        {URL "[Database]\nName=a\nUser=b\n", "Host= in [Database] is missing"},
                        {URL "[Database]\nName=a\nHost=b\n", "User= in [Database] is missing"},
                        {URL "[Database]\nHost=b\n", "Name= in [Database] is missing"},
                        {URL "[Database]\nName=a\nUser=u\nHost=b\nSocket=/c\n",
                                        "Host= and Socket= in [Database] exclude each other"},
                        {URL "[Database]\nName=a\nUser=u\nHost=b\nPasswordFile=/c\nPasswordCredential=d\n",
                                        "PasswordFile= and PasswordCredential= in [Database] exclude each "
                                        "other"},
                        {URL "[Database]\nName=a\nUser=u\nSocket=/c\nAuth=iam\n",
                                        "Auth=iam and Socket= in [Database] exclude each other"},
                        {URL "[Database]\nName=a\nUser=u\nHost=b\nAuth=iam\nTls=off\n",
                                        "Auth=iam and Tls=off in [Database] exclude each other"},
                        {URL "[Database]\nName=a\nUser=u\nHost=b\nAuth=iam\nPasswordFile=/c\n",
                                        "Auth=iam and PasswordFile= in [Database] exclude each other"},
                        {URL "[Database]\nName=a\nUser=u\nHost=b\nAuth=iam\nPasswordCredential=c\n",
                                        "Auth=iam and PasswordCredential= in [Database] exclude each other"},
                        {URL "[Database]\nName=a\nUser=u\nHost=b\nRegion=eu-west-1\n",
                                        "Region= in [Database] is for Auth=iam"},
        };
        Scratch *s = *state;

        for (size_t i = 0; i < ELEMENTS_OF(wrong); i++) {
                _cleanup_free_ char *message = NULL;
                _cleanup_error_ Error e = ERROR_INIT;
                Config *c = NULL;

                write_config(s, wrong[i].text, NULL);
                assert_int_equal(config_load(s->path, "shop", &c, &e), -EINVAL);
                assert_int_equal(e.class, ERROR_USAGE);
                message = text_format("%s/etc/releasemgr/shop.conf: %s", s->path, wrong[i].what);
                assert_string_equal(e.message, message);
        }
}

static void test_no_file(void **state) {
        _cleanup_error_ Error e = ERROR_INIT;
        Scratch *s = *state;
        Config *c;

        assert_int_equal(config_load(s->path, "shop", &c, &e), -ENOENT);
        assert_int_equal(e.class, ERROR_USAGE);
        assert_true(startswith(e.message, "there is no configuration "));
        assert_string_equal(e.hint, "releasemgr init shop writes one");
}

static void test_keys_are_documented(void **state _unused_) {
        size_t n;

        for (n = 0; config_key(n); n++) {
                assert_false(isempty(config_key(n)->section));
                assert_false(isempty(config_key(n)->key));
                assert_false(isempty(config_key(n)->help));
        }
        assert_true(n > 25);
}

static void test_secret(void **state) {
        _cleanup_free_ char *path = NULL, *secret = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        Scratch *s = *state;

        path = text_format("%s/secret", s->path);
        scratch_write(s, "secret", "hunter2\n\n", 9);
        assert_int_equal(secret_read(path, NULL, &secret, NULL), 0);
        assert_string_equal(secret, "hunter2\n"); /* one newline is the editor's, the rest is the secret's */

        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(secret_read(path, NULL, &(char *){NULL}, &e), -EPERM);
        assert_int_equal(e.class, ERROR_USAGE);
        assert_non_null(strstr(e.message, path));
        assert_null(strstr(e.message, "hunter2"));
        assert_true(startswith(e.hint, "chmod 600 "));

        assert_int_equal(unlinkat(s->fd, "secret", 0), 0);
        assert_int_equal(secret_read(path, NULL, &(char *){NULL}, &e), -ENOENT);
        assert_non_null(strstr(e.message, path));
}

static void test_credential(void **state) {
        _cleanup_free_ char *secret = NULL, *none = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        Scratch *s = *state;

        assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
        assert_int_equal(secret_read(NULL, "db", &(char *){NULL}, &e), -ENOENT);
        assert_non_null(strstr(e.message, "\"db\""));
        assert_non_null(strstr(e.hint, "LoadCredential=db"));
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", s->path, 1), 0);
        scratch_write(s, "db", "secret", 6);
        assert_int_equal(secret_read(NULL, "db", &secret, NULL), 0);
        assert_string_equal(secret, "secret");
        assert_int_equal(secret_read(NULL, NULL, &none, NULL), 0);
        assert_string_equal(none, "");
        assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        scratch_test(test_defaults),
                        scratch_test(test_everything),
                        scratch_test(test_probes),
                        scratch_test(test_wrong_lines),
                        scratch_test(test_wrong_in_dropin),
                        scratch_test(test_missing),
                        scratch_test(test_reload_proofs),
                        scratch_test(test_no_file),
                        scratch_test(test_keys_are_documented),
                        scratch_test(test_secret),
                        scratch_test(test_credential),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
