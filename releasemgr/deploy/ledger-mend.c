/* A new ledger for a damaged one, made of what the history tells. Its format is described in ledger.c. */

#include <errno.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "deploy/ledger.h"

/* Where @version stands in the list of proven releases; its length where it does not. */
static size_t find_proven(const json_t *proven, const char *version) {
        size_t i = 0;

        while (i < json_array_size(proven) &&
                        !streq_ptr(json_get_string(json_array_get(proven, i), "version"), version))
                i++;
        return i;
}

/* It proved itself: it is now the newest. */
static int add_proven(json_t *proven, const json_t *entry) {
        (void) json_array_remove(proven, find_proven(proven, json_get_string(entry, "version")));
        return json_array_append_new(
                        proven, json_pack("{sO* sO*}", "version", json_object_get(entry, "version"), "since",
                                                json_object_get(entry, "ended")));
}

/* A person rolled back from it. */
static int abandon(json_t *proven, const json_t *entry) {
        json_t *from = json_array_get(proven, find_proven(proven, json_get_string(entry, "from")));

        return from ? json_object_set_new(from, "abandoned", json_true()) : 0;
}

static int add_quarantined(json_t *quarantine, const char *digest, const json_t *entry) {
        return json_object_set_new(quarantine, digest,
                        json_pack("{sO* sO* sO*}", "version", json_object_get(entry, "version"), "reason",
                                        json_object_get(entry, "text"), "since",
                                        json_object_get(entry, "ended")));
}

/* One deployment after the other, the oldest first. */
static int tell(const json_t *history, json_t *proven, json_t *quarantine) {
        int r = 0;

        for (size_t i = json_array_size(history); r >= 0 && i-- > 0;) {
                const json_t *entry = json_array_get(history, i);
                const char *verdict = json_get_string(entry, "verdict");
                const char *digest = json_get_string(entry, "quarantined");

                if (digest)
                        r = add_quarantined(quarantine, digest, entry);
                if (r < 0 || !streq_ptr(verdict, "succeeded"))
                        continue;
                if (streq_ptr(json_get_string(entry, "verb"), "rollback"))
                        r = abandon(proven, entry);
                else
                        r = add_proven(proven, entry);
        }
        return r < 0 ? -ENOMEM : 0;
}

static json_t *make_pins(char *const *here) {
        json_t *pins = json_array();

        for (char *const *i = here; pins && i && *i; i++)
                (void) json_array_append_new(pins, json_string(*i));
        return pins;
}

int ledger_mend(int dirfd, const json_t *history, char *const *here, uint64_t now_usec, char **ret_kept,
                Error *e) {
        _cleanup_json_ json_t *proven = json_array(), *quarantine = json_object(), *root = NULL;
        char since[CLOCK_TEXT_MAX];
        _cleanup_free_ char *kept = NULL;
        int r;

        kept = text_format("%s.damaged-%llu", LEDGER_FILE, (unsigned long long) now_usec);
        r = kept && proven && quarantine ? tell(history, proven, quarantine) : -ENOMEM;
        if (r < 0)
                return r;
        root = json_pack("{sO sO so s{ss ss ss}}", "proven", proven, "quarantine", quarantine, "pins",
                        make_pins(here), "hold", "by", "releasemgr", "reason", LEDGER_FILE " was damaged",
                        "since", clock_to_text(now_usec, since));
        if (!root)
                return -ENOMEM;
        r = json_write_file(dirfd, kept, root, 0644);
        if (r > 0)
                r = -errno;
        if (r >= 0)
                r = fs_exchange_durable(dirfd, kept, LEDGER_FILE);
        if (r < 0)
                return error_errno(e, r, "cannot replace the damaged %s", LEDGER_FILE);
        *ret_kept = TAKE(kept);
        return 0;
}
