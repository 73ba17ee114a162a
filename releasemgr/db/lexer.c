#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "db/lexer.h"

static char peek(const Lexer *l, size_t i) {
        return (size_t) (l->end - l->p) > i ? l->p[i] : '\0';
}

static bool is_word(char c) {
        return isalnum((unsigned char) c) || c == '_' || c == '$' || (unsigned char) c >= 0x80;
}

static bool at_delimiter(const Lexer *l, const char *p) {
        size_t n = strlen(l->delimiter);

        return !l->executable && (size_t) (l->end - p) >= n && memcmp(p, l->delimiter, n) == 0;
}

static bool is_between(char c, int first, int last) {
        return (unsigned char) c >= first && (unsigned char) c <= last;
}

/* Whether the byte at @p and the next one are one character. */
static bool at_wide(const Lexer *l, const char *p) {
        if (l->mode.wide == WIDE_NONE || l->end - p < 2)
                return false;
        switch (l->mode.wide) {
        case WIDE_SJIS:
                return (is_between(p[0], 0x81, 0x9f) || is_between(p[0], 0xe0, 0xfc)) &&
                       (is_between(p[1], 0x40, 0x7e) || is_between(p[1], 0x80, 0xfc));
        case WIDE_GBK:
                return is_between(p[0], 0x81, 0xfe) &&
                       (is_between(p[1], 0x40, 0x7e) || is_between(p[1], 0x80, 0xfe));
        default:
                return is_between(p[0], 0xa1, 0xf9) &&
                       (is_between(p[1], 0x40, 0x7e) || is_between(p[1], 0xa1, 0xfe));
        }
}

/* Behind the closing quote, or NULL where there is none. A doubled quote stands for itself. */
static const char *end_of_quote(const Lexer *l) {
        char quote = *l->p;
        bool escapes = quote != '`' && !l->mode.no_backslash_escapes &&
                       !(quote == '"' && l->mode.ansi_quotes);

        for (const char *p = l->p + 1; p < l->end; p++) {
                if (at_wide(l, p) || (*p == '\\' && escapes))
                        p++;
                else if (*p == quote) {
                        if (p + 1 == l->end || p[1] != quote)
                                return p + 1;
                        p++;
                }
        }
        return NULL;
}

/* "--" begins a comment only before a space, a control character or the end. */
static bool at_line_comment(const Lexer *l) {
        if (*l->p == '#')
                return true;
        return *l->p == '-' && peek(l, 1) == '-' &&
               (l->p + 2 >= l->end || isspace((unsigned char) l->p[2]) || iscntrl((unsigned char) l->p[2]));
}

static Token take(Lexer *l, TokenKind kind, const char *end) {
        Token t = {.kind = kind, .text = l->p, .size = end - l->p};

        l->p = end;
        return t;
}

static Token take_unterminated(Lexer *l) {
        Token t = {.kind = TOKEN_UNTERMINATED, .text = l->p, .size = l->end - l->p};

        l->p = l->end;
        return t;
}

static Token take_line_comment(Lexer *l) {
        const char *p = memchr(l->p, '\n', l->end - l->p) ?: l->end;

        if (p > l->p && p[-1] == '\r')
                p--;
        return take(l, TOKEN_COMMENT, p);
}

/* What no version executes: mariadb-dump begins with it, and means its own client ("enable the sandbox mode"). */
static bool at_never_executed(const Lexer *l) {
        static const char never[] = "/*M!999999";

        return (size_t) (l->end - l->p) >= sizeof(never) - 1 && strncmp(l->p, never, sizeof(never) - 1) == 0;
}

static Token take_block_comment(Lexer *l) {
        bool m = peek(l, 2) == 'M' && peek(l, 3) == '!';
        const char *p;

        if ((peek(l, 2) == '!' || m) && !l->executable && !at_never_executed(l)) {
                p = l->p + (m ? 4 : 3);
                for (int digits = 0; p < l->end && digits < 6 && isdigit((unsigned char) *p); digits++)
                        p++;
                if (!memmem(p, l->end - p, "*/", 2))
                        return take_unterminated(l);
                l->executable = 1;
                return take(l, TOKEN_COMMENT_OPEN, p);
        }
        p = memmem(l->p + 2, l->end - l->p - 2, "*/", 2);
        if (!p)
                return take_unterminated(l);
        return take(l, peek(l, 2) == '+' ? TOKEN_HINT : TOKEN_COMMENT, p + 2);
}

static Token take_quote(Lexer *l) {
        const char *p = end_of_quote(l);

        if (!p)
                return take_unterminated(l);
        return take(l, *l->p == '`' || (*l->p == '"' && l->mode.ansi_quotes) ? TOKEN_NAME : TOKEN_STRING, p);
}

