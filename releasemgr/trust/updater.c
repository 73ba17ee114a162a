#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "trust/updater-internal.h"
#include "trust/updater.h"

#define ROOT_MAX        512000
#define TIMESTAMP_MAX   16384
#define SNAPSHOT_MAX    2000000
#define TARGETS_MAX     5000000
#define ROOTS_MAX       256
#define DELEGATIONS_MAX 32

/* The longest file name, less what fs_write_file_atomic() adds for a while. */
#define FILE_NAME_MAX (255 - 20)

int updater_new(const UpdaterOptions *options, Updater **ret) {
        Updater *u = calloc(1, sizeof(*u));

        if (!u)
                return -ENOMEM;
        u->options = *options;
        u->options.root_max = options->root_max ?: ROOT_MAX;
        u->options.timestamp_max = options->timestamp_max ?: TIMESTAMP_MAX;
        u->options.snapshot_max = options->snapshot_max ?: SNAPSHOT_MAX;
        u->options.targets_max = options->targets_max ?: TARGETS_MAX;
        u->options.roots_max = options->roots_max ?: ROOTS_MAX;
        u->options.delegations_max = options->delegations_max ?: DELEGATIONS_MAX;
        u->phase = &phase_root_local;
        *ret = u;
        return 0;
}

static void write_clear(Write *w) {
        free(w->file);
        free(w->data);
        *w = (Write){0};
}

Updater *updater_free(Updater *u) {
        if (!u)
                return NULL;
        metadata_free(u->root);
        metadata_free(u->timestamp);
        metadata_free(u->snapshot);
        metadata_free(u->targets);
        for (size_t i = 0; i < u->n_writes; i++)
                write_clear(&u->writes[i]);
        write_clear(&u->said);
        for (size_t i = 0; i < u->n_delegated; i++) {
                free(u->delegated[i].name);
                metadata_free(u->delegated[i].metadata);
                for (size_t j = 0; j < u->delegated[i].n_verified; j++)
                        role_free(u->delegated[i].verified[j]);
                free(u->delegated[i].verified);
        }
        free(u->delegated);
        search_free(u->search);
        updater_drop_found(u);
        free(u->file);
        free(u->url);
        free(u);
        return NULL;
}

static int fail(Updater *u, int r) {
        u->failed = true;
        return r;
}

static int refuse_after_failure(Error *e) {
        return error_set(e, ERROR_FAILED, -ECANCELED, "the metadata could not be updated before");
}

int updater_next(Updater *u, UpdaterStep *ret, Error *e) {
        int r = 0;

        write_clear(&u->said);
        if (u->failed)
                return refuse_after_failure(e);
        if (u->asked)
                return error_set(e, ERROR_FAILED, -EPROTO, "%s was asked for and not answered", u->file);
        while (u->n_writes == 0 && u->phase && r == 0)
                r = u->phase->ask(u, ret, e);
        if (r < 0)
                return fail(u, r);
        if (r > 0) {
                u->asked = true;
                u->max = ret->max;
                return 1;
        }
        if (u->n_writes == 0)
                return 0;
        u->said = u->writes[0];
        memmove(u->writes, u->writes + 1, --u->n_writes * sizeof(Write));
        *ret = (UpdaterStep){
                        .action = u->said.data ? UPDATER_STORE : UPDATER_DELETE,
                        .file = u->said.file,
                        .data = u->said.data,
                        .size = u->said.size,
        };
        return 1;
}

int updater_feed(Updater *u, const void *data, size_t size, Error *e) {
        int r;

        if (u->failed)
                return refuse_after_failure(e);
        if (!u->asked)
                return error_set(e, ERROR_FAILED, -EPROTO, "nothing was asked for");
        u->asked = false;
        if (size > u->max)
                r = error_set(e, ERROR_UNTRUSTED, -EFBIG, "%s is longer than the %llu bytes that are allowed",
                                u->url ?: u->file, (unsigned long long) u->max);
        else
                r = u->phase->take(u, data, size, e);
        return r < 0 ? fail(u, r) : 0;
}

int updater_feed_missing(Updater *u, Error *e) {
        int r;

        if (u->failed)
                return refuse_after_failure(e);
        if (!u->asked)
                return error_set(e, ERROR_FAILED, -EPROTO, "nothing was asked for");
        u->asked = false;
        r = u->phase->missing(u, e);
        return r < 0 ? fail(u, r) : 0;
}

char *updater_quote(const char *s, const char *safe) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r = text_adds(&t, "");

        for (; r >= 0 && *s; s++)
                if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
                                strchr("-._~", *s) || strchr(safe, *s))
                        r = text_add(&t, s, 1);
                else
                        r = text_addf(&t, "%%%02X", (unsigned char) *s);
        return r < 0 ? NULL : text_take(&t);
}

/* The file name of a role in the trust directory. */
static char *file_of(const char *role) {
        _cleanup_free_ char *quoted = updater_quote(role, "");

        return quoted ? text_format("%s.json", quoted) : NULL;
}

