#include <errno.h>
#include <string.h>

#include "db/judge.h"

typedef struct Judge {
        Lexer lexer;
        Token t;       /* the token at hand */
        bool replaces; /* CREATE OR REPLACE */
        Judgement *j;
} Judge;

static void next(Judge *u) {
        u->t = lexer_next_word(&u->lexer);
}

/* Passes over @word where it stands here. */
static bool skip(Judge *u, const char *word) {
        if (!token_is(&u->t, word))
                return false;
        next(u);
        return true;
}

const char *statement_class_name(StatementClass c) {
        static const char *const names[_CLASS_MAX] = {
                        [CLASS_DATA] = "data",
                        [CLASS_SCHEMA] = "schema",
                        [CLASS_SESSION] = "session",
                        [CLASS_TRANSACTION] = "transaction",
                        [CLASS_REPEATABLE] = "repeatable",
                        [CLASS_OPAQUE] = "opaque",
        };

        return names[c];
}

void judgement_clear(Judgement *j) {
        for (size_t i = 0; i < j->n_objects; i++) {
                free(j->objects[i].database);
                free(j->objects[i].name);
        }
        *j = (Judgement){0};
}

/* IF EXISTS, IF NOT EXISTS */
static void skip_if(Judge *u) {
        if (!skip(u, "IF"))
                return;
        (void) skip(u, "NOT");
        (void) skip(u, "EXISTS");
}

/* [database .] name. Returns 1, 0 where there is no name here, or -ENOMEM. More objects than fit make the statement
 * opaque. */
static int read_name(Judge *u, ObjectKind kind) {
        ObjectName o = {.kind = kind};

        if (u->t.kind != TOKEN_WORD && u->t.kind != TOKEN_NAME)
                return 0;
        o.name = token_name(&u->t);
        next(u);
        if (o.name && token_is_symbol(&u->t, '.')) {
                next(u);
                o.database = o.name;
                o.name = token_name(&u->t);
                next(u);
        }
        if (!o.name || u->j->n_objects == JUDGEMENT_OBJECTS_MAX) {
                free(o.database);
                free(o.name);
                u->j->class = CLASS_OPAQUE;
                return o.name ? 0 : -ENOMEM;
        }
        u->j->objects[u->j->n_objects++] = o;
        return 1;
}

/* name [, name ...] */
static int read_names(Judge *u, ObjectKind kind) {
        int r;

        for (;;) {
                r = read_name(u, kind);
                if (r <= 0 || !token_is_symbol(&u->t, ','))
                        return r;
                next(u);
        }
}

/* ALGORITHM [=] COPY, LOCK [=] SHARED|EXCLUSIVE; what cannot be done without a lock against writers. */
static void judge_online(Judge *u) {
        static const char *const copying[] = {"COPY", NULL}, *const locking[] = {"SHARED", "EXCLUSIVE", NULL},
                                 *const blocking[] = {"FULLTEXT", "SPATIAL", "AUTO_INCREMENT", NULL};
        bool algorithm = token_is(&u->t, "ALGORITHM"), lock = token_is(&u->t, "LOCK");

        if (token_is_any(&u->t, blocking))
                u->j->blocks = true;
        if (!algorithm && !lock)
                return;
        next(u);
        if (token_is_symbol(&u->t, '='))
                next(u);
        if (algorithm && token_is_any(&u->t, copying))
                u->j->copies = true;
        if (lock && token_is_any(&u->t, locking))
                u->j->blocks = true;
}

/* DROP of something in a table: a column unless it says otherwise. */
static void judge_drop_part(Judge *u) {
        static const char *const harmless[] = {"INDEX", "KEY", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK",
                        "DEFAULT", "SYSTEM", NULL};

        if (!token_is_any(&u->t, harmless))
                u->j->destructive = true;
}

