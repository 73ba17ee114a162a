#pragma once

/* The forms that a value of the configuration may have. */

#include "base/util.h"

typedef struct ValueType {
        /* Reads a value into its place. -EINVAL where it is not of the form: @ret_expected then says what was
         * expected (static). What stood in the place before is replaced, or added to where it is a list. */
        int (*parse)(const char *value, void *place, const char **ret_expected);
        void (*free)(void *place); /* what parse() made there; NULL: nothing to free */
} ValueType;

extern const ValueType value_string;
extern const ValueType value_path;
extern const ValueType value_url;
extern const ValueType value_unit;
extern const ValueType value_shared;
extern const ValueType value_span;
extern const ValueType value_span_or_none;
extern const ValueType value_strategy;
extern const ValueType value_rate;
extern const ValueType value_yes;
extern const ValueType value_proxy;
extern const ValueType value_positive;
extern const ValueType value_port;
extern const ValueType value_status;
extern const ValueType value_tls;
extern const ValueType value_auth;
extern const ValueType value_contract;
extern const ValueType value_prove;
extern const ValueType value_expect_json;
extern const ValueType value_command;
