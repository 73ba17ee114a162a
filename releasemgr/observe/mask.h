#pragma once

/* Takes secrets out of text that is shown: reports are pasted into chats. No I/O. */

#include "base/util.h"

/* Overwrites with '*' the values that stand behind a name like password, secret, token or key ("name": "value",
 * name=value, Authorization: Bearer value) and the password in scheme://user:password@host. Errs on the side of
 * hiding. */
void secrets_mask(char *text);

/* One line that can be printed anywhere: @size bytes of @data, control characters and what is not UTF-8 made
 * blank, runs of blanks made one, cut at @max bytes with "..." behind it, secrets masked. Owned by the caller,
 * NULL when memory ran out. */
char *text_excerpt(const void *data, size_t size, size_t max);
