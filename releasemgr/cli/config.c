#include <errno.h>
#include <stddef.h>

#include "base/ini.h"
#include "base/prefix.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/config-check.h"
#include "cli/config-value.h"
#include "cli/config.h"

/* Where a value goes: into the Config, or into the ConfigProbe of its section. */
#define PLACE(member) offsetof(Config, member), false
#define PROBE(member) offsetof(ConfigProbe, member), true

#define PROBE_SECTION  "Health"
#define PROBE_NAME_MAX 32 /* libinih cuts a section at 49 bytes */

static const struct {
        ConfigKey known;
        const ValueType *type;
        size_t place;
        bool of_probe;
} keys[] = {
                {{"Release", "Shared", NULL,
                                 "Paths in the release that outlive it; linked to /opt/APP/shared"},
                                &value_shared, PLACE(shared)},
                {{"Repository", "Url", NULL, "Where the repository is: https://, http://, s3:// or file://"},
                                &value_url, PLACE(url)},
                {{"Repository", "Channel", "stable", "The channel that \"latest\" and pull follow"},
                                &value_string, PLACE(channel)},
                {{"Repository", "CaFile", NULL,
                                 "Certificates that https is verified with; the system's where not given"},
                                &value_path, PLACE(ca_file)},
                {{"Repository", "ClientCertificate", NULL, "Our own certificate for https (PEM)"},
                                &value_path, PLACE(certificate)},
                {{"Repository", "ClientKey", NULL, "Its key (PEM), where that is not in the same file"},
                                &value_path, PLACE(key)},
                {{"Repository", "Proxy", NULL,
                                 "The proxy, or none; http_proxy, https_proxy and no_proxy of the "
                                 "environment where not given"},
                                &value_proxy, PLACE(proxy)},
                {{"Repository", "Redirects", "no",
                                 "Whether redirects are followed: to the same scheme only, without "
                                 "credentials"},
                                &value_yes, PLACE(redirects)},
                {{"Repository", "MaxRate", NULL, "Bytes a second that downloads may take, such as 10M"},
                                &value_rate, PLACE(max_rate)},
                {{"Repository", "Deadline", "1h",
                                 "From a command's beginning, how long what failed to come is asked for "
                                 "again: at most five times, or ten where it broke off in the middle"},
                                &value_span, PLACE(fetch_deadline_usec)},
                {{"Repository", "S3Region", NULL,
                                 "The region of the bucket; AWS_REGION and the like, or us-east-1, where not "
                                 "given"},
                                &value_string, PLACE(s3_region)},
                {{"Repository", "S3Endpoint", NULL,
                                 "Another S3 server than AWS, such as https://minio.example.com:9000"},
                                &value_url, PLACE(s3_endpoint)},
                {{"Repository", "S3PathStyle", "no",
                                 "Whether the bucket stands in the path and not in the host name"},
                                &value_yes, PLACE(s3_path_style)},
                {{"Service", "Unit", NULL,
                                 "The unit that runs from /opt/APP/current; APP.service where not given, "
                                 "APP@.service with a handover"},
                                &value_unit, PLACE(unit)},
                {{"Service", "Strategy", "restart",
                                 "How the service comes to a new release: restart, reload, or handover (two "
                                 "instances of a template on the same sockets)"},
                                &value_strategy, PLACE(strategy)},
                {{"Service", "DrainTimeout", "30s",
                                 "How long the old instance of a handover may take to finish what it does"},
                                &value_span, PLACE(drain_usec)},
                {{"Service", "StartTimeout", "90s", "How long the unit may take to start"}, &value_span,
                                PLACE(start_timeout_usec)},
                {{"Service", "ProveProcess", "auto",
                                 "What of the main process must lie in the release: exe, cwd, auto (either), "
                                 "or off and why"},
                                &value_prove, PLACE(prove_process)},
                {{"Health", "Url", NULL,
                                 "What is asked; without any question the unit's state alone decides"},
                                &value_string, PROBE(url)},
                {{"Health", "Tcp", NULL,
                                 "Or an address that must take a connection: 127.0.0.1:80, [::1]:80 or "
                                 "unix:/PATH"},
                                &value_string, PROBE(tcp)},
                {{"Health", "Command", NULL,
                                 "Or a program that must end with status 0: /PATH/PROGRAM ARGUMENT..., in a "
                                 "sandbox"},
                                &value_command, PROBE(command)},
                {{"Health", "Unit", NULL, "Or another unit of systemd that must be active and stay so"},
                                &value_string, PROBE(unit)},
                {{"Health", "Socket", NULL, "A unix socket over which Url= is asked"}, &value_path,
                                PROBE(socket)},
                {{"Health", "CaFile", NULL,
                                 "Certificates that https is verified with; the system's where not given"},
                                &value_path, PROBE(ca_file)},
                {{"Health", "ExpectStatus", "200", "The HTTP status of a healthy answer"}, &value_status,
                                PROBE(expect_status)},
                {{"Health", "ExpectJson", NULL,
                                 "PATH=VALUE that the answer's JSON must hold; may be repeated"},
                                &value_expect_json, PROBE(expect_json)},
                {{"Health", "ExpectVersion", NULL,
                                 "Path of the JSON member that must equal the release's version"},
                                &value_string, PROBE(expect_version)},
                {{"Health", "Interval", "100ms", "The first pause between two probes; it grows"}, &value_span,
                                PROBE(interval_usec)},
                {{"Health", "IntervalMax", "1s", "The longest pause between two probes"}, &value_span,
                                PROBE(interval_max_usec)},
                {{"Health", "Timeout", "2s", "How long one probe may take"}, &value_span,
                                PROBE(timeout_usec)},
                {{"Health", "MaxLatency", "infinity", "Answers that take longer are not good"}, &value_span,
                                PROBE(max_latency_usec)},
                {{"Health", "Successes", "1", "Good answers in a row that make a release healthy"},
                                &value_positive, PROBE(successes)},
                {{"Health", "Deadline", "30s", "How long a release has to become healthy, by all probes"},
                                &value_span, PLACE(deadline_usec)},
                {{"Health", "RevertDeadline", NULL,
                                 "How long a release that is gone back to has to be started and healthy "
                                 "again; StartTimeout= and Deadline= together where not given"},
                                &value_span, PLACE(revert_usec)},
                {{"Health", "Soak", "0",
                                 "How long a healthy release is watched, and taken back if it turns bad"},
                                &value_span_or_none, PLACE(soak_usec)},
                {{"Hooks", "BeforeSwitch", NULL,
                                 "A program that is run before current changes; its failure stops the "
                                 "deployment"},
                                &value_command, PLACE(before_switch)},
                {{"Hooks", "AfterSwitch", NULL,
                                 "One for when the new release serves and is healthy; its failure takes the "
                                 "release back"},
                                &value_command, PLACE(after_switch)},
                {{"Hooks", "AfterSuccess", NULL, "One for when all is done"}, &value_command,
                                PLACE(after_success)},
                {{"Hooks", "AfterFailure", NULL, "One for when all is undone"}, &value_command,
                                PLACE(after_failure)},
                {{"Hooks", "Timeout", "30s", "How long a hook may take before it is killed"}, &value_span,
                                PLACE(hook_timeout_usec)},
                {{"Hooks", "User", NULL, "Who runs hooks; the user of the service where not given"},
                                &value_string, PLACE(hook_user)},
                {{"Database", "Name", NULL, "The database that migrations run on; without it there are none"},
                                &value_string, PLACE(db_name)},
                {{"Database", "Host", NULL, "The server's name or address"}, &value_string, PLACE(db_host)},
                {{"Database", "Port", "3306", "The server's port"}, &value_port, PLACE(db_port)},
                {{"Database", "Socket", NULL, "The server's unix socket, in place of Host="}, &value_path,
                                PLACE(db_socket)},
                {{"Database", "User", NULL, "Who migrates"}, &value_string, PLACE(db_user)},
                {{"Database", "Auth", "password",
                                 "password, or iam: a token of RDS for each connection, signed with the "
                                 "instance's role"},
                                &value_auth, PLACE(db_auth)},
                {{"Database", "Region", NULL,
                                 "With Auth=iam: the region; the one in the endpoint's name, or the one we "
                                 "are in, where not given"},
                                &value_string, PLACE(db_region)},
                {{"Database", "PasswordFile", NULL, "A file with the password, readable by its owner alone"},
                                &value_path, PLACE(db_password_file)},
                {{"Database", "PasswordCredential", NULL, "A systemd credential with the password"},
                                &value_string, PLACE(db_password_credential)},
                {{"Database", "Tls", "verify-full",
                                 "verify-full (certificate and name) or off; not used on a unix socket"},
                                &value_tls, PLACE(db_tls)},
                {{"Database", "TlsCaFile", NULL,
                                 "Certificates that the server is verified with; the system's where not "
                                 "given"},
                                &value_path, PLACE(db_ca_file)},
                {{"Database", "ConnectTimeout", "10s", "How long connecting may take"}, &value_span,
                                PLACE(db_connect_timeout_usec)},
                {{"Database", "Deadline", "10min", "How long the migrations of one release may take"},
                                &value_span, PLACE(db_deadline_usec)},
                {{"Database", "Contract", "manual",
                                 "When contract migrations run: manual (migrate contract), or activation "
                                 "(those of the release that proved itself, before the next one comes)"},
                                &value_contract, PLACE(db_contract)},
                {{"Retention", "Keep", "5", "How many proven releases stay on the host"}, &value_positive,
                                PLACE(keep)},
                {{"Report", "Webhook", NULL, "Where the report of each deployment is sent, as JSON"},
                                &value_url, PLACE(webhook)},
                {{"Report", "WebhookFile", NULL, "A file with that address, where it is a secret"},
                                &value_path, PLACE(webhook_file)},
                {{"Report", "WebhookTokenFile", NULL, "A file with a token that is sent along (Bearer)"},
                                &value_path, PLACE(webhook_token_file)},
                {{"Report", "MetricsFile", NULL,
                                 "Where the last deployment is written for Prometheus, such as "
                                 "/var/lib/prometheus/node-exporter/releasemgr-APP.prom"},
                                &value_path, PLACE(metrics_file)},
};

