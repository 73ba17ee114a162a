#include <errno.h>

#include "base/fs.h"
#include "base/json.h"

/* Bounds the nesting before the parser recurses. Strings are skipped; anything else that is malformed is left
 * to the parser. */
static bool depth_is_bounded(const char *p, size_t size) {
        bool in_string = false;
        int depth = 0;

        for (const char *end = p + size; p < end; p++) {
                if (in_string) {
                        if (*p == '\\')
                                p++;
                        else if (*p == '"')
                                in_string = false;
                } else if (*p == '"')
                        in_string = true;
                else if (*p == '[' || *p == '{') {
                        if (++depth > JSON_DEPTH_MAX)
                                return false;
                } else if (*p == ']' || *p == '}')
                        depth--;
        }
        return true;
}

static bool has_real(const json_t *j) {
        const char *key;
        json_t *value;
        size_t i;

        if (json_is_real(j))
                return true;
        json_object_foreach((json_t *) j, key, value)
                if (has_real(value))
                        return true;
        json_array_foreach(j, i, value)
                if (has_real(value))
                        return true;
        return false;
}

static int json_load(const char *name, const void *data, size_t size, size_t flags, json_t **ret, Error *e) {
        json_error_t error;
        json_t *j;

        if (!depth_is_bounded(data, size))
                return error_set(e, ERROR_FAILED, -EINVAL, "%s: JSON nested deeper than %d levels", name,
                                JSON_DEPTH_MAX);
        j = json_loadb(data, size, flags | JSON_DECODE_ANY, &error);
        if (!j) {
                if (json_error_code(&error) == json_error_out_of_memory)
                        return -ENOMEM;
                return error_set(e, ERROR_FAILED, -EINVAL, "%s:%d:%d: not valid JSON: %s", name, error.line,
                                error.column, error.text);
        }
        *ret = j;
        return 0;
}

int json_parse_foreign(const char *name, const void *data, size_t size, json_t **ret, Error *e) {
        return json_load(name, data, size, 0, ret, e);
}

int json_parse(const char *name, const void *data, size_t size, json_t **ret, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = json_load(name, data, size, JSON_REJECT_DUPLICATES, &j, e);
        if (r < 0)
                return r;
        if (has_real(j))
                return error_set(e, ERROR_FAILED, -EINVAL,
                                "%s: a number with a fraction or exponent, where only "
                                "integers may stand",
                                name);
        *ret = TAKE(j);
        return 0;
}

int json_read_file(int dirfd, const char *path, size_t max, json_t **ret, Error *e) {
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        r = fs_read_file(dirfd, path, max, &data, &size);
        if (r < 0)
                return error_errno(e, r, "cannot read %s", path);
        return json_parse(path, data, size, ret, e);
}

int json_write_file(int dirfd, const char *path, const json_t *value, mode_t mode) {
        _cleanup_free_ char *text = json_dumps(value, JSON_INDENT(2));
        size_t n;

        if (!text)
                return -ENOMEM;
        n = strlen(text);
        text[n] = '\n'; /* in the place of the NUL, which nobody needs any more */
        return fs_replace_file(dirfd, path, text, n + 1, mode);
}

const char *json_get_string(const json_t *object, const char *key) {
        return json_string_value(json_object_get(object, key));
}

int64_t json_get_integer(const json_t *object, const char *key, int64_t otherwise) {
        const json_t *v = json_object_get(object, key);

        return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool json_get_boolean(const json_t *object, const char *key, bool otherwise) {
        const json_t *v = json_object_get(object, key);

        return json_is_boolean(v) ? json_is_true(v) : otherwise;
}
