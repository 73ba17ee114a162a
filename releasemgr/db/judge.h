#pragma once

/*
 * What a statement is, as far as the runner must know: how it can be made to happen exactly once, what it touches,
 * and whether it might hurt. No I/O. It reads the head of the statement and, of ALTER TABLE, what is done; what it does
 * not know it calls opaque, never harmless.
 */

#include "db/lexer.h"

typedef enum StatementClass {
        CLASS_DATA,        /* commits together with its record */
        CLASS_SCHEMA,      /* commits by itself; whether it ran shows in what it touches */
        CLASS_SESSION,     /* changes this session alone: repeated in each new one */
        CLASS_TRANSACTION, /* BEGIN, COMMIT, ROLLBACK, SAVEPOINT: the file's own transaction */
        CLASS_REPEATABLE,  /* twice is the same as once */
        CLASS_OPAQUE,      /* nobody can tell afterwards */
        _CLASS_MAX,
} StatementClass;

/* "data", "schema", ... */
const char *statement_class_name(StatementClass c);

typedef enum ObjectKind {
        OBJECT_TABLE, /* views and sequences, too: they share its name space */
        OBJECT_PROCEDURE,
        OBJECT_FUNCTION,
        OBJECT_TRIGGER,
        OBJECT_EVENT,
        OBJECT_DATABASE,
} ObjectKind;

typedef struct ObjectName {
        ObjectKind kind;
        char *database; /* NULL: the current one; owned */
        char *name;     /* owned */
} ObjectName;

#define JUDGEMENT_OBJECTS_MAX 32

typedef struct Judgement {
        StatementClass class;
        ObjectName objects[JUDGEMENT_OBJECTS_MAX]; /* what it makes, changes, removes or writes to */
        size_t n_objects;
        bool alters;      /* changes a table in place or by copying: objects[0] */
        bool creates;     /* makes objects[n_objects - 1], a table, under a new name */
        bool renames;     /* ... from objects[0] */
        bool copies;      /* says ALGORITHM=COPY */
        bool blocks;      /* says or needs a lock against writers */
        bool destructive; /* takes away a table, a column, a routine or a name that the release before may use */
        bool definition;     /* a view, routine, trigger or event, objects[0]: no rows go with it */
        bool defines;        /* makes such a one, or puts it in the place of another */
        bool variables;      /* assigns @variables, which later statements may read */
        bool drops;          /* all objects */
        bool temporary;      /* makes a temporary table, objects[0], which is gone with the session */
        bool runs_others;    /* CALL, EXECUTE, a compound statement: a failure may leave half of it behind */
        bool locks_tables;   /* LOCK TABLES */
        bool unlocks_tables; /* UNLOCK TABLES */
        bool begins;         /* a transaction */
        bool rolls_back;     /* one, or to a savepoint */
} Judgement;

/* 0, or -ENOMEM. */
int statement_judge(const char *text, size_t size, SqlMode mode, Judgement *ret);

void judgement_clear(Judgement *j);

#define _cleanup_judgement_ _cleanup_(judgement_clear)
