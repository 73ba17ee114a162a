#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "db/block.h"
#include "db/script.h"

/* Words that the client runs itself where a line begins with them. None of them begins a statement of SQL. */
static const char *const client_words[] = {"SOURCE", "SYSTEM", "TEE", "NOTEE", "PAGER", "NOPAGER", "EDIT",
                "EGO", "GO", "REHASH", "PROMPT", "PRINT", "STATUS", "CLEAR", "CONNECT", "QUIT", "EXIT",
                "CHARSET", "WARNINGS", "NOWARNING", "RESETCONNECTION", "SANDBOX", "COSTS", "NOCOSTS",
                "QUERY_ATTRIBUTES", NULL};

/* A statement as it grows. */
typedef struct Growing {
        Text text;
        Block block;
        Token first; /* its first word, for the position */
        Marks marks;
        bool begun;
        bool comment; /* one was left out: a space may be wanted in its place */
} Growing;

void statement_clear(Statement *s) {
        free(s->text);
        *s = (Statement){0};
}

Script script_init(const char *name, const char *text, size_t size, unsigned first_line, SqlMode mode) {
        Script s = {
                        .name = name,
                        .p = text,
                        .end = text + size,
                        .line = first_line,
                        .mode = mode,
                        .first_mode = mode,
                        .delimiter = ";",
                        .file_marks = {.max_rows = UINT64_MAX},
        };

        if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                s.p += 3;
        s.begin = s.counted = s.line_start = s.p;
        return s;
}

/* Counts lines up to @p, which never goes back by more than a token of the same statement. */
static void script_locate(Script *s, const char *p, unsigned *ret_line, unsigned *ret_column) {
        while (s->counted < p) {
                const char *newline = memchr(s->counted, '\n', p - s->counted);

                if (!newline)
                        break;
                s->line++;
                s->counted = s->line_start = newline + 1;
        }
        *ret_line = s->line;
        *ret_column = p - s->line_start + 1;
}

_printf_(4, 5) static int script_error(Script *s, Error *e, const char *p, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        unsigned line, column;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        script_locate(s, p, &line, &column);
        return error_set(
                        e, ERROR_FAILED, -EINVAL, "%s:%u:%u: %s", s->name, line, column, text ?: "malformed");
}

static int parse_max_rows(const char *word, size_t n, uint64_t *ret) {
        _cleanup_free_ char *value = NULL;

        if (n < 9 || strncmp(word, "max-rows=", 9) != 0)
                return -EINVAL;
        value = strndup(word + 9, n - 9);
        return value ? parse_u64(value, UINT64_MAX - 1, ret) : -ENOMEM;
}

/* One word of a mark. */
static int parse_mark(const char *word, size_t n, Marks *m) {
        if (n == strlen("allow-copy") && strncmp(word, "allow-copy", n) == 0)
                m->allow_copy = true;
        else if (n == strlen("idempotent") && strncmp(word, "idempotent", n) == 0)
                m->idempotent = true;
        else if (n == strlen("destructive") && strncmp(word, "destructive", n) == 0)
                m->destructive = true;
        else if (n == strlen("verbatim") && strncmp(word, "verbatim", n) == 0)
                m->verbatim = true;
        else
                return m->allow_copy ? parse_max_rows(word, n, &m->max_rows) : -EINVAL;
        return 0;
}

/* A comment that speaks to us. */
static int read_marks(Script *s, const Token *t, Marks *m, Error *e) {
        const char *p = t->text, *end = t->text + t->size;

        while (p < end && strchr("#-/*+ \t", *p))
                p++;
        if (end - p < 11 || strncmp(p, "releasemgr:", 11) != 0)
                return 0;
        p += 11;
        if (end[-1] == '/' && t->text[0] == '/')
                end -= 2;
        for (;;) {
                const char *word;
                int r;

                while (p < end && (isspace((unsigned char) *p) || *p == ','))
                        p++;
                if (p == end)
                        return 0;
                for (word = p; p < end && !isspace((unsigned char) *p) && *p != ',';)
                        p++;
                r = parse_mark(word, p - word, m);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        return script_error(s, e, word,
                                        "\"%.*s\" is no mark; expected allow-copy [max-rows=N], "
                                        "idempotent, destructive or verbatim",
                                        (int) (p - word), word);
        }
}

/* The rest of a line that begins with DELIMITER. */
static int read_delimiter(Script *s, Lexer *l, const Token *t, Error *e) {
        const char *line_end = memchr(l->p, '\n', l->end - l->p) ?: l->end, *p = l->p, *word;
        char quote = '\0';
        size_t n;

        while (p < line_end && isspace((unsigned char) *p))
                p++;
        if (p < line_end && strchr("'\"`", *p))
                quote = *p++;
        for (word = p; p < line_end && (quote ? *p != quote : !isspace((unsigned char) *p));)
                p++;
        n = p - word;
        if (n == 0 || n >= SCRIPT_DELIMITER_MAX || memchr(word, '\\', n))
                return script_error(s, e, t->text,
                                "DELIMITER must be followed by 1 to %d characters other than a backslash",
                                SCRIPT_DELIMITER_MAX - 1);
        memcpy(s->delimiter, word, n);
        s->delimiter[n] = '\0';
        l->p = line_end;
        return 0;
}

