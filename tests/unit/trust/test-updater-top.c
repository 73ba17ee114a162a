#include <errno.h>

#include "simulator.h"

/* --- 5.4 timestamp --- */

static void test_timestamp_unsigned(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_drop_signers(s, "timestamp");
        sim_publish(s, "timestamp");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "timestamp.json: signed by 0 of the 1");
        assert_int_equal(sim_local_version(s, "timestamp"), 0);
}

/* Signed by a key of another role, or one that the root does not know: arbitrary software. */
static void test_timestamp_wrong_key(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimRole *r = sim_role(s, "timestamp");

        sim_drop_signers(s, "timestamp");
        assert_int_equal(private_key_generate(KEY_ED25519, &r->keys[r->n_keys++], NULL), 0);
        sim_publish(s, "timestamp");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "timestamp.json: signed by 0 of the 1");
}

static void test_timestamp_altered(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimFile *f = files_find(&s->server, "timestamp.json");

        memcpy(strstr(f->data, "2030"), "2031", 4);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "timestamp.json: signed by 0 of the 1");
}

static void test_timestamp_rollback(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_publish_timestamp(s);
        assert_int_equal(sim_refresh(s), 0);
        sim_set_version(s, "timestamp", 1);
        sim_publish(s, "timestamp");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "timestamp.json goes back from version 2 to 1");
        assert_int_equal(sim_local_version(s, "timestamp"), 2);
}

/* Another content under the same version: no error, and not taken (nor cached: a rejected timestamp is not stored). */
static void test_timestamp_same_version(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        _cleanup_free_ char *before = NULL;

        assert_int_equal(sim_refresh(s), 0);
        before = strdup(files_find(&s->local, "timestamp.json")->data);
        sim_bump(s, "snapshot");
        sim_publish(s, "snapshot");
        sim_describe(s, "timestamp", "snapshot");
        sim_publish(s, "timestamp");
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(files_find(&s->local, "timestamp.json")->data, before);
        assert_int_equal(sim_local_version(s, "snapshot"), 1);
}

static void test_timestamp_snapshot_rollback(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_publish_snapshot(s);
        assert_int_equal(sim_refresh(s), 0);
        sim_set_version(s, "snapshot", 1);
        sim_publish_timestamp(s);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "snapshot.json goes back from version 2 to 1");
        assert_int_equal(sim_local_version(s, "timestamp"), 2);
}

static void test_timestamp_freeze(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        assert_int_equal(sim_refresh(s), 0);
        sim_expire(s, "timestamp", SIM_PAST);
        sim_publish_timestamp(s);
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "timestamp.json expired");
        assert_int_equal(sim_local_version(s, "timestamp"), 1);
}

/* The same timestamp goes on being served until it has expired. */
static void test_indefinite_freeze(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_expire(s, "timestamp", "2028-01-01T00:00:00Z");
        sim_publish_timestamp(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_refresh(s), 0);
        s->options.now_usec = UINT64_C(1850000000) * USEC_PER_SEC;
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "timestamp.json expired on 2028-01-01T00:00:00Z");
}

/* A local snapshot is in force only where it has not expired and is the very file that the timestamp describes. */
static void test_local_snapshot(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimFile *f;

        s->state_hashes = true;
        sim_expire(s, "snapshot", "2028-01-01T00:00:00Z");
        sim_publish_snapshot(s);
        assert_int_equal(sim_refresh(s), 0);
        f = files_find(&s->local, "snapshot.json");
        f->data[f->size - 1] = ' '; /* the line feed at the end, which nobody signed */
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data, "2.root.json timestamp.json 2.snapshot.json ");

        s->options.now_usec = UINT64_C(1850000000) * USEC_PER_SEC;
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "snapshot.json expired");
}

/* An expired local timestamp still bounds what may come. */
static void test_expired_local_counts(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_expire(s, "timestamp", "2028-01-01T00:00:00Z");
        sim_publish_timestamp(s);
        assert_int_equal(sim_refresh(s), 0);
        s->options.now_usec = UINT64_C(1850000000) * USEC_PER_SEC;
        sim_expire(s, "timestamp", SIM_EXPIRES);
        sim_set_version(s, "timestamp", 1);
        sim_publish(s, "timestamp");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "goes back from version 2 to 1");
        sim_set_version(s, "timestamp", 3);
        sim_publish(s, "timestamp");
        assert_int_equal(sim_refresh(s), 0);
}

