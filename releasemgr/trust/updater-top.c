/*
 * Timestamp, snapshot and targets (1.0.34 sections 5.4, 5.5 and 5.6.1 to 5.6.6)
 *
 * Each is first looked for among the local copies. A local copy that has expired, or is not the version wanted any
 * more, still says what was seen before: nothing new may go behind it. A local copy that is not well signed says
 * nothing. What is new is stored only after its last check.
 */

#include <errno.h>

#include "base/text.h"
#include "trust/updater-internal.h"

static const Phase phase_timestamp_new, phase_snapshot_local, phase_snapshot_new, phase_targets_local,
                phase_targets_new;

/* -ENOMEM is no judgement on the file. */
static int unless_no_memory(int r) {
        return r == -ENOMEM ? r : 0;
}

/* In an offline updater there is nobody to ask for what the local copies do not have. */
static int refuse_offline(const char *role, Error *e) {
        (void) error_set(e, ERROR_FAILED, -ENOENT, "no usable copy of the %s metadata is here", role);
        return error_hint(e, -ENOENT, "refresh it from the repository");
}

/* --- 5.4 timestamp --- */

static int timestamp_local_ask(Updater *u, UpdaterStep *ret, Error *e) {
        return updater_ask_local(u, ret, "timestamp", e);
}

static int timestamp_local_missing(Updater *u, Error *e _unused_) {
        u->phase = &phase_timestamp_new;
        return 0;
}

static int timestamp_local_take(Updater *u, const void *data, size_t size, Error *e _unused_) {
        u->phase = &phase_timestamp_new;
        return unless_no_memory(updater_read(u, metadata_root_role(u->root, METADATA_TIMESTAMP),
                        METADATA_TIMESTAMP, data, size, &u->timestamp, NULL));
}

const Phase phase_timestamp_local = {timestamp_local_ask, timestamp_local_take, timestamp_local_missing};

static int timestamp_new_ask(Updater *u, UpdaterStep *ret, Error *e) {
        if (!u->options.offline)
                return updater_ask_remote(u, ret, "timestamp", 0, u->options.timestamp_max, e);
        if (!u->timestamp)
                return refuse_offline("timestamp", e);
        u->phase = &phase_snapshot_local;
        return 0;
}

/* 5.4.3: 1 where @new may take the old one's place, 0 where it is the same version and is discarded. */
static int compare_timestamps(const Metadata *new, const Metadata *old, Error *e) {
        MetaFile now, before;

        if (metadata_version(new) < metadata_version(old))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "timestamp.json goes back from version %lld to %lld",
                                (long long) metadata_version(old), (long long) metadata_version(new));
        if (metadata_version(new) == metadata_version(old))
                return 0;
        if (metadata_meta(new, "snapshot.json", &now) && metadata_meta(old, "snapshot.json", &before) &&
                        now.version < before.version)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "timestamp.json: snapshot.json goes back from version %lld to %lld",
                                (long long) before.version, (long long) now.version);
        return 1;
}

static int timestamp_new_take(Updater *u, const void *data, size_t size, Error *e) {
        _cleanup_(metadata_free_p) Metadata *new = NULL;
        int r;

        r = updater_read(u, metadata_root_role(u->root, METADATA_TIMESTAMP), METADATA_TIMESTAMP, data, size,
                        &new, e);
        if (r < 0)
                return r;
        r = u->timestamp ? compare_timestamps(new, u->timestamp, e) : 1;
        if (r < 0)
                return r;
        u->phase = &phase_snapshot_local;
        if (r == 0)
                return updater_check_expiry(u, u->timestamp, e);
        r = updater_check_expiry(u, new, e);
        if (r >= 0)
                r = updater_store(u, "timestamp", data, size);
        if (r < 0)
                return r;
        metadata_free(u->timestamp);
        u->timestamp = TAKE(new);
        return 0;
}

static const Phase phase_timestamp_new = {timestamp_new_ask, timestamp_new_take, updater_missing_remote};

/* --- 5.5 snapshot --- */

static int snapshot_local_ask(Updater *u, UpdaterStep *ret, Error *e) {
        return updater_ask_local(u, ret, "snapshot", e);
}

static int snapshot_local_missing(Updater *u, Error *e _unused_) {
        u->phase = &phase_snapshot_new;
        return 0;
}

/* Kept in any case for the sake of 5.5.5; the one in force only where it is what the timestamp speaks of. */
static int snapshot_local_take(Updater *u, const void *data, size_t size, Error *e _unused_) {
        MetaFile meta;
        int r;

        u->phase = &phase_snapshot_new;
        r = updater_read(u, metadata_root_role(u->root, METADATA_SNAPSHOT), METADATA_SNAPSHOT, data, size,
                        &u->snapshot, NULL);
        if (r < 0)
                return unless_no_memory(r);
        if (metadata_meta(u->timestamp, "snapshot.json", &meta) &&
                        meta.version == metadata_version(u->snapshot) &&
                        updater_check_meta("snapshot.json", &meta, data, size, NULL) >= 0 &&
                        updater_check_expiry(u, u->snapshot, NULL) >= 0)
                u->phase = &phase_targets_local;
        return 0;
}