/* Lines end with a line feed, whatever they end with in the file, and in quotes as well: so has the client it. */
static int add_lines(Growing *g, const Token *t) {
        const char *p = t->text, *end = t->text + t->size, *cr;
        int r = 0;

        while (r >= 0 && (cr = memmem(p, end - p, "\r\n", 2))) {
                r = text_add(&g->text, p, cr - p);
                p = cr + 1;
        }
        return r < 0 ? r : text_add(&g->text, p, end - p);
}

/* Adds a token, as the client would: what was left out as a comment leaves a space where words would touch. */
static int growing_add(Growing *g, const Token *t) {
        int r = 0;

        if (g->comment && t->kind != TOKEN_SPACE && g->text.size > 0)
                r = text_adds(&g->text, " ");
        g->comment = false;
        return r < 0 ? r : add_lines(g, t);
}

static int growing_add_space(Growing *g, const Token *t) {
        if (g->text.size == 0)
                return 0;
        g->comment = false;
        return add_lines(g, t);
}

static int growing_feed(Script *s, Growing *g, const Token *t, Error *e) {
        switch (t->kind) {
        case TOKEN_SPACE:
                return growing_add_space(g, t);
        case TOKEN_COMMENT:
                g->comment = t->text[0] == '/' || g->comment;
                return read_marks(s, t, &g->marks, e);
        case TOKEN_ESCAPE:
                if (t->size == 2 && t->text[1] == 'N')
                        break;
                return script_error(s, e, t->text, "\"%.*s\" is a command of the client, and is not run here",
                                (int) t->size, t->text);
        case TOKEN_COMMENT_OPEN:
        case TOKEN_COMMENT_CLOSE:
        case TOKEN_HINT:
                return growing_add(g, t);
        case TOKEN_UNTERMINATED:
                return script_error(s, e, t->text, "%s that begins here never ends",
                                *t->text == '/' ? "the comment" : "the quote");
        default:
                break;
        }
        if (!g->begun)
                g->first = *t;
        g->begun = true;
        block_feed(&g->block, *t);
        if (g->block.too_deep)
                return script_error(s, e, t->text, "blocks are nested too deeply");
        return growing_add(g, t);
}

/* USE on a line without a delimiter ends there: the client takes it for a command. */
static bool is_use_line(const Script *s, const Lexer *l, const Token *t) {
        const char *line_end = memchr(l->p, '\n', l->end - l->p);

        return line_end && token_is(t, "USE") &&
               !memmem(l->p, line_end - l->p, s->delimiter, strlen(s->delimiter));
}

/* Whether there is a statement (an executed comment is one, too). Spaces and control characters at its end are cut off, as
 * the client does it: a file may end with ^Z. */
static bool growing_trim(Growing *g) {
        while (g->text.size > 0 && (isspace((unsigned char) g->text.data[g->text.size - 1]) ||
                                                   iscntrl((unsigned char) g->text.data[g->text.size - 1])))
                g->text.data[--g->text.size] = '\0';
        return g->text.size > 0;
}

static int script_hand_out(Script *s, Growing *g, const char *end, Statement *ret) {
        unsigned line, column;
        char *text;

        script_locate(s, g->begun ? g->first.text : end, &line, &column);
        ret->size = g->text.size;
        text = text_take(&g->text);
        if (!text)
                return -ENOMEM;
        ret->text = text;
        ret->number = ++s->number;
        ret->line = line;
        ret->column = column;
        ret->marks = g->marks;
        return 1;
}

/* At the end of the text: what is left is the last statement, whole or not. */
static int script_finish(Script *s, Growing *g, Statement *ret, Error *e) {
        const char *opened = block_opened_at(&g->block);

        if (opened && streq(s->delimiter, ";")) {
                int n = 0;

                while (opened + n < s->end && isalpha((unsigned char) opened[n]))
                        n++;
                return script_error(s, e, opened, "the %.*s that begins here has no END", n, opened);
        }
        return growing_trim(g) ? script_hand_out(s, g, s->end, ret) : 0;
}

/* Between statements, a line that begins with "--" is a comment to the client, whatever follows. */
static Token next_token(const Script *s, const Growing *g, Lexer *l) {
        Token t = {.kind = TOKEN_COMMENT, .text = l->p};

        if (g->begun || g->text.size > 0 || l->end - l->p < 2 || memcmp(l->p, "--", 2) != 0 ||
                        (l->p > s->begin && l->p[-1] != '\n'))
                return lexer_next(l);
        l->p = memchr(l->p, '\n', l->end - l->p) ?: l->end;
        t.size = l->p - t.text;
        return t;
}

static void follow_mode(Script *s, const Statement *statement);

