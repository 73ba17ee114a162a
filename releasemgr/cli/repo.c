#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/passphrase.h"
#include "cli/repo.h"

static int read_span(const Arguments *a, const char *name, uint64_t *ret, Error *e) {
        const char *text = arguments_option(a, name);

        if (!text)
                return 0;
        if (span_from_text(text, ret) < 0 || *ret == 0 || *ret > 100 * REPOSITORY_ROOT_EXPIRES)
                return error_set(e, ERROR_USAGE, -EINVAL, "--%s=%s: expected a span of time such as 30d",
                                name, text);
        return 0;
}

static int read_key_type(const Arguments *a, KeyScheme *ret, Error *e) {
        static const struct {
                const char *name;
                KeyScheme scheme;
        } types[] = {{"ed25519", KEY_ED25519}, {"ecdsa-p256", KEY_ECDSA_P256},
                        {"rsa-pss", KEY_RSA_PSS_SHA256}};
        const char *text = arguments_option(a, "key-type");

        for (size_t i = 0; i < ELEMENTS_OF(types); i++)
                if (streq(text ?: "ed25519", types[i].name)) {
                        *ret = types[i].scheme;
                        return 0;
                }
        return error_set(e, ERROR_USAGE, -EINVAL, "--key-type=%s: expected ed25519, ecdsa-p256 or rsa-pss",
                        text);
}

int repo_read_options(const Arguments *a, Repo *r, Error *e) {
        RepositoryOptions *o = &r->options;
        const char *file = arguments_option(a, "passphrase-file");
        int k;

        o->path = arguments_option(a, "repo") ?: ".";
        o->keys = arguments_option(a, "keys");
        o->passphrase = passphrase_for_key;
        o->userdata = (void *) file;
        if ((k = read_span(a, "root-expires", &o->root_expires_usec, e)) < 0 ||
                        (k = read_span(a, "targets-expires", &o->targets_expires_usec, e)) < 0 ||
                        (k = read_span(a, "online-expires", &o->online_expires_usec, e)) < 0 ||
                        (k = read_key_type(a, &o->scheme, e)) < 0)
                return k;
        if (arguments_flag(a, "encrypt")) {
                k = passphrase_for_new_keys(file, &r->new_passphrase, e);
                if (k < 0)
                        return k;
                o->new_passphrase = r->new_passphrase;
        }
        return 0;
}

int repo_open(const Arguments *a, Repo *r, Error *e) {
        int k = repo_read_options(a, r, e);

        return k < 0 ? k : repository_open(&r->options, &r->repository, e);
}

void repo_close(Repo *r) {
        r->repository = repository_free(r->repository);
        repository_result_clear(&r->result);
        if (r->new_passphrase)
                explicit_bzero(r->new_passphrase, strlen(r->new_passphrase));
        free(r->new_passphrase);
}

int repo_app(const Arguments *a, const Repo *r, char **ret, Error *e) {
        const char *given = arguments_option(a, "app");

        if (!given)
                return repository_only_app(r->repository, ret, e);
        *ret = strdup(given);
        return *ret ? 0 : -ENOMEM;
}

static json_t *list_to_json(char *const *l) {
        json_t *array = json_array();

        for (; array && l && *l; l++)
                if (json_array_append_new(array, json_string(*l)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

static int report_json(Session *s, const Repo *r, const char *event, json_t *values) {
        const RepositoryResult *result = &r->result;
        char expires[CLOCK_TEXT_MAX] = "";
        _cleanup_json_ json_t *j = NULL;

        if (result->expires_usec > 0 && result->expires_usec < UINT64_MAX)
                (void) clock_to_text(result->expires_usec, expires);
        j = json_pack("{ss sb sb so so so ss}", "event", event, "changed", result->changed, "visible",
                        !result->invisible, "keys", list_to_json(result->made), "pending",
                        list_to_json(result->pending), "finished", list_to_json(result->finished), "expires",
                        expires);
        if (!j || (values && json_object_update(j, values) < 0))
                return -ENOMEM;
        screen_json(s->screen, j);
        return 0;
}

static void print_list(const char *before, char *const *l) {
        for (; l && *l; l++)
                printf("%s%s\n", before, *l);
}

int repo_report(Session *s, const Repo *r, const char *event, json_t *values, const char *text) {
        _cleanup_json_ json_t *taken = values;

        if (screen_is_json(s->screen))
                return report_json(s, r, event, taken);
        print_list("finished what an earlier run left: ", r->result.finished);
        puts(text);
        print_list("new key: ", r->result.made);
        print_list("waiting: ", r->result.pending);
        if (r->result.invisible)
                puts("not visible yet: releasemgr repo refresh, with the online key, makes it known");
        return 0;
}
