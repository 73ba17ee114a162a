#include <errno.h>

#include "simulator.h"
#include "trust/updater-internal.h"

/* A delegation graph: "DELEGATOR ROLE PATTERNS", a '!' before the role where it is terminating. */
static Simulator *graph(const char *const *edges) {
        Simulator *s = sim_new();

        for (; *edges; edges++) {
                char by[16], role[16], patterns[64];
                const char *name = role;

                assert_int_equal(sscanf(*edges, "%15s %15s %63[^\n]", by, role, patterns), 3);
                if (*name == '!')
                        name++;
                sim_delegate(s, by, name, patterns, name != role);
        }
        sim_release_all(s);
        return s;
}

static void check_order(const char *target, const char *requests, const char *const *edges) {
        _cleanup_sim_ Simulator *s = graph(edges);

        assert_int_equal(sim_find(s, target), 0);
        assert_null(updater_target(s->updater));
        assert_string_equal(s->requests.data, requests);
}

#define EDGES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_order(void **state _unused_) {
        check_order("x", "1.A.json ", EDGES("targets A *"));
        check_order("x", "1.A.json 1.B.json ", EDGES("targets A *", "targets B *"));
        check_order("x", "1.A.json 1.B.json 1.C.json ", EDGES("targets A *", "targets B *", "B C *"));
        check_order("x", "1.A.json 1.C.json 1.D.json 1.B.json ",
                        EDGES("targets A *", "targets B *", "A C *", "A D *"));
        check_order("x", "1.A.json 1.C.json 1.D.json 1.B.json ",
                        EDGES("targets A *", "targets B *", "A C *", "C D *"));
}

static void test_terminating(void **state _unused_) {
        check_order("x", "1.A.json 1.C.json ", EDGES("targets A *", "targets B *", "A !C *", "A D *"));
        check_order("x", "1.A.json 1.C.json 1.D.json ",
                        EDGES("targets A *", "targets B *", "A !C *", "C D *"));
        /* what stands before the terminating one was searched before it */
        check_order("x", "1.A.json 1.B.json ", EDGES("targets A *", "targets !B *", "targets C *"));
        /* one that does not match ends nothing */
        check_order("x", "1.B.json ", EDGES("targets !A *.py", "targets B *"));
}

static void test_paths(void **state _unused_) {
        check_order("x", "1.B.json ", EDGES("targets A *.py", "targets B *", "A C *"));
        check_order("x", "1.A.json 1.B.json ", EDGES("targets A *", "targets B *", "A C *.py", "C D *"));
        check_order("d/x", "1.B.json ", EDGES("targets A *", "targets B d/*"));
        check_order("d/x", "", EDGES("targets A d?x"));
}

static void test_cycles(void **state _unused_) {
        check_order("x", "1.A.json 1.B.json 1.C.json 1.D.json ",
                        EDGES("targets A *", "targets B *", "B C *", "C D *", "D B *"));
        check_order("x", "1.A.json ", EDGES("targets A *", "A A *"));
}

static void test_diamond(void **state _unused_) {
        check_order("x", "1.A.json 1.C.json 1.B.json ",
                        EDGES("targets A *", "targets B *", "B C *", "A C *"));
        check_order("x", "1.A.json 1.B.json 1.C.json ",
                        EDGES("targets A *", "targets B *", "B C *", "A C *.py"));
}

/* No more roles than the limit are visited: endless delegations. */
static void test_limit(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *", "A B *", "B C *", "C D *"));

        sim_add_target(s, "D", "x", "content");
        sim_release_all(s);
        s->options.delegations_max = 3;
        assert_int_equal(sim_find(s, "x"), 0);
        assert_null(updater_target(s->updater));
        assert_string_equal(s->requests.data, "1.A.json 1.B.json 1.C.json ");
        s->options.delegations_max = 4;
        assert_int_equal(sim_find(s, "x"), 0);
        assert_non_null(updater_target(s->updater));
        assert_string_equal(s->requests.data, "1.D.json "); /* the others are here already */
}