static int script_grow(Script *s, Growing *g, Statement *ret, Error *e) {
        Lexer l = {.p = s->p, .end = s->end, .mode = s->mode, .delimiter = s->delimiter};
        bool by_block = streq(s->delimiter, ";"), use = false;
        int r;

        for (;;) {
                Token t = next_token(s, g, &l);

                if (use && t.kind == TOKEN_SPACE && memchr(t.text, '\n', t.size) && growing_trim(g))
                        return s->p = l.p, script_hand_out(s, g, t.text, ret);
                use = use || (!g->begun && is_use_line(s, &l, &t));
                if (t.kind == TOKEN_END)
                        return s->p = l.p, script_finish(s, g, ret, e);
                if (t.kind == TOKEN_DELIMITER && !(by_block && block_is_open(&g->block))) {
                        s->p = l.p;
                        if (growing_trim(g))
                                return script_hand_out(s, g, t.text, ret);
                        continue;
                }
                if (!g->begun && token_is(&t, "DELIMITER")) {
                        r = read_delimiter(s, &l, &t, e);
                        by_block = streq(s->delimiter, ";");
                } else if (!g->begun && token_is_any(&t, client_words))
                        r = script_error(s, e, t.text, "%.*s is a command of the client, and is not run here",
                                        (int) t.size, t.text);
                else
                        r = growing_feed(s, g, &t, e);
                if (r < 0)
                        return r;
                if (s->number == 0 && !g->begun)
                        s->file_marks = g->marks;
        }
}

int script_next(Script *s, Statement *ret, Error *e) {
        Growing g = {.marks = s->file_marks};
        int r;

        r = script_grow(s, &g, ret, e);
        text_clear(&g.text);
        if (r > 0)
                follow_mode(s, ret);
        return r;
}

int script_foresee(Script *s, Statement *ret, Error *e) {
        int r = script_next(s, ret, e);

        if (r != -EINVAL || !s->unsure)
                return r;
        if (e)
                error_clear(e);
        return 0;
}

/* Whether SQL_MODE, behind the two tokens @first and @second, names the mode of this session: not @sql_mode, which is the
 * user's own, and not GLOBAL sql_mode or @@GLOBAL.sql_mode. */
static bool is_session_mode(const Token *first, const Token *second) {
        if (token_is_symbol(second, '@'))
                return token_is_symbol(first, '@');
        return !token_is(token_is_symbol(second, '.') ? first : second, "GLOBAL");
}

static bool is_text(const Token *t) {
        return t->kind == TOKEN_STRING || t->kind == TOKEN_NAME;
}

/* What sql_mode is set to: a literal, its default, or a variable: then most likely the mode that was saved at the start. What
 * comes of anything else only the server can tell. */
static void follow_value(Script *s, Lexer *l) {
        WideCharset wide = s->mode.wide;
        Lexer ahead;
        Token t = lexer_next_word(l), behind;

        ahead = *l;
        behind = lexer_next_word(&ahead);
        if (is_text(&t) && (behind.kind == TOKEN_END || token_is_symbol(&behind, ',')))
                s->mode = sql_mode_parse(t.text + 1, t.size - 2);
        else if (token_is(&t, "DEFAULT") || (token_is_symbol(&t, '@') && !token_is_symbol(&behind, '@')))
                s->mode = s->first_mode;
        else
                s->unsure = true;
        s->mode.wide = wide;
}

/* SET NAMES x, SET CHARACTER SET x, SET character_set_client = x; a variable brings back what was saved. */
static void follow_charset(Script *s, const Token *t, Lexer ahead) {
        Token value = lexer_next_word(&ahead);

        if (token_is(t, "CHARACTER") || token_is(t, "CHARACTER_SET_CLIENT"))
                value = lexer_next_word(&ahead); /* behind SET or = */
        else if (!token_is(t, "NAMES") && !token_is(t, "CHARSET"))
                return;
        s->mode.wide = is_text(&value) ? wide_charset(value.text + 1, value.size - 2)
                                       : wide_charset(value.text, value.size);
}

/* SET [SESSION] sql_mode = ...; but SET STATEMENT sql_mode = ... FOR ... holds for that statement alone. */
static void follow_mode(Script *s, const Statement *statement) {
        Lexer l = lexer_init(statement->text, statement->size, s->mode);
        Token first, second = lexer_next_word(&l), t = lexer_next_word(&l);

        if (!token_is(&second, "SET") || token_is(&t, "STATEMENT"))
                return;
        for (first = second; t.kind != TOKEN_END; first = second, second = t, t = lexer_next_word(&l)) {
                Lexer ahead = l;
                Token sign = lexer_next_word(&ahead);

                if (token_is_symbol(&sign, ':'))
                        sign = lexer_next_word(&ahead);
                if (token_is(&t, "SQL_MODE") && is_session_mode(&first, &second) &&
                                token_is_symbol(&sign, '='))
                        follow_value(s, &ahead);
                else if (!token_is_symbol(&second, '=') && !token_is_symbol(&second, '@'))
                        follow_charset(s, &t, l);
        }
}
