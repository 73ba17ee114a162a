#include <errno.h>
#include <stdio.h>

#include "host/properties.h"

static const char *property_signature(PropertyType type) {
        static const char *const signatures[] = {
                        [PROPERTY_TEXT] = "s",
                        [PROPERTY_U32] = "u",
                        [PROPERTY_I32] = "i",
                        [PROPERTY_U64] = "t",
                        [PROPERTY_BOOLEAN] = "b",
                        [PROPERTY_ID128] = "ay",
                        [PROPERTY_WORDS] = "as",
                        [PROPERTY_CONDITION] = "a(sbbsi)",
                        [PROPERTY_COMMAND] = "a(sasbttttuii)",
        };

        return signatures[type];
}

static int read_id(sd_bus_message *m, char *target, size_t size) {
        const void *data;
        size_t n;
        int r;

        r = sd_bus_message_read_array(m, 'y', &data, &n);
        if (r < 0)
                return r;
        target[0] = '\0';
        if (n != 16 || size < 33)
                return 0;
        for (size_t i = 0; i < n; i++)
                (void) snprintf(target + 2 * i, 3, "%02x", ((const uint8_t *) data)[i]);
        return 0;
}

static int read_words(sd_bus_message *m, char *target, size_t size) {
        const char *word;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        target[0] = '\0';
        while ((r = sd_bus_message_read_basic(m, 's', &word)) > 0)
                if (n < size)
                        n += snprintf(target + n, size - n, "%s%s", n > 0 ? " " : "", word);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_condition(sd_bus_message *m, char *target, size_t size) {
        const char *name;
        int r;

        target[0] = '\0';
        r = sd_bus_message_enter_container(m, 'a', "(sbbsi)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "sbbsi")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0 && !*target)
                        (void) snprintf(target, size, "%s", name);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "bbsi");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_command(sd_bus_message *m, char *target, size_t size) {
        int r;

        target[0] = '\0';
        r = sd_bus_message_enter_container(m, 'a', "(sasbttttuii)");
        if (r < 0)
                return r;
        for (bool first = true; (r = sd_bus_message_enter_container(m, 'r', "sasbttttuii")) > 0;
                        first = false) {
                r = sd_bus_message_skip(m, "s");
                if (r >= 0)
                        r = first ? read_words(m, target, size) : sd_bus_message_skip(m, "as");
                if (r >= 0)
                        r = sd_bus_message_skip(m, "bttttuii");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int property_read(sd_bus_message *m, const Property *p, void *target) {
        uint64_t number;
        const char *text;
        int boolean, r;
        void *at = (char *) target + p->offset;

        switch (p->type) {
        case PROPERTY_TEXT:
                r = sd_bus_message_read_basic(m, 's', &text);
                if (r >= 0)
                        (void) snprintf(at, p->size, "%s", text);
                return r;
        case PROPERTY_BOOLEAN:
                r = sd_bus_message_read_basic(m, 'b', &boolean);
                if (r >= 0)
                        *(bool *) at = boolean;
                return r;
        case PROPERTY_ID128:
                return read_id(m, at, p->size);
        case PROPERTY_WORDS:
                return read_words(m, at, p->size);
        case PROPERTY_CONDITION:
                return read_condition(m, at, p->size);
        case PROPERTY_COMMAND:
                return read_command(m, at, p->size);
        case PROPERTY_U32:
        case PROPERTY_I32:
        case PROPERTY_U64:
                r = sd_bus_message_read_basic(m, property_signature(p->type)[0], &number);
                if (r >= 0)
                        memcpy(at, &number, p->size); /* the caller's type, of the same width */
                return r;
        }
        return -EINVAL;
}

bool words_have(const char *words, const char *word) {
        size_t n = strlen(word);

        for (const char *s = words; (s = strstr(s, word)); s += n)
                if ((s == words || s[-1] == ' ') && (s[n] == ' ' || s[n] == '\0'))
                        return true;
        return false;
}

static const Property *property_find(const Property *table, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(table[i].name, name))
                        return table + i;
        return NULL;
}

/* The variant of one property: read or skipped. */
static int variant_read(sd_bus_message *m, const Property *p, void *target) {
        const char *contents;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!p || !streq(contents, property_signature(p->type)))
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r >= 0)
                r = property_read(m, p, target);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int properties_read(sd_bus_message *m, const Property *table, size_t n, void *target) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = variant_read(m, property_find(table, n, name), target);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
