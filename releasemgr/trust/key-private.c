#include <errno.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "trust/key-internal.h"
#include "trust/key.h"

#define KEY_FILE_MAX (64 * KIB)
#define RSA_BITS     3072

/* scrypt as RFC 7914 section 2 suggests for files at rest, within the 32 MiB that OpenSSL allows by default */
#define SCRYPT_N    16384
#define SCRYPT_R    8
#define SCRYPT_P    1
#define SCRYPT_SALT 16

struct PrivateKey {
        KeyScheme scheme;
        EVP_PKEY *pkey;
        char id[DIGEST_TEXT_MAX];
};

/* Takes @pkey, also on failure. */
static int private_key_new(KeyScheme scheme, EVP_PKEY *pkey, PrivateKey **ret, Error *e) {
        _cleanup_(private_key_free_p) PrivateKey *k = calloc(1, sizeof(*k));
        _cleanup_json_ json_t *public = NULL;
        int r;

        if (!k) {
                EVP_PKEY_free(pkey);
                return -ENOMEM;
        }
        k->scheme = scheme;
        k->pkey = pkey;
        r = private_key_public(k, &public, e);
        if (r >= 0)
                r = key_id_of(public, k->id);
        if (r < 0)
                return r;
        *ret = TAKE(k);
        return 0;
}

int private_key_generate(KeyScheme scheme, PrivateKey **ret, Error *e) {
        const KeySchemeInfo *info = key_scheme_info(scheme);
        EVP_PKEY *pkey;

        if (info->type == EVP_PKEY_RSA)
                pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) RSA_BITS);
        else if (info->group)
                pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", info->group);
        else
                pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        if (!pkey)
                return -ENOMEM;
        return private_key_new(scheme, pkey, ret, e);
}

/* The raw public key as hex, or the SubjectPublicKeyInfo as PEM. */
static char *public_text(const PrivateKey *k) {
        uint8_t raw[32];
        size_t size = sizeof(raw);
        char *text = NULL, *data;
        BIO *bio;
        long n;

        if (k->scheme == KEY_ED25519) {
                text = malloc(2 * sizeof(raw) + 1);
                if (text && EVP_PKEY_get_raw_public_key(k->pkey, raw, &size) == 1)
                        return hex_encode(raw, sizeof(raw), text);
                free(text);
                return NULL;
        }
        bio = BIO_new(BIO_s_mem());
        if (bio && PEM_write_bio_PUBKEY(bio, k->pkey) == 1 && (n = BIO_get_mem_data(bio, &data)) > 0)
                text = strndup(data, (size_t) n);
        BIO_free(bio);
        return text;
}

int private_key_public(const PrivateKey *k, json_t **ret, Error *e _unused_) {
        const KeySchemeInfo *info = key_scheme_info(k->scheme);
        _cleanup_free_ char *text = public_text(k);
        json_t *object;

        if (!text)
                return -ENOMEM;
        object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", info->keytype, "scheme", info->scheme, "keyval",
                        "public", text);
        if (!object)
                return -ENOMEM;
        *ret = object;
        return 0;
}

const char *private_key_id(const PrivateKey *k) {
        return k->id;
}

int private_key_sign(const PrivateKey *k, const void *data, size_t size, void **ret_signature,
                size_t *ret_size, Error *e) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        _cleanup_free_ void *signature = NULL;
        EVP_PKEY_CTX *details; /* owned by context */
        size_t n = 0;
        bool done;

        done = context &&
               EVP_DigestSignInit_ex(context, &details, key_scheme_info(k->scheme)->digest, NULL, NULL,
                               k->pkey, NULL) == 1 &&
               key_scheme_set_padding(k->scheme, details, RSA_PSS_SALTLEN_DIGEST) >= 0 &&
               EVP_DigestSign(context, NULL, &n, data, size) == 1 && (signature = malloc(n)) &&
               EVP_DigestSign(context, signature, &n, data, size) == 1;
        EVP_MD_CTX_free(context);
        if (!done) {
                ERR_clear_error();
                return error_set(e, ERROR_FAILED, -EIO, "cannot sign with key %s", k->id);
        }
        *ret_signature = TAKE(signature);
        *ret_size = n;
        return 0;
}

PrivateKey *private_key_free(PrivateKey *k) {
        if (k)
                EVP_PKEY_free(k->pkey);
        free(k);
        return NULL;
}

/* Reads the file into @buffer, once it is clear that nobody else can. Returns the size. */
static int read_private(const char *path, char *buffer, size_t size, Error *e) {
        _cleanup_close_ int fd = fd_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(e, -errno, "cannot read the key %s", path);
        if (!S_ISREG(st.st_mode))
                return error_set(e, ERROR_USAGE, -EINVAL, "the key %s is not a file", path);
        if (st.st_mode & 077) {
                (void) error_set(e, ERROR_USAGE, -EPERM,
                                "the key %s can be read by others than its owner (mode %03o)", path,
                                st.st_mode & 0777);
                return error_hint(e, -EPERM,
                                "make it private with chmod 600 %s; if others may have read it, replace it",
                                path);
        }
        n = fd_read_full(fd, buffer, size);
        if (n < 0)
                return error_errno(e, (int) n, "cannot read the key %s", path);
        if ((size_t) n == size)
                return error_set(e, ERROR_USAGE, -EFBIG, "%s is too big for a key", path);
        return (int) n;
}

