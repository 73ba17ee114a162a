#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "trust/metadata.h"

#define COMMON(type)                                                                                         \
        "\"_type\":\"" type                                                                                  \
        "\",\"spec_version\":\"1.0.34\",\"version\":3,\"expires\":\"2030-01-01T00:00:00Z\""
#define ROLE "{\"keyids\":[],\"threshold\":1}"
#define ROOT                                                                                                 \
        "{" COMMON("root") ",\"keys\":{},\"roles\":{\"root\":" ROLE ",\"timestamp\":" ROLE                   \
                           ",\"snapshot\":" ROLE ",\"targets\":" ROLE "}}"
#define TIMESTAMP "{" COMMON("timestamp") ",\"meta\":{\"snapshot.json\":{\"version\":7,\"length\":100}}}"
#define SNAPSHOT                                                                                             \
        "{" COMMON("snapshot") ",\"meta\":{\"targets.json\":{\"version\":2},\"a/b.json\":{\"version\":5}}}"
#define HASHES "\"hashes\":{\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}"
#define TARGETS                                                                                              \
        "{" COMMON("targets") ",\"targets\":{\"app/x\":{\"length\":3," HASHES ",\"custom\":{\"a\":1}}}}"

static int parse_raw(MetadataType type, const char *text, size_t size, Metadata **ret, const char *says) {
        _cleanup_error_ Error e = ERROR_INIT;
        int r;

        r = metadata_parse("file.json", type, text, size, ret, &e);
        if (r < 0 && says) {
                assert_int_equal(e.class, ERROR_UNTRUSTED);
                assert_non_null(strstr(e.message, "file.json"));
                if (!strstr(e.message, says))
                        fail_msg("\"%s\" does not say \"%s\"", e.message, says);
        }
        return r;
}

static Metadata *parse(MetadataType type, const char *signed_part) {
        _cleanup_free_ char *text = text_format("{\"signed\":%s,\"signatures\":[]}", signed_part);
        Metadata *m = NULL;

        assert_int_equal(parse_raw(type, text, strlen(text), &m, "nothing"), 0);
        return m;
}

static void refuse(MetadataType type, const char *signed_part, const char *says) {
        _cleanup_free_ char *text = text_format("{\"signed\":%s,\"signatures\":[]}", signed_part);
        Metadata *m;

        assert_int_equal(parse_raw(type, text, strlen(text), &m, says), -EINVAL);
}

static void test_types(void **state _unused_) {
        _cleanup_(metadata_free_p) Metadata *root = parse(METADATA_ROOT, ROOT),
                                            *t = parse(METADATA_TIMESTAMP, TIMESTAMP),
                                            *s = parse(METADATA_SNAPSHOT, SNAPSHOT),
                                            *targets = parse(METADATA_TARGETS, TARGETS);
        MetaFile f;

        assert_int_equal(metadata_version(root), 3);
        assert_int_equal(metadata_expires(root), UINT64_C(1893456000) * USEC_PER_SEC);
        assert_int_equal(metadata_type(root), METADATA_ROOT);
        assert_string_equal(role_name(metadata_root_role(root, METADATA_SNAPSHOT)), "snapshot");
        assert_false(metadata_root_consistent_snapshot(root));
        assert_true(metadata_meta(t, "snapshot.json", &f));
        assert_int_equal(f.version, 7);
        assert_int_equal(f.length, 100);
        assert_false(f.has_hashes);
        assert_true(metadata_meta(s, "a/b.json", &f));
        assert_int_equal(f.length, -1);
        assert_false(metadata_meta(s, "b.json", &f));
        assert_non_null(metadata_target(targets, "app/x"));
        assert_null(metadata_target(targets, "app/y"));
        assert_null(metadata_delegations(targets));
}

/* --- hostile input --- */