static void test_found(void **state _unused_) {
        _cleanup_sim_ Simulator *s =
                        graph(EDGES("targets A *", "targets B releases/*/*", "B C releases/x/*"));
        _cleanup_free_ char *url = NULL, *plain = NULL;
        char prefix[HASHES_PREFIX_MAX];
        const TargetFile *t;

        sim_add_target(s, "targets", "top", "top's");
        sim_add_target(s, "A", "releases/x/v1", "A's, who may not");
        sim_add_target(s, "C", "releases/x/v1", "C's");
        set(json_object_get(json_object_get(sim_signed(s, "C"), "targets"), "releases/x/v1"), "custom",
                        json_pack("{s:i}", "answer", 42));
        sim_release_all(s);
        assert_int_equal(sim_find(s, "releases/x/v1"), 0);
        t = updater_target(s->updater);
        assert_non_null(t);
        assert_string_equal(t->name, "releases/x/v1");
        assert_int_equal(t->length, 3);
        assert_int_equal(hashes_match(&t->hashes, "C's", 3), 1);
        assert_int_equal(json_get_integer(t->custom, "answer", 0), 42);
        assert_string_equal(s->requests.data, "1.B.json 1.C.json ");
        assert_int_equal(updater_target_url(s->updater, t, &url), 0);
        plain = text_format("releases/x/%s.v1", hashes_prefix(&t->hashes, prefix));
        assert_string_equal(url, plain);

        assert_int_equal(sim_find(s, "top"), 0);
        assert_non_null(updater_target(s->updater));
        assert_string_equal(s->requests.data, "");
        assert_int_equal(sim_find(s, "releases/x/v2"), 0);
        assert_null(updater_target(s->updater));
}

/* The first role that speaks is believed. */
static void test_priority(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *", "targets B *"));

        sim_add_target(s, "A", "x", "A's");
        sim_add_target(s, "B", "x", "B's own");
        sim_release_all(s);
        assert_int_equal(sim_find(s, "x"), 0);
        assert_int_equal(updater_target(s->updater)->length, 3);
        assert_string_equal(s->requests.data, "1.A.json ");
}

static void test_target_url(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        TargetFile t = {.name = (char *) "d r/a+b#?%.tar"};
        _cleanup_free_ char *url = NULL;

        set(sim_signed(s, "root"), "consistent_snapshot", json_false());
        sim_publish_root(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(updater_target_url(s->updater, &t, &url), 0);
        assert_string_equal(url, "d%20r/a%2Bb%23%3F%25.tar");
}

/* --- trust in delegated roles --- */

static void test_delegated_unsigned(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *"));

        sim_drop_signers(s, "A");
        sim_release(s, "A");
        assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "2.A.json: signed by 0 of the 1");
        assert_int_equal(sim_local_version(s, "A"), 0);
}

static void test_delegated_threshold(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *"));

        sim_set_threshold(s, "targets", "A", 2);
        sim_release(s, "targets");
        assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "1.A.json: signed by 1 of the 2");
        sim_add_key(s, "targets", "A");
        sim_release(s, "targets");
        sim_release(s, "A");
        assert_int_equal(sim_find(s, "x"), 0);
}

static void test_delegated_expired(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *"));
        const char *role;

        sim_expire(s, "A", "2028-01-01T00:00:00Z");
        sim_release(s, "A");
        assert_int_equal(sim_find(s, "x"), 0);
        assert_int_equal(updater_expires(s->updater, &role), UINT64_C(1830297600) * USEC_PER_SEC);
        assert_string_equal(role, "A");
        s->options.now_usec = UINT64_C(1830297600) * USEC_PER_SEC;
        assert_refused(s, sim_find(s, "x"), ERROR_REFUSED, "2.A.json expired");
        assert_int_equal(sim_local_version(s, "A"), 2);
}

static void test_delegated_rollback(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *"));

        sim_release(s, "A");
        assert_int_equal(sim_find(s, "x"), 0);
        sim_set_version(s, "A", 1);
        sim_describe(s, "snapshot", "A");
        sim_publish_snapshot(s);
        assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "A.json goes back from version 2 to 1");
}

static void test_delegated_version(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *"));
        _cleanup_free_ char *data = NULL;
        size_t size;

        sim_set_version(s, "A", 5);
        data = sim_bytes(s, "A", &size);
        files_put(&s->server, "1.A.json", data, size);
        assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "1.A.json is version 5, where 1 is signed");
        assert_int_equal(sim_local_version(s, "A"), 0);
}

static void test_delegated_hash(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *"));

        s->state_hashes = true;
        sim_release(s, "A");
        assert_int_equal(sim_find(s, "x"), 0);
        sim_release(s, "A");
        sim_expire(s, "A", "2031-01-01T00:00:00Z");
        sim_publish(s, "A");
        assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "A.json does not have the hash that is signed");
        assert_int_equal(sim_local_version(s, "A"), 2);
}

/* A role that cannot be had ends the search: the next one does not get to speak in its place. */
static void test_delegated_missing(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A *", "targets B *"));

        sim_add_target(s, "B", "x", "B's");
        sim_release_all(s);
        files_remove(&s->server, "1.A.json");
        assert_refused(s, sim_find(s, "x"), ERROR_FAILED, "the repository has no 1.A.json");
}

static void test_delegated_not_in_snapshot(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        sim_delegate(s, "targets", "A", "*", false);
        sim_publish(s, "A");
        sim_release(s, "targets");
        assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "the snapshot does not list A.json");
}

