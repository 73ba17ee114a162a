#include <errno.h>

#include "simulator.h"

static void test_first_refresh(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data, "2.root.json timestamp.json 1.snapshot.json 1.targets.json ");
        for (size_t i = 0; i < 4; i++) {
                _cleanup_free_ char *name = text_format("%s.json", s->roles[i].name);
                SimFile *local = files_find(&s->local, name), *server = files_find(&s->server, name);

                assert_non_null(local);
                assert_int_equal(local->size, server->size);
                assert_memory_equal(local->data, server->data, server->size);
                assert_int_equal(updater_version(s->updater, s->roles[i].name), 1);
        }
        assert_int_equal(s->local.n, 4);
}

/* With nothing new: one probe for a root, one timestamp. */
static void test_second_refresh(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data, "2.root.json timestamp.json ");
}

static void test_no_root(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        files_remove(&s->local, "root.json");
        assert_refused(s, sim_refresh(s), ERROR_FAILED, "no trusted root.json");
        assert_string_equal(s->requests.data, "");
}

/* A trusted root that does not vouch for itself is not used (CVE-2022-23653's lesson: verify before trust). */
static void test_bad_first_root(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        size_t size;
        _cleanup_free_ char *unsigned_root = NULL;

        sim_drop_signers(s, "root");
        unsigned_root = sim_bytes(s, "root", &size);
        files_put(&s->local, "root.json", unsigned_root, size);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "trusted root cannot be used");
        assert_string_equal(s->requests.data, "");
        assert_int_equal(sim_drive(s), -ECANCELED); /* final */
}

static void test_chain(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        for (int i = 0; i < 3; i++)
                sim_publish_root(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data,
                        "2.root.json 3.root.json 4.root.json 5.root.json timestamp.json "
                        "1.snapshot.json 1.targets.json ");
        assert_int_equal(sim_local_version(s, "root"), 4);
}

/* Replaces the root key; the new root is signed by @old and/or @new. */
static void rotate_root(Simulator *s, bool by_old, bool by_new) {
        SimRole *r = sim_role(s, "root");
        json_t *keys, *description = sim_description(s, "root", "root", &keys);
        PrivateKey *old = r->keys[0];

        json_array_clear(json_object_get(description, "keyids"));
        r->n_keys = 0;
        sim_add_key(s, "root", "root");
        if (by_old)
                r->keys[r->n_keys++] = old;
        if (!by_new) {
                private_key_free(r->keys[0]);
                r->keys[0] = old;
                r->n_keys = 1;
        }
        sim_publish_root(s);
        if (by_old && by_new)
                r->n_keys--;
        if (by_new)
                private_key_free(old);
}

static void test_root_rotation(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        rotate_root(s, true, true);
        sim_publish_root(s); /* by the new key alone */
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_local_version(s, "root"), 3);
}

static void test_root_not_by_old(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        rotate_root(s, false, true);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "2.root.json: signed by 0 of the 1");
        assert_int_equal(sim_local_version(s, "root"), 1);
        assert_int_equal(s->local.n, 1);
}

static void test_root_not_by_new(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        rotate_root(s, true, false);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "2.root.json: signed by 0 of the 1");
        assert_int_equal(sim_local_version(s, "root"), 1);
}

/* The old threshold counts for the old keys, the new one for the new keys. */
static void test_root_thresholds(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        SimRole *r = sim_role(s, "root");

        sim_add_key(s, "root", "root");
        sim_set_threshold(s, "root", "root", 2);
        sim_publish_root(s);
        assert_int_equal(sim_refresh(s), 0);

        private_key_free(r->keys[--r->n_keys]);
        sim_set_threshold(s, "root", "root", 1); /* its own threshold is met, the old one is not */
        sim_publish_root(s);
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "3.root.json: signed by 1 of the 2");
        assert_int_equal(sim_local_version(s, "root"), 2);
}

/* The name says 2, the file says another number. */
static void test_root_wrong_version(void **state _unused_) {
        static const int64_t versions[] = {1, 3};

        for (size_t i = 0; i < ELEMENTS_OF(versions); i++) {
                _cleanup_sim_ Simulator *s = sim_new();
                _cleanup_free_ char *data = NULL;
                size_t size;

                sim_set_version(s, "root", versions[i]);
                data = sim_bytes(s, "root", &size);
                files_put(&s->server, "2.root.json", data, size);
                assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "2.root.json is version");
                assert_int_equal(sim_local_version(s, "root"), 1);
        }
}

/* An expired link of the chain is followed; the last one counts, and is stored before that is found. */
static void test_root_expiry(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_expire(s, "root", SIM_PAST);
        sim_publish_root(s);
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "2.root.json expired on 2027-01-15T07:59:59Z");
        assert_non_null(s->error.hint);
        assert_int_equal(sim_local_version(s, "root"), 2);
        assert_int_equal(sim_local_version(s, "timestamp"), 0);
        assert_string_equal(s->requests.data, "2.root.json 3.root.json ");

        sim_expire(s, "root", "2027-01-15T08:00:00Z"); /* the very second: must be higher than now */
        sim_publish_root(s);
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "expired");
        sim_expire(s, "root", "2027-01-15T08:00:01Z");
        sim_publish_root(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_local_version(s, "root"), 4);
}

/* Endless roots: 256 in one refresh by default, here 2. */
static void test_root_count(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        s->options.roots_max = 2;
        for (int i = 0; i < 3; i++)
                sim_publish_root(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data,
                        "2.root.json 3.root.json timestamp.json 1.snapshot.json 1.targets.json ");
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_local_version(s, "root"), 4);
}

