#pragma once

/* Reads the properties of a D-Bus object into a struct, by a table. */

#include <systemd/sd-bus.h>

#include "host/unit.h"

typedef enum PropertyType {
        PROPERTY_TEXT,      /* s or o, into char[size], cut where it is longer */
        PROPERTY_U32,       /* u */
        PROPERTY_I32,       /* i */
        PROPERTY_U64,       /* t */
        PROPERTY_BOOLEAN,   /* b, into bool */
        PROPERTY_ID128,     /* ay of 16 bytes, into char[33] as hex digits, "" where it is empty */
        PROPERTY_WORDS,     /* as, into char[size], with spaces between, cut where it is longer */
        PROPERTY_CONDITION, /* the name of the first of Conditions, into char[size] */
        PROPERTY_COMMAND,   /* the argv of the first command of an ExecStart or its like, as above */
} PropertyType;

typedef struct Property {
        const char *name;
        PropertyType type;
        size_t offset;
        size_t size; /* of the member */
} Property;

#define PROPERTY(name, type, structure, member)                                                              \
        { (name), (type), offsetof(structure, member), sizeof(((structure *) NULL)->member) }

/* Reads an a{sv} at the message's place. What the table does not name, and what has another type than it says, is
 * left out. 0 or -errno. */
int properties_read(sd_bus_message *m, const Property *table, size_t n, void *target);

/* unit_read(), and into @target what @table names of the same answer. Suspends. */
int unit_read_also(Bus *b, const char *unit, UnitState *ret, const Property *table, size_t n, void *target,
                Error *e);

/* Whether @word is among @words, as PROPERTY_WORDS gives them. */
bool words_have(const char *words, const char *word);
