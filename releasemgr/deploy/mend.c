#include <errno.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/id.h"
#include "base/text.h"
#include "deploy/context.h"
#include "deploy/facts.h"
#include "deploy/history.h"
#include "deploy/journal.h"
#include "deploy/ledger.h"
#include "deploy/mend.h"
#include "host/instance.h"

/* The versions that are sealed here. */
static int list_versions(Store *s, char ***ret, Error *e) {
        ReleaseInfo **infos = NULL;
        size_t n = 0;
        int r;

        r = store_list(s, &infos, &n, NULL, e);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = strv_add(ret, infos[i]->version);
        release_info_free_many(infos, n);
        return r;
}

static int add_told(json_t *history, const char *verb, const char *version, const char *from) {
        return !version ? 0
                        : json_array_append_new(history,
                                          json_pack("{ss* ss ss* ss}", "verb", verb, "version", version,
                                                          "from", from, "verdict", "succeeded"));
}

/* Where the history is lost, too, the journal of the last deployment still knows what that was: it is told as the history
 * would, the newest first. What it began from had served. */
static int tell_last(const DeployOptions *o, json_t *history) {
        const char *activate = plan_goal_name(GOAL_ACTIVATE), *verb, *version, *from;
        _cleanup_(journal_free_p) Journal *j = NULL;
        int r = journal_open(o->state_fd, JOURNAL_FILE, &j, NULL);

        if (r < 0) /* damaged, too */
                return r == -ENOMEM ? r : 0;
        verb = json_get_string(journal_begin(j), "verb");
        version = json_get_string(journal_begin(j), "version");
        from = json_get_string(journal_begin(j), "from");
        if (journal_has(j, RECORD_COMMIT, NULL))
                r = add_told(history, verb, version, from);
        if (r >= 0)
                r = add_told(history, activate, from, NULL);
        if (r >= 0 && journal_has(j, RECORD_COMMIT, NULL) && streq_ptr(verb, plan_goal_name(GOAL_ROLLBACK)))
                r = add_told(history, activate, version, NULL);
        return r < 0 ? -ENOMEM : 0;
}

/* What the history tells; one that cannot be read tells nothing. */
static int read_history(const DeployOptions *o, json_t **ret) {
        _cleanup_error_ Error error = ERROR_INIT;
        int r = history_tail(o->state_fd, SIZE_MAX, ret, NULL, &error);

        if (r >= 0 || r == -ENOMEM)
                return r;
        progress_warn_error(o->progress, &error, r);
        *ret = json_array();
        return *ret ? 0 : -ENOMEM;
}

int mend_ledger(const DeployOptions *o, Error *e) {
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_error_ Error damage = ERROR_INIT;
        _cleanup_json_ json_t *history = NULL;
        _cleanup_strv_ char **here = NULL;
        _cleanup_free_ char *kept = NULL, *path = NULL;
        int r;

        r = ledger_load(o->state_fd, &ledger, &damage);
        if (r != -EUCLEAN) {
                error_move(e, &damage);
                return r;
        }
        r = read_history(o, &history);
        if (r >= 0 && json_array_size(history) == 0)
                r = tell_last(o, history);
        if (r >= 0)
                r = list_versions(o->store, &here, e);
        if (r >= 0)
                r = ledger_mend(o->state_fd, history, here, clock_now(), &kept, e);
        if (r < 0)
                return r;
        path = fs_full_path(o->state_fd, kept);
        progress_warn(o->progress,
                        "%s; it is kept as %s, and a new one made of the history: each release that is here "
                        "is "
                        "pinned until unpin, and the timer held until unhold",
                        error_message(&damage, -EUCLEAN), path ?: kept);
        return 0;
}

/* What became of `current`, as a line of the history like any other: nothing was activated. */
static void tell_history(const DeployOptions *o, const char *version, const char *text) {
        char id[ID_TEXT_MAX], now[CLOCK_TEXT_MAX];
        uint64_t usec = clock_now();
        _cleanup_error_ Error error = ERROR_INIT;
        _cleanup_json_ json_t *entry = NULL;
        int r;

        entry = json_pack("{ss ss ss ss ss* ss ss si si ss ss}", "id", id_new(usec, id), "verb", "recover",
                        "version", version, "from", version, "by", o->by, "begun", clock_to_text(usec, now),
                        "ended", now, "took", 0, "exit", 0, "verdict", "recovered", "text", text);
        r = entry ? history_append(o->state_fd, entry, &error) : -ENOMEM;
        if (r < 0) /* what is mended does not wait for it: the disk may be full */
                progress_warn(o->progress, "%s", error_message(&error, r));
}

/* Lets current name @proven, for the reason @why. */
static int go_to(const DeployOptions *o, const char *proven, const char *why, Error *e) {
        _cleanup_free_ char *text =
                        text_format("%s: current names %s now, which proved itself last", why, proven);
        int r;

        if (!text)
                return -ENOMEM;
        r = store_set_current(o->store, proven, e);
        if (r < 0)
                return r;
        progress_warn(o->progress, "%s", text);
        tell_history(o, proven, text);
        return 1;
}

int mend_current(const DeployOptions *o, const char *lost, Error *e) {
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_error_ Error why = ERROR_INIT;
        _cleanup_free_ char *current = NULL, *text = NULL;
        const char *proven;
        int r;

        r = store_find_current(o->store, &current, &why);
        if ((r < 0 && r != -EUCLEAN) || (r > 0 && !lost)) {
                error_move(e, &why);
                return MIN_OF(r, 0);
        }
        r = ledger_load(o->state_fd, &ledger, e);
        if (r < 0)
                return r;
        proven = ledger_rollback_target(ledger, NULL, facts_release_exists, o->store);
        if (proven && !(current && ledger_proven(ledger, current) > 0))
                return go_to(o, proven, current ? lost : error_message(&why, -ENOENT), e);
        if (!current)
                return 0;
        text = text_format("%s: current names %s still", lost, current);
        if (!text)
                return -ENOMEM;
        tell_history(o, current, text);
        return 0;
}

/* Of a handover that nobody knows anything of any more, whatever else runs. */
static int stop_others(const DeployOptions *o, const char *version, Error *e) {
        uint64_t deadline = clock_monotonic() + o->start_timeout_usec;
        _cleanup_strv_ char **running = NULL;
        char unit[UNIT_NAME_MAX];
        int r;

        r = instances_running(o->bus, o->unit, &running, e);
        if (r >= 0)
                r = deploy_unit(o, version, unit, e);
        for (char **i = running; r >= 0 && i && *i; i++)
                if (!streq(*i, unit))
                        r = unit_stop(o->bus, *i, deadline, NULL, e);
        return r;
}

int mend_service(const DeployOptions *o, bool boot, Error *e) {
        _cleanup_(deploy_clear) Deploy d;
        int r;

        deploy_init(&d, o, GOAL_ACTIVATE, NULL);
        d.boot = boot;
        d.recovering = true;
        r = store_find_current(o->store, &d.from, e);
        if (r <= 0)
                return r;
        r = step_anchor.undo(&d, e);
        if (r == 0 && !boot && o->strategy == STRATEGY_HANDOVER)
                r = stop_others(o, d.from, e);
        if (r == ENGINE_UNHEALTHY) {
                r = -EIO;
                error_prefix(e, r, "release %s, which current names, is not healthy: ", d.from);
                error_hint(e, r, "releasemgr rollback goes to another that proved itself; releasemgr logs");
                if (e)
                        e->class = ERROR_UNHEALTHY;
        }
        return r;
}
