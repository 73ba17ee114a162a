#include <errno.h>

#include "base/text.h"
#include "deploy/route.h"

const char *route_kind_name(RouteKind kind) {
        static const char *const names[] = {"copy", "patch", "chain", "bundle"};

        return names[kind];
}

static uint64_t bytes_of(const OfferedFile *f) {
        return f->length + f->blocks_length;
}

/* By bytes. Of two that cost the same, what needs less work. */
static int compare_routes(const void *a, const void *b) {
        const Route *x = a, *y = b;

        if (x->bytes != y->bytes)
                return x->bytes < y->bytes ? -1 : 1;
        return x->kind != y->kind ? (int) x->kind - (int) y->kind : strcmp(x->from, y->from);
}

static bool patch_leads(const OfferedPatch *p, const Digest *from, const Digest *to) {
        return digest_equal(&p->info->from_digest, from) && digest_equal(&p->info->tar_digest, to);
}

/* The smallest patch between two trees, NULL where there is none. */
static const OfferedPatch *find_patch(const OfferedBundle *b, const Digest *from, const Digest *to) {
        const OfferedPatch *best = NULL;

        for (size_t i = 0; i < b->n_patches; i++)
                if (patch_leads(&b->patches[i], from, to) &&
                                (!best || bytes_of(&b->patches[i].file) < bytes_of(&best->file)))
                        best = &b->patches[i];
        return best;
}

/* The cheapest way from @from that patches lead, by one step or two; false where none is cheaper than the bundle. */
static bool find_way(const OfferedBundle *b, const ReleaseInfo *from, uint64_t room, Route *ret) {
        const Digest *here = &from->tar_digest, *there = &b->info->tar_digest;
        const OfferedPatch *direct = find_patch(b, here, there);

        *ret = (Route){.kind = ROUTE_BUNDLE, .from = from->version, .bytes = bytes_of(&b->file)};
        if (direct && bytes_of(&direct->file) < ret->bytes) {
                ret->kind = ROUTE_PATCH;
                ret->file = &direct->file;
                ret->bytes = bytes_of(&direct->file);
        }
        for (size_t i = 0; i < b->n_patches; i++) {
                const OfferedPatch *last = &b->patches[i], *first;
                uint64_t bytes;

                if (!patch_leads(last, &last->info->from_digest, there))
                        continue;
                first = find_patch(b, here, &last->info->from_digest);
                if (!first || first->info->tar_length > room)
                        continue;
                bytes = bytes_of(&first->file) + bytes_of(&last->file);
                if (bytes < ret->bytes)
                        *ret = (Route){ROUTE_CHAIN, from->version, first, &last->file, bytes};
        }
        return ret->kind != ROUTE_BUNDLE;
}

int route_list(const OfferedBundle *b, ReleaseInfo *const *here, size_t n_here, uint64_t room, Route **ret,
                size_t *ret_n) {
        Route *l = calloc(n_here + 1, sizeof(*l));
        size_t n = 0;

        if (!l)
                return -ENOMEM;
        for (size_t i = 0; i < n_here; i++)
                if (digest_equal(&here[i]->tar_digest, &b->info->tar_digest))
                        l[n++] = (Route){.kind = ROUTE_COPY, .from = here[i]->version};
                else
                        n += find_way(b, here[i], room, &l[n]);
        qsort(l, n, sizeof(*l), compare_routes);
        l[n++] = (Route){.kind = ROUTE_BUNDLE, .file = &b->file, .bytes = bytes_of(&b->file)};
        *ret = l;
        *ret_n = n;
        return 0;
}

bool route_may_go_on(int r) {
        static const int final[] = {ECANCELED, ENOMEM, ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE, EHOSTUNREACH,
                        ECONNREFUSED, ECONNRESET, ETIMEDOUT, ETIME, EKEYREJECTED, EPROTO};

        for (size_t i = 0; i < ELEMENTS_OF(final); i++)
                if (r == -final[i])
                        return false;
        return true;
}
