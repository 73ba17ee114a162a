#pragma once

/* What the tests of publish/ share: a repository in a directory of its own, and a client (trust/updater) that reads it
 * as a host would, keeping what it trusts in memory. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "publish/release.h"
#include "publish/repository.h"
#include "trust/updater.h"

#define ok(expression)                                                                                       \
        do {                                                                                                 \
                _cleanup_error_ Error _e = ERROR_INIT;                                                       \
                Error *e = &_e;                                                                              \
                int _r = (expression);                                                                       \
                if (_r < 0)                                                                                  \
                        fail_msg("%s: %s", #expression, error_message(e, _r));                               \
        } while (0)

/* The expression fails with @class and has said something. */
#define refused(expression, wanted)                                                                          \
        do {                                                                                                 \
                _cleanup_error_ Error _e = ERROR_INIT;                                                       \
                Error *e = &_e;                                                                              \
                int _r = (expression);                                                                       \
                assert_true(_r < 0);                                                                         \
                assert_non_null(_e.message);                                                                 \
                if (_e.class != (wanted))                                                                    \
                        fail_msg("%s: class %d: %s", #expression, _e.class, _e.message);                     \
        } while (0)

#define TEST_PATH_MAX 256

static inline char *path_in(char buffer[static TEST_PATH_MAX], const char *directory, const char *name) {
        assert_true(snprintf(buffer, TEST_PATH_MAX, "%s/%s", directory, name) < TEST_PATH_MAX);
        return buffer;
}

static inline char *scratch_new(char buffer[static TEST_PATH_MAX]) {
        (void) snprintf(buffer, TEST_PATH_MAX, "%s", "/tmp/releasemgr-publish-XXXXXX");
        assert_non_null(mkdtemp(buffer));
        return buffer;
}

static inline void write_text(const char *directory, const char *name, const char *text) {
        char path[TEST_PATH_MAX];

        assert_int_equal(fs_write_file_atomic(
                                         AT_FDCWD, path_in(path, directory, name), text, strlen(text), 0644),
                        0);
}

/* A tree to publish: SCRATCH/NAME with a file of @text. */
static inline char *tree_new(
                char path[static TEST_PATH_MAX], const char *scratch, const char *name, const char *text) {
        path_in(path, scratch, name);
        assert_int_equal(fs_mkdir_parents(AT_FDCWD, path, 0755), 0);
        write_text(path, "program", text);
        return path;
}

/* One host: its trust directory as an object of texts, beginning with the repository's first root. */
typedef struct Client {
        const char *repository;
        json_t *trusted;
        uint64_t now_usec;
} Client;

static inline int client_read(const Client *c, const char *url, char **ret, size_t *ret_size) {
        _cleanup_free_ char *path = text_format("%s/metadata/%s", c->repository, url);

        return fs_read_file(AT_FDCWD, path, 5000000, ret, ret_size);
}

static inline Client client_new(const char *repository) {
        Client c = {.repository = repository, .trusted = json_object(), .now_usec = clock_now()};
        _cleanup_free_ char *data = NULL;
        size_t size;

        assert_int_equal(client_read(&c, "1.root.json", &data, &size), 0);
        assert_int_equal(json_object_set_new(c.trusted, "root.json", json_stringn(data, size)), 0);
        return c;
}

static inline void client_clear(Client *c) {
        json_decref(c->trusted);
}

#define _cleanup_client_ _cleanup_(client_clear)

static inline int client_step(Client *c, Updater *u, const UpdaterStep *step, Error *e) {
        const json_t *local = json_object_get(c->trusted, step->file);
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        switch (step->action) {
        case UPDATER_LOAD:
                return local ? updater_feed(u, json_string_value(local), json_string_length(local), e)
                             : updater_feed_missing(u, e);
        case UPDATER_FETCH:
                r = client_read(c, step->url, &data, &size);
                return r < 0 ? updater_feed_missing(u, e) : updater_feed(u, data, size, e);
        case UPDATER_STORE:
                return json_object_set_new(c->trusted, step->file, json_stringn(step->data, step->size));
        case UPDATER_DELETE:
                (void) json_object_del(c->trusted, step->file);
        }
        return 0;
}

static inline int client_run(Client *c, Updater *u, Error *e) {
        UpdaterStep step;
        int r;

        while ((r = updater_next(u, &step, e)) > 0) {
                r = client_step(c, u, &step, e);
                if (r < 0)
                        return r;
        }
        return r;
}

/* Refreshes, and lists what begins with @prefix: @ret is the updater, to be asked and freed. */
static inline int client_refresh(Client *c, const char *prefix, Updater **ret, Error *e) {
        UpdaterOptions options = {.now_usec = c->now_usec};
        _cleanup_(updater_free_p) Updater *u = NULL;
        int r;

        if ((r = updater_new(&options, &u)) < 0 || (r = client_run(c, u, e)) < 0 ||
                        (r = updater_list(u, prefix, e)) < 0 || (r = client_run(c, u, e)) < 0)
                return r;
        *ret = TAKE(u);
        return 0;
}

/* Every target that is listed lies there, whole; returns how many there are. */
static inline size_t client_check_files(const Client *c, const Updater *u) {
        const TargetFile *targets;
        size_t n = updater_targets(u, &targets), size;

        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *url = NULL, *path = NULL, *data = NULL;

                assert_int_equal(updater_target_url(u, &targets[i], &url), 0);
                path = text_format("%s/targets/%s", c->repository, url);
                assert_int_equal(fs_read_file(AT_FDCWD, path, 50000000, &data, &size), 0);
                assert_int_equal(size, targets[i].length);
                assert_int_equal(hashes_match(&targets[i].hashes, data, size), 1);
        }
        return n;
}

