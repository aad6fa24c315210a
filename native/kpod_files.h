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

/* Files that are read again and again, known by slot numbers, with what they had in them. */
KPOD_EXPORT int kpod_file_set_open(struct kpod_file_set **set);
KPOD_EXPORT void kpod_file_set_close(struct kpod_file_set *set);

/*
 * Opens a file, which stays open, and returns its slot. Slots that were given up are used again.
 * The file is to be one that the kernel writes as one record, as all of a cgroup that is no list:
 * of one that comes in pieces only the first is read.
 */
KPOD_EXPORT int kpod_file_set_add(struct kpod_file_set *set, const struct kpod_root *root,
				  const char *relative);

/*
 * The same of the file name beneath a directory. Only the directory stays open, the file is opened
 * for each reading: while open, PID/mountinfo keeps a container's mounts in place, and their
 * devices busy, after the container's end; PID/net/dev a network namespace.
 */
KPOD_EXPORT int kpod_file_set_add_anew(struct kpod_file_set *set, const struct kpod_root *root,
				       const char *directory, const char *name);
KPOD_EXPORT int kpod_file_set_remove(struct kpod_file_set *set, uint32_t slot);

/* What is no length, and no -errno. */
#define KPOD_UNCHANGED (-4096)

/*
 * Reads count files from their beginnings. lengths[i] is the bytes of slots[i], KPOD_UNCHANGED if
 * they, and the file's inode, are the same as at its last successful reading with no failed one
 * since, or its own -errno: -ENODEV for a file of a cgroup that is gone, -ESRCH or -ENOENT of a
 * process that is, -EBADF for a slot not in use.
 */
KPOD_EXPORT void kpod_file_set_refresh(struct kpod_file_set *set, const uint32_t *slots,
				       uint32_t count, int32_t *lengths);

/*
 * Copies what these files had in them at their last reading, one after the other. Returns the sum
 * of bytes; -EBADF if one was not read, -EMSGSIZE if they are more than capacity.
 */
KPOD_EXPORT int64_t kpod_file_set_content(const struct kpod_file_set *set, const uint32_t *slots,
					  uint32_t count, uint8_t *buffer, uint64_t capacity);

/* The inode at its last reading of a file that is opened anew; 0 for others. */
KPOD_EXPORT uint64_t kpod_file_set_inode(const struct kpod_file_set *set, uint32_t slot);

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

/* One process; the text of its PID/cgroup follows, padded with zeros to a multiple of 8. */
struct kpod_process {
	uint32_t pid;
	uint32_t text_length;
	char text[];
};

/*
 * Lists the processes of a procfs root. Left out are those that end meanwhile or may not be looked
 * at. Returns the bytes of all records; if that is more than capacity the rest is missing.
 */
KPOD_EXPORT int64_t kpod_processes(const struct kpod_root *root, uint8_t *buffer,
				   uint64_t capacity);

/* The size of a filesystem, in numbers as JavaScript has them. */
struct kpod_statfs {
	double error;		   /* 0, or an errno, and nothing else is told then but what of */
	double is_directory_error; /* whether the directory itself could not be opened */
	double capacity_bytes;
	double free_bytes;
	double available_bytes; /* to an unprivileged user */
	double is_directory;	/* whether the path leads to one */
	double mount_id;	/* as in mountinfo; 0 if the kernel does not tell (before 5.8) */
};

/*
 * Measures the filesystems that paths lie on, one after the other. Returns 0, or -errno if it could
 * not start. texts has for each the directory that its path is beneath, as seen from root, which
 * may be a magic link such as PID/root, the path, and a key, any text by which the caller knows the
 * filesystem; each is ended by a NUL.
 *
 * Returns in time even if a filesystem never answers: one that takes timeout_ms gets ETIMEDOUT, its
 * work is left to a thread that stays behind until it is done, and the next one's turn comes. While
 * a thread hangs in a filesystem, those of the same key get EBUSY, and while KPOD_STATFS_MAX_HUNG
 * do, all get EAGAIN, as do those whose turn has not come after ten times timeout_ms. Does not
 * trigger automounts.
 */
#define KPOD_STATFS_MAX_HUNG 32
KPOD_EXPORT int kpod_statfs(const struct kpod_root *root, const char *texts, uint64_t texts_size,
			    uint32_t count, uint32_t timeout_ms, struct kpod_statfs *out);

/*
 * The names of the environment variables that begin with prefix, each ended by a NUL. Returns the
 * bytes of all; if that is more than capacity nothing was written. To be called while no other
 * thread changes the environment.
 */
KPOD_EXPORT int64_t kpod_environment(const char *prefix, char *buffer, uint64_t capacity);

#endif
