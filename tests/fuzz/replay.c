/* replay DIRECTORY: gives every file of a corpus to the fuzz target it is linked with. */

#include <stdio.h>

#include "base/fs.h"
#include "base/text.h"
#include "fuzz.h"

int main(int argc, char **argv) {
        _cleanup_strv_ char **names = NULL;

        if (argc != 2 || fs_list_directory(AT_FDCWD, argv[1], &names) < 0 || !names) {
                fprintf(stderr, "there is no corpus\n");
                return 1;
        }
        for (char **i = names; *i; i++) {
                _cleanup_free_ char *path = text_format("%s/%s", argv[1], *i), *data = NULL;
                size_t size;

                if (!path || fs_read_file(AT_FDCWD, path, 16 * MIB, &data, &size) < 0) {
                        fprintf(stderr, "cannot read %s\n", *i);
                        return 1;
                }
                (void) LLVMFuzzerTestOneInput((const uint8_t *) data, size);
        }
        printf("%zu inputs\n", strv_length(names));
        return 0;
}
