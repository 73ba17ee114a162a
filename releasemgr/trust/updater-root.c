/*
 * The root (1.0.34 sections 5.2 and 5.3)
 *
 * The chain goes one version at a time, each signed by a threshold of the keys before it and of its own. Each link is
 * stored before the next is asked for, so that a client that is stopped goes on from there. Expiry matters only at the
 * end: an old link has expired long ago, and that is no reason to stay with it.
 *
 * Where timestamp or snapshot keys were taken away (not merely added to), what they signed is deleted, so that version
 * numbers which a thief of the keys pushed up do not stay in the way for ever. A power cut between the new root and the
 * deletion does no harm: the next run checks the old files against the new keys.
 */

#include <errno.h>

#include "trust/updater-internal.h"

static const Phase phase_root_next;

static int root_local_ask(Updater *u, UpdaterStep *ret, Error *e) {
        return updater_ask_local(u, ret, "root", e);
}

/* A root vouches for itself, and for the next one. */
static int verify_self(const Metadata *root, Error *e) {
        return metadata_verify(root, metadata_root_role(root, METADATA_ROOT), e);
}

static int root_local_take(Updater *u, const void *data, size_t size, Error *e) {
        int r;

        r = metadata_parse("root.json", METADATA_ROOT, data, size, &u->root, e);
        if (r >= 0)
                r = verify_self(u->root, e);
        if (r < 0)
                return error_prefix(e, r, "the trusted root cannot be used: ");
        u->phase = &phase_root_next;
        return 0;
}

static int root_local_missing(Updater *u _unused_, Error *e) {
        (void) error_set(e, ERROR_FAILED, -ENOKEY, "there is no trusted root.json to begin with");
        return error_hint(e, -ENOKEY, "install the repository's first root, which its publisher hands out");
}

const Phase phase_root_local = {root_local_ask, root_local_take, root_local_missing};

/* 5.3.10 to 5.3.12 */
static int finish_roots(Updater *u, Error *e) {
        int r;

        r = updater_check_expiry(u, u->root, e);
        if (r >= 0 && (u->timestamp_rotated || u->snapshot_rotated)) {
                r = updater_delete(u, "timestamp");
                if (r >= 0)
                        r = updater_delete(u, "snapshot");
        }
        if (r < 0)
                return r;
        u->phase = &phase_timestamp_local;
        return 0;
}

static int root_next_ask(Updater *u, UpdaterStep *ret, Error *e) {
        if (u->options.offline || u->roots_taken == u->options.roots_max ||
                        metadata_version(u->root) == INT64_MAX)
                return finish_roots(u, e);
        return updater_ask_remote(u, ret, "root", metadata_version(u->root) + 1, u->options.root_max, e);
}

static bool rotated(const Metadata *new, const Metadata *old, MetadataType type) {
        return !role_keeps_keys(metadata_root_role(new, type), metadata_root_role(old, type));
}

static int root_next_take(Updater *u, const void *data, size_t size, Error *e) {
        _cleanup_(metadata_free_p) Metadata *new = NULL;
        int r;

        r = updater_read(u, metadata_root_role(u->root, METADATA_ROOT), METADATA_ROOT, data, size, &new, e);
        if (r < 0)
                return r;
        r = verify_self(new, e);
        if (r < 0)
                return r;
        if (metadata_version(new) != metadata_version(u->root) + 1)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s is version %lld by its own word",
                                metadata_name(new), (long long) metadata_version(new));
        r = updater_store(u, "root", data, size);
        if (r < 0)
                return r;
        u->timestamp_rotated |= rotated(new, u->root, METADATA_TIMESTAMP);
        u->snapshot_rotated |= rotated(new, u->root, METADATA_SNAPSHOT);
        u->roots_taken++;
        metadata_free(u->root);
        u->root = TAKE(new);
        return 0;
}

static const Phase phase_root_next = {root_next_ask, root_next_take, finish_roots};
