#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/version.h"
#include "deploy/facts.h"
#include "deploy/hook.h"
#include "deploy/inquiry.h"
#include "deploy/retain.h"
#include "deploy/schema.h"
#include "deploy/service.h"
#include "host/socket.h"
#include "store/verify.h"

/* So long an answer of the database is waited for before anything is fetched. */
#define AT_ONCE_USEC USEC_PER_SEC

bool facts_release_exists(const char *version, void *store) {
        return store_has(store, version);
}

/* What current names. Where that is nothing that could be gone back to, it is said, and there is none. */
static int find_current(Deploy *d, Error *e) {
        _cleanup_error_ Error why = ERROR_INIT;
        int r = store_find_current(d->o->store, &d->from, &why);

        if (r == -EUCLEAN)
                progress_warn(d->o->progress, "%s", error_message(&why, r));
        else if (r < 0) {
                error_move(e, &why);
                return r;
        }
        return 0;
}

/* Where current is of no use, an activation that fails goes back to what would be rolled back to. */
static int choose_way_back(Deploy *d) {
        const char *proven;

        if (d->from || d->goal == GOAL_ROLLBACK)
                return 0;
        proven = ledger_rollback_target(d->ledger, d->target, facts_release_exists, d->o->store);
        d->from = proven ? strdup(proven) : NULL;
        return proven && !d->from ? -ENOMEM : 0;
}

static int set_target(Deploy *d, const char *version) {
        d->target = strdup(version);
        return d->target ? 0 : -ENOMEM;
}

/* Nothing is known of them but that they are here: which one is good is the operator's to say. */
static int advise_others(const Deploy *d, Error *e) {
        _cleanup_text_ Text others = TEXT_INIT;
        ReleaseInfo **infos = NULL;
        size_t n = 0;
        int r;

        r = store_list(d->o->store, &infos, &n, NULL, NULL);
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (!streq_ptr(infos[i]->version, d->from))
                        r = text_addf(&others, "%s%s", others.size > 0 ? ", " : "", infos[i]->version);
        release_info_free_many(infos, n);
        if (r < 0 || others.size == 0)
                return error_hint(
                                e, -ENOENT, "releasemgr list shows what is here; rollback VERSION names one");
        return error_hint(e, -ENOENT, "releasemgr rollback VERSION goes to one that is named; here are %s",
                        others.data);
}

static int choose_rollback(Deploy *d, const char *version, Error *e) {
        if (!version)
                version = ledger_rollback_target(d->ledger, d->from, facts_release_exists, d->o->store);
        if (version)
                return set_target(d, version);
        error_set(e, ERROR_REFUSED, -ENOENT,
                        "no other release proved itself on this host: there is nothing to go back to");
        return advise_others(d, e);
}

static int warn_of_expiry(const Deploy *d, const Offer *c) {
        _cleanup_free_ char *warning = NULL;
        int r = offer_warning(c, clock_now(), &warning);

        if (warning)
                progress_warn(d->o->progress, "%s: its publisher should run repo refresh", warning);
        return r;
}

/* Asks the repository for the target: what the channel points at, or the version named. */
static int choose_published(Deploy *d, const char *version, Error *e) {
        _cleanup_(offer_free_p) Offer *c = NULL;
        int r;

        r = offer_open(d->o, false, &c, e);
        if (r >= 0)
                r = warn_of_expiry(d, c);
        if (r < 0)
                return r;
        r = version ? set_target(d, version) : offer_channel(c, d->o->channel, &d->target, e);
        if (r < 0)
                return r;
        return offer_find(c, d->target, &d->bundle, e);
}

/* A release that is sealed here needs no network; whether its publisher took it back is looked up in what was
 * verified last. */
static int choose_sealed(Deploy *d, const char *version) {
        _cleanup_(offer_free_p) Offer *c = NULL;
        int r;

        r = set_target(d, version);
        if (r >= 0 && offer_open(d->o, true, &c, NULL) >= 0)
                (void) offer_find(c, version, &d->bundle, NULL);
        return r;
}

static int choose_target(Deploy *d, const char *version, Error *e) {
        if (version && !version_is_valid(version))
                return error_set(e, ERROR_USAGE, -EINVAL, "\"%s\" is not a version", version);
        if (d->goal == GOAL_ROLLBACK)
                return choose_rollback(d, version, e);
        if (version && store_has(d->o->store, version))
                return choose_sealed(d, version);
        return choose_published(d, version, e);
}

static int find_tree_digest(Deploy *d, const ReleaseInfo *info) {
        char text[DIGEST_TEXT_MAX];

        if (!info && !d->bundle)
                return 0;
        d->tree_digest =
                        strdup(digest_to_text(info ? &info->tar_digest : &d->bundle->info->tar_digest, text));
        return d->tree_digest ? 0 : -ENOMEM;
}

/* What fetching needs, and what can be had: free now, or after a prune. */
static int measure_space(Deploy *d, PlanFacts *f, Error *e) {
        RetainSpace space;
        int r;

        r = retain_measure(d, &space, e);
        if (r < 0)
                return r;
        f->need_bytes = space.need_bytes;
        f->have_bytes = space.have_bytes;
        f->need_inodes = space.need_inodes;
        f->have_inodes = space.have_inodes;
        return 0;
}

