// SPDX-License-Identifier: Apache-2.0
/* Files that keep their descriptors: a read costs no path lookup, which is most of its time. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "beneath.h"
#include "kpod_files.h"

#define FREE_SLOT (-1)

struct kpod_file_set {
	int *descriptors; /* by slot; FREE_SLOT: given up */
	uint32_t slots;
	uint32_t free_slots;
	uint32_t capacity;
};

int kpod_file_set_open(struct kpod_file_set **set)
{
	*set = calloc(1, sizeof(**set));
	return *set ? 0 : -ENOMEM;
}

void kpod_file_set_close(struct kpod_file_set *set)
{
	if (!set)
		return;
	for (uint32_t slot = 0; slot < set->slots; slot++)
		if (set->descriptors[slot] != FREE_SLOT)
			close(set->descriptors[slot]);
	free(set->descriptors);
	free(set);
}

/* Returns a slot to fill, which counts as in use from now on, or -errno. */
static int take_slot(struct kpod_file_set *set)
{
	if (set->free_slots) {
		uint32_t slot = 0;

		while (set->descriptors[slot] != FREE_SLOT)
			slot++;
		set->free_slots--;
		return (int)slot;
	}
	if (set->slots == set->capacity) {
		uint32_t capacity = set->capacity ? set->capacity * 2 : 64;
		int *grown;

		if (capacity > INT_MAX / 2)
			return -EMFILE;
		grown = realloc(set->descriptors, capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		set->descriptors = grown;
		set->capacity = capacity;
	}
	return (int)set->slots++;
}

int kpod_file_set_add(struct kpod_file_set *set, const struct kpod_root *root, const char *relative)
{
	int descriptor =
	    kpod_open_beneath(root->descriptor, relative, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	int slot;

	if (descriptor < 0)
		return descriptor;
	slot = take_slot(set);
	if (slot < 0)
		close(descriptor);
	else
		set->descriptors[slot] = descriptor;
	return slot;
}

static int is_open(const struct kpod_file_set *set, uint32_t slot)
{
	return slot < set->slots && set->descriptors[slot] != FREE_SLOT;
}

int kpod_file_set_remove(struct kpod_file_set *set, uint32_t slot)
{
	if (!is_open(set, slot))
		return -EBADF;
	close(set->descriptors[slot]);
	set->descriptors[slot] = FREE_SLOT;
	set->free_slots++;
	return 0;
}

int64_t kpod_file_set_read(const struct kpod_file_set *set, const uint32_t *slots, uint32_t count,
			   uint8_t *buffer, uint64_t capacity, int64_t *lengths)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!is_open(set, slots[i])) {
			lengths[i] = -EBADF;
			continue;
		}
		lengths[i] =
		    kpod_read_whole(set->descriptors[slots[i]], buffer + used, capacity - used);
		if (lengths[i] == -EMSGSIZE)
			return -EMSGSIZE;
		if (lengths[i] > 0)
			used += (uint64_t)lengths[i];
	}
	return (int64_t)used;
}