static void test_envelope(void **state _unused_) {
        static const struct {
                const char *text, *says;
        } cases[] = {
                        {"", "not valid JSON"},
                        {"[]", "not a metadata file"},
                        {"{}", "not a metadata file"},
                        {"{\"signed\":{}}", "not a metadata file"},
                        {"{\"signed\":[],\"signatures\":[]}", "not a metadata file"},
                        {"{\"signed\":{},\"signatures\":{}}", "not a metadata file"},
                        {"{\"signed\":{},\"signatures\":[5]}", "a signature without"},
                        {"{\"signed\":{},\"signatures\":[{\"keyid\":\"a\"}]}", "a signature without"},
                        {"{\"signed\":{},\"signatures\":[{\"sig\":\"a\"}]}", "a signature without"},
                        {"{\"signed\":{},\"signatures\":[{\"keyid\":\"a\",\"sig\":\"\"},{\"keyid\":\"a\","
                         "\"sig\":\"00\"}]}",
                                        "two signatures by key a"},
                        {"{\"signed\":{},\"signatures\":[]} x", "not valid JSON"},
                        {"{\"signed\":{},\"signed\":{},\"signatures\":[]}", "duplicate"},
                        {"{\"signed\":{\"a\":1,\"\\u0061\":2},\"signatures\":[]}", "duplicate"},
                        {"{\"signed\":{\"a\":1.0},\"signatures\":[]}", "fraction"},
                        {"{\"signed\":{\"a\":1e3},\"signatures\":[]}", "fraction"},
                        {"{\"signed\":{\"a\":9223372036854775808},\"signatures\":[]}", "not valid JSON"},
                        {"{\"signed\":{\"a\":\"\\u0000\"},\"signatures\":[]}", "not valid JSON"},
                        {"{\"signed\":{\"a\\u0000b\":1},\"signatures\":[]}", "not valid JSON"},
                        {"{\"signed\":{\"a\":\"\xff\"},\"signatures\":[]}", "not valid JSON"},
                        {"{\"signed\":{\"a\":\"\xed\xa0\x80\"},\"signatures\":[]}", "not valid JSON"},
                        {"{\"signed\":{\"a\":\"\\ud800\"},\"signatures\":[]}", "not valid JSON"},
                        {"{\"signed\":{\"a\":\"\xc0\xaf\"},\"signatures\":[]}", "not valid JSON"},
                        {"\xef\xbb\xbf{\"signed\":{},\"signatures\":[]}", "not valid JSON"},
        };
        Metadata *m;

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                assert_int_equal(parse_raw(METADATA_ROOT, cases[i].text, strlen(cases[i].text), &m,
                                                 cases[i].says),
                                -EINVAL);
        assert_int_equal(parse_raw(METADATA_ROOT, "{}\0{}", 5, &m, "not valid JSON"), -EINVAL);
}

static void test_deep(void **state _unused_) {
        size_t n = 200000;
        _cleanup_free_ char *text = malloc(n);
        Metadata *m;

        memset(text, '[', n);
        assert_int_equal(parse_raw(METADATA_ROOT, text, n, &m, "nested deeper"), -EINVAL);
        for (size_t i = 0; i + 5 <= n; i += 5)
                memcpy(text + i, "{\"a\":", 5);
        assert_int_equal(parse_raw(METADATA_ROOT, text, n, &m, "nested deeper"), -EINVAL);
}