const ConfigKey *config_key(size_t i) {
        return i < ELEMENTS_OF(keys) ? &keys[i].known : NULL;
}

/* NAME of a section "Health NAME", or NULL. */
static const char *probe_name(const char *section) {
        return startswith(section, PROBE_SECTION " ");
}

/* The section of the table that holds the keys of @section. */
static const char *table_section(const char *section) {
        return probe_name(section) ? PROBE_SECTION : section;
}

/* Names the section's keys (or the sections), so that a typing error can be mended without the manual. */
static int unknown_key(const IniEntry *entry, Error *e) {
        const char *wanted = table_section(entry->section), *last = "";
        _cleanup_text_ Text known = TEXT_INIT;
        bool section = false;

        for (size_t i = 0; i < ELEMENTS_OF(keys); i++)
                section = section || streq(keys[i].known.section, wanted);
        for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
                const ConfigKey *k = &keys[i].known;
                int r = 0;

                if (section && streq(k->section, wanted) && (keys[i].of_probe || !probe_name(entry->section)))
                        r = text_addf(&known, " %s=", k->key);
                else if (!section && !streq(k->section, last))
                        r = text_addf(&known, " [%s]", k->section);
                if (r < 0)
                        return r;
                last = k->section;
        }
        if (section)
                error_set(e, ERROR_USAGE, -EINVAL, "unknown key %s= in [%s]", entry->key, entry->section);
        else
                error_set(e, ERROR_USAGE, -EINVAL, "unknown section [%s]", entry->section);
        return error_hint(e, -EINVAL, "known are:%s", known.data);
}