static void test_timestamp_size(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        s->options.timestamp_max = files_find(&s->server, "timestamp.json")->size - 1;
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "timestamp.json is longer than");
}

static void test_timestamp_missing(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        files_remove(&s->server, "timestamp.json");
        assert_refused(s, sim_refresh(s), ERROR_FAILED, "the repository has no timestamp.json");
}

/* A role's file in another's place: well signed, wrong type. */
static void test_wrong_type(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimFile *snapshot = files_find(&s->server, "snapshot.json");
        json_t *keys, *d = sim_description(s, "root", "timestamp", &keys);

        (void) d;
        sim_trust_key(s, "root", "timestamp", sim_role(s, "snapshot")->keys[0]);
        sim_publish_root(s);
        files_put(&s->server, "timestamp.json", snapshot->data, snapshot->size);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "the \"_type\" is snapshot, not timestamp");
        assert_int_equal(sim_local_version(s, "timestamp"), 0);
}

/* What is not signed is not looked at: the signature fails before the form does. */
static void test_signature_before_form(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_drop_signers(s, "timestamp");
        set(sim_signed(s, "timestamp"), "_type", json_integer(5));
        sim_publish(s, "timestamp");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "signed by 0 of the 1");
}

/* --- 5.5 snapshot --- */

static void test_snapshot_hash(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        s->state_hashes = true;
        sim_publish_snapshot(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data, "2.root.json timestamp.json 2.snapshot.json 1.targets.json ");
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data, "2.root.json timestamp.json ");

        /* the same version with other bytes of the same length, signed: mix and match */
        sim_publish_snapshot(s);
        sim_expire(s, "snapshot", "2031-01-01T00:00:00Z");
        sim_publish(s, "snapshot");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED,
                        "snapshot.json does not have the hash that is signed");
        assert_int_equal(sim_local_version(s, "snapshot"), 2);
        assert_int_equal(sim_local_version(s, "timestamp"), 3);
}

static void test_snapshot_length(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        json_t *meta;

        s->state_hashes = true;
        sim_publish_snapshot(s);
        meta = json_object_get(json_object_get(sim_signed(s, "timestamp"), "meta"), "snapshot.json");
        for (int by = -1; by <= 1; by += 2) {
                int64_t length = json_get_integer(meta, "length", 0);

                set(meta, "length", json_integer(length + by));
                sim_bump(s, "timestamp");
                sim_publish(s, "timestamp");
                assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED,
                                by < 0 ? "2.snapshot.json is longer than" : "snapshot.json is");
                set(meta, "length", json_integer(length));
        }
}

static void test_snapshot_unsigned(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_drop_signers(s, "snapshot");
        sim_publish(s, "snapshot");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "snapshot.json: signed by 0 of the 1");
        assert_int_equal(sim_local_version(s, "timestamp"), 1);
        assert_int_equal(sim_local_version(s, "snapshot"), 0);
}

static void test_snapshot_wrong_version(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        _cleanup_free_ char *data = NULL;
        size_t size;

        sim_set_version(s, "snapshot", 2);
        data = sim_bytes(s, "snapshot", &size);
        files_put(&s->server, "1.snapshot.json", data, size);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "1.snapshot.json is version 2, where 1 is signed");
        assert_int_equal(sim_local_version(s, "snapshot"), 0);
}

/* The snapshot names an older targets file than was seen before: rollback of targets, with and without hashes. */
static void test_snapshot_targets_rollback(void **state _unused_) {
        for (int hashes = 0; hashes < 2; hashes++) {
                _cleanup_sim_ Simulator *s = sim_new();

                s->state_hashes = hashes;
                sim_release(s, "targets");
                assert_int_equal(sim_refresh(s), 0);
                sim_set_version(s, "targets", 1);
                sim_describe(s, "snapshot", "targets");
                sim_publish_snapshot(s);
                assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED,
                                "targets.json goes back from version 2 to 1");
                assert_int_equal(sim_local_version(s, "snapshot"), 2);
        }
}

