#pragma once

/* Tables for the terminal and for --json, printed with libsmartcols. */

#include <stdio.h>

#include "base/util.h"

typedef struct Table Table;

/* @title heads the column; a right-aligned one is for numbers. */
typedef struct TableColumn {
        const char *title;
        bool right;
} TableColumn;

/* @colour: escape sequences may be written. */
int table_new(const TableColumn *columns, size_t n, bool colour, Table **ret);

/* Adds a line of n cells (copied; NULL is an empty cell). */
int table_add(Table *t, const char *const *cells);

/* Gives a cell of the last line a colour, by libsmartcols' names: "green", "red", "yellow", "bold", ... */
int table_colour(Table *t, size_t column, const char *colour);

/* Whether no line was added yet. */
bool table_is_empty(const Table *t);

/* Prints the table, its head first. 0 or a negative errno. */
int table_print(Table *t, FILE *f);

Table *table_free(Table *t);

DEFINE_CLEANUP(Table, table_free);
