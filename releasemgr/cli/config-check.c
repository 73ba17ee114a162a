#include <errno.h>
#include <string.h>

#include "cli/config-check.h"
#include "host/instance.h"

static int missing(const Config *c, const char *what, const char *hint, Error *e) {
        error_set(e, ERROR_USAGE, -EINVAL, "%s: %s is missing", c->path, what);
        return error_hint(e, -EINVAL, "%s", hint);
}

static int missing_in(const Config *c, const ConfigProbe *p, const char *hint, Error *e) {
        error_set(e, ERROR_USAGE, -EINVAL, "%s: Url= in [%s] is missing", c->path, p->section);
        return error_hint(e, -EINVAL, "%s", hint);
}

/* Whether the version stands in it. */
static bool names_version(const char *text) {
        return text && strstr(text, "%v");
}

/* What a handover needs: two instances that can be told apart. */
static int check_handover(const Config *c, Error *e) {
        bool template = unit_is_template(c->unit), handover = streq(c->strategy, "handover");

        if (handover && !template) {
                error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: Strategy=handover needs a template, and Unit=%s is none", c->path,
                                c->unit);
                return error_hint(e, -EINVAL,
                                "Unit=%s@.service; releasemgr init %s --strategy=handover writes one", c->app,
                                c->app);
        }
        if (!handover && template)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: Unit=%s is a template, which Strategy=%s cannot use", c->path, c->unit,
                                c->strategy);
        for (size_t i = 0; handover && i < c->n_probes; i++) {
                const ConfigProbe *p = c->probes + i;

                if ((!p->url && !p->tcp) || names_version(p->url) || names_version(p->tcp) ||
                                names_version(p->socket))
                        continue;
                error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: [%s]: with Strategy=handover the new instance must be asked itself, not "
                                "whoever answers first",
                                c->path, p->section);
                return error_hint(e, -EINVAL,
                                "give it an address of its own with %%v for the version, such as "
                                "Socket=/run/%s/%%v.sock",
                                c->app);
        }
        return 0;
}

/* A token is as good as a password: it goes to the server that it is for, and nobody else may read it. */
static int check_iam(const Config *c, Error *e) {
        const char *beside = c->db_socket                ? "Socket="
                             : c->db_tls == TLS_OFF      ? "Tls=off"
                             : c->db_password_file       ? "PasswordFile="
                             : c->db_password_credential ? "PasswordCredential="
                                                         : NULL;

        if (c->db_auth == AUTH_IAM && beside)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: Auth=iam and %s in [Database] exclude each other", c->path, beside);
        if (c->db_auth != AUTH_IAM && c->db_region)
                return error_set(e, ERROR_USAGE, -EINVAL, "%s: Region= in [Database] is for Auth=iam",
                                c->path);
        return 0;
}

static bool proves_version(const ConfigProbe *p) {
        bool proves = p->expect_version || names_version(p->url) || names_version(p->tcp) ||
                      names_version(p->socket) || names_version(p->unit);

        for (char **i = p->command; i && *i; i++)
                proves = proves || names_version(*i);
        return proves;
}

/* After a reload the process is the old one, so that only what it answers shows which release it serves. */
static int check_reload(const Config *c, Error *e) {
        if (!streq(c->strategy, "reload"))
                return 0;
        for (size_t i = 0; i < c->n_probes; i++)
                if (proves_version(c->probes + i))
                        return 0;
        error_set(e, ERROR_USAGE, -EINVAL,
                        "%s: with Strategy=reload nothing shows that the new release answers, and not the "
                        "old one",
                        c->path);
        return error_hint(e, -EINVAL,
                        "add ExpectVersion= to [Health], or a Command= that is given the version as %%v");
}

static int check_probe(const Config *c, const ConfigProbe *p, Error *e) {
        int n = !!p->url + !!p->tcp + !!p->command + !!p->unit;

        if (n > 1) {
                error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: [%s] asks more than one thing: Url=, Tcp=, Command= and Unit= exclude "
                                "each other",
                                c->path, p->section);
                return error_hint(e, -EINVAL, "give each a section of its own, such as [Health second]");
        }
        if (p->ca_file && (!p->url || strncmp(p->url, "https://", 8) != 0))
                return missing_in(c, p, "CaFile= needs one that begins with https://", e);
        if (p->socket && !p->url)
                return missing_in(c, p, "Socket= needs one, such as Url=http://localhost/health", e);
        if ((p->expect_json || p->expect_version) && !p->url)
                return missing_in(c, p, "ExpectJson= and ExpectVersion= look at its answer", e);
        if (n == 0 && p->name)
                return missing_in(c, p, "or Tcp=, Command= or Unit=: a section of its own asks something", e);
        return 0;
}

static int check_database(const Config *c, Error *e) {
        if (c->db_name && !c->db_host && !c->db_socket)
                return missing(c, "Host= in [Database]", "add Host= or Socket= beside Name=", e);
        if (c->db_name && !c->db_user)
                return missing(c, "User= in [Database]", "add User= beside Name=", e);
        if (!c->db_name && (c->db_host || c->db_socket || c->db_user))
                return missing(c, "Name= in [Database]", "add Name= beside Host=", e);
        if (c->db_host && c->db_socket)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: Host= and Socket= in [Database] exclude each other", c->path);
        if (c->db_password_file && c->db_password_credential)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: PasswordFile= and PasswordCredential= in [Database] exclude each other",
                                c->path);
        return check_iam(c, e);
}

int config_check(const Config *c, Error *e) {
        int r = 0;

        if (!c->url)
                return missing(c, "Url= in [Repository]",
                                "add a line such as Url=https://releases.example.com/", e);
        if (c->webhook && c->webhook_file)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: Webhook= and WebhookFile= in [Report] exclude each other", c->path);
        if (c->key && !c->certificate)
                return missing(c, "ClientCertificate= in [Repository]", "ClientKey= is its key", e);
        for (size_t i = 0; r >= 0 && i < c->n_probes; i++)
                r = check_probe(c, c->probes + i, e);
        if (r >= 0)
                r = check_database(c, e);
        if (r >= 0)
                r = check_handover(c, e);
        return r < 0 ? r : check_reload(c, e);
}
