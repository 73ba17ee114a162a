#include <errno.h>

#include "base/fs.h"
#include "base/text.h"
#include "publish/keyring.h"

typedef struct Entry {
        char *name;
        PrivateKey *key;
} Entry;

struct Keyring {
        char *path;
        KeyPassphrase ask;
        void *userdata;
        Entry *entries;
        size_t n;
};

int keyring_open(const char *path, KeyPassphrase ask, void *userdata, Keyring **ret, Error *e) {
        _cleanup_(keyring_free_p) Keyring *k = calloc(1, sizeof(*k));
        struct stat st;

        if (!k || !(k->path = strdup(path)))
                return -ENOMEM;
        k->ask = ask;
        k->userdata = userdata;
        if (stat(path, &st) < 0) {
                if (errno != ENOENT)
                        return error_errno(e, -errno, "cannot look at the keys in %s", path);
        } else if (!S_ISDIR(st.st_mode)) {
                (void) error_set(e, ERROR_USAGE, -ENOTDIR, "%s is not a directory of keys", path);
                return error_hint(e, -ENOTDIR, "say with --keys=DIR where the keys are");
        } else if (st.st_mode & 077) {
                (void) error_set(e, ERROR_USAGE, -EPERM,
                                "the directory of keys %s is open to others (mode %03o)", path,
                                st.st_mode & 0777);
                return error_hint(e, -EPERM, "chmod 700 %s makes it private", path);
        }
        *ret = TAKE(k);
        return 0;
}

Keyring *keyring_free(Keyring *k) {
        for (size_t i = 0; k && i < k->n; i++) {
                free(k->entries[i].name);
                private_key_free(k->entries[i].key);
        }
        if (k) {
                free(k->entries);
                free(k->path);
        }
        free(k);
        return NULL;
}

const char *keyring_path(const Keyring *k) {
        return k->path;
}

static char *file_of(const Keyring *k, const char *name, const char *suffix) {
        return text_format("%s/%s%s.pem", k->path, name, suffix);
}

static const PrivateKey *find(const Keyring *k, const char *name) {
        for (size_t i = 0; i < k->n; i++)
                if (streq(k->entries[i].name, name))
                        return k->entries[i].key;
        return NULL;
}

/* Takes @key over, whatever comes of it. */
static int remember(Keyring *k, const char *name, PrivateKey *key) {
        Entry *grown = reallocarray(k->entries, k->n + 1, sizeof(Entry));
        char *copy = strdup(name);

        if (grown)
                k->entries = grown;
        if (!grown || !copy) {
                free(copy);
                private_key_free(key);
                return -ENOMEM;
        }
        k->entries[k->n++] = (Entry){copy, key};
        return 0;
}

int keyring_get(Keyring *k, const char *name, const PrivateKey **ret, Error *e) {
        _cleanup_free_ char *path = file_of(k, name, "");
        PrivateKey *key;
        int r;

        *ret = find(k, name);
        if (*ret)
                return 1;
        if (!path)
                return -ENOMEM;
        if (!fs_exists(AT_FDCWD, path))
                return 0;
        r = private_key_load(path, k->ask, k->userdata, &key, e);
        if (r >= 0)
                r = remember(k, name, key);
        if (r < 0)
                return r;
        *ret = key;
        return 1;
}

/* A key is written whole or not at all: a kill in the middle leaves only a file that the next run replaces. */
static int save(const PrivateKey *key, const char *path, const char *passphrase, Error *e) {
        _cleanup_free_ char *temporary = text_format("%s.new", path);
        int r;

        if (!temporary)
                return -ENOMEM;
        r = fs_remove_tree(AT_FDCWD, temporary);
        if (r < 0)
                return error_errno(e, r, "cannot remove %s", temporary);
        r = private_key_save(key, temporary, passphrase, e);
        if (r < 0)
                return r;
        r = fs_rename_durable(AT_FDCWD, temporary, AT_FDCWD, path);
        return r < 0 ? error_errno(e, r, "cannot write the key %s", path) : 0;
}

int keyring_make(Keyring *k, const char *name, KeyScheme scheme, const char *passphrase,
                const PrivateKey **ret, Error *e) {
        _cleanup_(private_key_free_p) PrivateKey *key = NULL;
        _cleanup_free_ char *path = file_of(k, name, "");
        int r;

        if (!path)
                return -ENOMEM;
        r = keyring_get(k, name, ret, e);
        if (r != 0)
                return r;
        r = fs_mkdir_parents(AT_FDCWD, k->path, 0700);
        if (r < 0)
                return error_errno(e, r, "cannot make the directory of keys %s", k->path);
        r = private_key_generate(scheme, &key, e);
        if (r >= 0)
                r = save(key, path, passphrase, e);
        if (r < 0)
                return r;
        *ret = key;
        return remember(k, name, TAKE(key));
}

int keyring_signers(
                Keyring *k, const char *name, const PrivateKey *ret[static KEYRING_SIGNERS_MAX], Error *e) {
        _cleanup_free_ char *next = text_format("%s.next", name);
        const char *names[] = {name, next};
        int n = 0, r;

        if (!next)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
                r = keyring_get(k, names[i], &ret[n], e);
                if (r < 0)
                        return r;
                n += r;
        }
        return n;
}

static void forget(Keyring *k, const char *name) {
        for (size_t i = 0; i < k->n; i++)
                if (streq(k->entries[i].name, name)) {
                        free(k->entries[i].name);
                        private_key_free(k->entries[i].key);
                        k->entries[i] = k->entries[--k->n];
                        return;
                }
}

int keyring_advance(Keyring *k, const char *name, Error *e) {
        _cleanup_free_ char *now = file_of(k, name, ""), *next = file_of(k, name, ".next"),
                            *old = file_of(k, name, ".old"), *next_name = text_format("%s.next", name);
        int r;

        if (!now || !next || !old || !next_name)
                return -ENOMEM;
        r = fs_rename_durable(AT_FDCWD, now, AT_FDCWD, old);
        if (r >= 0 || r == -ENOENT) /* a kill between the two renames */
                r = fs_rename_durable(AT_FDCWD, next, AT_FDCWD, now);
        if (r < 0)
                return error_errno(e, r, "cannot put %s in the place of %s", next, now);
        forget(k, name);
        forget(k, next_name);
        return 0;
}
