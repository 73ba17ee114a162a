#pragma once

/*
 * A TUF repository in memory, and a host's trust directory beside it, for the tests of the updater
 *
 * The repository is edited as JSON (sim_signed()) and published by roles, so that a test can publish what an honest
 * publisher never would. sim_refresh() and sim_find() drive a real updater over it and write down what it asked for.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "trust/metadata.h"
#include "trust/updater.h"

#define SIM_NOW     (UINT64_C(1800000000) * USEC_PER_SEC) /* 15 January 2027 */
#define SIM_EXPIRES "2030-01-01T00:00:00Z"
#define SIM_PAST    "2027-01-15T07:59:59Z"

typedef struct SimFile {
        char *name;
        char *data;
        size_t size;
} SimFile;

typedef struct SimFiles {
        SimFile files[128];
        size_t n;
} SimFiles;

typedef struct SimRole {
        char *name;
        json_t *signed_part;
        PrivateKey *keys[8]; /* that sign it when it is published */
        size_t n_keys;
} SimRole;

typedef struct Simulator {
        SimRole roles[64];
        size_t n_roles;
        SimFiles server, local;
        Text requests; /* "2.root.json timestamp.json " */
        UpdaterOptions options;
        Updater *updater;
        Error error;
        bool state_hashes; /* in snapshot and timestamp */
} Simulator;

static inline SimFile *files_find(SimFiles *f, const char *name) {
        for (size_t i = 0; i < f->n; i++)
                if (streq(f->files[i].name, name))
                        return &f->files[i];
        return NULL;
}

static inline void files_remove(SimFiles *f, const char *name) {
        SimFile *file = files_find(f, name);

        if (!file)
                return;
        free(file->name);
        free(file->data);
        *file = f->files[--f->n];
}

static inline void files_put(SimFiles *f, const char *name, const void *data, size_t size) {
        SimFile *file;

        files_remove(f, name);
        assert_true(f->n < ELEMENTS_OF(f->files));
        file = &f->files[f->n++];
        *file = (SimFile){.name = strdup(name), .data = malloc(size + 1), .size = size};
        memcpy(file->data, data, size);
        file->data[size] = 0;
}

static inline SimRole *sim_role(Simulator *s, const char *name) {
        for (size_t i = 0; i < s->n_roles; i++)
                if (streq(s->roles[i].name, name))
                        return &s->roles[i];
        fail_msg("no role %s", name);
        return NULL;
}

static inline json_t *sim_signed(Simulator *s, const char *role) {
        return sim_role(s, role)->signed_part;
}

static inline void set(json_t *object, const char *key, json_t *value) {
        assert_int_equal(json_object_set_new(object, key, value), 0);
}

static inline void sim_set_version(Simulator *s, const char *role, int64_t version) {
        set(sim_signed(s, role), "version", json_integer(version));
}

static inline int64_t sim_version(Simulator *s, const char *role) {
        return json_get_integer(sim_signed(s, role), "version", 0);
}

static inline void sim_expire(Simulator *s, const char *role, const char *when) {
        set(sim_signed(s, role), "expires", json_string(when));
}

/* The bytes of a role as it stands, signed by its signers. */
static inline char *sim_bytes(Simulator *s, const char *role, size_t *ret_size) {
        _cleanup_json_ json_t *envelope = NULL;
        SimRole *r = sim_role(s, role);
        char *data;

        assert_int_equal(metadata_envelope(r->signed_part, &envelope), 0);
        for (size_t i = 0; i < r->n_keys; i++)
                assert_int_equal(metadata_sign(envelope, r->keys[i], NULL), 0);
        assert_int_equal(metadata_write(envelope, &data, ret_size), 0);
        return data;
}

/* Puts bytes on the server under the names that a client asks for. */
static inline void sim_serve(Simulator *s, const char *role, const void *data, size_t size) {
        _cleanup_free_ char *plain = text_format("%s.json", role);
        _cleanup_free_ char *versioned = text_format("%lld.%s.json", (long long) sim_version(s, role), role);

        files_put(&s->server, plain, data, size);
        if (!streq(role, "timestamp"))
                files_put(&s->server, versioned, data, size);
}

