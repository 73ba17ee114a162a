#include <errno.h>
#include <libsmartcols.h>

#include "base/table.h"

struct Table {
        struct libscols_table *scols;
        struct libscols_line *last;
        size_t columns;
        bool colour;
};

int table_new(const TableColumn *columns, size_t n, bool colour, Table **ret) {
        _cleanup_(table_free_p) Table *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        scols_init_debug(0);
        t->columns = n;
        t->colour = colour;
        t->scols = scols_new_table();
        if (!t->scols)
                return -ENOMEM;
        (void) scols_table_enable_colors(t->scols, colour);
        for (size_t i = 0; i < n; i++)
                if (!scols_table_new_column(
                                    t->scols, columns[i].title, 0, columns[i].right ? SCOLS_FL_RIGHT : 0))
                        return -ENOMEM;
        *ret = TAKE(t);
        return 0;
}

int table_add(Table *t, const char *const *cells) {
        t->last = scols_table_new_line(t->scols, NULL);
        if (!t->last)
                return -ENOMEM;
        for (size_t i = 0; i < t->columns; i++)
                if (cells[i] && scols_line_set_data(t->last, i, cells[i]) < 0)
                        return -ENOMEM;
        return 0;
}

int table_colour(Table *t, size_t column, const char *colour) {
        return t->colour ? scols_cell_set_color(scols_line_get_cell(t->last, column), colour) : 0;
}

bool table_is_empty(const Table *t) {
        return !t->last;
}

int table_print(Table *t, FILE *f) {
        (void) scols_table_set_stream(t->scols, f);
        return scols_print_table(t->scols);
}

Table *table_free(Table *t) {
        if (t) {
                scols_unref_table(t->scols);
                free(t);
        }
        return NULL;
}
