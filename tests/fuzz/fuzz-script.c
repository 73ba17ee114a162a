/* Splitting and judging any bytes: ends, stays inside the text, and finds the same again in what it found. */

#include <string.h>

#include "db/judge.h"
#include "db/script.h"
#include "fuzz.h"

/* A statement is one statement: split again, it is itself. Bodies may need the delimiter that the file had. */
static void split_again(const Statement *s, SqlMode mode, const char *delimiter) {
        Script again = script_init("again", s->text, s->size, 1, mode);
        _cleanup_statement_ Statement first = {0};

        memcpy(again.delimiter, delimiter, sizeof(again.delimiter));
        if (s->text[s->size - 1] == '-')
                return; /* at the end, "--" is a comment: each time one less is left */
        if (s->size >= 2 && memcmp(s->text, "--", 2) == 0)
                return; /* at the beginning of a line, it is a comment, whatever follows */
        if (memmem(s->text, s->size, "\r\n", 2))
                return; /* each time a line loses one of its carriage returns */
        if (s->size >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0)
                return; /* at the beginning, it is no part of the text */
        if (script_next(&again, &first, NULL) == 1)
                INVARIANT(first.size == s->size && memcmp(first.text, s->text, s->size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        SqlMode mode = {.no_backslash_escapes = size > 0 && data[0] & 1,
                        .ansi_quotes = size > 0 && data[0] & 2};
        Script script = script_init("fuzz", (const char *) data, size, 1, mode);

        for (;;) {
                _cleanup_statement_ Statement s = {0};
                _cleanup_judgement_ Judgement j = {0};
                char delimiter[SCRIPT_DELIMITER_MAX];

                mode = script.mode;
                if (script_next(&script, &s, NULL) <= 0)
                        return 0;
                memcpy(delimiter, script.delimiter, sizeof(delimiter));
                INVARIANT(s.size > 0 && s.text[s.size] == '\0');
                INVARIANT(s.line > 0 && s.column > 0 && script.p <= script.end);
                split_again(&s, mode, delimiter);
                INVARIANT(statement_judge(s.text, s.size, mode, &j) >= 0);
        }
}
