#pragma once

/*
 * The file system, with durability said in the name. All paths are relative to a directory descriptor
 * (AT_FDCWD allowed). Errors are -errno. "Durable" means: the bytes *and* the directory entry were synced,
 * so a power cut afterwards cannot take them back (ext4 and XFS promise nothing less and nothing more).
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "base/util.h"

/* Reads a file of at most @max bytes (-EFBIG above). The text is NUL-terminated behind its @ret_size bytes and
 * owned by the caller. @ret_size may be NULL. */
int fs_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size);

/* Replaces (or makes) @path by rename(2), durably: whoever reads it sees the old or the new file whole. */
int fs_write_file_atomic(int dirfd, const char *path, const void *data, size_t size, mode_t mode);

/* As above, but 1 where the new file stands and only its directory could not be synced: it may not outlast a power cut. errno
 * says why. */
int fs_replace_file(int dirfd, const char *path, const void *data, size_t size, mode_t mode);

/* Makes @path a symlink to @target, replacing one that is there in one step, durably; -EEXIST where it is anything else. The
 * one before it stays beside it, as .NAME-before, to make room for the next: replacing one needs no free inode. For one
 * writer at a time. */
int fs_symlink_atomic(int dirfd, const char *target, const char *path);

/* Removes what killed writers of @path by one of those above left beside it; NULL: of any file in the directory. Only
 * for who knows that nobody writes it now. */
int fs_remove_temporaries(int dirfd, const char *path);

/* rename(2), then syncs the directory (or both directories). */
int fs_rename_durable(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path);

/* Lets two names of one directory change places, in one step, durably. */
int fs_exchange_durable(int dirfd, const char *a, const char *b);

/* unlink(2), then syncs the directory. -ENOENT where nothing was there. */
int fs_unlink_durable(int dirfd, const char *path);

/* Makes a directory and its missing parents with @mode, and syncs each new entry. */
int fs_mkdir_parents(int dirfd, const char *path, mode_t mode);

/* Removes what is at @path and everything below it, never following a symlink and never leaving the file
 * system @path is on. 0 where nothing is there. Read-only directories are no obstacle to root. */
int fs_remove_tree(int dirfd, const char *path);

/* Opens a directory for the *at() calls. Negative errno or a descriptor owned by the caller. */
int fs_open_directory(int dirfd, const char *path);

/* fsync(2) of the directory that holds @path. */
int fs_sync_parent(int dirfd, const char *path);

/* The target of a symlink, owned by the caller. */
int fs_readlink(int dirfd, const char *path, char **ret);

/* The whole path of @name in an open directory, for people to read; owned by the caller, NULL when memory ran out. */
char *fs_full_path(int dirfd, const char *name);

/* The names in a directory but "." and "..", sorted bytewise, owned by the caller. */
int fs_list_directory(int dirfd, const char *path, char ***ret);

/* True where @path is (lstat). Errors other than ENOENT count as there. */
bool fs_exists(int dirfd, const char *path);