/* Signs and serves one role, as it is. */
static inline void sim_publish(Simulator *s, const char *role) {
        size_t size;
        _cleanup_free_ char *data = sim_bytes(s, role, &size);

        sim_serve(s, role, data, size);
}

/* What @by says of @role from now on: its version, and hashes where they are stated. */
static inline void sim_describe(Simulator *s, const char *by, const char *role) {
        _cleanup_free_ char *file = text_format("%s.json", role), *data = NULL;
        size_t size;
        json_t *entry;

        data = sim_bytes(s, role, &size);
        if (s->state_hashes)
                assert_int_equal(metadata_describe(sim_version(s, role), data, size, &entry), 0);
        else
                entry = json_pack("{s:I}", "version", (json_int_t) sim_version(s, role));
        set(json_object_get(sim_signed(s, by), "meta"), file, entry);
}

static inline void sim_bump(Simulator *s, const char *role) {
        sim_set_version(s, role, sim_version(s, role) + 1);
}

static inline void sim_publish_timestamp(Simulator *s) {
        sim_describe(s, "timestamp", "snapshot");
        sim_bump(s, "timestamp");
        sim_publish(s, "timestamp");
}

static inline void sim_publish_snapshot(Simulator *s) {
        sim_bump(s, "snapshot");
        sim_publish(s, "snapshot");
        sim_publish_timestamp(s);
}

/* A new version of a targets role, and of what describes it. */
static inline void sim_release(Simulator *s, const char *role) {
        sim_bump(s, role);
        sim_publish(s, role);
        sim_describe(s, "snapshot", role);
        sim_publish_snapshot(s);
}

static inline void sim_publish_root(Simulator *s) {
        sim_bump(s, "root");
        sim_publish(s, "root");
}

/* The object that holds "keys" and the description of @role: in the root, or in a delegator's "delegations". */
static inline json_t *sim_description(Simulator *s, const char *by, const char *role, json_t **ret_keys) {
        json_t *holder = sim_signed(s, by), *entry;
        size_t i;

        if (streq(by, "root")) {
                *ret_keys = json_object_get(holder, "keys");
                return json_object_get(json_object_get(holder, "roles"), role);
        }
        holder = json_object_get(holder, "delegations");
        *ret_keys = json_object_get(holder, "keys");
        json_array_foreach(json_object_get(holder, "roles"), i, entry)
                if (streq(json_get_string(entry, "name"), role))
                        return entry;
        return json_object_get(holder, "succinct_roles");
}

/* Makes @by trust @k for @role. */
static inline void sim_trust_key(Simulator *s, const char *by, const char *role, const PrivateKey *k) {
        json_t *keys, *description = sim_description(s, by, role, &keys), *object;

        assert_int_equal(private_key_public(k, &object, NULL), 0);
        set(keys, private_key_id(k), object);
        assert_int_equal(json_array_append_new(json_object_get(description, "keyids"),
                                         json_string(private_key_id(k))),
                        0);
}

/* Gives @role one more key, trusted by @by, and signs with it. */
static inline PrivateKey *sim_add_key(Simulator *s, const char *by, const char *role) {
        SimRole *r = sim_role(s, role);
        PrivateKey *k;

        assert_true(r->n_keys < ELEMENTS_OF(r->keys));
        assert_int_equal(private_key_generate(KEY_ED25519, &k, NULL), 0);
        sim_trust_key(s, by, role, k);
        r->keys[r->n_keys++] = k;
        return k;
}

static inline void sim_set_threshold(Simulator *s, const char *by, const char *role, int threshold) {
        json_t *keys, *description = sim_description(s, by, role, &keys);

        set(description, "threshold", json_integer(threshold));
}

static inline void role_drop_signers(SimRole *r) {
        while (r->n_keys > 0)
                private_key_free(r->keys[--r->n_keys]);
}

static inline void sim_drop_signers(Simulator *s, const char *role) {
        role_drop_signers(sim_role(s, role));
}

