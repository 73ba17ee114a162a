#include <errno.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "store/bundle.h"
#include "store/hooks.h"

static int missing(Error *e, const char *kind, const char *key) {
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The signed facts of a %s have no valid \"%s\"", kind,
                        key);
}

/* A member that is a name by version_is_valid(): safe as a file name and in an address. */
static int read_name(const json_t *object, const char *kind, const char *key, char **ret, Error *e) {
        const char *s = json_get_string(object, key);

        if (!s || !version_is_valid(s))
                return missing(e, kind, key);
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int read_text(const json_t *object, const char *key, char **ret) {
        const char *s = json_get_string(object, key);

        if (!s)
                return 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int read_count(const json_t *object, const char *kind, const char *key, uint64_t *ret, Error *e) {
        int64_t n = json_get_integer(object, key, -1);

        if (n < 0)
                return missing(e, kind, key);
        *ret = n;
        return 0;
}

static int read_digest(const json_t *object, const char *kind, const char *key, Digest *ret, Error *e) {
        const char *s = json_get_string(object, key);

        return s && digest_from_text(s, ret) >= 0 ? 0 : missing(e, kind, key);
}

static int read_tar(const json_t *object, const char *kind, uint64_t *ret_length, Digest *ret, Error *e) {
        const json_t *tar = json_object_get(object, "tar");
        int r;

        if (!json_is_object(tar))
                return missing(e, kind, "tar");
        r = read_count(tar, kind, "length", ret_length, e);
        return r < 0 ? r : read_digest(tar, kind, "sha256", ret, e);
}

static int check_kind(const json_t *object, const char *kind, Error *e) {
        const char *is = target_kind(object);

        if (streq_ptr(is, kind))
                return 0;
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The signed facts are not those of a %s", kind);
}

/* Hooks that we do not know are of no use to us. */
static int read_hooks(const json_t *object, unsigned *ret, Error *e) {
        const json_t *list = json_object_get(object, "hooks"), *value;
        Hook hook;
        size_t i;

        if (list && !json_is_array(list))
                return missing(e, "bundle", "hooks");
        json_array_foreach(list, i, value)
                if (json_is_string(value) && hook_from_name(json_string_value(value), &hook) >= 0)
                        *ret |= HOOK_BIT(hook);
        return 0;
}

static json_t *hooks_to_json(unsigned hooks) {
        json_t *l = json_array();

        for (Hook h = 0; l && h < _HOOK_MAX; h++)
                if (hooks & HOOK_BIT(h))
                        (void) json_array_append_new(l, json_string(hook_name(h)));
        return l;
}

static int read_bundle(const json_t *object, BundleInfo *i, Error *e) {
        const char *published = json_get_string(object, "published");
        const json_t *schema = json_object_get(object, "schema");
        int r;

        if ((r = check_kind(object, "bundle", e)) < 0 ||
                        (r = read_name(object, "bundle", "app", &i->app, e)) < 0 ||
                        (r = read_name(object, "bundle", "version", &i->version, e)) < 0 ||
                        (r = read_tar(object, "bundle", &i->tar_length, &i->tar_digest, e)) < 0 ||
                        (r = read_count(object, "bundle", "entries", &i->entries, e)) < 0 ||
                        (r = read_count(object, "bundle", "unpacked", &i->unpacked, e)) < 0 ||
                        (r = read_text(object, "commit", &i->commit)) < 0 ||
                        (r = read_hooks(object, &i->hooks, e)) < 0 ||
                        (r = read_text(object, "yanked", &i->yanked)) < 0)
                return r;
        if (!published || clock_from_text(published, &i->published_usec) < 0)
                return missing(e, "bundle", "published");
        if (schema && !json_is_object(schema))
                return missing(e, "bundle", "schema");
        i->schema = schema ? json_deep_copy(schema) : NULL;
        return schema && !i->schema ? -ENOMEM : 0;
}

int bundle_info_from_json(const json_t *object, BundleInfo **ret, Error *e) {
        _cleanup_(bundle_info_free_p) BundleInfo *i = calloc(1, sizeof(*i));
        int r = i ? read_bundle(object, i, e) : -ENOMEM;

        if (r < 0)
                return r;
        *ret = TAKE(i);
        return 0;
}

/* Sets a text member; NULL leaves it out. */
static int set_text(json_t *object, const char *key, const char *value) {
        if (!value)
                return 0;
        return json_object_set_new(object, key, json_string(value)) < 0 ? -ENOMEM : 0;
}

static json_t *tar_to_json(uint64_t length, const Digest *d) {
        char hex[DIGEST_TEXT_MAX];

        return json_pack("{s:I, s:s}", "length", (json_int_t) length, "sha256", digest_to_text(d, hex));
}

int bundle_info_to_json(const BundleInfo *i, json_t **ret) {
        _cleanup_json_ json_t *o = NULL;
        char published[CLOCK_TEXT_MAX];

        o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I}", "kind", "bundle", "app", i->app, "version",
                        i->version, "published", clock_to_text(i->published_usec, published), "tar",
                        tar_to_json(i->tar_length, &i->tar_digest), "entries", (json_int_t) i->entries,
                        "unpacked", (json_int_t) i->unpacked);
        if (!o || set_text(o, "commit", i->commit) < 0 || set_text(o, "yanked", i->yanked) < 0)
                return -ENOMEM;
        if (i->schema && json_object_set_new(o, "schema", json_deep_copy(i->schema)) < 0)
                return -ENOMEM;
        if (i->hooks && json_object_set_new(o, "hooks", hooks_to_json(i->hooks)) < 0)
                return -ENOMEM;
        *ret = TAKE(o);
        return 0;
}

