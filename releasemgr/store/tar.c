#include <errno.h>
#include <stdio.h>

#include "store/tar.h"

/* POSIX.1-1988 ustar. No field is written with a NUL behind it where the text fills it. */
typedef struct TarHeader {
        char name[100];
        char mode[8];
        char uid[8];
        char gid[8];
        char size[12];
        char mtime[12];
        char checksum[8];
        char typeflag;
        char linkname[100];
        char magic[6];
        char version[2];
        char uname[32];
        char gname[32];
        char devmajor[8];
        char devminor[8];
        char prefix[155];
        char unused[12];
} TarHeader;

_Static_assert(sizeof(TarHeader) == TAR_BLOCK, "a tar header is one block");

/* The largest number that size[] holds: 11 octal digits. */
#define SIZE_FIELD_MAX UINT64_C(077777777777)

/* Octal digits that fill @field but for the NUL behind them. Not snprintf(): eight calls of it for each small file show in
 * the time that unpacking takes. */
static void put_octal(char *field, size_t size, uint64_t value) {
        field[--size] = 0;
        for (; size > 0; value >>= 3)
                field[--size] = (char) ('0' + (value & 7));
}

static void header_set_checksum(TarHeader *h) {
        unsigned sum = 0;

        memset(h->checksum, ' ', sizeof(h->checksum));
        for (size_t i = 0; i < sizeof(*h); i++)
                sum += ((const unsigned char *) h)[i];
        put_octal(h->checksum, sizeof(h->checksum) - 1, sum); /* the last character stays a space */
}

static void header_init(TarHeader *h, char typeflag, unsigned mode, uint64_t size) {
        *h = (TarHeader){.typeflag = typeflag,
                        .magic = "ustar",
                        .version = {'0', '0'},
                        .uname = "root",
                        .gname = "root"};
        put_octal(h->mode, sizeof(h->mode), mode);
        put_octal(h->uid, sizeof(h->uid), 0);
        put_octal(h->gid, sizeof(h->gid), 0);
        put_octal(h->size, sizeof(h->size), size);
        put_octal(h->mtime, sizeof(h->mtime), TAR_MTIME);
        put_octal(h->devmajor, sizeof(h->devmajor), 0);
        put_octal(h->devminor, sizeof(h->devminor), 0);
}

/* Puts @path into name[] and prefix[], as much as fits; false where it does not fit whole. */
static bool header_set_path(TarHeader *h, const char *path, size_t n) {
        if (n <= sizeof(h->name)) {
                memcpy(h->name, path, n);
                return true;
        }
        for (size_t i = MIN_OF(n - 2, sizeof(h->prefix)); i > 0; i--)
                if (path[i] == '/' && n - i - 1 <= sizeof(h->name)) {
                        memcpy(h->prefix, path, i);
                        memcpy(h->name, path + i + 1, n - i - 1);
                        return true;
                }
        memcpy(h->name, path, sizeof(h->name));
        return false;
}

static bool header_set_link(TarHeader *h, const char *link) {
        size_t n = strlen(link);

        memcpy(h->linkname, link, MIN_OF(n, sizeof(h->linkname)));
        return n <= sizeof(h->linkname);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself too. */
static int add_record(Text *t, const char *key, const char *value) {
        size_t rest = strlen(key) + strlen(value) + 3, length = rest + 1;

        while (length != rest + (size_t) snprintf(NULL, 0, "%zu", length))
                length = rest + (size_t) snprintf(NULL, 0, "%zu", length);
        return text_addf(t, "%zu %s=%s\n", length, key, value);
}

static int add_padding(Text *t) {
        static const char zeroes[TAR_BLOCK] = {0};

        return text_add(t, zeroes, tar_padding(t->size));
}

/* The extended header that holds @records (which may be empty: then none is written). */
static int add_pax(Text *t, const Text *records) {
        TarHeader h;
        int r;

        if (records->size == 0)
                return 0;
        header_init(&h, 'x', 0644, records->size);
        (void) header_set_path(&h, "././@PaxHeader", strlen("././@PaxHeader"));
        header_set_checksum(&h);
        r = text_add(t, &h, sizeof(h));
        if (r >= 0)
                r = text_add(t, records->data, records->size);
        return r < 0 ? r : add_padding(t);
}

int tar_add_header(Text *t, const Entry *entry) {
        static const char typeflags[] = {[ENTRY_FILE] = '0',
                        [ENTRY_DIRECTORY] = '5',
                        [ENTRY_SYMLINK] = '2',
                        [ENTRY_HARDLINK] = '1'};
        bool directory = entry->type == ENTRY_DIRECTORY, symlink = entry->type == ENTRY_SYMLINK;
        uint64_t size = tar_content_size(entry);
        _cleanup_text_ Text records = TEXT_INIT, whole = TEXT_INIT;
        _cleanup_free_ char *path = text_format("%s%s", entry->path, directory ? "/" : "");
        char number[24];
        TarHeader h;
        int r = path ? 0 : -ENOMEM;

        if (r < 0)
                return r;
        header_init(&h, typeflags[entry->type],
                        symlink                          ? 0777
                        : directory || entry->executable ? 0755
                                                         : 0644,
                        size <= SIZE_FIELD_MAX ? size : 0);
        if (!header_set_path(&h, path, strlen(path)))
                r = add_record(&records, "path", path);
        if (r >= 0 && entry->link && !header_set_link(&h, entry->link))
                r = add_record(&records, "linkpath", entry->link);
        snprintf(number, sizeof(number), "%llu", (unsigned long long) size);
        if (r >= 0 && size > SIZE_FIELD_MAX)
                r = add_record(&records, "size", number);
        header_set_checksum(&h);
        if (r < 0 || (r = add_pax(&whole, &records)) < 0 || (r = text_add(&whole, &h, sizeof(h))) < 0)
                return r;
        return text_add(t, whole.data, whole.size);
}

uint64_t tar_header_size(const char header[static TAR_BLOCK]) {
        char digits[sizeof(((TarHeader *) NULL)->size) + 1] = "";

        memcpy(digits, header + offsetof(TarHeader, size), sizeof(digits) - 1);
        return strtoull(digits, NULL, 8);
}
