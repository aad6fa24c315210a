// SPDX-License-Identifier: Apache-2.0
/*
 * Files that are read again and again. Most keep their descriptors: a path lookup is most of a
 * read's time. What was read is kept too, so that only what has changed is handed out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "kpod_files.h"

#define FREE_SLOT   (-1)
#define FIRST_BYTES (64 * 1024)
/* More than anything read on a node: ten thousand mounts. A file that containers can make as long
 * as they like must not take all memory. */
#define MOST_BYTES (2 * 1024 * 1024)

struct slot {
	int descriptor;	  /* of the file, or the directory that name is beneath; FREE_SLOT: given up
			   */
	char *name;	  /* NULL: descriptor is the file's own */
	uint8_t *content; /* as last read; NULL if that failed, or never was */
	uint32_t length;
	uint64_t inode;
};

struct kpod_file_set {
	struct slot *slots;
	uint32_t count;
	uint32_t free_count;
	uint32_t capacity;
	uint8_t *scratch;
	uint64_t scratch_size;
};

int kpod_file_set_open(struct kpod_file_set **set)
{
	*set = calloc(1, sizeof(**set));
	return *set ? 0 : -ENOMEM;
}

static void forget(struct slot *slot)
{
	free(slot->content);
	slot->content = NULL;
	slot->length = 0;
}

static void give_up(struct slot *slot)
{
	close(slot->descriptor);
	slot->descriptor = FREE_SLOT;
	free(slot->name);
	slot->name = NULL;
	forget(slot);
}

void kpod_file_set_close(struct kpod_file_set *set)
{
	if (!set)
		return;
	for (uint32_t i = 0; i < set->count; i++)
		if (set->slots[i].descriptor != FREE_SLOT)
			give_up(&set->slots[i]);
	free(set->slots);
	free(set->scratch);
	free(set);
}

/* Returns a slot to fill, which counts as in use from now on, or -errno. */
static int take_slot(struct kpod_file_set *set)
{
	if (set->free_count) {
		uint32_t slot = 0;

		while (set->slots[slot].descriptor != FREE_SLOT)
			slot++;
		set->free_count--;
		return (int)slot;
	}
	if (set->count == set->capacity) {
		uint32_t capacity = set->capacity ? set->capacity * 2 : 64;
		struct slot *grown;

		if (capacity > INT_MAX / 2)
			return -EMFILE;
		grown = realloc(set->slots, capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		set->slots = grown;
		set->capacity = capacity;
	}
	return (int)set->count++;
}

static int keep(struct kpod_file_set *set, int descriptor, char *name)
{
	int slot = take_slot(set);

	if (slot < 0) {
		close(descriptor);
		free(name);
		return slot;
	}
	set->slots[slot] = (struct slot){.descriptor = descriptor, .name = name};
	return slot;
}

int kpod_file_set_add(struct kpod_file_set *set, const struct kpod_root *root, const char *relative)
{
	int descriptor =
	    kpod_open_beneath(root->descriptor, relative, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	return descriptor < 0 ? descriptor : keep(set, descriptor, NULL);
}

int kpod_file_set_add_anew(struct kpod_file_set *set, const struct kpod_root *root,
			   const char *directory, const char *name)
{
	int descriptor = kpod_open_beneath(root->descriptor, directory, O_PATH | O_DIRECTORY, 0);
	char *copy;

	if (descriptor < 0)
		return descriptor;
	copy = strdup(name);
	if (copy)
		return keep(set, descriptor, copy);
	close(descriptor);
	return -ENOMEM;
}

static struct slot *slot_at(const struct kpod_file_set *set, uint32_t index)
{
	return index < set->count && set->slots[index].descriptor != FREE_SLOT ? &set->slots[index]
									       : NULL;
}

int kpod_file_set_remove(struct kpod_file_set *set, uint32_t index)
{
	struct slot *slot = slot_at(set, index);

	if (!slot)
		return -EBADF;
	give_up(slot);
	set->free_count++;
	return 0;
}

static int grow_scratch(struct kpod_file_set *set)
{
	uint64_t size = set->scratch_size ? 2 * set->scratch_size : FIRST_BYTES;
	uint8_t *grown = size > MOST_BYTES ? NULL : realloc(set->scratch, size);

	if (!grown)
		return size > MOST_BYTES ? -EMSGSIZE : -ENOMEM;
	set->scratch = grown;
	set->scratch_size = size;
	return 0;
}

/* Reads into the scratch memory with a function of beneath.h. Returns bytes, or -errno. */
static int64_t read_file(struct kpod_file_set *set, int descriptor,
			 int64_t (*read)(int, uint8_t *, uint64_t))
{
	for (;;) {
		int64_t length =
		    set->scratch ? read(descriptor, set->scratch, set->scratch_size) : -EMSGSIZE;
		int error;

		if (length != -EMSGSIZE)
			return length;
		error = grow_scratch(set);
		if (error)
			return error;
	}
}

/* The same of a file that is opened for it, with the file's inode. */
static int64_t read_anew(struct kpod_file_set *set, const struct slot *slot, uint64_t *inode)
{
	int descriptor =
	    kpod_open_beneath(slot->descriptor, slot->name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat status = {0};
	int64_t length;

	if (descriptor < 0)
		return descriptor;
	length = fstat(descriptor, &status) ? -errno : read_file(set, descriptor, kpod_read_whole);
	close(descriptor);
	*inode = status.st_ino;
	return length;
}

/* Returns what kpod_file_set_refresh() says of one file. */
static int32_t refresh(struct kpod_file_set *set, struct slot *slot)
{
	uint64_t inode = 0;
	int64_t length = slot->name ? read_anew(set, slot, &inode)
				    : read_file(set, slot->descriptor, kpod_read_record);
	uint8_t *content;

	if (length < 0) {
		forget(slot);
		return (int32_t)length;
	}
	if (slot->content && slot->length == length && slot->inode == inode &&
	    !memcmp(slot->content, set->scratch, (size_t)length))
		return KPOD_UNCHANGED;
	content = realloc(slot->content, (size_t)length + 1);
	if (!content) {
		forget(slot);
		return -ENOMEM;
	}
	memcpy(content, set->scratch, (size_t)length);
	slot->content = content;
	slot->length = (uint32_t)length;
	slot->inode = inode;
	return (int32_t)length;
}

void kpod_file_set_refresh(struct kpod_file_set *set, const uint32_t *slots, uint32_t count,
			   int32_t *lengths)
{
	for (uint32_t i = 0; i < count; i++) {
		struct slot *slot = slot_at(set, slots[i]);

		lengths[i] = slot ? refresh(set, slot) : -EBADF;
	}
}

int64_t kpod_file_set_content(const struct kpod_file_set *set, const uint32_t *slots,
			      uint32_t count, uint8_t *buffer, uint64_t capacity)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct slot *slot = slot_at(set, slots[i]);

		if (!slot || !slot->content)
			return -EBADF;
		if (slot->length > capacity - used)
			return -EMSGSIZE;
		/* With nothing to copy the buffer may be NULL. */
		if (slot->length)
			memcpy(buffer + used, slot->content, slot->length);
		used += slot->length;
	}
	return (int64_t)used;
}

uint64_t kpod_file_set_inode(const struct kpod_file_set *set, uint32_t index)
{
	const struct slot *slot = slot_at(set, index);

	return slot ? slot->inode : 0;
}
