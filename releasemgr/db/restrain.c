#include "db/restrain.h"
#include <string.h>

#include "base/text.h"

/* Behind the name in ALTER [ONLINE] [IGNORE] TABLE [IF EXISTS] name [WAIT n|NOWAIT]; @ret_next is what follows. */
static const char *find_list(Lexer *l, Token *ret_next) {
        static const char *const before[] = {"ALTER", "ONLINE", "IGNORE", "TABLE", "IF", "EXISTS", NULL};
        Token t = lexer_next_word(l);
        const char *end;

        while (token_is_any(&t, before))
                t = lexer_next_word(l);
        end = t.text + t.size;
        t = lexer_next_word(l);
        if (token_is_symbol(&t, '.')) {
                t = lexer_next_word(l);
                end = t.text + t.size;
                t = lexer_next_word(l);
        }
        if (token_is(&t, "NOWAIT") || token_is(&t, "WAIT")) {
                if (token_is(&t, "WAIT"))
                        t = lexer_next_word(l);
                end = t.text + t.size;
                t = lexer_next_word(l);
        }
        *ret_next = t;
        return end;
}

static const char *find_end(Lexer *l, Token t) {
        const char *end = t.text + t.size;

        for (t = lexer_next_word(l); t.kind != TOKEN_END; t = lexer_next_word(l))
                end = t.text + t.size;
        return end;
}

char *statement_restrain(const char *text, size_t size, SqlMode mode, const char *algorithm) {
        static const char *const partitioning[] = {"PARTITION", "REMOVE", NULL};
        Lexer l = lexer_init(text, size, mode), ahead;
        Token first, next = {0};
        bool index, instant = streq(algorithm, "INSTANT");
        const char *at, *behind = "";

        lexer_skip_settings(&l);
        ahead = l;
        first = lexer_next_word(&ahead);
        index = !token_is(&first, "ALTER");
        at = token_is(&first, "DROP") ? NULL : index ? find_end(&ahead, first) : find_list(&l, &next);
        if (!at)
                return strndup(text, size);
        if (!index && next.kind != TOKEN_END && !token_is_any(&next, partitioning))
                behind = ",";
        return text_format("%.*s ALGORITHM=%s%s%s%.*s", (int) (at - text), text, algorithm,
                        instant ? ""
                        : index ? " LOCK=NONE"
                                : ", LOCK=NONE",
                        behind, (int) (text + size - at), at);
}