/* What ALTER TABLE does, clause by clause. */
static int judge_clause(Judge *u) {
        static const char *const keys[] = {"COLUMN", "INDEX", "KEY", NULL};
        static const char *const unseen[] = {"TRUNCATE", "EXCHANGE", "DISCARD", "IMPORT", NULL};
        int r = 0;

        if (skip(u, "DROP"))
                judge_drop_part(u);
        else if (skip(u, "RENAME")) {
                if (!token_is_any(&u->t, keys)) {
                        (void) (skip(u, "TO") || skip(u, "AS"));
                        r = read_name(u, OBJECT_TABLE);
                        u->j->destructive = u->j->renames = u->j->creates = true;
                } else
                        u->j->destructive = u->j->destructive || token_is(&u->t, "COLUMN");
        } else if (skip(u, "CHANGE")) {
                (void) skip(u, "COLUMN");
                skip_if(u);
                Token from = u->t;
                next(u);
                if (from.size != u->t.size || memcmp(from.text, u->t.text, from.size) != 0)
                        u->j->destructive = true;
        } else if (token_is_any(&u->t, unseen)) {
                u->j->class = CLASS_OPAQUE;
                u->j->destructive = true;
        }
        return r;
}

static int judge_alter_table(Judge *u) {
        unsigned depth = 0;
        bool starting = true;
        int r;

        skip_if(u);
        r = read_name(u, OBJECT_TABLE);
        if (r < 0)
                return r;
        u->j->alters = true;
        if (token_is_symbol(&u->t, ','))
                next(u);
        while (u->t.kind != TOKEN_END) {
                if (starting && depth == 0) {
                        r = judge_clause(u);
                        if (r < 0)
                                return r;
                        starting = false;
                }
                if (token_is_symbol(&u->t, '('))
                        depth++;
                else if (token_is_symbol(&u->t, ')') && depth > 0)
                        depth--;
                starting = token_is_symbol(&u->t, ',');
                judge_online(u);
                if (u->t.kind != TOKEN_END)
                        next(u);
        }
        return 0;
}

/* CREATE [UNIQUE ...] INDEX name ... ON table, DROP INDEX name ON table */
static int judge_index(Judge *u) {
        int r;

        while (u->t.kind != TOKEN_END && !token_is(&u->t, "ON"))
                next(u);
        next(u);
        r = read_name(u, OBJECT_TABLE);
        if (r < 0)
                return r;
        u->j->alters = true;
        for (; u->t.kind != TOKEN_END; next(u))
                judge_online(u);
        return 0;
}

static bool object_kind(const Token *t, ObjectKind *ret) {
        static const struct {
                const char *word;
                ObjectKind kind;
        } kinds[] = {
                        {"TABLE", OBJECT_TABLE},
                        {"VIEW", OBJECT_TABLE},
                        {"SEQUENCE", OBJECT_TABLE},
                        {"PROCEDURE", OBJECT_PROCEDURE},
                        {"FUNCTION", OBJECT_FUNCTION},
                        {"TRIGGER", OBJECT_TRIGGER},
                        {"EVENT", OBJECT_EVENT},
                        {"DATABASE", OBJECT_DATABASE},
                        {"SCHEMA", OBJECT_DATABASE},
        };

        for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
                if (token_is(t, kinds[i].word)) {
                        *ret = kinds[i].kind;
                        return true;
                }
        return false;
}

/* Goes over OR REPLACE, DEFINER = ..., ALGORITHM = ..., UNIQUE and the like, to the word that says what it is. */
static bool find_object(Judge *u, ObjectKind *ret, bool *ret_temporary) {
        static const char *const others[] = {"INDEX", "USER", "ROLE", "SERVER", "PACKAGE", NULL};
        bool assigned = false;

        for (; u->t.kind != TOKEN_END && !token_is_any(&u->t, others); next(u)) {
                if (token_is(&u->t, "TEMPORARY"))
                        *ret_temporary = true;
                if (token_is(&u->t, "REPLACE"))
                        u->replaces = true;
                if (token_is(&u->t, "FULLTEXT") || token_is(&u->t, "SPATIAL"))
                        u->j->blocks = true;
                if (!assigned && object_kind(&u->t, ret))
                        return true;
                assigned = token_is_symbol(&u->t, '=') || token_is_symbol(&u->t, '@');
        }
        return false;
}

