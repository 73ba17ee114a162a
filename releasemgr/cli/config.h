#pragma once

/* The configuration of one app: /etc/releasemgr/<app>.conf and its drop-ins, read into plain values. Only cli/ sees
 * it; what stands below gets handles and option structs (law 3). */

#include "base/error.h"

typedef enum Tls {
        TLS_VERIFY_FULL, /* certificate and host name */
        TLS_OFF,
} Tls;

typedef enum Contract {
        CONTRACT_MANUAL,     /* by the verb alone */
        CONTRACT_ACTIVATION, /* and at the next activation */
} Contract;

typedef enum Auth {
        AUTH_PASSWORD,
        AUTH_IAM, /* a token for each connection, as RDS takes it */
} Auth;

/* One question to the service. At most one of url, tcp, command and unit is set. */
typedef struct ConfigProbe {
        char *name;    /* of [Health NAME]; NULL: [Health] itself */
        char *section; /* "Health web", for messages */
        char *url;
        char *socket; /* over which url is asked */
        char *ca_file;
        char *tcp;
        char **command;
        char *unit;
        unsigned expect_status;
        char **expect_json;   /* "path=value" */
        char *expect_version; /* path of the JSON member that must equal the release's version, or NULL */
        uint64_t interval_usec;
        uint64_t interval_max_usec;
        uint64_t timeout_usec;
        uint64_t max_latency_usec;
        unsigned successes;
} ConfigProbe;

typedef struct Config {
        char *app;
        char *path; /* of the main file, for messages */

        /* [Release] */
        char **shared; /* paths inside the release that outlive it */

        /* [Repository] */
        char *url;
        char *channel;
        char *ca_file; /* NULL: the system's */
        char *certificate;
        char *key;
        char *proxy; /* NULL: the environment's; "": none */
        bool redirects;
        uint64_t max_rate; /* bytes a second; 0: any */
        uint64_t fetch_deadline_usec;
        char *s3_region;
        char *s3_endpoint;
        bool s3_path_style;

        /* [Service] */
        char *unit;
        char *strategy; /* "restart", "reload" or "handover" */
        uint64_t start_timeout_usec;
        uint64_t drain_usec;
        bool incomplete;     /* something was wrong, and passed over */
        char *prove_process; /* "auto", "exe", "cwd", or "off" and why */

        /* [Health], and each [Health NAME] */
        ConfigProbe *probes; /* the first is [Health] itself, which may ask nothing: see config_probe_asks() */
        size_t n_probes;
        uint64_t deadline_usec;
        uint64_t revert_usec;
        uint64_t soak_usec;

        /* [Hooks] */
        char **before_switch; /* program and arguments; NULL: none */
        char **after_switch;
        char **after_success;
        char **after_failure;
        char *hook_user;
        uint64_t hook_timeout_usec;

        /* [Database] */
        char *db_name; /* NULL: the app has none */
        char *db_host;
        char *db_socket;
        unsigned db_port;
        char *db_user;
        Auth db_auth;
        char *db_region; /* NULL: the one that the host's name says */
        char *db_password_file;
        char *db_password_credential;
        Tls db_tls;
        char *db_ca_file;
        uint64_t db_connect_timeout_usec;
        uint64_t db_deadline_usec;
        Contract db_contract;

        /* [Retention] */
        unsigned keep;

        /* [Report] */
        char *webhook;
        char *webhook_file;
        char *webhook_token_file;
        char *metrics_file;
} Config;

/* Reads and checks the configuration of @app below @root. Class ERROR_USAGE with file and line for what is wrong;
 * -ENOENT where there is no file. */
int config_load(const char *root, const char *app, Config **ret, Error *e);

/* As above, for what must work when nothing else does: what is wrong is handed to @tolerate, and the default stands in
 * its place. Fails for want of memory alone. */
int config_load_tolerant(const char *root, const char *app,
                void (*tolerate)(const Error *e, int r, void *userdata), void *userdata, Config **ret,
                Error *e);

Config *config_free(Config *c);

DEFINE_CLEANUP(Config, config_free);

/* Whether the section asks anything at all. */
bool config_probe_asks(const ConfigProbe *p);

/* Prints every section and key with its default and meaning: the reference of the man page and of `config`. */
typedef struct ConfigKey {
        const char *section;
        const char *key;
        const char *otherwise; /* the default, as it would be written; NULL: none */
        const char *help;
} ConfigKey;

/* The i-th known key, or NULL behind the last. */
const ConfigKey *config_key(size_t i);