static int set_names(Updater *u, const char *role, const char *version, Error *e) {
        free(u->file);
        free(u->url);
        u->url = NULL;
        u->file = file_of(role);
        if (version && u->file)
                u->url = text_format("%s%s", version, u->file);
        if (!u->file || (version && !u->url))
                return -ENOMEM;
        if (strlen(u->file) > FILE_NAME_MAX)
                return error_set(e, ERROR_UNTRUSTED, -ENAMETOOLONG,
                                "the name of the role %.40s... is too long", role);
        return 0;
}

uint64_t updater_limit(const Updater *u, MetadataType type) {
        switch (type) {
        case METADATA_ROOT:
                return u->options.root_max;
        case METADATA_TIMESTAMP:
                return u->options.timestamp_max;
        case METADATA_SNAPSHOT:
                return u->options.snapshot_max;
        default:
                return u->options.targets_max;
        }
}

static MetadataType type_of(const char *role) {
        MetadataType type = METADATA_ROOT;

        while (type < METADATA_TARGETS && !streq(metadata_type_to_text(type), role))
                type++;
        return type; /* delegated roles are of the type targets */
}

int updater_ask_local(Updater *u, UpdaterStep *ret, const char *role, Error *e) {
        int r = set_names(u, role, NULL, e);

        if (r < 0)
                return r;
        *ret = (UpdaterStep){.action = UPDATER_LOAD, .file = u->file, .max = updater_limit(u, type_of(role))};
        return 1;
}

int updater_ask_remote(
                Updater *u, UpdaterStep *ret, const char *role, int64_t version, uint64_t max, Error *e) {
        char text[32] = "";
        int r;

        if (version > 0)
                (void) snprintf(text, sizeof(text), "%lld.", (long long) version);
        r = set_names(u, role, text, e);
        if (r < 0)
                return r;
        *ret = (UpdaterStep){.action = UPDATER_FETCH, .file = u->file, .url = u->url, .max = max};
        return 1;
}

static int add_write(Updater *u, Write *w) {
        if (!w->file || u->n_writes == WRITES_MAX) {
                write_clear(w);
                return -ENOMEM;
        }
        u->writes[u->n_writes++] = *w;
        return 0;
}

int updater_store(Updater *u, const char *role, const void *data, size_t size) {
        Write w = {.file = file_of(role), .data = malloc(size + 1), .size = size};

        if (!w.data) {
                write_clear(&w);
                return -ENOMEM;
        }
        memcpy(w.data, data, size);
        return add_write(u, &w);
}

int updater_delete(Updater *u, const char *role) {
        return add_write(u, &(Write){.file = file_of(role)});
}

int updater_read(Updater *u, const Role *role, MetadataType type, const void *data, size_t size,
                Metadata **ret, Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        int r;

        r = metadata_read(u->url && *u->url ? u->url : u->file, data, size, &m, e);
        if (r >= 0)
                r = metadata_verify(m, role, e);
        if (r >= 0)
                r = metadata_interpret(m, type, e);
        if (r < 0)
                return r;
        *ret = TAKE(m);
        return 0;
}

int updater_check_expiry(const Updater *u, const Metadata *m, Error *e) {
        char expires[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];

        if (u->options.offline || metadata_expires(m) > u->options.now_usec)
                return 0;
        (void) error_set(e, ERROR_REFUSED, -ESTALE, "%s expired on %s, and it is now %s", metadata_name(m),
                        clock_to_text(metadata_expires(m), expires), clock_to_text(u->options.now_usec, now));
        return error_hint(e, -ESTALE,
                        "where the clock is right, the publisher must renew the metadata, or somebody holds "
                        "it back");
}

int updater_check_meta(const char *name, const MetaFile *meta, const void *data, size_t size, Error *e) {
        int r;

        if (meta->length >= 0 && (uint64_t) meta->length != size)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "%s is %zu bytes long, not the %lld that are signed", name, size,
                                (long long) meta->length);
        if (!meta->has_hashes)
                return 0;
        r = hashes_match(&meta->hashes, data, size);
        if (r == 0)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s does not have the hash that is signed",
                                name);
        return MIN_OF(r, 0);
}

int updater_missing_remote(Updater *u, Error *e) {
        return error_set(e, ERROR_FAILED, -ENOENT, "the repository has no %s", u->url);
}

uint64_t updater_expires(const Updater *u, const char **ret_role) {
        const Metadata *all[_METADATA_TYPE_MAX] = {u->root, u->timestamp, u->snapshot, u->targets};
        uint64_t first = UINT64_MAX;
        const char *role = NULL;

        if (!u->targets)
                return UINT64_MAX;
        for (size_t i = 0; i < _METADATA_TYPE_MAX; i++)
                if (metadata_expires(all[i]) < first) {
                        first = metadata_expires(all[i]);
                        role = metadata_type_to_text((MetadataType) i);
                }
        for (size_t i = 0; i < u->n_delegated; i++)
                if (metadata_expires(u->delegated[i].metadata) < first) {
                        first = metadata_expires(u->delegated[i].metadata);
                        role = u->delegated[i].name;
                }
        if (ret_role)
                *ret_role = role;
        return first;
}

int64_t updater_version(const Updater *u, const char *role) {
        const Metadata *all[_METADATA_TYPE_MAX] = {u->root, u->timestamp, u->snapshot, u->targets};
        MetadataType type = type_of(role);

        if (!streq(metadata_type_to_text(type), role) || !all[type])
                return 0;
        return metadata_version(all[type]);
}