/* C is delegated to by A and by B with different keys. What A's key signed says nothing for B. */
static void test_reverified_by_delegator(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(EDGES("targets A a", "targets B b", "A C a", "B C b"));
        json_t *keys, *d = sim_description(s, "B", "C", &keys);
        PrivateKey *other;

        json_array_clear(json_object_get(d, "keyids"));
        assert_int_equal(private_key_generate(KEY_ED25519, &other, NULL), 0);
        sim_trust_key(s, "B", "C", other);
        sim_release_all(s);
        assert_int_equal(sim_find(s, "a"), 0); /* C is in the local cache now, and in memory */
        assert_int_equal(updater_find(s->updater, "b", &s->error), 0);
        assert_refused(s, sim_drive(s), ERROR_UNTRUSTED, "1.C.json: signed by 0 of the 1");
        assert_refused(s, sim_find(s, "b"), ERROR_UNTRUSTED, "1.C.json: signed by 0 of the 1");

        /* signed by both keys it is good for both */
        sim_role(s, "C")->keys[sim_role(s, "C")->n_keys++] = other;
        sim_release(s, "C");
        assert_int_equal(sim_find(s, "a"), 0);
        text_clear(&s->requests);
        assert_int_equal(updater_find(s->updater, "b", &s->error), 0);
        assert_int_equal(sim_drive(s), 0);
        assert_null(strstr(s->requests.data ?: "", "C"));
}

/* --- names --- */

static void test_role_names(void **state _unused_) {
        static const struct {
                const char *role, *quoted;
        } cases[] = {{"?", "%3F"}, {"#", "%23"}, {"/x", "%2Fx"}, {"../x", "..%2Fx"}, {"..", ".."},
                        {"a b", "a%20b"}, {"\xc3\xa9", "%C3%A9"}, {"%2F", "%252F"}};

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_sim_ Simulator *s = sim_new();
                _cleanup_free_ char *data = NULL, *url = text_format("1.%s.json", cases[i].quoted),
                                    *file = text_format("%s.json", cases[i].quoted),
                                    *requests = text_format("%s ", url);
                size_t size;

                sim_delegate(s, "targets", cases[i].role, "*", false);
                data = sim_bytes(s, cases[i].role, &size);
                files_put(&s->server, url, data, size);
                sim_release_all(s);
                assert_int_equal(sim_find(s, "x"), 0);
                assert_string_equal(s->requests.data, requests);
                assert_non_null(files_find(&s->local, file));
                assert_int_equal(s->local.n, 5);
        }
}

/* A delegated role that is called as a top-level one would overwrite its file. */
static void test_role_names_refused(void **state _unused_) {
        static const char *const names[] = {"root", "timestamp", "snapshot", "targets", "mirrors", ""};

        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                _cleanup_sim_ Simulator *s = sim_new();

                sim_delegate(s, "targets", "A", "*", false);
                set(json_array_get(json_object_get(json_object_get(sim_signed(s, "targets"), "delegations"),
                                                   "roles"),
                                    0),
                                "name", json_string(names[i]));
                sim_release(s, "targets");
                assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "a delegated role may not be called");
        }
}

static void test_role_name_too_long(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();
        char name[300];

        memset(name, 'x', sizeof(name));
        name[sizeof(name) - 1] = 0;
        sim_delegate(s, "targets", name, "*", false);
        sim_release_all(s);
        assert_refused(s, sim_find(s, "x"), ERROR_UNTRUSTED, "is too long");
}

/* --- hash bins --- */

static void delegate_by_prefixes(Simulator *s, const char *role, const char *digits) {
        json_t *delegation, *prefixes = json_array(), *keys;

        sim_delegate(s, "targets", role, "", false);
        for (; *digits; digits++)
                json_array_append_new(prefixes, json_stringn(digits, 1));
        delegation = sim_description(s, "targets", role, &keys);
        json_object_del(delegation, "paths");
        set(delegation, "path_hash_prefixes", prefixes);
}

/* sha256("x") begins with 2d, sha256("file") with 3b */
static void test_path_hash_prefixes(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        delegate_by_prefixes(s, "low", "0123456789");
        delegate_by_prefixes(s, "high", "abcdef");
        sim_release_all(s);
        assert_int_equal(sim_find(s, "x"), 0);
        assert_string_equal(s->requests.data, "1.low.json ");
        assert_int_equal(sim_find(s, "c"), 0); /* 2e */
        assert_string_equal(s->requests.data, "");
        assert_int_equal(sim_find(s, "a"), 0); /* ca */
        assert_string_equal(s->requests.data, "1.high.json ");
}