/* Adds the probe of @section. */
static int add_probe(Config *c, const char *section, ConfigProbe **ret) {
        ConfigProbe *more = reallocarray(c->probes, c->n_probes + 1, sizeof(*more)), *p;
        const char *name = probe_name(section);

        if (!more)
                return -ENOMEM;
        c->probes = more;
        p = *ret = more + c->n_probes++;
        *p = (ConfigProbe){.section = strdup(section), .name = name ? strdup(name) : NULL};
        return !p->section || (name && !p->name) ? -ENOMEM : 0;
}

/* The probe of @section, made where it is named for the first time. */
static int find_probe(Config *c, const char *section, ConfigProbe **ret, Error *e) {
        const char *name = probe_name(section);

        for (size_t i = 0; i < c->n_probes; i++)
                if (streq(c->probes[i].section, section)) {
                        *ret = c->probes + i;
                        return 0;
                }
        if (name && (!version_is_valid(name) || strlen(name) > PROBE_NAME_MAX))
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "[%s]: the name of a probe is at most %d letters, digits, . - _", section,
                                PROBE_NAME_MAX);
        return add_probe(c, section, ret);
}

/* A configuration being read. */
typedef struct Reading {
        Config *config;
        void (*tolerate)(const Error *e, int r, void *userdata); /* NULL: what is wrong ends the reading */
        void *userdata;
} Reading;

