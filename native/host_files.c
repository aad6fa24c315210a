// SPDX-License-Identifier: Apache-2.0
/* Roots, and what is asked of one file or directory beneath them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beneath.h"
#include "kpod_files.h"

int kpod_open_beneath(int directory, const char *relative, int flags, uint64_t resolve)
{
	struct open_how how = {
	    .flags = (uint64_t)flags | O_CLOEXEC,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
	};

	/* A rename elsewhere in the system makes a path with ".." fail with EAGAIN: try again. */
	for (int attempt = 0; attempt < 16; attempt++) {
		long descriptor = syscall(SYS_openat2, directory, relative, &how, sizeof(how));

		if (descriptor >= 0)
			return (int)descriptor;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

int64_t kpod_read_whole(int descriptor, uint8_t *buffer, uint64_t capacity)
{
	uint64_t used = 0;
	uint8_t one_more;

	/* Only a read of nothing is the end: /proc files come in pieces of a page or so. */
	for (;;) {
		int full = used == capacity;
		ssize_t got = pread(descriptor, full ? &one_more : buffer + used,
				    full ? 1 : capacity - used, (off_t)used);

		if (got == 0)
			return (int64_t)used;
		if (got > 0 && full)
			return -EMSGSIZE;
		if (got > 0)
			used += (uint64_t)got;
		else if (errno != EINTR)
			return -errno;
	}
}

int64_t kpod_read_record(int descriptor, uint8_t *buffer, uint64_t capacity)
{
	ssize_t got;

	do
		got = pread(descriptor, buffer, capacity, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (uint64_t)got < capacity ? got : -EMSGSIZE;
}

int kpod_root_open(const char *path, struct kpod_root **root)
{
	struct kpod_root *opened = malloc(sizeof(*opened));

	if (!opened)
		return -ENOMEM;
	opened->descriptor = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (opened->descriptor < 0) {
		int error = -errno;

		free(opened);
		return error;
	}
	*root = opened;
	return 0;
}

void kpod_root_close(struct kpod_root *root)
{
	if (!root)
		return;
	close(root->descriptor);
	free(root);
}

int64_t kpod_filesystem_type(const struct kpod_root *root)
{
	struct statfs filesystem;

	return fstatfs(root->descriptor, &filesystem) ? -errno : (int64_t)filesystem.f_type;
}

int64_t kpod_read_file(const struct kpod_root *root, const char *relative, uint8_t *buffer,
		       uint64_t capacity)
{
	/* O_NONBLOCK: a FIFO must not hold up the caller. */
	int descriptor =
	    kpod_open_beneath(root->descriptor, relative, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	int64_t length;

	if (descriptor < 0)
		return descriptor;
	length = kpod_read_whole(descriptor, buffer, capacity);
	close(descriptor);
	return length;
}

int64_t kpod_environment(const char *prefix, char *buffer, uint64_t capacity)
{
	size_t prefix_length = strlen(prefix);
	uint64_t needed = 0;

	/* First to count, then, if all of it fits, to write. */
	for (int writing = 0; writing < 2; writing++) {
		if (writing && needed > capacity)
			break;
		needed = 0;
		for (char **variable = environ; variable && *variable; variable++) {
			size_t length = strcspn(*variable, "=");

			if (strncmp(*variable, prefix, prefix_length) || length < prefix_length)
				continue;
			if (writing) {
				memcpy(buffer + needed, *variable, length);
				buffer[needed + length] = '\0';
			}
			needed += length + 1;
		}
	}
	return (int64_t)needed;
}
