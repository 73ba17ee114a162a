#pragma once

/*
 * SQL as a row of tokens, as MariaDB's own lexer cuts it (sql/sql_lex.cc), as far as it matters for telling
 * statements apart. No I/O, no allocation: tokens point into the text.
 */

#include "base/util.h"

/* The client's character sets whose characters may end with a byte that looks like a backslash or a back quote. */
typedef enum WideCharset {
        WIDE_NONE,
        WIDE_SJIS, /* and cp932 */
        WIDE_GBK,
        WIDE_BIG5,
} WideCharset;

/* What of the session decides where a quoted thing ends, and how a compound statement is written. */
typedef struct SqlMode {
        bool no_backslash_escapes;
        bool ansi_quotes; /* "x" is a name */
        bool oracle;      /* MariaDB's other grammar */
        WideCharset wide; /* not of sql_mode: of character_set_client */
} SqlMode;

/* What sql_mode @value says about quotes: "ANSI", "ORACLE" and the like stand for several, among them
 * ANSI_QUOTES. */
SqlMode sql_mode_parse(const char *value, size_t size);

/* What character_set_client @name says about bytes. */
WideCharset wide_charset(const char *name, size_t size);

typedef enum TokenKind {
        TOKEN_END,
        TOKEN_SPACE,   /* one or more of space, tab, newline, ... */
        TOKEN_COMMENT, /* # or -- to the end of the line (without the newline), and the usual kind, whole */
        TOKEN_HINT,    /* an optimizer hint, whole: a comment that begins with a plus sign */
        TOKEN_COMMENT_OPEN,  /* the opening of a comment that is executed, with its version */
        TOKEN_COMMENT_CLOSE, /* and its end */
        TOKEN_WORD,          /* a keyword, a bare name, or a number */
        TOKEN_NAME,          /* a name in quotes */
        TOKEN_STRING,
        TOKEN_ESCAPE, /* a backslash outside of quotes, and the character behind it */
        TOKEN_DELIMITER,
        TOKEN_SYMBOL,       /* one character of punctuation */
        TOKEN_UNTERMINATED, /* a quote or a comment that never ends; it begins here */
} TokenKind;

typedef struct Token {
        TokenKind kind;
        const char *text;
        size_t size;
} Token;

typedef struct Lexer {
        const char *p, *end;
        SqlMode mode;
        const char *delimiter; /* what ends a statement */
        unsigned executable;   /* how many executed comments we are inside of: 0 or 1 */
} Lexer;

static inline Lexer lexer_init(const char *text, size_t size, SqlMode mode) {
        return (Lexer){.p = text, .end = text + size, .mode = mode, .delimiter = ";"};
}

/* The next token. Goes on behind TOKEN_UNTERMINATED with TOKEN_END. */
Token lexer_next(Lexer *l);

/* The next token that means something: no space, no comment, no borders of executed comments. */
Token lexer_next_word(Lexer *l);

/* Passes over "SET STATEMENT a = 1, b = 2 FOR", which is part of the statement behind it. */
void lexer_skip_settings(Lexer *l);

/* Whether a token is the keyword @word (upper case). A quoted name is never one. */
bool token_is(const Token *t, const char *word);

/* Whether it is one of the keywords in @list, which ends with NULL. */
bool token_is_any(const Token *t, const char *const *list);

static inline bool token_is_symbol(const Token *t, char c) {
        return (t->kind == TOKEN_SYMBOL || t->kind == TOKEN_DELIMITER) && t->size == 1 && *t->text == c;
}

/* The name that a word or a quoted name means, without its quotes; owned by the caller, NULL when memory ran out. */
char *token_name(const Token *t);