static void test_common(void **state _unused_) {
#define WITH(type, spec, version, expires)                                                                   \
        "{\"_type\":" type ",\"spec_version\":" spec ",\"version\":" version ",\"expires\":" expires         \
        ",\"targets\":{}}"
#define GOOD_TIME "\"2030-01-01T00:00:00Z\""
        static const char *const good_specs[] = {"\"1.0.0\"", "\"1.0.34\"", "\"1.0\"", "\"1.1.0\""};
        static const char *const bad_specs[] = {"\"2.0.0\"", "\"0.9.0\"", "\"1\"", "\"1.\"", "\"1.0.\"",
                        "\"1.a.0\"", "\"1.0.0.0\"", "\"10.0.0\"", "1", "null", "\"\""};
        static const char *const bad_times[] = {"\"2030-01-01\"", "\"2030-01-01T00:00:00\"",
                        "\"2030-01-01T00:00:00+00:00\"", "\"2030-02-30T00:00:00Z\"",
                        "\"2030-01-01T00:00:00.Z\"", "\"2030-01-01T00:00:00.5\"", "\"2030-01-01T00:00.5Z\"",
                        "\" 2030-01-01T00:00:00Z\"", "1893456000", "\"\""};
        _cleanup_(metadata_free_p) Metadata *fraction = NULL;

        refuse(METADATA_TARGETS, WITH("\"root\"", "\"1.0.0\"", "1", GOOD_TIME),
                        "the \"_type\" is root, not targets");
        refuse(METADATA_TARGETS, WITH("5", "\"1.0.0\"", "1", GOOD_TIME), "the \"_type\" is missing");
        refuse(METADATA_TARGETS, WITH("\"targets\"", "\"1.0.0\"", "0", GOOD_TIME), "\"version\"");
        refuse(METADATA_TARGETS, WITH("\"targets\"", "\"1.0.0\"", "-1", GOOD_TIME), "\"version\"");
        refuse(METADATA_TARGETS, WITH("\"targets\"", "\"1.0.0\"", "\"1\"", GOOD_TIME), "\"version\"");
        refuse(METADATA_TARGETS, WITH("\"targets\"", "\"1.0.0\"", "true", GOOD_TIME), "\"version\"");
        for (size_t i = 0; i < ELEMENTS_OF(good_specs); i++) {
                _cleanup_free_ char *text =
                                text_format(WITH("\"targets\"", "%s", "1", GOOD_TIME), good_specs[i]);

                metadata_free(parse(METADATA_TARGETS, text));
        }
        for (size_t i = 0; i < ELEMENTS_OF(bad_specs); i++) {
                _cleanup_free_ char *text =
                                text_format(WITH("\"targets\"", "%s", "1", GOOD_TIME), bad_specs[i]);

                refuse(METADATA_TARGETS, text, "version");
        }
        for (size_t i = 0; i < ELEMENTS_OF(bad_times); i++) {
                _cleanup_free_ char *text =
                                text_format(WITH("\"targets\"", "\"1.0.0\"", "1", "%s"), bad_times[i]);

                refuse(METADATA_TARGETS, text, "\"expires\"");
        }
        fraction = parse(METADATA_TARGETS,
                        WITH("\"targets\"", "\"1.0.0\"", "1", "\"2030-01-01T00:00:00.999Z\""));
        assert_int_equal(metadata_expires(fraction), UINT64_C(1893456000) * USEC_PER_SEC);
}

/* Replaces the first @what in a good file and expects the refusal. */
static void refuse_with(
                MetadataType type, const char *good, const char *what, const char *by, const char *says) {
        const char *at = strstr(good, what);
        _cleanup_free_ char *text = NULL;

        assert_non_null(at);
        text = text_format("%.*s%s%s", (int) (at - good), good, by, at + strlen(what));
        refuse(type, text, says);
}

static void test_root_form(void **state _unused_) {
        refuse_with(METADATA_ROOT, ROOT, "\"keys\":{}", "\"keys\":[]", "\"keys\" is not an object");
        refuse_with(METADATA_ROOT, ROOT, "\"keys\":{}", "\"keys\":{\"a\":{}}", "key a has no");
        refuse_with(METADATA_ROOT, ROOT, "\"keys\":{}", "\"consistent_snapshot\":1,\"keys\":{}",
                        "consistent_snapshot");
        refuse_with(METADATA_ROOT, ROOT, "\"snapshot\":" ROLE ",", "",
                        "snapshot is not the description of a role");
        refuse_with(METADATA_ROOT, ROOT, "\"snapshot\":" ROLE, "\"snapshot\":[]",
                        "snapshot is not the description");
        refuse_with(METADATA_ROOT, ROOT, "\"roles\":{", "\"roles\":{\"x\":1},\"rolls\":{",
                        "not the description");
}