BundleInfo *bundle_info_free(BundleInfo *i) {
        if (!i)
                return NULL;
        free(i->app);
        free(i->version);
        free(i->commit);
        free(i->yanked);
        json_decref(i->schema);
        free(i);
        return NULL;
}

int patch_info_from_json(const json_t *object, PatchInfo **ret, Error *e) {
        _cleanup_(patch_info_free_p) PatchInfo *i = calloc(1, sizeof(*i));
        int r;

        if (!i)
                return -ENOMEM;
        if ((r = check_kind(object, "patch", e)) < 0 ||
                        (r = read_name(object, "patch", "app", &i->app, e)) < 0 ||
                        (r = read_name(object, "patch", "from", &i->from, e)) < 0 ||
                        (r = read_name(object, "patch", "version", &i->version, e)) < 0 ||
                        (r = read_digest(object, "patch", "from_sha256", &i->from_digest, e)) < 0 ||
                        (r = read_tar(object, "patch", &i->tar_length, &i->tar_digest, e)) < 0)
                return r;
        *ret = TAKE(i);
        return 0;
}

int patch_info_to_json(const PatchInfo *i, json_t **ret) {
        char from[DIGEST_TEXT_MAX];

        *ret = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "kind", "patch", "app", i->app, "from", i->from,
                        "version", i->version, "from_sha256", digest_to_text(&i->from_digest, from), "tar",
                        tar_to_json(i->tar_length, &i->tar_digest));
        return *ret ? 0 : -ENOMEM;
}

PatchInfo *patch_info_free(PatchInfo *i) {
        if (!i)
                return NULL;
        free(i->app);
        free(i->from);
        free(i->version);
        free(i);
        return NULL;
}

int channel_info_from_json(const json_t *object, ChannelInfo **ret, Error *e) {
        _cleanup_(channel_info_free_p) ChannelInfo *i = calloc(1, sizeof(*i));
        int r;

        if (!i)
                return -ENOMEM;
        if ((r = check_kind(object, "channel", e)) < 0 ||
                        (r = read_name(object, "channel", "channel", &i->channel, e)) < 0 ||
                        (r = read_name(object, "channel", "version", &i->version, e)) < 0)
                return r;
        *ret = TAKE(i);
        return 0;
}

int channel_info_to_json(const ChannelInfo *i, json_t **ret) {
        *ret = json_pack("{s:s, s:s, s:s}", "kind", "channel", "channel", i->channel, "version", i->version);
        return *ret ? 0 : -ENOMEM;
}

ChannelInfo *channel_info_free(ChannelInfo *i) {
        if (!i)
                return NULL;
        free(i->channel);
        free(i->version);
        free(i);
        return NULL;
}

const char *target_kind(const json_t *object) {
        return json_get_string(object, "kind");
}

const json_t *target_facts(const json_t *custom) {
        const json_t *facts = json_object_get(custom, "releasemgr");

        return json_is_object(facts) ? facts : NULL;
}

char *target_bundle(const char *app, const char *version) {
        return text_format("%s/%s/%s-%s.tar.zst", app, version, app, version);
}

char *target_patch(const char *app, const char *from, const char *version) {
        return text_format("%s/%s/%s-%s..%s.patch", app, version, app, from, version);
}

char *target_channel(const char *app, const char *channel) {
        return text_format("%s/channels/%s.json", app, channel);
}

char *target_blocks(const char *target) {
        return text_format("%s.blocks", target);
}

int target_bundle_version(const char *target, const char *app, char **ret) {
        _cleanup_free_ char *version = NULL, *again = NULL;
        const char *rest = startswith(target, app), *slash;

        if (!rest || *rest != '/' || !(slash = strchr(rest + 1, '/')))
                return -ENOENT;
        version = strndup(rest + 1, slash - rest - 1);
        if (!version)
                return -ENOMEM;
        if (!version_is_valid(version))
                return -ENOENT;
        again = target_bundle(app, version);
        if (!again)
                return -ENOMEM;
        if (!streq(again, target))
                return -ENOENT;
        *ret = TAKE(version);
        return 0;
}