/* What holds no rows: a view, a routine, a trigger or an event. */
static bool is_definition(const Judge *u, ObjectKind kind) {
        return kind != OBJECT_DATABASE && (kind != OBJECT_TABLE || token_is(&u->t, "VIEW"));
}

/* CREATE and ALTER of anything. */
static int judge_define(Judge *u, bool creates) {
        bool temporary = false, table;
        ObjectKind kind;
        int r;

        next(u);
        if (!find_object(u, &kind, &temporary)) {
                if (token_is(&u->t, "INDEX")) {
                        u->j->class = CLASS_SCHEMA;
                        return judge_index(u);
                }
                return 0; /* users, roles, servers: nobody can tell */
        }
        table = token_is(&u->t, "TABLE");
        u->j->class = temporary ? CLASS_SESSION : CLASS_SCHEMA;
        u->j->definition = is_definition(u, kind);
        u->j->defines = creates && u->j->definition;
        u->j->destructive = u->replaces && !temporary && !u->j->definition;
        next(u);
        if (table && !creates)
                return judge_alter_table(u);
        skip_if(u);
        r = read_name(u, kind);
        u->j->creates = creates && table && !temporary;
        u->j->temporary = creates && table && temporary;
        return r;
}

static int judge_drop(Judge *u) {
        bool temporary = false;
        ObjectKind kind;
        int r;

        next(u);
        if (!find_object(u, &kind, &temporary)) {
                if (token_is(&u->t, "INDEX")) {
                        u->j->class = CLASS_SCHEMA;
                        return judge_index(u);
                }
                return 0;
        }
        u->j->class = temporary ? CLASS_SESSION : CLASS_SCHEMA;
        u->j->destructive = !temporary;
        u->j->definition = is_definition(u, kind);
        u->j->drops = true;
        next(u);
        skip_if(u);
        r = kind == OBJECT_TABLE ? read_names(u, kind) : read_name(u, kind);
        return r;
}

/* Whether the tables only change places: where they look alike nobody can tell afterwards. */
static bool is_swap(const Judgement *j) {
        for (size_t i = 1; i < j->n_objects; i += 2) {
                const ObjectName *to = j->objects + i;
                bool left = false;

                for (size_t k = 0; k < j->n_objects && !left; k += 2)
                        left = streq(j->objects[k].name, to->name);
                if (!left)
                        return false;
        }
        return j->n_objects > 2; /* one alone goes into another database */
}

/* RENAME TABLE a TO b [, c TO d]; RENAME USER is opaque. */
static int judge_rename(Judge *u) {
        int r;

        next(u);
        if (!skip(u, "TABLE") && !skip(u, "TABLES"))
                return 0;
        skip_if(u);
        u->j->class = CLASS_SCHEMA;
        u->j->destructive = u->j->renames = u->j->creates = true;
        for (;;) {
                r = read_name(u, OBJECT_TABLE);
                while (r > 0 && u->t.kind != TOKEN_END && !skip(u, "TO"))
                        next(u); /* WAIT n, NOWAIT */
                if (r > 0)
                        r = read_name(u, OBJECT_TABLE);
                if (r > 0 && token_is_symbol(&u->t, ',')) {
                        next(u);
                        continue;
                }
                if (is_swap(u->j))
                        u->j->class = CLASS_OPAQUE;
                return r;
        }
}

/* Whether the statement assigns variables of the user: SET @a =, @a :=, INTO @a */
static bool assigns_variables(const char *text, size_t size, SqlMode mode) {
        Lexer l = lexer_init(text, size, mode);
        Token t = lexer_next_word(&l);
        bool set = token_is(&t, "SET"), into = false;

        for (; t.kind != TOKEN_END; t = lexer_next_word(&l)) {
                if (!token_is_symbol(&t, '@')) {
                        into = token_is(&t, "INTO");
                        continue;
                }
                t = lexer_next_word(&l);
                if (token_is_symbol(&t, '@'))
                        continue; /* @@system */
                t = lexer_next_word(&l);
                if (into || token_is_symbol(&t, ':') || (set && token_is_symbol(&t, '=')))
                        return true;
        }
        return false;
}