/* Whether it is not the file that is wrong, but this process that is short of something. */
static bool is_shortage(int r) {
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* What is wrong is an error, or, where that is tolerated, told and passed over. */
static int judge(const Reading *x, int r, Error *e) {
        if (r >= 0 || is_shortage(r) || !x->tolerate)
                return r;
        x->config->incomplete = true;
        x->tolerate(e, r, x->userdata);
        error_clear(e);
        return 0;
}

static int take_entry(Config *c, const IniEntry *entry, Error *e) {
        bool is_probe = probe_name(entry->section);

        for (size_t i = 0; i < ELEMENTS_OF(keys); i++) {
                const char *expected = NULL;
                ConfigProbe *probe = NULL;
                int r;

                if (!streq(keys[i].known.section, table_section(entry->section)) ||
                                !streq(keys[i].known.key, entry->key) || (is_probe && !keys[i].of_probe))
                        continue;
                r = keys[i].of_probe ? find_probe(c, entry->section, &probe, e) : 0;
                if (r < 0)
                        return r;
                r = keys[i].type->parse(entry->value, (probe ? (char *) probe : (char *) c) + keys[i].place,
                                &expected);
                if (r == -ENOMEM || r >= 0)
                        return r;
                return error_set(e, ERROR_USAGE, -EINVAL, "%s=%s: expected %s", entry->key, entry->value,
                                expected);
        }
        return unknown_key(entry, e);
}

static int on_entry(const IniEntry *entry, void *userdata, Error *e) {
        const Reading *x = userdata;
        int r = take_entry(x->config, entry, e);

        if (r < 0 && x->tolerate) /* otherwise the reader says where */
                error_prefix(e, 0, "%s:%u: ", entry->file, entry->line);
        return judge(x, r, e);
}

static int set_defaults(Config *c) {
        ConfigProbe *probe;
        int r = add_probe(c, PROBE_SECTION, &probe);

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(keys); i++) {
                const char *expected;

                if (keys[i].known.otherwise)
                        r = keys[i].type->parse(keys[i].known.otherwise,
                                        (keys[i].of_probe ? (char *) probe : (char *) c) + keys[i].place,
                                        &expected);
        }
        return r;
}

/* What a section [Health NAME] does not say of its times, of the status and of how often is as in [Health]. */
static void inherit(Config *c) {
        const ConfigProbe *from = c->probes;

        for (ConfigProbe *p = c->probes + 1; p < c->probes + c->n_probes; p++) {
                p->expect_status = p->expect_status ?: from->expect_status;
                p->interval_usec = p->interval_usec ?: from->interval_usec;
                p->interval_max_usec = p->interval_max_usec ?: from->interval_max_usec;
                p->timeout_usec = p->timeout_usec ?: from->timeout_usec;
                p->max_latency_usec = p->max_latency_usec ?: from->max_latency_usec;
                p->successes = p->successes ?: from->successes;
        }
}

static int read_files(const Reading *x, Error *e) {
        int r = ini_read_with_dropins(x->config->path, on_entry, (void *) x, e);

        if (r != -ENOENT)
                return r;
        error_set(e, ERROR_USAGE, r, "there is no configuration %s", x->config->path);
        return error_hint(e, r, "releasemgr init %s writes one", x->config->app);
}

static int load(const char *root, const char *app, Reading *x, Config **ret, Error *e) {
        _cleanup_(config_free_p) Config *c = calloc(1, sizeof(*c));
        _cleanup_free_ char *file = text_format("%s.conf", app);
        int r;

        if (!c || !file)
                return -ENOMEM;
        c->app = strdup(app);
        c->path = prefix_path(root, PREFIX_CONFIG, file, NULL);
        if (!c->app || !c->path)
                return -ENOMEM;
        x->config = c;
        r = set_defaults(c);
        if (r >= 0)
                r = judge(x, read_files(x, e), e);
        if (r < 0)
                return r;
        inherit(c);
        if (r >= 0 && !c->unit)
                c->unit = text_format(streq(c->strategy, "handover") ? "%s@.service" : "%s.service", app);
        if (r >= 0 && !c->unit)
                return -ENOMEM;
        if (r >= 0)
                r = judge(x, config_check(c, e), e);
        if (r < 0)
                return r;
        *ret = TAKE(c);
        return 0;
}

int config_load(const char *root, const char *app, Config **ret, Error *e) {
        return load(root, app, &(Reading){0}, ret, e);
}

int config_load_tolerant(const char *root, const char *app,
                void (*tolerate)(const Error *e, int r, void *userdata), void *userdata, Config **ret,
                Error *e) {
        return load(root, app, &(Reading){.tolerate = tolerate, .userdata = userdata}, ret, e);
}

bool config_probe_asks(const ConfigProbe *p) {
        return p->url || p->tcp || p->command || p->unit;
}

static void values_free(void *values, bool of_probe) {
        for (size_t i = 0; i < ELEMENTS_OF(keys); i++)
                if (keys[i].of_probe == of_probe && keys[i].type->free)
                        keys[i].type->free((char *) values + keys[i].place);
}

Config *config_free(Config *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_probes; i++) {
                values_free(c->probes + i, true);
                free(c->probes[i].name);
                free(c->probes[i].section);
        }
        values_free(c, false);
        free(c->probes);
        free(c->app);
        free(c->path);
        free(c);
        return NULL;
}
