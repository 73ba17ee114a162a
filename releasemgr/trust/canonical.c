#include <errno.h>

#include "base/json.h"
#include "trust/canonical.h"

static int write_string(const char *s, size_t size, Text *t) {
        int r = text_add(t, "\"", 1);

        for (size_t start = 0, i = 0; r >= 0 && i <= size; i++)
                if (i == size || s[i] == '"' || s[i] == '\\') {
                        r = text_add(t, s + start, i - start);
                        if (r >= 0 && i < size)
                                r = text_add(t, "\\", 1);
                        start = i; /* what was escaped follows with the next piece */
                }
        return r < 0 ? r : text_add(t, "\"", 1);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static int write_object(const json_t *object, Text *t) {
        size_t n = json_object_size(object), i = 0;
        _cleanup_free_ const char **names = calloc(n + 1, sizeof(char *));
        const char *name;
        json_t *value;
        int r;

        if (!names)
                return -ENOMEM;
        json_object_foreach((json_t *) object, name, value)
                names[i++] = name;
        qsort(names, n, sizeof(char *), compare_names);
        r = text_add(t, "{", 1);
        for (i = 0; r >= 0 && i < n; i++) {
                if (i > 0)
                        r = text_add(t, ",", 1);
                if (r >= 0)
                        r = write_string(names[i], strlen(names[i]), t);
                if (r >= 0)
                        r = text_add(t, ":", 1);
                if (r >= 0)
                        r = canonical_write(json_object_get(object, names[i]), t);
        }
        return r < 0 ? r : text_add(t, "}", 1);
}

static int write_array(const json_t *array, Text *t) {
        json_t *value;
        size_t i;
        int r = text_add(t, "[", 1);

        json_array_foreach(array, i, value) {
                if (r >= 0 && i > 0)
                        r = text_add(t, ",", 1);
                if (r >= 0)
                        r = canonical_write(value, t);
        }
        return r < 0 ? r : text_add(t, "]", 1);
}

/* Recursion is bounded where the value was read: JSON_DEPTH_MAX. */
int canonical_write(const json_t *value, Text *t) {
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return write_object(value, t);
        case JSON_ARRAY:
                return write_array(value, t);
        case JSON_STRING:
                return write_string(json_string_value(value), json_string_length(value), t);
        case JSON_INTEGER:
                return text_addf(t, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        case JSON_TRUE:
                return text_adds(t, "true");
        case JSON_FALSE:
                return text_adds(t, "false");
        case JSON_NULL:
                return text_adds(t, "null");
        case JSON_REAL:
                break;
        }
        return -EINVAL;
}
