// SPDX-License-Identifier: Apache-2.0
/* Directory trees, breadth first: the records found so far are the queue of what to list next. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "beneath.h"
#include "kpod_files.h"

/* Marks, in the depth of a queued record, a directory known to have no children. */
#define LEAF (1u << 31)

struct walk {
	int base;
	dev_t device;
	int is_cgroup;
	uint32_t max_depth;
	uint8_t *records;
	size_t used;
	size_t capacity;
};

static size_t record_size(size_t path_length)
{
	return (sizeof(struct kpod_directory) + path_length + 7) & ~(size_t)7;
}

static int append(struct walk *walk, uint64_t inode, uint32_t depth, const char *path,
		  size_t length)
{
	size_t size = record_size(length);
	struct kpod_directory *record;

	if (walk->used + size > walk->capacity) {
		size_t capacity = 2 * (walk->capacity + size + 32768);
		uint8_t *grown = realloc(walk->records, capacity);

		if (!grown)
			return -ENOMEM;
		walk->records = grown;
		walk->capacity = capacity;
	}
	record = (struct kpod_directory *)(walk->records + walk->used);
	memset(record, 0, size);
	record->inode = inode;
	record->depth = depth;
	record->path_length = (uint32_t)length;
	memcpy(record->path, path, length);
	walk->used += size;
	return 0;
}

/* Whether error says that a directory is gone, is one no more, or may not be walked into. */
static int is_left_out(int error)
{
	return error == ENOENT || error == ENODEV || error == ENOTDIR || error == ELOOP ||
	       error == EXDEV || error == ENAMETOOLONG;
}

/* Appends one entry of the directory at path, which has room for a slash and the entry's name. */
static int append_child(struct walk *walk, DIR *directory, const struct dirent *entry, char *path,
			size_t length, uint32_t depth)
{
	size_t name_length = strlen(entry->d_name);
	struct stat status;
	int is_leaf;

	if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
		return 0;
	if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
		return 0;
	if (length)
		path[length++] = '/';
	if (length + name_length >= PATH_MAX)
		return 0;
	memcpy(path + length, entry->d_name, name_length);
	/* kernfs lists what stat() says (kernfs_fop_readdir()), and nobody goes on from here. */
	if (walk->is_cgroup && entry->d_type == DT_DIR && depth == walk->max_depth)
		return append(walk, entry->d_ino, depth, path, length + name_length);
	if (fstatat(dirfd(directory), entry->d_name, &status,
		    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		return is_left_out(errno) ? 0 : -errno;
	if (!S_ISDIR(status.st_mode) || status.st_dev != walk->device)
		return 0;
	/* kernfs sets st_nlink to 2 + subdirectories (kernfs_refresh_inode()); not all others do.
	 */
	is_leaf = walk->is_cgroup && status.st_nlink == 2;
	return append(walk, status.st_ino, depth | (is_leaf ? LEAF : 0), path,
		      length + name_length);
}

/* Appends the children of the directory at path: "" is the root itself, and base its relative. */
static int append_children(struct walk *walk, const char *relative, char *path, size_t length,
			   uint32_t depth)
{
	int descriptor = kpod_open_beneath(walk->base, relative, O_RDONLY | O_DIRECTORY,
					   RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	DIR *directory;
	int error = 0;

	if (descriptor < 0)
		return is_left_out(-descriptor) ? 0 : descriptor;
	directory = fdopendir(descriptor);
	if (!directory) {
		error = -errno;
		close(descriptor);
		return error;
	}
	while (!error) {
		struct dirent *entry;

		errno = 0;
		entry = readdir(directory);
		if (!entry) {
			error = is_left_out(errno) ? 0 : -errno;
			break;
		}
		error = append_child(walk, directory, entry, path, length, depth);
	}
	closedir(directory);
	return error;
}

static int open_base(struct walk *walk, const struct kpod_root *root, const char *relative,
		     struct stat *status)
{
	struct statfs filesystem;

	walk->base = kpod_open_beneath(root->descriptor, relative, O_PATH | O_DIRECTORY, 0);
	if (walk->base < 0)
		return walk->base;
	if (fstat(walk->base, status) || fstatfs(walk->base, &filesystem))
		return -errno;
	walk->device = status->st_dev;
	walk->is_cgroup =
	    filesystem.f_type == CGROUP2_SUPER_MAGIC || filesystem.f_type == CGROUP_SUPER_MAGIC;
	return 0;
}

static int walk_all(struct walk *walk, size_t base_length)
{
	/* Room for the path of the directory being listed, and a slash behind it. */
	char path[PATH_MAX + 1];
	int error = 0;

	for (size_t at = 0; at < walk->used && !error;) {
		struct kpod_directory *record = (struct kpod_directory *)(walk->records + at);
		int is_leaf = (record->depth & LEAF) != 0;
		uint32_t depth = record->depth &= ~LEAF;
		size_t length = record->path_length;
		const char *relative = ".";

		at += record_size(length);
		if (is_leaf || depth >= walk->max_depth)
			continue;
		memcpy(path, record->path, length);
		path[length] = '\0';
		if (depth > 0)
			relative = path + base_length + (base_length ? 1 : 0);
		else if (base_length == 0)
			length = 0;
		error = append_children(walk, relative, path, length, depth + 1);
	}
	return error;
}

int64_t kpod_walk(const struct kpod_root *root, const char *relative, uint32_t max_depth,
		  uint8_t *buffer, uint64_t capacity)
{
	struct walk walk = {.base = -1, .max_depth = max_depth};
	size_t length = strlen(relative);
	struct stat status;
	int64_t result = open_base(&walk, root, relative, &status);
	int is_root;

	while (length > 1 && relative[length - 1] == '/')
		length--;
	is_root = length == 1 && relative[0] == '.';
	if (!result)
		result = append(&walk, status.st_ino, 0, relative, length);
	if (!result)
		result = walk_all(&walk, is_root ? 0 : length);
	if (!result) {
		result = (int64_t)walk.used;
		if (walk.used <= capacity)
			memcpy(buffer, walk.records, walk.used);
	}
	if (walk.base >= 0)
		close(walk.base);
	free(walk.records);
	return result;
}