/* An expired local snapshot still bounds what may come. */
static void test_snapshot_rollback_from_expired(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_expire(s, "snapshot", "2028-01-01T00:00:00Z");
        sim_release(s, "targets");
        assert_int_equal(sim_refresh(s), 0);
        s->options.now_usec = UINT64_C(1850000000) * USEC_PER_SEC;
        sim_expire(s, "snapshot", SIM_EXPIRES);
        sim_set_version(s, "targets", 1);
        sim_describe(s, "snapshot", "targets");
        sim_publish_snapshot(s);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "targets.json goes back");
}

/* Stale or vanished delegated role: what was listed stays listed. */
static void test_snapshot_drops_role(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_delegate(s, "targets", "team", "team/*", false);
        sim_release_all(s);
        assert_int_equal(sim_refresh(s), 0);
        json_object_del(json_object_get(sim_signed(s, "snapshot"), "meta"), "team.json");
        sim_publish_snapshot(s);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "team.json is no longer listed");

        sim_set_version(s, "team", 1);
        sim_describe(s, "snapshot", "team");
        set(json_object_get(json_object_get(sim_signed(s, "snapshot"), "meta"), "team.json"), "version",
                        json_integer(0));
        sim_publish_snapshot(s);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED,
                        "team.json: the \"version\" is not a number above zero");
}

static void test_snapshot_freeze(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_expire(s, "snapshot", SIM_PAST);
        sim_publish_snapshot(s);
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "2.snapshot.json expired");
        assert_int_equal(sim_local_version(s, "snapshot"), 0);
        assert_int_equal(sim_local_version(s, "timestamp"), 2);
}

static void test_snapshot_size(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        s->options.snapshot_max = files_find(&s->server, "snapshot.json")->size - 1;
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "1.snapshot.json is longer than");
}

/* --- 5.6 targets --- */

static void test_targets_hash(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        s->state_hashes = true;
        sim_release(s, "targets");
        sim_expire(s, "targets", "2031-01-01T00:00:00Z");
        sim_publish(s, "targets");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED,
                        "targets.json does not have the hash that is signed");
        assert_int_equal(sim_local_version(s, "targets"), 0);
        assert_int_equal(sim_local_version(s, "snapshot"), 2);
}

static void test_targets_unsigned(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_drop_signers(s, "targets");
        sim_release(s, "targets");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "targets.json: signed by 0 of the 1");
        assert_int_equal(sim_local_version(s, "targets"), 0);
}

static void test_targets_wrong_version(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        _cleanup_free_ char *data = NULL;
        size_t size;

        sim_set_version(s, "targets", 2);
        data = sim_bytes(s, "targets", &size);
        files_put(&s->server, "1.targets.json", data, size);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "1.targets.json is version 2, where 1 is signed");
}

static void test_targets_freeze(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        assert_int_equal(sim_refresh(s), 0);
        sim_expire(s, "targets", SIM_PAST);
        sim_release(s, "targets");
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "2.targets.json expired");
        assert_int_equal(sim_local_version(s, "targets"), 1);
}

static void test_targets_size(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        s->options.targets_max = files_find(&s->server, "targets.json")->size - 1;
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "1.targets.json is longer than");
}

/* A damaged local copy of anything but the root is fetched again. */
static void test_damaged_local(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        assert_int_equal(sim_refresh(s), 0);
        files_put(&s->local, "targets.json", "{", 1);
        files_put(&s->local, "snapshot.json", "\0", 1);
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data, "2.root.json timestamp.json 1.snapshot.json 1.targets.json ");
        assert_int_equal(sim_local_version(s, "targets"), 1);
}

/* Without consistent snapshots nothing but the root carries its version in its name; the member may be missing. */
static void test_not_consistent(void **state _unused_) {
        for (int missing = 0; missing < 2; missing++) {
                _cleanup_sim_ Simulator *s = sim_new();

                if (missing)
                        json_object_del(sim_signed(s, "root"), "consistent_snapshot");
                else
                        set(sim_signed(s, "root"), "consistent_snapshot", json_false());
                sim_publish_root(s);
                assert_int_equal(sim_refresh(s), 0);
                assert_string_equal(s->requests.data,
                                "2.root.json 3.root.json timestamp.json snapshot.json targets.json ");
        }
}