/* Takes all keys from @role and gives it a new one. */
static inline void sim_rotate(Simulator *s, const char *role) {
        json_t *keys, *description = sim_description(s, "root", role, &keys);

        sim_drop_signers(s, role);
        json_array_clear(json_object_get(description, "keyids"));
        sim_add_key(s, "root", role);
}

static inline void sim_add_role(Simulator *s, const char *name, json_t *signed_part) {
        assert_true(s->n_roles < ELEMENTS_OF(s->roles));
        assert_non_null(signed_part);
        s->roles[s->n_roles++] = (SimRole){.name = strdup(name), .signed_part = signed_part};
}

static inline json_t *sim_new_targets(void) {
        return json_pack("{s:s, s:s, s:i, s:s, s:{}}", "_type", "targets", "spec_version", "1.0.34",
                        "version", 1, "expires", SIM_EXPIRES, "targets");
}

static inline Simulator *sim_new(void) {
        static const char *const names[] = {"root", "timestamp", "snapshot", "targets"};
        Simulator *s = calloc(1, sizeof(*s));
        json_t *roles = json_object();
        size_t size;
        _cleanup_free_ char *root = NULL;

        s->options.now_usec = SIM_NOW;
        for (size_t i = 0; i < 4; i++)
                set(roles, names[i], json_pack("{s:[], s:i}", "keyids", "threshold", 1));
        sim_add_role(s, "root",
                        json_pack("{s:s, s:s, s:i, s:s, s:b, s:{}, s:o}", "_type", "root", "spec_version",
                                        "1.0.34", "version", 1, "expires", SIM_EXPIRES, "consistent_snapshot",
                                        1, "keys", "roles", roles));
        for (size_t i = 1; i < 3; i++)
                sim_add_role(s, names[i],
                                json_pack("{s:s, s:s, s:i, s:s, s:{}}", "_type", names[i], "spec_version",
                                                "1.0.34", "version", 1, "expires", SIM_EXPIRES, "meta"));
        sim_add_role(s, "targets", sim_new_targets());
        for (size_t i = 0; i < 4; i++)
                sim_add_key(s, "root", names[i]);
        sim_publish(s, "root");
        sim_publish(s, "targets");
        sim_describe(s, "snapshot", "targets");
        sim_publish(s, "snapshot");
        sim_describe(s, "timestamp", "snapshot");
        sim_publish(s, "timestamp");
        root = sim_bytes(s, "root", &size);
        files_put(&s->local, "root.json", root, size);
        return s;
}

static inline Simulator *sim_free(Simulator *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_roles; i++) {
                role_drop_signers(&s->roles[i]);
                json_decref(s->roles[i].signed_part);
                free(s->roles[i].name);
        }
        while (s->server.n > 0)
                files_remove(&s->server, s->server.files[0].name);
        while (s->local.n > 0)
                files_remove(&s->local, s->local.files[0].name);
        text_clear(&s->requests);
        error_clear(&s->error);
        updater_free(s->updater);
        free(s);
        return NULL;
}

DEFINE_CLEANUP(Simulator, sim_free);

#define _cleanup_sim_ _cleanup_(sim_free_p)

/* --- delegations and targets --- */

/* @by delegates @patterns (separated by spaces) to @role, which is made where it is new. Published with sim_release(). */
static inline void sim_delegate(
                Simulator *s, const char *by, const char *role, const char *patterns, bool terminating) {
        _cleanup_strv_ char **l = NULL;
        json_t *delegator = sim_signed(s, by), *delegations, *paths = json_array(), *keys, *description;
        bool is_new = true;

        assert_int_equal(strv_split(patterns, " ", &l), 0);
        for (char **i = l; i && *i; i++)
                json_array_append_new(paths, json_string(*i));
        if (!json_object_get(delegator, "delegations"))
                set(delegator, "delegations", json_pack("{s:{}, s:[]}", "keys", "roles"));
        delegations = json_object_get(delegator, "delegations");
        json_array_append_new(json_object_get(delegations, "roles"),
                        json_pack("{s:s, s:[], s:i, s:o, s:b}", "name", role, "keyids", "threshold", 1,
                                        "paths", paths, "terminating", terminating));
        for (size_t i = 0; i < s->n_roles; i++)
                is_new &= !streq(s->roles[i].name, role);
        if (is_new) {
                sim_add_role(s, role, sim_new_targets());
                sim_add_key(s, by, role);
                return;
        }
        description = sim_description(s, by, role, &keys);
        assert_non_null(description);
        sim_trust_key(s, by, role, sim_role(s, role)->keys[0]);
}

