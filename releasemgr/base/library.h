#pragma once

/*
 * Libraries that only some runs need
 *
 * Linking libcurl takes the dynamic linker longer than most of our commands take for everything else: it brings thirty
 * more libraries. So it is opened when it is first needed. That it is needed at all stays visible from outside: a note
 * in the program names it, as systemd's do for theirs (https://uapi-group.org/specifications/specs/elf_dlopen_metadata).
 */

#include "base/error.h"

/* Opens @soname and finds its functions @names, in this order, for @ret. The library stays open until the process ends:
 * it may have threads and exit handlers. -ELIBACC with a hint. */
int library_open(const char *soname, const char *const *names, size_t n, void **ret, Error *e);

/* The note that the program @feature needs @soname. Once a library, in the file that opens it. */
#define LIBRARY_NOTE(feature, soname)                                                                        \
        LIBRARY_NOTE_TEXT("[{\"feature\":\"" feature "\",\"priority\":\"required\",\"soname\":[\"" soname    \
                          "\"]}]")

#define LIBRARY_NOTE_TEXT(text)                                                                              \
        __attribute__((used, section(".note.dlopen"), aligned(4))) static const struct {                     \
                uint32_t name_size, text_size, type;                                                         \
                char name[4];                                                                                \
                char json[(sizeof(text) + 3) / 4 * 4];                                                       \
        } library_note = {4, sizeof(text), 0x407c0c0a, "FDO", text}