static const Phase phase_snapshot_local = {snapshot_local_ask, snapshot_local_take, snapshot_local_missing};

/* The smaller of the length that is signed, where one is, and the limit. */
static uint64_t limit_of(const Updater *u, MetadataType type, const MetaFile *meta) {
        uint64_t limit = updater_limit(u, type);

        return meta->length >= 0 ? MIN_OF(limit, (uint64_t) meta->length) : limit;
}

static int64_t prefix_of(const Updater *u, const MetaFile *meta) {
        return metadata_root_consistent_snapshot(u->root) ? meta->version : 0;
}

static int snapshot_new_ask(Updater *u, UpdaterStep *ret, Error *e) {
        MetaFile meta;

        if (u->options.offline)
                return refuse_offline("snapshot", e);
        (void) metadata_meta(
                        u->timestamp, "snapshot.json", &meta); /* a timestamp without it is not interpreted */
        return updater_ask_remote(
                        u, ret, "snapshot", prefix_of(u, &meta), limit_of(u, METADATA_SNAPSHOT, &meta), e);
}

static int check_version(const Metadata *m, const MetaFile *meta, Error *e) {
        if (metadata_version(m) == meta->version)
                return 0;
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s is version %lld, where %lld is signed",
                        metadata_name(m), (long long) metadata_version(m), (long long) meta->version);
}

static int snapshot_new_take(Updater *u, const void *data, size_t size, Error *e) {
        _cleanup_(metadata_free_p) Metadata *new = NULL;
        MetaFile meta;
        int r;

        (void) metadata_meta(u->timestamp, "snapshot.json", &meta);
        r = updater_check_meta("snapshot.json", &meta, data, size, e);
        if (r >= 0)
                r = updater_read(u, metadata_root_role(u->root, METADATA_SNAPSHOT), METADATA_SNAPSHOT, data,
                                size, &new, e);
        if (r >= 0)
                r = check_version(new, &meta, e);
        if (r >= 0 && u->snapshot)
                r = metadata_check_rollback(new, u->snapshot, e);
        if (r >= 0)
                r = updater_check_expiry(u, new, e);
        if (r >= 0)
                r = updater_store(u, "snapshot", data, size);
        if (r < 0)
                return r;
        metadata_free(u->snapshot);
        u->snapshot = TAKE(new);
        u->phase = &phase_targets_local;
        return 0;
}

static const Phase phase_snapshot_new = {snapshot_new_ask, snapshot_new_take, updater_missing_remote};

/* --- 5.6 targets --- */

int updater_meta_of(const Updater *u, const char *name, MetaFile *ret, Error *e) {
        _cleanup_free_ char *file = text_format("%s.json", name);

        if (!file)
                return -ENOMEM;
        if (!metadata_meta(u->snapshot, file, ret))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "the snapshot does not list %s", file);
        return 0;
}

int updater_read_targets(
                Updater *u, const Role *role, const void *data, size_t size, Metadata **ret, Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        MetaFile meta;
        int r;

        r = updater_meta_of(u, role_name(role), &meta, e);
        if (r >= 0)
                r = updater_check_meta(u->file, &meta, data, size, e);
        if (r >= 0)
                r = updater_read(u, role, METADATA_TARGETS, data, size, &m, e);
        if (r >= 0)
                r = check_version(m, &meta, e);
        if (r >= 0)
                r = updater_check_expiry(u, m, e);
        if (r < 0)
                return r;
        *ret = TAKE(m);
        return 0;
}

int updater_ask_targets(Updater *u, UpdaterStep *ret, const char *role, Error *e) {
        MetaFile meta;
        int r;

        if (u->options.offline)
                return refuse_offline(role, e);
        r = updater_meta_of(u, role, &meta, e);
        if (r < 0)
                return r;
        return updater_ask_remote(u, ret, role, prefix_of(u, &meta), limit_of(u, METADATA_TARGETS, &meta), e);
}

static int targets_local_ask(Updater *u, UpdaterStep *ret, Error *e) {
        return updater_ask_local(u, ret, "targets", e);
}

static int targets_local_missing(Updater *u, Error *e _unused_) {
        u->phase = &phase_targets_new;
        return 0;
}

static int targets_local_take(Updater *u, const void *data, size_t size, Error *e _unused_) {
        int r;

        r = updater_read_targets(
                        u, metadata_root_role(u->root, METADATA_TARGETS), data, size, &u->targets, NULL);
        u->phase = r < 0 ? &phase_targets_new : NULL;
        return unless_no_memory(r);
}

static const Phase phase_targets_local = {targets_local_ask, targets_local_take, targets_local_missing};

static int targets_new_ask(Updater *u, UpdaterStep *ret, Error *e) {
        return updater_ask_targets(u, ret, "targets", e);
}

static int targets_new_take(Updater *u, const void *data, size_t size, Error *e) {
        int r;

        r = updater_read_targets(
                        u, metadata_root_role(u->root, METADATA_TARGETS), data, size, &u->targets, e);
        if (r >= 0)
                r = updater_store(u, "targets", data, size);
        if (r < 0)
                return r;
        u->phase = NULL;
        return 0;
}

static const Phase phase_targets_new = {targets_new_ask, targets_new_take, updater_missing_remote};