/* A threshold of zero would let unsigned metadata pass. */
static void test_threshold_form(void **state _unused_) {
        static const char *const bad[] = {"0", "-1", "\"1\"", "true", "null", "4294967297"};

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
                _cleanup_free_ char *role = text_format("{\"keyids\":[],\"threshold\":%s}", bad[i]);

                refuse_with(METADATA_ROOT, ROOT, ROLE, role, "the threshold is not a number above zero");
        }
        refuse_with(METADATA_ROOT, ROOT, ROLE, "{\"keyids\":[\"a\",\"a\"],\"threshold\":2}",
                        "keyid a stands twice");
        refuse_with(METADATA_ROOT, ROOT, ROLE, "{\"keyids\":[5],\"threshold\":1}", "what is not text");
        refuse_with(METADATA_ROOT, ROOT, ROLE, "{\"threshold\":1}", "is not a list");
}

static void test_meta_form(void **state _unused_) {
        refuse_with(METADATA_TIMESTAMP, TIMESTAMP, "snapshot.json", "other.json",
                        "does not list snapshot.json");
        refuse_with(METADATA_TIMESTAMP, TIMESTAMP, "\"version\":7", "\"version\":0",
                        "snapshot.json: the \"version\"");
        refuse_with(METADATA_TIMESTAMP, TIMESTAMP, "\"length\":100", "\"length\":0",
                        "snapshot.json: the \"length\"");
        refuse_with(METADATA_TIMESTAMP, TIMESTAMP, "\"length\":100", "\"length\":\"1\"",
                        "snapshot.json: the \"length\"");
        refuse_with(METADATA_TIMESTAMP, TIMESTAMP, "\"length\":100", "\"hashes\":{}", "at least one hash");
        refuse_with(METADATA_SNAPSHOT, SNAPSHOT, "targets.json", "other.json", "does not list targets.json");
        refuse_with(METADATA_SNAPSHOT, SNAPSHOT, "{\"version\":5}", "5", "a/b.json: the \"version\"");
}

static void test_targets_form(void **state _unused_) {
        refuse_with(METADATA_TARGETS, TARGETS, "\"targets\":{\"app", "\"targets\":[],\"x\":{\"app",
                        "\"targets\" is not an object");
        refuse_with(METADATA_TARGETS, TARGETS, "\"length\":3", "\"length\":-3",
                        "target app/x: the \"length\"");
        refuse_with(METADATA_TARGETS, TARGETS, HASHES, "\"hashes\":{}", "at least one hash");
        refuse_with(METADATA_TARGETS, TARGETS, "sha256", "md5", "not known here: md5");
        refuse_with(METADATA_TARGETS, TARGETS, "{\"a\":1}", "[]", "\"custom\" is not an object");
}

static void refuse_delegations(const char *delegations, const char *says) {
        _cleanup_free_ char *by = text_format("\"delegations\":%s,\"targets\":{\"app", delegations);

        refuse_with(METADATA_TARGETS, TARGETS, "\"targets\":{\"app", by, says);
}

