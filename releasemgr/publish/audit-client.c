#include <errno.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "publish/audit-internal.h"
#include "publish/listing.h"
#include "store/blocks.h"
#include "trust/updater.h"

#define BLOCK_LIST_MAX (64 * MIB)

/* One step of a host that has seen nothing yet but the first root. It stores nothing: all it needs again it was fed. */
static int answer(Audit *a, Updater *u, const UpdaterStep *step, Error *e) {
        const char *name = step->action == UPDATER_FETCH ? step->url : "1.root.json";
        _cleanup_free_ char *path = NULL, *data = NULL;
        size_t size;
        int k;

        if (step->action == UPDATER_STORE || step->action == UPDATER_DELETE)
                return 0;
        if (step->action == UPDATER_LOAD && !streq(step->file, "root.json"))
                return updater_feed_missing(u, e);
        path = text_format("metadata/%s", name);
        if (!path)
                return -ENOMEM;
        k = fs_read_file(a->repository->fd, path, step->max, &data, &size);
        if (k == -ENOENT)
                return updater_feed_missing(u, e);
        return k < 0 ? error_errno(e, k, "cannot read %s", path) : updater_feed(u, data, size, e);
}

static int run(Audit *a, Updater *u, Error *e) {
        UpdaterStep step;
        int k;

        while ((k = updater_next(u, &step, e)) > 0) {
                k = answer(a, u, &step, e);
                if (k < 0)
                        return k;
        }
        return k;
}

/* Reads a target's file: its length and hashes against what is signed, and the block list of it where @ret is not
 * NULL. 1 good; 0 and a finding. */
static int check_bytes(Audit *a, const TargetFile *t, const char *path, Text *ret_list) {
        _cleanup_close_ int fd = fd_openat(a->repository->fd, path, O_RDONLY | O_CLOEXEC);
        _cleanup_(hash_checker_free_p) HashChecker *c = NULL;
        _cleanup_(block_lister_free_p) BlockLister *l = NULL;
        char buffer[65536];
        uint64_t length = 0;
        ssize_t n = 0;
        int k;

        if (fd < 0)
                return audit_add(a, ERROR_UNTRUSTED, false, path, "is listed, but cannot be read: %s",
                                strerror(errno));
        if ((k = hash_checker_new(&t->hashes, &c)) < 0 || (k = block_lister_new(&l)) < 0)
                return k;
        while (k >= 0 && (n = fd_read_full(fd, buffer, sizeof(buffer))) > 0) {
                length += (uint64_t) n;
                k = hash_checker_add(c, buffer, (size_t) n);
                if (k >= 0)
                        k = block_lister_add(l, buffer, (size_t) n);
        }
        if (k < 0)
                return k;
        if (n < 0)
                return audit_add(a, ERROR_FAILED, false, path, "cannot be read: %s", strerror((int) -n));
        k = hash_checker_finish(c);
        if (k >= 0 && (k == 0 || length != t->length))
                return audit_add(a, ERROR_UNTRUSTED, false, path, "is not the file that was signed");
        a->report->bytes += length;
        if (k > 0 && ret_list)
                k = block_lister_finish(l, ret_list) < 0 ? -ENOMEM : 1;
        return k;
}

/* The path below the repository of a listed target. */
static int path_of(const TargetFile *t, char **ret) {
        Digest digest;
        _cleanup_free_ char *below = NULL;

        if (!hashes_get_sha256(&t->hashes, &digest))
                return -EINVAL;
        below = listing_path(t->name, &digest);
        *ret = below ? text_format("targets/%s", below) : NULL;
        return *ret ? 0 : -ENOMEM;
}

static const TargetFile *find_target(const TargetFile *targets, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(targets[i].name, name))
                        return &targets[i];
        return NULL;
}

/* The block list beside a bundle or patch must be that of its bytes. */
static int check_blocks(Audit *a, const Updater *u, const TargetFile *t, const char *path, const Text *list) {
        _cleanup_free_ char *name = target_blocks(t->name), *blocks_path = NULL, *data = NULL;
        const TargetFile *targets, *blocks;
        size_t n = updater_targets(u, &targets), size;
        int k;

        if (!name)
                return -ENOMEM;
        blocks = find_target(targets, n, name);
        if (!blocks)
                return audit_add(a, ERROR_UNTRUSTED, false, path, "has no list of blocks");
        k = path_of(blocks, &blocks_path);
        if (k < 0)
                return k;
        k = fs_read_file(a->repository->fd, blocks_path, BLOCK_LIST_MAX, &data, &size);
        if (k == -ENOMEM)
                return k;
        if (k >= 0 && (size != list->size || memcmp(data, list->data, size) != 0))
                return audit_add(a, ERROR_UNTRUSTED, false, blocks_path, "is not the list of blocks of %s",
                                path);
        return 0; /* one that cannot be read is found as a target */
}

static int check_target(Audit *a, const Updater *u, const TargetFile *t) {
        const char *kind = target_kind(target_facts(t->custom));
        bool in_blocks = streq_ptr(kind, "bundle") || streq_ptr(kind, "patch");
        _cleanup_text_ Text list = TEXT_INIT;
        _cleanup_free_ char *path = NULL;
        int k;

        a->report->targets++;
        k = path_of(t, &path);
        if (k == -EINVAL)
                return audit_add(a, ERROR_NONE, true, t->name, "is listed without a SHA-256");
        if (k < 0 || json_object_set_new(a->known, path, json_true()) < 0)
                return -ENOMEM;
        k = check_bytes(a, t, path, in_blocks ? &list : NULL);
        return k > 0 && in_blocks ? check_blocks(a, u, t, path, &list) : MIN_OF(k, 0);
}

int audit_as_client(Audit *a, Error *e _unused_) {
        /* a host looks for one app's, we for all */
        UpdaterOptions options = {.now_usec = a->repository->now_usec,
                        .delegations_max = (unsigned) a->repository->n_roles};
        _cleanup_(updater_free_p) Updater *u = NULL;
        _cleanup_error_ Error refused = ERROR_INIT;
        const TargetFile *targets;
        size_t n;
        int k;

        k = updater_new(&options, &u);
        if (k < 0)
                return k;
        k = run(a, u, &refused);
        if (k >= 0)
                k = updater_list(u, "", &refused);
        if (k >= 0)
                k = run(a, u, &refused);
        if (k == -ENOMEM)
                return k;
        if (k < 0)
                return audit_add(a, refused.class ?: ERROR_FAILED, false, "metadata", "a host refuses it: %s",
                                error_message(&refused, k));
        a->listed = true;
        n = updater_targets(u, &targets);
        for (size_t i = 0; i < n && k >= 0; i++)
                k = check_target(a, u, &targets[i]);
        return k;
}
