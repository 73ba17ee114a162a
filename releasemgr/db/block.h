#pragma once

/*
 * Compound statements: where a semicolon does not end the statement
 *
 * Procedures, functions, triggers, events and MariaDB's BEGIN NOT ATOMIC hold statements of their own. Fed with the
 * tokens of one statement, a Block knows whether a ';' is inside such a body. The difficulty is that the words are not
 * reserved: END may be a column, BEGIN a transaction, IF and REPEAT functions, and CASE has an expression and a
 * statement. So it is kept in mind where a statement may begin: only there does a word open a block or close one.
 */

#include "db/lexer.h"

#define BLOCK_DEPTH_MAX 256

typedef struct Block {
        enum {
                BLOCK_FIRST,  /* nothing seen yet */
                BLOCK_CREATE, /* behind CREATE or ALTER: of what? */
                BLOCK_BEGIN,  /* behind a first BEGIN: a transaction's, or NOT ATOMIC's */
                BLOCK_LABEL,  /* behind a first word that may be a label */
                BLOCK_OBJECT, /* behind PROCEDURE, TRIGGER, ...: its name is to come */
                BLOCK_HEADER, /* behind its name: the body is to come */
                BLOCK_BODY,
                BLOCK_PLAIN, /* an ordinary statement */
        } state;
        enum {
                BODY_OF_ROUTINE,
                BODY_OF_TRIGGER,
                BODY_OF_EVENT,
        } object;
        struct {
                char kind;     /* one of the openers in block.c */
                bool advanced; /* DO or UNTIL was seen */
                const char *at;
        } stack[BLOCK_DEPTH_MAX];
        unsigned depth;
        unsigned parentheses;
        bool starting;     /* a statement may begin here */
        bool was_starting; /* ... before the last token */
        bool closing;      /* behind END: its second word, if any, opens nothing */
        bool too_deep;
        enum {
                HANDLER_NONE,
                HANDLER_CONDITION, /* DECLARE ... HANDLER FOR: a condition is to come */
                HANDLER_COMPLETE,  /* a condition is whole: a comma or a statement is to come */
        } handler;
        Token last;
} Block;

/* Takes the next token of the statement; those that mean nothing (see lexer_next_word()) are left out. */
void block_feed(Block *b, Token t);

/* Inside a body: a ';' does not end the statement. */
static inline bool block_is_open(const Block *b) {
        return b->depth > 0;
}

/* Where the innermost open block begins. */
static inline const char *block_opened_at(const Block *b) {
        return b->depth > 0 ? b->stack[b->depth - 1].at : NULL;
}
