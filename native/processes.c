// SPDX-License-Identifier: Apache-2.0
/* Processes and their cgroups. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "kpod_files.h"

/* The kernel has room for PATH_MAX bytes in a line, of which there is one for each hierarchy. */
#define MOST_TEXT (16 * PATH_MAX)

struct listing {
	int proc;
	uint8_t *buffer;
	uint64_t capacity;
	uint64_t used; /* more than capacity: nothing has been written since it did not fit */
};

static void append(struct listing *listing, uint32_t pid, const char *text, size_t length)
{
	size_t size = (sizeof(struct kpod_process) + length + 7) & ~(size_t)7;

	if (listing->used + size <= listing->capacity) {
		struct kpod_process *record =
		    (struct kpod_process *)(listing->buffer + listing->used);

		memset(record, 0, size);
		record->pid = pid;
		record->text_length = (uint32_t)length;
		memcpy(record->text, text, length);
	}
	listing->used += size;
}

/* Whether error says that a process has ended, may not be looked at, or has too long a path. */
static int is_left_out(int error)
{
	return error == ENOENT || error == ESRCH || error == ENOTDIR || error == EACCES ||
	       error == EPERM || error == ENAMETOOLONG || error == EMSGSIZE;
}

static int append_process(struct listing *listing, uint32_t pid)
{
	char relative[32], text[MOST_TEXT];
	int64_t length;
	int descriptor;

	snprintf(relative, sizeof(relative), "%u/cgroup", pid);
	descriptor = kpod_open_beneath(listing->proc, relative, O_RDONLY, 0);
	if (descriptor < 0)
		return is_left_out(-descriptor) ? 0 : descriptor;
	length = kpod_read_whole(descriptor, (uint8_t *)text, sizeof(text));
	close(descriptor);
	if (length < 0)
		return is_left_out((int)-length) ? 0 : (int)length;
	append(listing, pid, text, (size_t)length);
	return 0;
}

/* The number that a directory's name is; 0 if it is none. */
static uint32_t pid_of(const char *name)
{
	char *end;
	unsigned long pid = *name >= '1' && *name <= '9' ? strtoul(name, &end, 10) : 0;

	return pid && !*end && pid <= INT_MAX ? (uint32_t)pid : 0;
}

int64_t kpod_processes(const struct kpod_root *root, uint8_t *buffer, uint64_t capacity)
{
	struct listing listing = {root->descriptor, buffer, capacity, 0};
	int descriptor = kpod_open_beneath(root->descriptor, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *directory;
	int error = 0;

	if (descriptor < 0)
		return descriptor;
	directory = fdopendir(descriptor);
	if (!directory) {
		error = -errno;
		close(descriptor);
		return error;
	}
	while (!error) {
		struct dirent *entry;
		uint32_t pid;

		errno = 0;
		entry = readdir(directory);
		if (!entry) {
			error = -errno;
			break;
		}
		pid = pid_of(entry->d_name);
		if (pid)
			error = append_process(&listing, pid);
	}
	closedir(directory);
	return error ? error : (int64_t)listing.used;
}