static inline void sim_add_target(Simulator *s, const char *role, const char *name, const char *content) {
        json_t *entry;

        assert_int_equal(metadata_describe(1, content, strlen(content), &entry), 0);
        json_object_del(entry, "version");
        set(json_object_get(sim_signed(s, role), "targets"), name, entry);
}

/* Publishes every targets role at its present version, and one snapshot of them all. */
static inline void sim_release_all(Simulator *s) {
        for (size_t i = 3; i < s->n_roles; i++) {
                sim_publish(s, s->roles[i].name);
                sim_describe(s, "snapshot", s->roles[i].name);
        }
        sim_publish_snapshot(s);
}

/* --- the client --- */

static inline int sim_answer(Simulator *s, const UpdaterStep *step, Error *e) {
        SimFile *f;

        switch (step->action) {
        case UPDATER_LOAD:
                f = files_find(&s->local, step->file);
                break;
        case UPDATER_FETCH:
                assert_int_equal(text_addf(&s->requests, "%s ", step->url), 0);
                f = files_find(&s->server, step->url);
                break;
        case UPDATER_STORE:
                files_put(&s->local, step->file, step->data, step->size);
                return 0;
        default:
                files_remove(&s->local, step->file);
                return 0;
        }
        if (!f)
                return updater_feed_missing(s->updater, e);
        return updater_feed(s->updater, f->data, f->size, e);
}

static inline int sim_drive(Simulator *s) {
        UpdaterStep step;
        int r;

        while ((r = updater_next(s->updater, &step, &s->error)) > 0) {
                assert_null(strchr(step.file, '/'));
                r = sim_answer(s, &step, &s->error);
                if (r < 0)
                        break;
        }
        assert_true(r == 0 || s->error.message);
        return r;
}

static inline int sim_refresh(Simulator *s) {
        s->updater = updater_free(s->updater);
        text_clear(&s->requests);
        assert_int_equal(text_adds(&s->requests, ""), 0);
        error_clear(&s->error);
        assert_int_equal(updater_new(&s->options, &s->updater), 0);
        return sim_drive(s);
}

/* Refreshes, then searches. requests then holds what the search asked for alone. */
static inline int sim_find(Simulator *s, const char *target) {
        int r = sim_refresh(s);

        if (r < 0)
                return r;
        text_clear(&s->requests);
        assert_int_equal(text_adds(&s->requests, ""), 0);
        r = updater_find(s->updater, target, &s->error);
        return r < 0 ? r : sim_drive(s);
}

/* The version of the local copy of @role, 0 where there is none. */
static inline int64_t sim_local_version(Simulator *s, const char *role) {
        _cleanup_free_ char *name = text_format("%s.json", role);
        _cleanup_json_ json_t *j = NULL;
        SimFile *f = files_find(&s->local, name);

        if (!f)
                return 0;
        assert_int_equal(json_parse(name, f->data, f->size, &j, NULL), 0);
        return json_get_integer(json_object_get(j, "signed"), "version", 0);
}

/* The refresh fails with @class, and @hint is part of what it says. */
#define assert_refused(s, r, c, part)                                                                        \
        do {                                                                                                 \
                assert_true((r) < 0);                                                                        \
                assert_int_equal((s)->error.class, c);                                                       \
                if (!strstr((s)->error.message, part))                                                       \
                        fail_msg("\"%s\" does not say \"%s\"", (s)->error.message, part);                    \
        } while (0)