static void test_delegations_form(void **state _unused_) {
#define DELEGATION(rest) "{\"keys\":{},\"roles\":[{\"name\":\"A\",\"keyids\":[],\"threshold\":1" rest "}]}"
#define BINS(rest)       "{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":1" rest "}}"
        refuse_delegations("5", "\"keys\" is not an object");
        refuse_delegations("{\"roles\":[]}", "\"keys\" is not an object");
        refuse_delegations("{\"keys\":{}}", "exactly one of");
        refuse_delegations("{\"keys\":{},\"roles\":[],\"succinct_roles\":{}}", "exactly one of");
        refuse_delegations("{\"keys\":{},\"roles\":{}}", "\"roles\" is not a list");
        refuse_delegations("{\"keys\":{},\"roles\":[{}]}", "a delegation is not the description of a role");
        refuse_delegations(DELEGATION(",\"paths\":[],\"path_hash_prefixes\":[]"), "both \"paths\" and");
        refuse_delegations(DELEGATION(",\"paths\":\"*\""), "\"paths\" is not a list");
        refuse_delegations(DELEGATION(",\"paths\":[5]"), "what is not text");
        refuse_delegations(DELEGATION(",\"path_hash_prefixes\":[5]"), "what is not text");
        refuse_delegations(DELEGATION(",\"terminating\":1"), "\"terminating\" is not true or false");
        refuse_delegations("{\"keys\":{},\"roles\":[{\"name\":\"A\",\"keyids\":[],\"threshold\":1},"
                           "{\"name\":\"A\",\"keyids\":[],\"threshold\":1}]}",
                        "role A stands twice");
        refuse_delegations(BINS(""), "needs a \"name_prefix\"");
        refuse_delegations(BINS(",\"name_prefix\":\"b\",\"bit_length\":0"), "needs a \"name_prefix\"");
        refuse_delegations(BINS(",\"name_prefix\":\"b\",\"bit_length\":33"), "needs a \"name_prefix\"");
        refuse_delegations("{\"keys\":{},\"succinct_roles\":{\"keyids\":[],\"threshold\":0,\"name_prefix\":"
                           "\"b\","
                           "\"bit_length\":8}}",
                        "threshold");
}

/* --- signatures --- */

typedef struct Signed {
        json_t *envelope, *keys, *keyids;
        PrivateKey *signers[3];
} Signed;

static void signed_init(Signed *s) {
        _cleanup_json_ json_t *part = json_pack("{s:s}", "a", "b");

        assert_int_equal(metadata_envelope(part, &s->envelope), 0);
        s->keys = json_object();
        s->keyids = json_array();
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(private_key_generate(KEY_ED25519, &s->signers[i], NULL), 0);
}

static void signed_clear(Signed *s) {
        json_decref(s->envelope);
        json_decref(s->keys);
        json_decref(s->keyids);
        for (size_t i = 0; i < 3; i++)
                private_key_free(s->signers[i]);
}

/* Makes signer @i trusted as @id. */
static void trust(Signed *s, size_t i, const char *id) {
        json_t *object;

        assert_int_equal(private_key_public(s->signers[i], &object, NULL), 0);
        json_object_set_new(s->keys, id, object);
        json_array_append_new(s->keyids, json_string(id));
}

static int verify(Signed *s, int threshold) {
        _cleanup_json_ json_t *object = json_pack("{s:O, s:i}", "keyids", s->keyids, "threshold", threshold);
        _cleanup_(role_free_p) Role *role = NULL;
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        assert_int_equal(role_from_json("role", object, s->keys, &role, NULL), 0);
        assert_int_equal(metadata_write(s->envelope, &data, &size), 0);
        assert_int_equal(metadata_read("file.json", data, size, &m, NULL), 0);
        r = metadata_verify(m, role, &e);
        assert_true(r == 0 || (r == -EBADMSG && e.class == ERROR_UNTRUSTED));
        return r;
}

static void sign(Signed *s, size_t i) {
        assert_int_equal(metadata_sign(s->envelope, s->signers[i], NULL), 0);
}

/* The @i-th signature, to be changed. */
static json_t *signature(Signed *s, size_t i) {
        return json_array_get(json_object_get(s->envelope, "signatures"), i);
}

static void test_verify(void **state _unused_) {
        _cleanup_(signed_clear) Signed s = {0};

        signed_init(&s);
        trust(&s, 0, private_key_id(s.signers[0]));
        trust(&s, 1, private_key_id(s.signers[1]));
        assert_int_equal(verify(&s, 1), -EBADMSG);
        sign(&s, 0);
        assert_int_equal(verify(&s, 1), 0);
        assert_int_equal(verify(&s, 2), -EBADMSG);
        sign(&s, 0); /* again: replaced */
        assert_int_equal(json_array_size(json_object_get(s.envelope, "signatures")), 1);
        sign(&s, 2); /* not trusted */
        assert_int_equal(verify(&s, 2), -EBADMSG);
        sign(&s, 1);
        assert_int_equal(verify(&s, 2), 0);
        assert_int_equal(verify(&s, 3), -EBADMSG);
        json_object_set_new(json_object_get(s.envelope, "signed"), "a", json_string("c"));
        assert_int_equal(verify(&s, 1), -EBADMSG);
}

