#include <errno.h>

#include "base/clock.h"
#include "deploy/contract.h"
#include "deploy/ledger.h"
#include "deploy/schema.h"

static int check_current(const DeployOptions *o, const Ledger *ledger, const char *floor, Error *e) {
        _cleanup_(release_info_free_p) ReleaseInfo *info = NULL;
        _cleanup_free_ char *current = NULL;
        SchemaRange range;
        int r;

        r = store_get_current(o->store, &current, e);
        if (r >= 0)
                r = store_load(o->store, current, &info, e);
        if (r < 0)
                return r;
        if (ledger_proven(ledger, current) == 0) {
                r = error_set(e, ERROR_REFUSED, -EPERM,
                                "release %s has not proved itself here, and the one before it may be needed "
                                "again",
                                current);
                return error_hint(e, r, "Activate it with releasemgr, which sees whether it is healthy.");
        }
        range = schema_range(info->schema);
        if (schema_survives(&range, floor))
                return 0;
        r = error_set(e, ERROR_REFUSED, -EPERM,
                        "release %s runs, and does not know contract migration %s: it may not survive it",
                        current, floor);
        return error_hint(e, r, "Activate the release that has it first.");
}

int contract_allow(const DeployOptions *o, const char *database, const char *floor, Lock **ret, Error *e) {
        char since[CLOCK_TEXT_MAX];
        _cleanup_json_ json_t *holder = json_pack("{ss ss* ss}", "verb", "migrate contract", "by", o->by,
                        "since", clock_to_text(clock_now(), since));
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_(lock_free_p) Lock *lock = NULL;
        int r;

        r = holder ? lock_take(o->run_fd, holder, o->wait_usec, &lock, e) : -ENOMEM;
        if (r >= 0)
                r = ledger_load(o->state_fd, &ledger, e);
        if (r >= 0 && floor)
                r = check_current(o, ledger, floor, e);
        if (r >= 0 && floor)
                r = ledger_set_floor(ledger, database, floor, clock_now(), e);
        if (r < 0)
                return r;
        *ret = TAKE(lock);
        return 0;
}
