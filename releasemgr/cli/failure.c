#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/failure.h"

void print_pair(const char *name, const char *value) {
        if (value)
                printf("%12s: %s\n", name, value);
}

/* What a release was asked, what it answered, and what its unit did. @title: for the verdict; NULL where that was said
 * already. */
static void print_release(const char *title, const json_t *health, const char *unit_title, const json_t *unit,
                bool all) {
        const json_t *probe, *line;
        size_t i;

        if (health && title)
                print_pair(title, json_get_string(health, "sentence") ?: "healthy");
        json_array_foreach(json_object_get(health, "last"), i, probe) {
                if (!all && !json_get_string(probe, "sentence"))
                        continue;
                print_pair("asked", json_get_string(probe, "asked"));
                print_pair("answered", json_get_string(probe, "answered") ?: "nothing");
        }
        if (!unit || (!all && json_get_boolean(health, "healthy", false)))
                return;
        printf("%12s: %s, %s (%s), result %s%s%s\n", unit_title, json_get_string(unit, "name"),
                        json_get_string(unit, "active"), json_get_string(unit, "sub"),
                        json_get_string(unit, "result"), json_get_string(unit, "exit") ? ": it " : "",
                        json_get_string(unit, "exit") ?: "");
        json_array_foreach(json_object_get(unit, "lines"), i, line)
                printf("%12s| %s\n", "", json_string_value(line));
}

static void print_undone(const json_t *failure) {
        const json_t *undone = json_object_get(failure, "undone"), *text;
        size_t i;

        json_array_foreach(undone, i, text)
                printf("%s%s", i > 0 ? "; " : "      undone: ", json_string_value(text));
        if (json_array_size(undone) > 0)
                (void) putchar('\n');
}

/* For how long the service answered nobody, or not well. */
static void print_clients(const json_t *report) {
        int64_t outage = json_get_integer(report, "outage", -1);
        bool down = json_get_boolean(report, "down", false);
        char took[CLOCK_TEXT_MAX];

        if (outage < 0)
                print_pair("clients", down ? "are affected; nobody measured for how long"
                                           : "may have been affected: nobody measured it");
        else if (outage == 0)
                print_pair("clients", "were not affected");
        else
                printf("%12s: affected for %s%s\n", "clients", span_to_text(outage, took),
                                down ? ", and still are" : "");
}

void failure_print(const json_t *report, bool all) {
        const json_t *failure = json_object_get(report, "failure");
        const json_t *health = json_object_get(failure, "health"), *back = json_object_get(failure, "back");

        if (!failure)
                return;
        print_pair("stage", json_get_string(failure, "stage"));
        if (all)
                print_pair("reason", json_get_string(failure, "reason"));
        print_release(all ? "health" : NULL, health, "unit", json_object_get(failure, "unit"), all);
        print_release("went back", back, "unit", json_object_get(failure, "back_unit"), all);
        if (all)
                print_pair("fault", json_get_string(failure, "fault"));
        print_undone(failure);
        print_clients(report);
}
