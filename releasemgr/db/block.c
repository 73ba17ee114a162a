#include "db/block.h"

/* What opens a block: a statement's keyword, and CASE as an expression ("c"). */
enum {
        OPENER_BEGIN = 'B',
        OPENER_IF = 'I',
        OPENER_CASE = 'C',
        OPENER_CASE_EXPRESSION = 'c',
        OPENER_LOOP = 'L',
        OPENER_WHILE = 'W',
        OPENER_REPEAT = 'R',
        OPENER_FOR = 'F',
};

static const struct {
        const char *word;
        char kind;
        bool body_follows; /* at once: otherwise behind THEN or DO */
} openers[] = {
                {"BEGIN", OPENER_BEGIN, true},
                {"IF", OPENER_IF, false},
                {"CASE", OPENER_CASE, false},
                {"LOOP", OPENER_LOOP, true},
                {"WHILE", OPENER_WHILE, false},
                {"REPEAT", OPENER_REPEAT, true},
                {"FOR", OPENER_FOR, false},
};

static const char *const plain_objects[] = {"TABLE", "VIEW", "INDEX", "DATABASE", "SCHEMA", "USER", "ROLE",
                "SEQUENCE", "SERVER", "UNIQUE", "FULLTEXT", "SPATIAL", "TEMPORARY", "TABLESPACE", "LOGFILE",
                NULL};

/* A routine whose body is one statement begins it with one of these. */
static const char *const verbs[] = {"RETURN", "SELECT", "INSERT", "UPDATE", "DELETE", "SET", "CALL",
                "REPLACE", "DO", "WITH", "EXECUTE", "PREPARE", "SIGNAL", "TRUNCATE", "CREATE", "ALTER",
                "DROP", "GRANT", "REVOKE", "START", "COMMIT", "ANALYZE", "OPTIMIZE", "RENAME", "LOAD",
                "FLUSH", "VALUES", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "CHECK", "CHECKSUM", "REPAIR",
                "CACHE", "KILL", "RESET", "HANDLER", "GET", "RESIGNAL", "DEALLOCATE", "ROLLBACK", "SAVEPOINT",
                "RELEASE", NULL};

/* Words behind which an operand is still to come, so that an END there is a column's name. */
static const char *const operators[] = {"WHEN", "THEN", "ELSE", "CASE", "AND", "OR", "NOT", "XOR", "LIKE",
                "IN", "IS", "BETWEEN", "DIV", "MOD", "REGEXP", "RLIKE", "BINARY", "INTERVAL", "SELECT",
                "DISTINCT", "BY", "WHERE", "FROM", "ON", "USING", "AS", "UNTIL", "COLLATE", "ESCAPE", NULL};

static char top(const Block *b) {
        return b->depth > 0 ? b->stack[b->depth - 1].kind : '\0';
}

static void push(Block *b, char kind, Token t) {
        if (b->depth == BLOCK_DEPTH_MAX) {
                b->too_deep = true;
                return;
        }
        b->stack[b->depth].kind = kind;
        b->stack[b->depth].advanced = false;
        b->stack[b->depth++].at = t.text;
}

static bool open_block(Block *b, Token t) {
        for (size_t i = 0; i < ELEMENTS_OF(openers); i++)
                if (token_is(&t, openers[i].word)) {
                        push(b, openers[i].kind, t);
                        b->state = BLOCK_BODY;
                        b->starting = openers[i].body_follows;
                        return true;
                }
        return false;
}

/* Whether the last token can end an expression. */
static bool operand_is_complete(const Block *b) {
        const Token *t = &b->last;

        switch (t->kind) {
        case TOKEN_STRING:
        case TOKEN_NAME:
        case TOKEN_ESCAPE: /* \N */
                return true;
        case TOKEN_WORD:
                return !token_is_any(t, operators);
        default:
                return token_is_symbol(t, ')') || token_is_symbol(t, '?');
        }
}

static void close_block(Block *b) {
        b->depth--;
        b->starting = false;
        b->closing = true;
}

/* END, where it may close something. */
static void feed_end(Block *b, bool starting) {
        if (token_is_symbol(&b->last, '.') || token_is_symbol(&b->last, '@') || b->depth == 0)
                return;
        if (top(b) == OPENER_CASE_EXPRESSION) {
                if (operand_is_complete(b))
                        b->depth--;
        } else if (starting || (top(b) == OPENER_REPEAT && b->stack[b->depth - 1].advanced &&
                                               operand_is_complete(b)))
                close_block(b);
}

/* The conditions of DECLARE ... HANDLER FOR. Returns whether the token belongs to them. */
static bool feed_handler(Block *b, Token t) {
        static const char *const incomplete[] = {"SQLSTATE", "VALUE", "NOT", NULL};

        if (b->handler == HANDLER_COMPLETE && !token_is_symbol(&t, ',')) {
                b->handler = HANDLER_NONE;
                b->starting = true;
                return false;
        }
        if (b->handler == HANDLER_COMPLETE)
                b->handler = HANDLER_CONDITION;
        else if (b->handler == HANDLER_CONDITION && !token_is_any(&t, incomplete))
                b->handler = HANDLER_COMPLETE;
        return b->handler != HANDLER_NONE;
}