typedef struct Asking {
        const char *path;
        KeyPassphrase ask;
        void *userdata;
        Error *e;
        bool asked;
        int result;
} Asking;

static int ask_passphrase(char *buffer, int size, int writing _unused_, void *userdata) {
        Asking *a = userdata;

        if (a->asked && a->result < 0) /* the library tries another way to read the key */
                return -1;
        a->asked = true;
        if (!a->ask) {
                (void) error_set(a->e, ERROR_USAGE, -ENOKEY, "the key %s is encrypted", a->path);
                a->result = error_hint(a->e, -ENOKEY, "give its passphrase");
        } else
                a->result = a->ask(a->path, buffer, (size_t) size, a->userdata, a->e);
        return a->result < 0 ? -1 : a->result;
}

/* The scheme of a key as it is found in a file. */
static KeyScheme scheme_for(const EVP_PKEY *pkey) {
        KeyScheme s = 0;

        while (s < _KEY_SCHEME_MAX && !key_scheme_fits(s, pkey))
                s++;
        return s;
}

int private_key_load(const char *path, KeyPassphrase passphrase, void *userdata, PrivateKey **ret, Error *e) {
        Asking asking = {.path = path, .ask = passphrase, .userdata = userdata, .e = e};
        char buffer[KEY_FILE_MAX];
        EVP_PKEY *pkey = NULL;
        KeyScheme scheme;
        BIO *bio;
        int r;

        r = read_private(path, buffer, sizeof(buffer), e);
        if (r < 0)
                return r;
        bio = BIO_new_mem_buf(buffer, r);
        if (bio)
                pkey = PEM_read_bio_PrivateKey(bio, NULL, ask_passphrase, &asking);
        BIO_free(bio);
        OPENSSL_cleanse(buffer, sizeof(buffer));
        ERR_clear_error();
        if (!pkey && asking.result < 0)
                return asking.result;
        if (!pkey && asking.asked)
                return error_set(e, ERROR_USAGE, -EACCES, "the passphrase of the key %s is wrong", path);
        if (!pkey)
                return error_set(e, ERROR_USAGE, -EINVAL, "%s is not a private key in PEM form", path);
        scheme = scheme_for(pkey);
        if (scheme == _KEY_SCHEME_UNKNOWN) {
                EVP_PKEY_free(pkey);
                (void) error_set(e, ERROR_USAGE, -EINVAL, "the key %s is of a kind that is not supported",
                                path);
                return error_hint(e, -EINVAL,
                                "use ed25519, ECDSA on P-256 or P-384, or RSA of 2048 bits or more");
        }
        return private_key_new(scheme, pkey, ret, e);
}

/* @info encrypted as PKCS#8 says: AES-256 under a key that scrypt makes of the passphrase. */
static X509_SIG *encrypt(PKCS8_PRIV_KEY_INFO *info, const char *passphrase) {
        uint8_t salt[SCRYPT_SALT];
        X509_ALGOR *method;
        X509_SIG *encrypted;

        if (RAND_bytes(salt, sizeof(salt)) != 1)
                return NULL;
        method = PKCS5_pbe2_set_scrypt(
                        EVP_aes_256_cbc(), salt, sizeof(salt), NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
        if (!method)
                return NULL;
        encrypted = PKCS8_set0_pbe(passphrase, (int) strlen(passphrase), info, method);
        if (!encrypted)
                X509_ALGOR_free(method);
        return encrypted;
}

static BIO *to_pem(const PrivateKey *k, const char *passphrase) {
        PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k->pkey);
        X509_SIG *encrypted = info && passphrase ? encrypt(info, passphrase) : NULL;
        BIO *bio = BIO_new(BIO_s_secmem());
        int done = 0;

        if (bio && encrypted)
                done = PEM_write_bio_PKCS8(bio, encrypted);
        else if (bio && info && !passphrase)
                done = PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info);
        X509_SIG_free(encrypted);
        PKCS8_PRIV_KEY_INFO_free(info);
        if (done == 1)
                return bio;
        BIO_free(bio);
        return NULL;
}

int private_key_save(const PrivateKey *k, const char *path, const char *passphrase, Error *e) {
        _cleanup_close_ int fd = -1;
        char *data;
        BIO *bio;
        long n;
        int r = 0;

        bio = to_pem(k, passphrase);
        if (!bio)
                return -ENOMEM;
        n = BIO_get_mem_data(bio, &data);
        fd = fd_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                r = -errno;
        else {
                r = fd_write_all(fd, data, (size_t) n);
                if (r >= 0 && fsync(fd) < 0)
                        r = -errno;
                if (r >= 0)
                        r = fs_sync_parent(AT_FDCWD, path);
                if (r < 0)
                        (void) unlink(path);
        }
        BIO_free(bio);
        return r < 0 ? error_errno(e, r, "cannot write the key %s", path) : 0;
}