/* SET: what concerns the server as a whole or an account outlives the session, and is the same when done twice. */
static void judge_set(Judge *u) {
        static const char *const lasting[] = {"GLOBAL", "PASSWORD", "DEFAULT", "ROLE", NULL};

        next(u);
        u->j->class = token_is_any(&u->t, lasting) && !token_is(&u->t, "ROLE") ? CLASS_REPEATABLE
                                                                               : CLASS_SESSION;
}

static void judge_lock(Judge *u, bool locks) {
        next(u);
        u->j->class = CLASS_SESSION;
        u->j->locks_tables = locks;
        u->j->unlocks_tables = !locks;
}

static void judge_transaction(Judge *u) {
        u->j->class = CLASS_TRANSACTION;
        u->j->begins = token_is(&u->t, "BEGIN") || token_is(&u->t, "START");
        u->j->rolls_back = token_is(&u->t, "ROLLBACK");
        if (token_is(&u->t, "BEGIN")) {
                next(u);
                if (token_is(&u->t, "NOT"))
                        *u->j = (Judgement){.class = CLASS_OPAQUE, .runs_others = true};
        } else if (token_is(&u->t, "START")) {
                next(u);
                if (!token_is(&u->t, "TRANSACTION"))
                        *u->j = (Judgement){.class = CLASS_OPAQUE, .runs_others = true};
        }
}

/* INSERT, UPDATE and the like: the table that stands first, which is the one that is written to but for statements over
 * several tables. */
static int judge_data(Judge *u) {
        static const char *const writing[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", NULL};
        static const char *const modifiers[] = {
                        "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "QUICK", "INTO", "FROM", NULL};

        u->j->class = CLASS_DATA;
        if (!token_is_any(&u->t, writing))
                return 0;
        do
                next(u);
        while (token_is_any(&u->t, modifiers));
        return read_name(u, OBJECT_TABLE);
}

static int judge_first(Judge *u) {
        static const char *const data[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "SELECT", "WITH", "DO",
                        "LOAD", "VALUES", "HANDLER", NULL};
        static const char *const session[] = {"USE", "PREPARE", "DEALLOCATE", NULL};
        static const char *const transaction[] = {
                        "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", NULL};
        static const char *const repeatable[] = {"GRANT", "ANALYZE", "OPTIMIZE", "CHECK", "CHECKSUM",
                        "REPAIR", "FLUSH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "HELP", NULL};

        if (token_is(&u->t, "CREATE"))
                return judge_define(u, true);
        if (token_is(&u->t, "ALTER"))
                return judge_define(u, false);
        if (token_is(&u->t, "DROP"))
                return judge_drop(u);
        if (token_is(&u->t, "RENAME"))
                return judge_rename(u);
        if (token_is(&u->t, "TRUNCATE")) {
                u->j->destructive = true;
                next(u);
                (void) skip(u, "TABLE");
                return read_name(u, OBJECT_TABLE);
        }
        if (token_is_any(&u->t, data) || token_is_symbol(&u->t, '('))
                return judge_data(u);
        else if (token_is_any(&u->t, transaction))
                judge_transaction(u);
        else if (token_is(&u->t, "SET"))
                judge_set(u);
        else if (token_is(&u->t, "LOCK") || token_is(&u->t, "UNLOCK"))
                judge_lock(u, token_is(&u->t, "LOCK"));
        else if (token_is_any(&u->t, session))
                u->j->class = CLASS_SESSION;
        else if (token_is_any(&u->t, repeatable) || u->t.kind == TOKEN_END)
                u->j->class = CLASS_REPEATABLE;
        else
                u->j->runs_others = true;
        return 0;
}

int statement_judge(const char *text, size_t size, SqlMode mode, Judgement *ret) {
        Judgement j = {.class = CLASS_OPAQUE};
        Judge u = {.lexer = lexer_init(text, size, mode), .j = &j};
        int r;

        lexer_skip_settings(&u.lexer);
        next(&u);
        r = judge_first(&u);
        if (r < 0) {
                judgement_clear(&j);
                return r;
        }
        j.variables = (j.class == CLASS_SESSION || j.class == CLASS_DATA) &&
                      assigns_variables(text, size, mode);
        *ret = j;
        return 0;
}
