/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "bpf_object.h"
#include "kpod.h"

#define ROUND_UP_8(size) (((size_t)(size) + 7) & ~(size_t)7)

/* Bytes of kernel memory that a map holds, as the kernel states them for its descriptor. */
static uint64_t map_memory(int fd)
{
	char path[64], line[256];
	unsigned long long bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(file);
	return bytes;
}

KPOD_EXPORT int kpod_bpf_map_info(struct kpod_bpf *object, const char *map,
				  struct kpod_map_info *info)
{
	struct bpf_map *found = find_map(object, map);

	if (!found)
		return -ENOENT;
	info->type = bpf_map__type(found);
	info->key_size = bpf_map__key_size(found);
	info->value_size = bpf_map__value_size(found);
	info->max_entries = bpf_map__max_entries(found);
	info->memory_bytes = bpf_map__fd(found) < 0 ? 0 : map_memory(bpf_map__fd(found));
	return 0;
}

static bool is_per_cpu(const struct bpf_map *map)
{
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return true;
	default:
		return false;
	}
}

/* The size of a value as the kernel hands it out: for per-CPU maps every CPU's copy, each padded to
 * 8 bytes. */
static size_t copied_value_size(const struct kpod_bpf *object, const struct bpf_map *map)
{
	if (!is_per_cpu(map))
		return bpf_map__value_size(map);
	return ROUND_UP_8(bpf_map__value_size(map)) * object->cpus;
}

static void add_up(const struct kpod_bpf *object, const struct bpf_map *map, const uint8_t *copies,
		   uint8_t *value)
{
	size_t words = bpf_map__value_size(map) / sizeof(uint64_t), word;
	const uint64_t *from = (const uint64_t *)copies;
	int cpu;

	if (!is_per_cpu(map)) {
		memcpy(value, copies, bpf_map__value_size(map));
		return;
	}
	for (word = 0; word < words; word++) {
		uint64_t sum = 0;

		for (cpu = 0; cpu < object->cpus; cpu++)
			sum += from[cpu * words + word];
		memcpy(value + word * sizeof(sum), &sum, sizeof(sum));
	}
}

static int grow_scratch(struct kpod_bpf *object, size_t size)
{
	uint8_t *grown;

	if (size <= object->scratch_size)
		return 0;
	grown = realloc(object->scratch, size);
	if (!grown)
		return -ENOMEM;
	object->scratch = grown;
	object->scratch_size = size;
	return 0;
}

/* Key by key, for maps without batch operations (per-CPU arrays, before 5.13). */
static int64_t read_each(struct kpod_bpf *object, struct bpf_map *map, uint8_t *keys,
			 uint8_t *values, uint64_t capacity)
{
	uint32_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);
	int fd = bpf_map__fd(map), error;
	uint64_t count = 0;
	uint8_t key[256];
	bool first = true;

	if (key_size > sizeof(key))
		return -EINVAL;
	error = grow_scratch(object, copied_value_size(object, map));
	if (error)
		return error;
	while (!bpf_map_get_next_key(fd, first ? NULL : key, key)) {
		first = false;
		if (bpf_map_lookup_elem(fd, key, object->scratch))
			continue;
		if (count == capacity)
			return -EMSGSIZE;
		memcpy(keys + count * key_size, key, key_size);
		add_up(object, map, object->scratch, values + count * value_size);
		count++;
	}
	return count;
}

static int64_t read_batches(struct kpod_bpf *object, struct bpf_map *map, uint8_t *keys,
			    uint8_t *values, uint64_t capacity)
{
	uint32_t key_size = bpf_map__key_size(map), value_size = bpf_map__value_size(map);
	size_t copied_size = copied_value_size(object, map);
	uint32_t chunk = 128, cursor = 0, next = 0;
	uint64_t count = 0;
	bool first = true;

	for (;;) {
		size_t keys_size = ROUND_UP_8((size_t)chunk * key_size);
		uint32_t got = chunk, i;
		int error;

		error = grow_scratch(object, keys_size + chunk * copied_size);
		if (error)
			return error;
		error =
		    bpf_map_lookup_batch(bpf_map__fd(map), first ? NULL : &cursor, &next,
					 object->scratch, object->scratch + keys_size, &got, NULL);
		if (error == -ENOSPC && chunk < bpf_map__max_entries(map)) {
			/* One bucket holds more than a chunk. */
			chunk *= 2;
			continue;
		}
		if (error && error != -ENOENT)
			return error;
		if (count + got > capacity)
			return -EMSGSIZE;
		memcpy(keys + count * key_size, object->scratch, (size_t)got * key_size);
		for (i = 0; i < got; i++)
			add_up(object, map, object->scratch + keys_size + i * copied_size,
			       values + (count + i) * value_size);
		count += got;
		/* ENOENT: that was the last one. */
		if (error)
			return count;
		cursor = next;
		first = false;
	}
}

KPOD_EXPORT int64_t kpod_bpf_map_read(struct kpod_bpf *object, const char *map, uint8_t *keys,
				      uint8_t *values, uint64_t capacity)
{
	struct bpf_map *found = find_map(object, map);

	if (!found)
		return -ENOENT;
	if (is_per_cpu(found) && bpf_map__value_size(found) % sizeof(uint64_t))
		return -EINVAL;
	if (bpf_map__type(found) == BPF_MAP_TYPE_PERCPU_ARRAY)
		return read_each(object, found, keys, values, capacity);
	return read_batches(object, found, keys, values, capacity);
}

KPOD_EXPORT int kpod_bpf_map_delete(struct kpod_bpf *object, const char *map, const uint8_t *key)
{
	struct bpf_map *found = find_map(object, map);

	return found ? bpf_map_delete_elem(bpf_map__fd(found), key) : -ENOENT;
}