static Token take_run(Lexer *l, TokenKind kind) {
        const char *p = l->p + (at_wide(l, l->p) ? 2 : 1);

        for (; p < l->end && !at_delimiter(l, p); p++)
                if (kind == TOKEN_SPACE ? !isspace((unsigned char) *p) : !is_word(*p))
                        break;
                else if (at_wide(l, p))
                        p++;
        return take(l, kind, p);
}

Token lexer_next(Lexer *l) {
        if (l->p >= l->end) {
                l->p = l->end;
                return take(l, TOKEN_END, l->end);
        }
        if (at_delimiter(l, l->p))
                return take(l, TOKEN_DELIMITER, l->p + strlen(l->delimiter));
        if (isspace((unsigned char) *l->p))
                return take_run(l, TOKEN_SPACE);
        if (at_line_comment(l))
                return take_line_comment(l);
        if (*l->p == '/' && peek(l, 1) == '*')
                return take_block_comment(l);
        if (l->executable && *l->p == '*' && peek(l, 1) == '/') {
                l->executable = 0;
                return take(l, TOKEN_COMMENT_CLOSE, l->p + 2);
        }
        if (*l->p == '\'' || *l->p == '"' || *l->p == '`')
                return take_quote(l);
        if (*l->p == '\\')
                return take(l, TOKEN_ESCAPE, l->p + (l->p + 1 < l->end ? 2 : 1));
        if (is_word(*l->p))
                return take_run(l, TOKEN_WORD);
        return take(l, TOKEN_SYMBOL, l->p + 1);
}

Token lexer_next_word(Lexer *l) {
        for (;;) {
                Token t = lexer_next(l);

                switch (t.kind) {
                case TOKEN_SPACE:
                case TOKEN_COMMENT:
                case TOKEN_HINT:
                case TOKEN_COMMENT_OPEN:
                case TOKEN_COMMENT_CLOSE:
                        continue;
                default:
                        return t;
                }
        }
}

void lexer_skip_settings(Lexer *l) {
        Lexer ahead = *l;
        Token t = lexer_next_word(&ahead);
        unsigned depth = 0;

        if (!token_is(&t, "SET"))
                return;
        t = lexer_next_word(&ahead);
        if (!token_is(&t, "STATEMENT"))
                return;
        while (t.kind != TOKEN_END && (depth > 0 || !token_is(&t, "FOR"))) {
                t = lexer_next_word(&ahead);
                depth += token_is_symbol(&t, '(');
                depth -= token_is_symbol(&t, ')') && depth > 0;
        }
        *l = ahead;
}

bool token_is(const Token *t, const char *word) {
        return t->kind == TOKEN_WORD && t->size == strlen(word) && strncasecmp(t->text, word, t->size) == 0;
}

bool token_is_any(const Token *t, const char *const *list) {
        for (; *list; list++)
                if (token_is(t, *list))
                        return true;
        return false;
}

char *token_name(const Token *t) {
        char *name, *to;

        if (t->kind != TOKEN_NAME && t->kind != TOKEN_STRING)
                return strndup(t->text, t->size);
        name = to = malloc(t->size);
        if (!name)
                return NULL;
        for (size_t i = 1; i + 1 < t->size; i++) {
                *to++ = t->text[i];
                if (t->text[i] == *t->text && i + 2 < t->size && t->text[i + 1] == *t->text)
                        i++;
        }
        *to = '\0';
        return name;
}

SqlMode sql_mode_parse(const char *value, size_t size) {
        static const char *const quoting[] = {
                        "ANSI_QUOTES", "ANSI", "ORACLE", "DB2", "MAXDB", "MSSQL", "POSTGRESQL", NULL};
        SqlMode m = {0};

        for (const char *p = value, *end = value + size; p < end;) {
                const char *comma = memchr(p, ',', end - p) ?: end;
                Token t = {.kind = TOKEN_WORD, .text = p, .size = comma - p};

                m.no_backslash_escapes |= token_is(&t, "NO_BACKSLASH_ESCAPES");
                m.ansi_quotes |= token_is_any(&t, quoting);
                m.oracle |= token_is(&t, "ORACLE");
                p = comma + 1;
        }
        return m;
}

WideCharset wide_charset(const char *name, size_t size) {
        static const struct {
                const char *name;
                WideCharset charset;
        } wide[] = {{"SJIS", WIDE_SJIS}, {"CP932", WIDE_SJIS}, {"GBK", WIDE_GBK}, {"BIG5", WIDE_BIG5}};
        Token t = {.kind = TOKEN_WORD, .text = name, .size = size};

        for (size_t i = 0; i < ELEMENTS_OF(wide); i++)
                if (token_is(&t, wide[i].name))
                        return wide[i].charset;
        return WIDE_NONE;
}
