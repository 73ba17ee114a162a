#pragma once

/*
 * How objects of the schema look, as one digest: what SHOW CREATE says, without the counters in it. An object that is
 * not there has a look, too. All suspend, and return the errors of sql.h.
 */

#include "db/judge.h"
#include "db/sql.h"
#include "trust/digest.h"

/* The look of @objects together. */
int fingerprint_objects(
                Sql *s, const ObjectName *objects, size_t n, char ret[static DIGEST_TEXT_MAX], Error *e);

/* The look of one table that is not there; and of one that is, from what SHOW CREATE TABLE answered. No I/O. */
int fingerprint_of_none(char ret[static DIGEST_TEXT_MAX]);
int fingerprint_of_answer(const SqlResult *answer, char ret[static DIGEST_TEXT_MAX]);

/* Whether the object is there: 1 or 0. */
int object_exists(Sql *s, const ObjectName *o, Error *e);

/* The name for people: "database.name" or "name"; and quoted for the server. Owned by the caller, NULL: no memory. */
char *object_text(const ObjectName *o);
char *object_quote(const ObjectName *o);
