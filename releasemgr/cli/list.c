/* list: the releases that are here, and those that the repository offers. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/table.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/app.h"
#include "cli/verbs.h"
#include "deploy/offer.h"

typedef struct Listing {
        App app;
        Ledger *ledger;
        char *current;
        char *channel_version; /* what the channel points at; NULL: not known */
        ReleaseInfo **here;
        size_t n_here;
        BundleInfo **offered;
        size_t n_offered;
} Listing;

static void listing_clear(Listing *l) {
        release_info_free_many(l->here, l->n_here);
        for (size_t i = 0; i < l->n_offered; i++)
                bundle_info_free(l->offered[i]);
        free(l->offered);
        free(l->current);
        free(l->channel_version);
        ledger_free(l->ledger);
        app_close(&l->app);
}

/* What the repository offers; without --refresh what was verified last, which may be nothing yet. */
static int gather_offered(Listing *l, bool refresh, Error *e) {
        _cleanup_(offer_free_p) Offer *c = NULL;
        int r;

        r = offer_open(&l->app.deploy, !refresh, &c, refresh ? e : NULL);
        if (r < 0)
                return refresh ? r : 0;
        (void) offer_channel(c, l->app.deploy.channel, &l->channel_version, NULL);
        return offer_list(c, &l->offered, &l->n_offered, e);
}

static int gather(Listing *l, bool refresh, Error *e) {
        int r;

        r = app_read_ledger(&l->app, &l->ledger, e);
        if (r >= 0)
                r = store_list(l->app.deploy.store, &l->here, &l->n_here, NULL, e);
        if (r >= 0)
                r = app_read_current(&l->app, &l->current, e);
        if (r < 0)
                return r;
        return gather_offered(l, refresh, e);
}

static int add_state(Text *t, bool applies, const char *word) {
        return applies ? text_addf(t, "%s%s", t->size > 0 ? ", " : "", word) : 0;
}

/* One line: a release that is here (@info), offered (@bundle) or both. */
static json_t *describe(const Listing *l, const ReleaseInfo *info, const BundleInfo *bundle) {
        const char *version = info ? info->version : bundle->version;
        _cleanup_text_ Text state = TEXT_INIT;
        char digest[DIGEST_TEXT_MAX], published[CLOCK_TEXT_MAX];
        int r;

        (void) digest_to_text(info ? &info->tar_digest : &bundle->tar_digest, digest);
        r = add_state(&state, streq_ptr(l->current, version), "active");
        if (r >= 0)
                r = add_state(&state, ledger_proven(l->ledger, version) > 0, "proven");
        if (r >= 0)
                r = add_state(&state, ledger_quarantine_reason(l->ledger, digest), "quarantined");
        if (r >= 0)
                r = add_state(&state, ledger_is_pinned(l->ledger, version), "pinned");
        if (r >= 0)
                r = add_state(&state, bundle && bundle->yanked, "yanked");
        if (r >= 0)
                r = add_state(&state, streq_ptr(l->channel_version, version), l->app.deploy.channel);
        if (r < 0)
                return NULL;
        return json_pack("{ss sb ss sI ss* ss*}", "version", version, "here", info != NULL, "state",
                        state.data ?: "", "bytes", (json_int_t) (info ? info->unpacked : bundle->unpacked),
                        "commit", info ? info->commit : bundle->commit, "published",
                        bundle ? clock_to_text(bundle->published_usec, published) : NULL);
}

/* Both lists are in the order of versions: merged, the newest first. */
static int merge(const Listing *l, json_t **ret) {
        _cleanup_json_ json_t *lines = json_array();
        size_t h = l->n_here, o = l->n_offered;

        if (!lines)
                return -ENOMEM;
        while (h > 0 || o > 0) {
                int c = h == 0   ? -1
                        : o == 0 ? 1
                                 : version_compare(l->here[h - 1]->version, l->offered[o - 1]->version);
                const ReleaseInfo *info = c >= 0 ? l->here[--h] : NULL;
                const BundleInfo *bundle = c <= 0 ? l->offered[--o] : NULL;

                if (json_array_append_new(lines, describe(l, info, bundle)) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE(lines);
        return 0;
}

static int print_table(Session *s, const json_t *lines) {
        static const TableColumn columns[] = {
                        {"VERSION", false},
                        {"HERE", false},
                        {"STATE", false},
                        {"SIZE", true},
                        {"PUBLISHED", false},
                        {"COMMIT", false},
        };
        _cleanup_(table_free_p) Table *t = NULL;
        const json_t *line;
        size_t i;
        int r;

        r = table_new(columns, ELEMENTS_OF(columns), screen_has_colour(s->screen), &t);
        json_array_foreach((json_t *) lines, i, line) {
                const char *state = json_get_string(line, "state");
                char size[SIZE_TEXT_MAX];
                const char *cells[] = {
                                json_get_string(line, "version"),
                                json_get_boolean(line, "here", false) ? "yes" : "no",
                                state,
                                size_to_text(json_get_integer(line, "bytes", 0), size),
                                json_get_string(line, "published"),
                                json_get_string(line, "commit"),
                };

                if (r >= 0)
                        r = table_add(t, cells);
                if (r >= 0 && startswith(state, "active"))
                        r = table_colour(t, 2, "green");
                else if (r >= 0 && (strstr(state, "quarantined") || strstr(state, "yanked")))
                        r = table_colour(t, 2, "red");
        }
        return r < 0 ? r : table_print(t, stdout);
}

int verb_list(Session *s, const Arguments *a, Error *e) {
        _cleanup_(listing_clear) Listing l = {0};
        _cleanup_json_ json_t *lines = NULL;
        int r;

        r = app_open(s, a, APP_STORE | APP_NETWORK, &l.app, e);
        if (r >= 0)
                r = gather(&l, arguments_flag(a, "refresh"), e);
        if (r >= 0)
                r = merge(&l, &lines);
        if (r < 0)
                return r;
        if (screen_is_json(s->screen)) {
                for (size_t i = 0; i < json_array_size(lines); i++)
                        screen_json(s->screen, json_array_get(lines, i));
                return 0;
        }
        if (json_array_size(lines) == 0) {
                puts("no release is here yet; --refresh asks the repository");
                return 0;
        }
        r = print_table(s, lines);
        return r < 0 ? r : 0;
}