/* --- keys and thresholds, seen from outside --- */

static void test_threshold(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimRole *r = sim_role(s, "snapshot");

        sim_add_key(s, "root", "snapshot");
        sim_set_threshold(s, "root", "snapshot", 2);
        sim_publish_root(s);
        sim_publish_snapshot(s);
        assert_int_equal(sim_refresh(s), 0);

        private_key_free(r->keys[--r->n_keys]);
        sim_publish_snapshot(s);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "3.snapshot.json: signed by 1 of the 2");
        assert_int_equal(sim_local_version(s, "snapshot"), 2);
}

/* More keys trusted than sign, strangers among the signatures, and keys of kinds unknown here: only what counts counts. */
static void test_unknown_signatures(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimRole *r = sim_role(s, "timestamp");
        json_t *keys, *d = sim_description(s, "root", "timestamp", &keys);

        set(keys, "aa",
                        json_pack("{s:s, s:s, s:{s:s}}", "keytype", "new", "scheme", "new", "keyval",
                                        "public", "x"));
        json_array_append_new(json_object_get(d, "keyids"), json_string("aa"));
        json_array_append_new(json_object_get(d, "keyids"), json_string("not-there"));
        sim_publish_root(s);
        assert_int_equal(private_key_generate(KEY_RSA_PSS_SHA256, &r->keys[r->n_keys++], NULL), 0);
        sim_publish(s, "timestamp");
        assert_int_equal(sim_refresh(s), 0);
}

/* The compromised online key alone: it can hold back and roll on, but not make targets. */
static void test_compromised_online_key(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimRole *targets = sim_role(s, "targets"), *snapshot = sim_role(s, "snapshot");
        PrivateKey *release = targets->keys[0];

        sim_add_target(s, "targets", "evil", "evil");
        targets->keys[0] = snapshot->keys[0];
        sim_release(s, "targets");
        targets->keys[0] = release;
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "targets.json: signed by 0 of the 1");
        assert_int_equal(sim_local_version(s, "targets"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_timestamp_unsigned),
                        cmocka_unit_test(test_timestamp_wrong_key),
                        cmocka_unit_test(test_timestamp_altered),
                        cmocka_unit_test(test_timestamp_rollback),
                        cmocka_unit_test(test_timestamp_same_version),
                        cmocka_unit_test(test_timestamp_snapshot_rollback),
                        cmocka_unit_test(test_timestamp_freeze),
                        cmocka_unit_test(test_indefinite_freeze),
                        cmocka_unit_test(test_local_snapshot),
                        cmocka_unit_test(test_expired_local_counts),
                        cmocka_unit_test(test_timestamp_size),
                        cmocka_unit_test(test_timestamp_missing),
                        cmocka_unit_test(test_wrong_type),
                        cmocka_unit_test(test_signature_before_form),
                        cmocka_unit_test(test_snapshot_hash),
                        cmocka_unit_test(test_snapshot_length),
                        cmocka_unit_test(test_snapshot_unsigned),
                        cmocka_unit_test(test_snapshot_wrong_version),
                        cmocka_unit_test(test_snapshot_targets_rollback),
                        cmocka_unit_test(test_snapshot_rollback_from_expired),
                        cmocka_unit_test(test_snapshot_drops_role),
                        cmocka_unit_test(test_snapshot_freeze),
                        cmocka_unit_test(test_snapshot_size),
                        cmocka_unit_test(test_targets_hash),
                        cmocka_unit_test(test_targets_unsigned),
                        cmocka_unit_test(test_targets_wrong_version),
                        cmocka_unit_test(test_targets_freeze),
                        cmocka_unit_test(test_targets_size),
                        cmocka_unit_test(test_damaged_local),
                        cmocka_unit_test(test_not_consistent),
                        cmocka_unit_test(test_threshold),
                        cmocka_unit_test(test_unknown_signatures),
                        cmocka_unit_test(test_compromised_online_key),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
