#pragma once

/* The functions behind the table of verbs, by the file they stand in. */

#include "cli/verb.h"

/* activate.c */
int verb_activate(Session *s, const Arguments *a, Error *e);
int verb_pull(Session *s, const Arguments *a, Error *e);
int verb_rollback(Session *s, const Arguments *a, Error *e);
int verb_run(Session *s, const Arguments *a, Error *e);
int verb_start(Session *s, const Arguments *a, Error *e);
int verb_recover(Session *s, const Arguments *a, Error *e);

/* status.c */
int verb_status(Session *s, const Arguments *a, Error *e);

/* list.c */
int verb_list(Session *s, const Arguments *a, Error *e);

/* history.c */
int verb_history(Session *s, const Arguments *a, Error *e);
int verb_show(Session *s, const Arguments *a, Error *e);

/* init.c */
int verb_init(Session *s, const Arguments *a, Error *e);

/* keep.c */
int verb_hold(Session *s, const Arguments *a, Error *e);
int verb_unhold(Session *s, const Arguments *a, Error *e);
int verb_pin(Session *s, const Arguments *a, Error *e);
int verb_unpin(Session *s, const Arguments *a, Error *e);
int verb_prune(Session *s, const Arguments *a, Error *e);
int verb_quarantine_list(Session *s, const Arguments *a, Error *e);
int verb_quarantine_lift(Session *s, const Arguments *a, Error *e);

/* check.c */
int verb_check(Session *s, const Arguments *a, Error *e);
int verb_verify(Session *s, const Arguments *a, Error *e);
int verb_plan(Session *s, const Arguments *a, Error *e);
int verb_logs(Session *s, const Arguments *a, Error *e);

/* migrate.c */
int verb_migrate_status(Session *s, const Arguments *a, Error *e);
int verb_migrate_apply(Session *s, const Arguments *a, Error *e);
int verb_migrate_contract(Session *s, const Arguments *a, Error *e);
int verb_migrate_resolve(Session *s, const Arguments *a, Error *e);
int verb_migrate_adopt(Session *s, const Arguments *a, Error *e);

/* repo-check.c */
int verb_repo_check(Session *s, const Arguments *a, Error *e);

/* repo-init.c */
int verb_repo_init(Session *s, const Arguments *a, Error *e);
int verb_repo_refresh(Session *s, const Arguments *a, Error *e);

/* repo-publish.c */
int verb_repo_publish(Session *s, const Arguments *a, Error *e);
int verb_repo_promote(Session *s, const Arguments *a, Error *e);
int verb_repo_prune(Session *s, const Arguments *a, Error *e);
int verb_repo_push(Session *s, const Arguments *a, Error *e);
int verb_repo_yank(Session *s, const Arguments *a, Error *e);

/* repo-roles.c */
int verb_repo_key(Session *s, const Arguments *a, Error *e);
int verb_repo_rotate(Session *s, const Arguments *a, Error *e);
int verb_repo_delegate(Session *s, const Arguments *a, Error *e);
int verb_repo_sign(Session *s, const Arguments *a, Error *e);

/* tuf.c */
int verb_tuf_init(Session *s, const Arguments *a, Error *e);
int verb_tuf_refresh(Session *s, const Arguments *a, Error *e);
int verb_tuf_download(Session *s, const Arguments *a, Error *e);