/* The version that a host takes from the channel, owned by the caller; NULL where there is none. */
static inline char *client_channel(Client *c, const char *app, const char *channel) {
        _cleanup_(updater_free_p) Updater *u = NULL;
        _cleanup_(channel_info_free_p) ChannelInfo *info = NULL;
        _cleanup_free_ char *name = target_channel(app, channel);
        const TargetFile *targets;
        size_t n, i = 0;

        ok(client_refresh(c, app, &u, e));
        (void) client_check_files(c, u);
        n = updater_targets(u, &targets);
        while (i < n && !streq(targets[i].name, name))
                i++;
        if (i == n)
                return NULL;
        ok(channel_info_from_json(target_facts(targets[i].custom), &info, e));
        return TAKE(info->version);
}

#define assert_channel(client, app, channel, version)                                                        \
        do {                                                                                                 \
                _cleanup_free_ char *_version = client_channel(client, app, channel);                        \
                assert_non_null(_version);                                                                   \
                assert_string_equal(_version, version);                                                      \
        } while (0)

/* A scratch directory with repo/ and repo.keys/. */
typedef struct Scene {
        char scratch[TEST_PATH_MAX], path[TEST_PATH_MAX], keys[TEST_PATH_MAX];
        RepositoryOptions options;
} Scene;

static inline int scene_new(void **state) {
        Scene *s = calloc(1, sizeof(*s));

        scratch_new(s->scratch);
        path_in(s->path, s->scratch, "repo");
        path_in(s->keys, s->scratch, "repo.keys");
        s->options = (RepositoryOptions){.path = s->path};
        *state = s;
        return 0;
}

static inline int scene_free(void **state) {
        Scene *s = *state;

        assert_int_equal(fs_remove_tree(AT_FDCWD, s->scratch), 0);
        free(s);
        return 0;
}

static inline void init(Scene *s, RepositoryResult *result) {
        _cleanup_(repository_free_p) Repository *r = NULL;

        ok(repository_init(&s->options, &r, result, e));
}

static inline int publish(Scene *s, const char *version, const char *text, const char *channel,
                PublishedRelease *ret, RepositoryResult *result, Error *e) {
        _cleanup_(repository_free_p) Repository *r = NULL;
        char tree[TEST_PATH_MAX];
        PublishOptions o = {.app = "shop", .version = version, .channel = channel, .commit = "0123abc"};
        int k;

        o.directory = tree_new(tree, s->scratch, "tree", text);
        k = repository_open(&s->options, &r, e);
        return k < 0 ? k : repository_publish(r, &o, ret, result, e);
}

static inline void do_publish(Scene *s, const char *version, const char *text, const char *channel) {
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        _cleanup_result_ RepositoryResult result = REPOSITORY_RESULT_INIT;

        ok(publish(s, version, text, channel, &p, &result, e));
        assert_true(result.changed);
        assert_false(result.invisible);
        assert_null(result.pending);
        assert_null(result.finished);
}
