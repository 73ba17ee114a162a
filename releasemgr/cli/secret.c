#include <errno.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "cli/secret.h"

#define SECRET_MAX (64 * KIB)

static int read_secret_file(const char *path, char **ret, Error *e) {
        _cleanup_free_ char *secret = NULL;
        struct stat st;
        size_t size;
        int r;

        if (stat(path, &st) < 0)
                return error_errno(e, -errno, "cannot read the secret in %s", path);
        if (st.st_mode & 077) {
                error_set(e, ERROR_USAGE, -EPERM, "%s holds a secret, and others than its owner may read it",
                                path);
                return error_hint(e, -EPERM, "chmod 600 %s", path);
        }
        r = fs_read_file(AT_FDCWD, path, SECRET_MAX, &secret, &size);
        if (r < 0)
                return error_errno(e, r, "cannot read the secret in %s", path);
        if (size > 0 && secret[size - 1] == '\n')
                secret[size - 1] = 0;
        *ret = TAKE(secret);
        return 0;
}

int secret_read(const char *file, const char *credential, char **ret, Error *e) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;

        if (!file && !credential) {
                *ret = strdup("");
                return *ret ? 0 : -ENOMEM;
        }
        if (file)
                return read_secret_file(file, ret, e);
        if (!directory) {
                error_set(e, ERROR_USAGE, -ENOENT, "the credential \"%s\" is not here: systemd passed none",
                                credential);
                return error_hint(e, -ENOENT,
                                "run inside a unit with LoadCredential=%s:..., or use PasswordFile=",
                                credential);
        }
        path = text_format("%s/%s", directory, credential);
        return path ? read_secret_file(path, ret, e) : -ENOMEM;
}