static void test_root_size(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_publish_root(s);
        s->options.root_max = files_find(&s->server, "2.root.json")->size;
        assert_int_equal(sim_refresh(s), 0);
        sim_publish_root(s);
        s->options.root_max--;
        files_find(&s->local, "root.json")
                        ->size--; /* the line feed at the end, so that the old one is loaded */
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "longer than");
        assert_int_equal(sim_local_version(s, "root"), 2);
}

/* --- 5.3.11, fast-forward recovery --- */

static void test_timestamp_rotation(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_set_version(s, "timestamp", 99999);
        sim_publish(s, "timestamp");
        assert_int_equal(sim_refresh(s), 0);
        sim_rotate(s, "timestamp");
        sim_publish_root(s);
        sim_set_version(s, "timestamp", 1);
        sim_publish(s, "timestamp");
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_local_version(s, "timestamp"), 1);
        /* both files were deleted, as the rule says, so the snapshot came again */
        assert_string_equal(s->requests.data, "2.root.json 3.root.json timestamp.json 1.snapshot.json ");
}

static void test_snapshot_rotation(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_set_version(s, "snapshot", 99998);
        sim_set_version(s, "targets", 99998);
        sim_release(s, "targets");
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_local_version(s, "snapshot"), 99999);

        sim_rotate(s, "snapshot");
        sim_publish_root(s);
        sim_set_version(s, "snapshot", 1);
        sim_set_version(s, "targets", 1);
        sim_release(s, "targets");
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_local_version(s, "snapshot"), 2);
        assert_int_equal(sim_local_version(s, "targets"), 2);
}

/* The rotation is not forgotten where more roots follow it. */
static void test_rotation_amid_the_chain(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_set_version(s, "snapshot", 99999);
        sim_publish_snapshot(s);
        assert_int_equal(sim_refresh(s), 0);
        sim_rotate(s, "timestamp");
        sim_publish_root(s);
        sim_publish_root(s);
        sim_set_version(s, "snapshot", 1);
        sim_publish_snapshot(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(sim_local_version(s, "snapshot"), 2);
        assert_int_equal(sim_local_version(s, "root"), 3);
}

/* A key added, or a threshold changed, is no rotation: what was seen stays seen. */
static void test_added_key_is_no_rotation(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_publish_timestamp(s);
        sim_publish_timestamp(s);
        assert_int_equal(sim_refresh(s), 0);
        sim_add_key(s, "root", "timestamp");
        sim_publish_root(s);
        sim_set_version(s, "timestamp", 2);
        sim_publish(s, "timestamp");
        assert_refused(s, sim_refresh(s), ERROR_UNTRUSTED, "timestamp.json goes back from version 3 to 2");
        assert_int_equal(sim_local_version(s, "timestamp"), 3);
}

/* An expired root ends the update before anything is deleted (5.3.10 before 5.3.11). */
static void test_expired_root_deletes_nothing(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        assert_int_equal(sim_refresh(s), 0);
        sim_rotate(s, "timestamp");
        sim_expire(s, "root", SIM_PAST);
        sim_publish_root(s);
        assert_refused(s, sim_refresh(s), ERROR_REFUSED, "expired");
        assert_int_equal(sim_local_version(s, "timestamp"), 1);
}

/* Looks at the local copies alone, and lets them be old. */
static void test_offline(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        const char *role;

        s->options.offline = true;
        assert_refused(s, sim_refresh(s), ERROR_FAILED, "no usable copy of the timestamp");
        s->options.offline = false;
        sim_expire(s, "timestamp", "2028-01-01T00:00:00Z");
        sim_publish_timestamp(s);
        assert_int_equal(sim_refresh(s), 0);
        s->options.offline = true;
        s->options.now_usec *= 10;
        assert_int_equal(sim_refresh(s), 0);
        assert_string_equal(s->requests.data, "");
        assert_int_equal(updater_expires(s->updater, &role), UINT64_C(1830297600) * USEC_PER_SEC);
        assert_string_equal(role, "timestamp");
}

static void test_protocol(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        UpdaterStep step;

        assert_int_equal(updater_new(&s->options, &s->updater), 0);
        assert_int_equal(updater_feed(s->updater, "", 0, NULL), -EPROTO);
        assert_int_equal(updater_feed_missing(s->updater, NULL), -EPROTO);
        assert_int_equal(updater_find(s->updater, "x", NULL), -EBUSY);
        assert_int_equal(updater_next(s->updater, &step, NULL), 1);
        assert_int_equal(updater_next(s->updater, &step, NULL), -EPROTO);
        assert_int_equal(updater_expires(s->updater, NULL), UINT64_MAX);
        assert_int_equal(updater_version(s->updater, "root"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_first_refresh),
                        cmocka_unit_test(test_second_refresh),
                        cmocka_unit_test(test_no_root),
                        cmocka_unit_test(test_bad_first_root),
                        cmocka_unit_test(test_chain),
                        cmocka_unit_test(test_root_rotation),
                        cmocka_unit_test(test_root_not_by_old),
                        cmocka_unit_test(test_root_not_by_new),
                        cmocka_unit_test(test_root_thresholds),
                        cmocka_unit_test(test_root_wrong_version),
                        cmocka_unit_test(test_root_expiry),
                        cmocka_unit_test(test_root_count),
                        cmocka_unit_test(test_root_size),
                        cmocka_unit_test(test_timestamp_rotation),
                        cmocka_unit_test(test_snapshot_rotation),
                        cmocka_unit_test(test_rotation_amid_the_chain),
                        cmocka_unit_test(test_added_key_is_no_rotation),
                        cmocka_unit_test(test_expired_root_deletes_nothing),
                        cmocka_unit_test(test_offline),
                        cmocka_unit_test(test_protocol),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
