/*
 * Listing: every target whose name begins with a prefix
 *
 * First every role that may speak of such names is loaded, in the order of the search and regardless of terminating
 * delegations. Then each name that any of them holds is searched for as updater_find() would, among what was loaded:
 * so a name is listed only where the search for it succeeds, and with the entry that the search would find.
 */

#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "trust/updater-internal.h"

static int collect(const Metadata *m, const char *prefix, json_t *names) {
        const char *name;
        json_t *entry;

        json_object_foreach((json_t *) metadata_targets(m), name, entry)
                if (startswith(name, prefix) && json_object_set_new(names, name, json_true()) < 0)
                        return -ENOMEM;
        return 0;
}

/* Searches for @name in memory; a role that is not there ends the search. */
static int resolve(Updater *u, const char *name) {
        _cleanup_(search_free_p) Search *s = NULL;
        const Metadata *m = u->targets;
        const json_t *entry;
        int r;

        r = search_new(u, name, false, &s);
        while (r >= 0 && m) {
                r = search_visit(s, m, &entry);
                if (r > 0)
                        return updater_add_found(u, name, entry);
                role_free(s->current);
                s->current = search_pop(s);
                m = s->current ? updater_delegated(u, s->current) : NULL;
        }
        return r;
}

static int compare_targets(const void *a, const void *b) {
        return strcmp(((const TargetFile *) a)->name, ((const TargetFile *) b)->name);
}

int updater_finish_list(Updater *u, const char *prefix) {
        _cleanup_json_ json_t *names = json_object();
        const char *name;
        json_t *value;
        int r;

        r = names ? collect(u->targets, prefix, names) : -ENOMEM;
        for (size_t i = 0; r >= 0 && i < u->n_delegated; i++)
                r = collect(u->delegated[i].metadata, prefix, names);
        if (r < 0)
                return r;
        json_object_foreach(names, name, value) {
                r = resolve(u, name);
                if (r < 0)
                        return r;
        }
        if (u->n_found > 0)
                qsort(u->found, u->n_found, sizeof(TargetFile), compare_targets);
        return 0;
}