static void test_succinct(void **state _unused_) {
        static const struct {
                int bits;
                const char *role;
        } cases[] = {{1, "bin-0"}, {4, "bin-2"}, {5, "bin-05"}, {8, "bin-2d"}, {12, "bin-2d7"},
                        {32, "bin-2d711642"}};

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_sim_ Simulator *s = sim_new();
                _cleanup_free_ char *requests = text_format("1.%s.json ", cases[i].role);

                set(sim_signed(s, "targets"), "delegations",
                                json_pack("{s:{}, s:{s:[], s:i, s:i, s:s}}", "keys", "succinct_roles",
                                                "keyids", "threshold", 1, "bit_length", cases[i].bits,
                                                "name_prefix", "bin"));
                sim_add_role(s, cases[i].role, sim_new_targets());
                sim_add_key(s, "targets", cases[i].role);
                sim_add_target(s, cases[i].role, "x", "content");
                sim_release_all(s);
                assert_int_equal(sim_find(s, "x"), 0);
                assert_string_equal(s->requests.data, requests);
                assert_non_null(updater_target(s->updater));
        }
}

/* --- lists --- */

static char *list(Simulator *s, const char *prefix) {
        const TargetFile *t;
        Text names = TEXT_INIT;

        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(updater_list(s->updater, prefix, &s->error), 0);
        assert_int_equal(sim_drive(s), 0);
        assert_int_equal(text_adds(&names, ""), 0);
        for (size_t i = 0, n = updater_targets(s->updater, &t); i < n; i++)
                assert_int_equal(text_addf(&names, "%s:%d ", t[i].name, (int) t[i].length), 0);
        assert_null(updater_target(s->updater));
        return text_take(&names);
}

/* A name is listed where the search for it succeeds, and with what the search finds. */
static void test_list(void **state _unused_) {
        _cleanup_sim_ Simulator *s = graph(
                        EDGES("targets !A app/*", "targets B *", "targets C app/*", "targets D other/*"));
        _cleanup_free_ char *app = NULL, *all = NULL, *none = NULL;

        sim_add_target(s, "targets", "app/top", "1");
        sim_add_target(s, "A", "app/a", "22");
        sim_add_target(s, "A", "b", "22"); /* may not */
        sim_add_target(s, "B", "b", "333");
        sim_add_target(s, "C", "app/c", "4444"); /* behind the terminating A */
        sim_add_target(s, "D", "other/d", "5");
        sim_release_all(s);
        app = list(s, "app/");
        assert_string_equal(app, "app/a:2 app/top:1 ");
        assert_null(strstr(s->requests.data, "D.json"));
        all = list(s, "");
        assert_string_equal(all, "app/a:2 app/top:1 b:3 other/d:1 ");
        none = list(s, "nothing/");
        assert_string_equal(none, "");
}

/* Of a million bins no more are kept in mind than may be visited. */
static void test_list_of_bins(void **state _unused_) {
        _cleanup_sim_ Simulator *s = sim_new();

        set(sim_signed(s, "targets"), "delegations",
                        json_pack("{s:{}, s:{s:[], s:i, s:i, s:s}}", "keys", "succinct_roles", "keyids",
                                        "threshold", 1, "bit_length", 20, "name_prefix", "bin"));
        sim_add_role(s, "bin-00000", sim_new_targets());
        sim_add_key(s, "targets", "bin-00000");
        sim_add_target(s, "bin-00000", "x", "content");
        sim_release_all(s);
        assert_int_equal(sim_refresh(s), 0);
        assert_int_equal(updater_list(s->updater, "", &s->error), 0);
        assert_true(s->updater->search->n_stack <= 100);
        assert_int_equal(sim_drive(s), -EBADMSG); /* the second one is not there */
        assert_non_null(strstr(s->requests.data, "bin-00000.json"));
        assert_non_null(strstr(s->error.message, "bin-00001.json"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_order),
                        cmocka_unit_test(test_terminating),
                        cmocka_unit_test(test_paths),
                        cmocka_unit_test(test_cycles),
                        cmocka_unit_test(test_diamond),
                        cmocka_unit_test(test_limit),
                        cmocka_unit_test(test_found),
                        cmocka_unit_test(test_priority),
                        cmocka_unit_test(test_target_url),
                        cmocka_unit_test(test_delegated_unsigned),
                        cmocka_unit_test(test_delegated_threshold),
                        cmocka_unit_test(test_delegated_expired),
                        cmocka_unit_test(test_delegated_rollback),
                        cmocka_unit_test(test_delegated_version),
                        cmocka_unit_test(test_delegated_hash),
                        cmocka_unit_test(test_delegated_missing),
                        cmocka_unit_test(test_delegated_not_in_snapshot),
                        cmocka_unit_test(test_reverified_by_delegator),
                        cmocka_unit_test(test_role_names),
                        cmocka_unit_test(test_role_names_refused),
                        cmocka_unit_test(test_role_name_too_long),
                        cmocka_unit_test(test_path_hash_prefixes),
                        cmocka_unit_test(test_succinct),
                        cmocka_unit_test(test_list),
                        cmocka_unit_test(test_list_of_bins),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