/* One key under two ids, each with a signature: it counts once. */
static void test_same_key_twice(void **state _unused_) {
        _cleanup_(signed_clear) Signed s = {0};
        json_t *copy;

        signed_init(&s);
        trust(&s, 0, private_key_id(s.signers[0]));
        trust(&s, 0, "another-id");
        sign(&s, 0);
        copy = json_copy(signature(&s, 0));
        json_object_set_new(copy, "keyid", json_string("another-id"));
        json_array_append_new(json_object_get(s.envelope, "signatures"), copy);
        assert_int_equal(verify(&s, 1), 0);
        assert_int_equal(verify(&s, 2), -EBADMSG);
}

/* What cannot be read as a signature does not count, and does no harm. */
static void test_unusable_signatures(void **state _unused_) {
        static const char *const bad[] = {"", "zz", "abc", "00", "ABCDEF"};

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
                _cleanup_(signed_clear) Signed s = {0};

                signed_init(&s);
                trust(&s, 0, private_key_id(s.signers[0]));
                trust(&s, 1, private_key_id(s.signers[1]));
                sign(&s, 0);
                sign(&s, 1);
                json_object_set_new(signature(&s, 0), "sig", json_string(bad[i]));
                assert_int_equal(verify(&s, 1), 0);
                assert_int_equal(verify(&s, 2), -EBADMSG);
        }
}

/* The key is chosen by the id alone; a good signature under another's id is none. */
static void test_swapped_ids(void **state _unused_) {
        _cleanup_(signed_clear) Signed s = {0};

        signed_init(&s);
        trust(&s, 0, private_key_id(s.signers[0]));
        trust(&s, 1, private_key_id(s.signers[1]));
        sign(&s, 0);
        json_object_set_new(signature(&s, 0), "keyid", json_string(private_key_id(s.signers[1])));
        assert_int_equal(verify(&s, 1), -EBADMSG);
}

/* --- for publishers --- */

static void test_write(void **state _unused_) {
        _cleanup_json_ json_t *part = json_pack("{s:i, s:i}", "b", 1, "a", 2), *described = NULL,
                              *envelope = NULL;
        _cleanup_free_ char *one = NULL;
        size_t size;

        assert_int_equal(metadata_envelope(part, &envelope), 0);
        assert_int_equal(metadata_write(envelope, &one, &size), 0);
        assert_memory_equal(one, "{\n \"signatures\": [],\n \"signed\": {\n  \"a\": 2,\n  \"b\": 1\n }\n}\n",
                        size);
        assert_int_equal(metadata_describe(4, "abc", 3, &described), 0);
        assert_int_equal(json_get_integer(described, "version", 0), 4);
        assert_int_equal(json_get_integer(described, "length", 0), 3);
        assert_int_equal(json_object_size(json_object_get(described, "hashes")), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_types),
                        cmocka_unit_test(test_envelope),
                        cmocka_unit_test(test_deep),
                        cmocka_unit_test(test_common),
                        cmocka_unit_test(test_root_form),
                        cmocka_unit_test(test_threshold_form),
                        cmocka_unit_test(test_meta_form),
                        cmocka_unit_test(test_targets_form),
                        cmocka_unit_test(test_delegations_form),
                        cmocka_unit_test(test_verify),
                        cmocka_unit_test(test_same_key_twice),
                        cmocka_unit_test(test_unusable_signatures),
                        cmocka_unit_test(test_swapped_ids),
                        cmocka_unit_test(test_write),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