/* Reads every file of the sealed target again: what the disk lost or somebody changed must not be switched to. */
static int verify_target(Deploy *d, Error *e) {
        _cleanup_(verify_report_free_p) VerifyReport *report = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        fd = store_open_release(d->o->store, d->target, e);
        if (fd < 0)
                return fd;
        r = verify_release(fd, &report, e);
        if (r != 0)
                return MIN_OF(r, 0);
        error_set(e, ERROR_UNTRUSTED, -EUCLEAN, "release %s is not as it was sealed: %s %s%s", d->target,
                        report->findings[0].path, verify_kind_to_string(report->findings[0].kind),
                        report->n > 1 ? ", and more" : "");
        return error_hint(
                        e, -EUCLEAN, "releasemgr verify %s names all; go back to another release", d->target);
}

/* Asks the database, which what the host refuses by itself, and what is there already, does not need. One that does not
 * answer at once is waited for beside the download, where the plan does not depend on what it says. */
static int plan_with_schema(Deploy *d, PlanFacts *f, Plan *p, Error *e) {
        bool later;
        int r;

        f->proven = d->from && ledger_proven(d->ledger, d->from) > 0;
        later = d->lock && plan_has(p, STEP_FETCH) && !plan_may_contract(f);
        r = inquiry_begin(d, f, &d->inquiry);
        if (r >= 0)
                r = inquiry_wait(d->inquiry, later ? AT_ONCE_USEC : USEC_INFINITY, p, e);
        if (r != -EAGAIN)
                return r;
        progress_note(d->o->progress, "the database does not answer yet: fetching meanwhile");
        return 0;
}

/* Nothing is to be done; that nobody reaches what runs is told all the same. */
static int warn_of_sockets(const Deploy *d, Error *e) {
        _cleanup_error_ Error why = ERROR_INIT;
        char unit[UNIT_NAME_MAX];
        int r;

        r = deploy_unit(d->o, d->target, unit, &why);
        if (r >= 0)
                r = sockets_check(d->o->bus, unit, &why);
        if (r == -EADDRNOTAVAIL) {
                progress_warn_error(d->o->progress, &why, r);
                return 0;
        }
        error_move(e, &why);
        return r;
}

int facts_gather(Deploy *d, const char *version, Plan *ret, Error *e) {
        _cleanup_(release_info_free_p) ReleaseInfo *info = NULL;
        PlanFacts f = {.goal = d->goal,
                        .has_database = d->o->migrator,
                        .contract = d->o->contract,
                        .strategy = d->o->strategy,
                        .soak = d->o->soak_usec > 0};
        char name[UNIT_NAME_MAX];
        UnitState unit;
        int r;

        r = find_current(d, e);
        if (r >= 0)
                r = choose_target(d, version, e);
        if (r >= 0)
                r = choose_way_back(d);
        if (r < 0)
                return r;
        f.target = d->target;
        f.current = d->from;
        f.sealed = store_has(d->o->store, d->target);
        if (f.sealed && d->verify) {
                r = verify_target(d, e);
                if (r < 0)
                        return r;
        }
        f.hold = ledger_hold_reason(d->ledger, &f.hold_by, NULL);
        r = f.sealed ? store_load(d->o->store, d->target, &info, e) : 0;
        if (r >= 0)
                r = find_tree_digest(d, info);
        if (r < 0)
                return r;
        f.range = schema_range(info ? info->schema : d->bundle ? d->bundle->info->schema : NULL);
        r = hooks_wanted(d, &f.hooks, e);
        if (r < 0)
                return r;
        if (d->tree_digest)
                f.quarantine = ledger_quarantine_reason(d->ledger, d->tree_digest);
        if (d->bundle)
                f.yanked = d->bundle->info->yanked;
        r = deploy_unit(d->o, d->target, name, e);
        if (r >= 0)
                r = unit_require(d->o->bus, name, &unit, e);
        if (r < 0)
                return r;
        r = deploy_is_serving(d->o, d->from, e);
        if (r < 0)
                return r;
        f.serving = r;
        if (!f.sealed && d->bundle) {
                r = measure_space(d, &f, e);
                if (r < 0)
                        return r;
        }
        r = plan_make(&f, ret, e);
        if (r < 0 && plan_leaves_alone(&f)) {
                progress_summary(d->o->progress, "%s", error_message(e, r));
                error_clear(e);
                ret->nothing = true;
                return 0;
        }
        if (r >= 0 && plan_has(ret, STEP_BESIDE))
                r = handover_check_fit(d, e);
        if (r >= 0 && ret->nothing)
                r = warn_of_sockets(d, e);
        if (r >= 0 && !ret->nothing && f.has_database)
                r = plan_with_schema(d, &f, ret, e);
        if (r >= 0)
                progress_summary(d->o->progress, ret->nothing ? "%s is active already" : "%s%s%s", d->target,
                                d->from ? ", from " : "", d->from ?: "");
        return r;
}
