#include "cli/database.h"
#include "cli/secret.h"

/* Nobody keeps a password: there is a new one for each connection. */
static int sign_passwords(sd_event *event, const Config *c, Database *d) {
        const RdsSignerOptions options = {
                        .host = c->db_host, .port = c->db_port, .user = c->db_user, .region = c->db_region};
        SqlOptions *sql = &d->options.sql;
        int r;

        r = http_new(event, &d->http);
        if (r >= 0)
                r = rds_signer_new(d->http, &options, &d->signer);
        if (r < 0)
                return r;
        sql->password_provider = rds_signer_make_password;
        sql->password_userdata = d->signer;
        sql->login_hint =
                        "Check that User= may log in by AWSAuthenticationPlugin, that our role allows "
                        "rds-db:connect as that user, that Host= is the endpoint's own name, and the clock.";
        return 0;
}

int database_settings(sd_event *event, const Config *c, Database *ret, Error *e) {
        int r;

        *ret = (Database){0};
        if (!c->db_name)
                return 0;
        ret->options.deadline_usec = c->db_deadline_usec;
        ret->options.sql = (SqlOptions){
                        .host = c->db_host,
                        .port = c->db_port,
                        .socket = c->db_socket,
                        .user = c->db_user,
                        .database = c->db_name,
                        .tls = c->db_tls == TLS_OFF ? SQL_TLS_OFF : SQL_TLS_VERIFY_FULL,
                        .tls_ca = c->db_ca_file,
                        .connect_timeout_usec = c->db_connect_timeout_usec,
        };
        if (c->db_auth == AUTH_IAM) {
                r = sign_passwords(event, c, ret);
                return r < 0 ? r : 1;
        }
        r = secret_read(c->db_password_file, c->db_password_credential, &ret->password, e);
        if (r < 0)
                return r;
        ret->options.sql.password = ret->password;
        return 1;
}

void database_clear(Database *d) {
        if (d->password)
                explicit_bzero(d->password, strlen(d->password));
        free(d->password);
        rds_signer_free(d->signer);
        http_free(d->http);
        *d = (Database){0};
}
