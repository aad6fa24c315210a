/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host files: reading, walking and measuring beneath directories that were opened as roots.
 *
 * Every path but that of kpod_root_open() is relative to a root and resolved beneath it by
 * openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS (Linux 5.6): symbolic links that stay
 * inside are followed; "..", absolute paths and links that lead out give -EXDEV, magic links such
 * as /proc/PID/root -ELOOP. To look into a container, open /proc/PID/root itself as a root.
 *
 * Functions return a value that is not negative, or -errno. Buffers belong to the caller. A handle
 * is used by one thread at a time and closed when no call on it is running, except that any number
 * of kpod_statfs() calls may run at once.
 */
#ifndef KPOD_FILES_H
#define KPOD_FILES_H

#include <stdint.h>

#ifndef KPOD_EXPORT
#define KPOD_EXPORT __attribute__((visibility("default")))
#endif

struct kpod_root;
struct kpod_file_set;

/* Opens a directory, by a path that may be any, to be read beneath. */
KPOD_EXPORT int kpod_root_open(const char *path, struct kpod_root **root);
KPOD_EXPORT void kpod_root_close(struct kpod_root *root);

/* The f_type of the root's filesystem, see statfs(2). */
KPOD_EXPORT int64_t kpod_filesystem_type(const struct kpod_root *root);

/*
 * Reads a whole file, whatever size it claims to have. Returns its bytes; -EMSGSIZE if they are
 * more than capacity.
 */
KPOD_EXPORT int64_t kpod_read_file(const struct kpod_root *root, const char *relative,
				   uint8_t *buffer, uint64_t capacity);

/* Files that are read again and again: each keeps its descriptor, known by a slot number. */
KPOD_EXPORT int kpod_file_set_open(struct kpod_file_set **set);
KPOD_EXPORT void kpod_file_set_close(struct kpod_file_set *set);

/* Opens a file and returns its slot. Slots that were given up are used again. */
KPOD_EXPORT int kpod_file_set_add(struct kpod_file_set *set, const struct kpod_root *root,
				  const char *relative);
KPOD_EXPORT int kpod_file_set_remove(struct kpod_file_set *set, uint32_t slot);

/*
 * Reads count files from their beginnings, one after the other into buffer. lengths[i] is the
 * bytes of slots[i], or its own -errno, with nothing in buffer then: -ENODEV for a file of a
 * cgroup that is gone, -EBADF for a slot not in use. Returns the sum of bytes; -EMSGSIZE if they
 * are more than capacity, and buffer and lengths are worthless then.
 */
KPOD_EXPORT int64_t kpod_file_set_read(const struct kpod_file_set *set, const uint32_t *slots,
				       uint32_t count, uint8_t *buffer, uint64_t capacity,
				       int64_t *lengths);

/* One directory of kpod_walk(); the path follows, padded with zeros to a multiple of 8. */
struct kpod_directory {
	uint64_t inode; /* on a cgroup2 filesystem of a 64-bit kernel: the cgroup id */
	uint32_t depth;
	uint32_t path_length;
	char path[];
};

/*
 * Lists the directory relative (depth 0) and those below it down to max_depth, parents first, with
 * paths relative to the root. Does not leave the filesystem, follow symbolic links, or go below
 * paths of PATH_MAX bytes. What vanishes meanwhile is left out. Returns the bytes of all records;
 * if that is more than capacity nothing was written.
 */
KPOD_EXPORT int64_t kpod_walk(const struct kpod_root *root, const char *relative,
			      uint32_t max_depth, uint8_t *buffer, uint64_t capacity);

/* One process; its cgroup's path follows, padded with zeros to a multiple of 8. */
struct kpod_process {
	uint32_t pid;
	uint32_t path_length;
	char path[];
};

/*
 * Lists the processes of a procfs root, each with the path of its cgroup v2 as PID/cgroup has it:
 * relative to the caller's cgroup namespace, so that one outside it begins with "/..". Left out are
 * those that end meanwhile, may not be looked at or are in no cgroup v2. Returns the bytes of all
 * records; if that is more than capacity the rest is missing.
 */
KPOD_EXPORT int64_t kpod_all_processes(const struct kpod_root *root, uint8_t *buffer,
				       uint64_t capacity);

/* The same of these processes only. */
KPOD_EXPORT int64_t kpod_processes(const struct kpod_root *root, const uint32_t *pids,
				   uint32_t count, uint8_t *buffer, uint64_t capacity);

struct kpod_statfs {
	uint64_t block_size; /* bytes; the unit of blocks*, so f_frsize where it is given */
	uint64_t blocks;
	uint64_t blocks_free;
	uint64_t blocks_available; /* to an unprivileged user */
	uint64_t files;
	uint64_t files_free;
	uint64_t type;	   /* f_type */
	uint64_t device;   /* st_dev: major in the upper 32 bits, minor in the lower */
	uint64_t mode;	   /* st_mode of what the path leads to: its type bits */
	uint64_t mount_id; /* as in mountinfo; 0 if the kernel does not tell (before 5.8) */
};

/*
 * Measures the filesystem that relative lies on, and returns after timeout_ms with -ETIMEDOUT even
 * if the filesystem never answers: the work is left to a thread that stays behind until it does.
 * While one does that was started with the same key, calls give -EBUSY at once, and while
 * KPOD_STATFS_MAX_HUNG of them do, calls with any key give -EAGAIN. The key is any text by which
 * the caller knows the filesystem. Does not trigger automounts.
 */
#define KPOD_STATFS_MAX_HUNG 32
KPOD_EXPORT int kpod_statfs(const struct kpod_root *root, const char *relative, const char *key,
			    uint32_t timeout_ms, struct kpod_statfs *out);

/*
 * The names of the environment variables that begin with prefix, each ended by a NUL. Returns the
 * bytes of all; if that is more than capacity nothing was written. To be called while no other
 * thread changes the environment.
 */
KPOD_EXPORT int64_t kpod_environment(const char *prefix, char *buffer, uint64_t capacity);

#endif
