#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "db/sql-internal.h"

struct SqlResult {
        MYSQL_RES *res;
        MYSQL_ROW *rows; /* borrowed from @res */
        unsigned long *sizes;
        size_t n_rows;
        unsigned n_columns;
};

void sql_erase(char **secret) {
        if (*secret)
                explicit_bzero(*secret, strlen(*secret));
        free(*secret);
        *secret = NULL;
}

static int copy_string(const char *from, char const **to) {
        *to = from ? strdup(from) : NULL;
        return from && !*to ? -ENOMEM : 0;
}

int sql_options_copy(const SqlOptions *from, SqlOptions *ret) {
        SqlOptions o = *from;

        /* one after the other, all of them, so that what is cleared on failure is ours */
        if ((copy_string(from->host, &o.host) | copy_string(from->socket, &o.socket) |
                            copy_string(from->user, &o.user) | copy_string(from->database, &o.database) |
                            copy_string(from->password, &o.password) |
                            copy_string(from->tls_ca, &o.tls_ca)) != 0) {
                sql_options_clear(&o);
                return -ENOMEM;
        }
        *ret = o;
        return 0;
}

void sql_options_clear(SqlOptions *o) {
        char *password = (char *) o->password;

        free((char *) o->host);
        free((char *) o->socket);
        free((char *) o->user);
        free((char *) o->database);
        free((char *) o->tls_ca);
        sql_erase(&password);
        *o = (SqlOptions){0};
}

static bool is_plain(const char *value, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (value[i] < ' ' || value[i] > '~' || value[i] == '\'' || value[i] == '\\')
                        return false;
        return true;
}

char *sql_quote(const char *value, size_t size) {
        _cleanup_text_ Text t = TEXT_INIT;
        bool plain = is_plain(value, size);
        int r;

        r = text_adds(&t, plain ? "'" : "X'");
        if (r >= 0 && plain)
                r = text_add(&t, value, size);
        for (size_t i = 0; !plain && r >= 0 && i < size; i++)
                r = text_addf(&t, "%02x", (unsigned char) value[i]);
        if (r >= 0)
                r = text_adds(&t, "'");
        return r < 0 ? NULL : text_take(&t);
}

char *sql_quote_name(const char *name) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = text_adds(&t, "`");
        for (; r >= 0 && *name; name++)
                r = *name == '`' ? text_adds(&t, "``") : text_add(&t, name, 1);
        if (r >= 0)
                r = text_adds(&t, "`");
        return r < 0 ? NULL : text_take(&t);
}

int sql_result_new(MYSQL_RES *res, SqlResult **ret) {
        _cleanup_(sql_result_free_p) SqlResult *r = calloc(1, sizeof(*r));

        if (!r) {
                mysql_free_result(res);
                return -ENOMEM;
        }
        r->res = res;
        r->n_rows = mysql_num_rows(res);
        r->n_columns = mysql_num_fields(res);
        r->rows = calloc(r->n_rows + 1, sizeof(*r->rows));
        r->sizes = calloc(r->n_rows + 1, sizeof(*r->sizes) * r->n_columns);
        if (!r->rows || !r->sizes)
                return -ENOMEM;
        for (size_t i = 0; i < r->n_rows; i++) {
                r->rows[i] = mysql_fetch_row(res);
                memcpy(r->sizes + i * r->n_columns, mysql_fetch_lengths(res),
                                r->n_columns * sizeof(*r->sizes));
        }
        *ret = TAKE(r);
        return 0;
}

size_t sql_result_rows(const SqlResult *r) {
        return r ? r->n_rows : 0;
}

unsigned sql_result_columns(const SqlResult *r) {
        return r ? r->n_columns : 0;
}

const char *sql_result_get(const SqlResult *r, size_t row, unsigned column) {
        return row < sql_result_rows(r) && column < r->n_columns ? r->rows[row][column] : NULL;
}

size_t sql_result_size(const SqlResult *r, size_t row, unsigned column) {
        return sql_result_get(r, row, column) ? r->sizes[row * r->n_columns + column] : 0;
}

uint64_t sql_result_u64(const SqlResult *r, size_t row, unsigned column) {
        const char *value = sql_result_get(r, row, column);

        return value ? strtoull(value, NULL, 10) : 0;
}

bool sql_result_is_number(const SqlResult *r, unsigned column) {
        return column < sql_result_columns(r) && IS_NUM(mysql_fetch_field_direct(r->res, column)->type);
}

SqlResult *sql_result_free(SqlResult *r) {
        if (!r)
                return NULL;
        mysql_free_result(r->res);
        free(r->rows);
        free(r->sizes);
        free(r);
        return NULL;
}