static void feed_word(Block *b, Token t, bool starting, bool closing) {
        bool branching = top(b) == OPENER_IF || top(b) == OPENER_CASE;

        if (token_is(&t, "END"))
                feed_end(b, starting);
        else if (starting && open_block(b, t))
                return;
        else if (token_is(&t, "CASE") && !closing && !token_is_symbol(&b->last, '.'))
                push(b, OPENER_CASE_EXPRESSION, t);
        else if (branching && (token_is(&t, "THEN") || token_is(&t, "ELSE")))
                b->starting = true;
        else if (token_is(&t, "UNTIL") && top(b) == OPENER_REPEAT && starting)
                b->stack[b->depth - 1].advanced = true;
        else if (token_is(&t, "DO") && (top(b) == OPENER_WHILE || top(b) == OPENER_FOR) &&
                        !b->stack[b->depth - 1].advanced) {
                b->stack[b->depth - 1].advanced = true;
                b->starting = true;
        } else if (token_is(&t, "FOR") && token_is(&b->last, "HANDLER"))
                b->handler = HANDLER_CONDITION;
}

static void feed_body(Block *b, Token t) {
        static const char *const orders[] = {"FOLLOWS", "PRECEDES", NULL};
        bool starting, closing = b->closing;

        if (b->depth == 0 && token_is_any(&b->last, orders)) {
                b->starting = true; /* behind another trigger's name */
                return;
        }
        if (b->handler != HANDLER_NONE && feed_handler(b, t))
                return;
        starting = b->starting;
        b->closing = false;
        b->starting = token_is_symbol(&t, ';') || (token_is_symbol(&t, ':') && b->was_starting);
        b->was_starting = starting;
        if (t.kind == TOKEN_WORD)
                feed_word(b, t, starting, closing);
}

/* Between the name and the body. */
static void feed_header(Block *b, Token t) {
        bool after_dot = token_is_symbol(&b->last, '.') || token_is_symbol(&b->last, '@');

        if (token_is_symbol(&t, '('))
                b->parentheses++;
        else if (token_is_symbol(&t, ')') && b->parentheses > 0)
                b->parentheses--;
        if (b->parentheses > 0)
                return;
        b->starting = false;
        if (b->object == BODY_OF_EVENT && token_is(&t, "DO")) {
                b->state = BLOCK_BODY;
                b->starting = true;
        } else if (b->object == BODY_OF_TRIGGER && token_is(&t, "ROW") && token_is(&b->last, "EACH")) {
                b->state = BLOCK_BODY;
                b->starting = true;
        } else if (b->object == BODY_OF_ROUTINE && token_is_symbol(&t, ':')) {
                b->state = BLOCK_BODY;
                b->starting = true;
        } else if (b->object == BODY_OF_ROUTINE && !after_dot && !open_block(b, t) &&
                        token_is_any(&t, verbs) && !token_is(&b->last, "RETURNS") &&
                        !token_is(&b->last, "CHARACTER"))
                b->state = BLOCK_BODY;
}

static void feed_first(Block *b, Token t) {
        if (token_is(&t, "CREATE") || token_is(&t, "ALTER"))
                b->state = BLOCK_CREATE;
        else if (token_is(&t, "BEGIN"))
                b->state = BLOCK_BEGIN;
        else if (t.kind == TOKEN_WORD && open_block(b, t))
                return;
        else
                b->state = BLOCK_LABEL;
}

static void feed_create(Block *b, Token t) {
        if (token_is_symbol(&b->last, '=') || token_is_symbol(&b->last, '@'))
                return; /* DEFINER=... */
        b->state = BLOCK_OBJECT;
        if (token_is(&t, "PROCEDURE") || token_is(&t, "FUNCTION"))
                b->object = BODY_OF_ROUTINE;
        else if (token_is(&t, "TRIGGER"))
                b->object = BODY_OF_TRIGGER;
        else if (token_is(&t, "EVENT"))
                b->object = BODY_OF_EVENT;
        else
                b->state = token_is_any(&t, plain_objects) ? BLOCK_PLAIN : BLOCK_CREATE;
}

static void feed_object(Block *b, Token t) {
        if (!token_is(&t, "IF") && !token_is(&t, "NOT") && !token_is(&t, "EXISTS"))
                b->state = BLOCK_HEADER;
}

void block_feed(Block *b, Token t) {
        switch (b->state) {
        case BLOCK_FIRST:
                feed_first(b, t);
                break;
        case BLOCK_CREATE:
                feed_create(b, t);
                break;
        case BLOCK_BEGIN:
                b->state = token_is(&t, "NOT") ? BLOCK_BODY : BLOCK_PLAIN;
                if (b->state == BLOCK_BODY)
                        push(b, OPENER_BEGIN, b->last);
                break;
        case BLOCK_LABEL:
                b->state = token_is_symbol(&t, ':') ? BLOCK_BODY : BLOCK_PLAIN;
                b->starting = true;
                break;
        case BLOCK_OBJECT:
                feed_object(b, t);
                break;
        case BLOCK_HEADER:
                feed_header(b, t);
                break;
        case BLOCK_BODY:
                if (b->depth > 0 && token_is(&t, "ATOMIC") && token_is(&b->last, "NOT"))
                        b->starting = true;
                else
                        feed_body(b, t);
                break;
        case BLOCK_PLAIN:
                break;
        }
        b->last = t;
}
