/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kpod_bpf_map_read(): maps of any shape, whose entries the kernel hands out in batches of any
 * size, with errors in between. libbpf's calls are answered here, and like the kernel's they write
 * all that they may.
 */
#define _GNU_SOURCE
#include <errno.h>

#include <bpf/bpf.h>

#include "bpf_object.h"
#include "fuzz.h"
#include "kpod.h"

#define MOST_ENTRIES 700

static struct {
	uint32_t type, key_size, value_size, max_entries, entries;
	uint32_t at, bucket; /* entries in the fullest bucket: smaller batches are refused */
	int cpus, is_per_cpu;
	struct input *answers;
	int has_failed;
} map;

static struct bpf_map *const the_map = (struct bpf_map *)&map;

struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *object, const char *name)
{
	(void)object;
	return *name == 'm' ? the_map : NULL;
}

enum bpf_map_type bpf_map__type(const struct bpf_map *asked)
{
	(void)asked;
	return map.type;
}

__u32 bpf_map__key_size(const struct bpf_map *asked)
{
	(void)asked;
	return map.key_size;
}

__u32 bpf_map__value_size(const struct bpf_map *asked)
{
	(void)asked;
	return map.value_size;
}

__u32 bpf_map__max_entries(const struct bpf_map *asked)
{
	(void)asked;
	return map.max_entries;
}

int bpf_map__fd(const struct bpf_map *asked)
{
	(void)asked;
	return 7;
}

static uint8_t key_byte(uint32_t entry, uint32_t at)
{
	return (uint8_t)(at < 4 ? entry >> (8 * at) : entry + at);
}

/* Some words are so large that their sum wraps. */
static uint64_t word_of(uint32_t entry, int cpu, uint32_t word)
{
	return (entry + 1) * 0x9e3779b97f4a7c15u * ((uint64_t)cpu + 1) + word;
}

static void fill_key(uint8_t *key, uint32_t entry)
{
	for (uint32_t i = 0; i < map.key_size; i++)
		key[i] = key_byte(entry, i);
}

static void fill_value(uint8_t *value, uint32_t entry)
{
	for (uint32_t i = 0; !map.is_per_cpu && i < map.value_size; i++)
		value[i] = (uint8_t)(entry + i);
	for (int cpu = 0; map.is_per_cpu && cpu < map.cpus; cpu++)
		for (uint32_t word = 0; word < map.value_size / 8; word++, value += 8) {
			uint64_t number = word_of(entry, cpu, word);

			memcpy(value, &number, sizeof(number));
		}
}

static size_t copied_size(void)
{
	return map.is_per_cpu ? (size_t)map.value_size * (size_t)map.cpus : map.value_size;
}

/* Whether the kernel refuses this call. */
static int refusal(void)
{
	static const int errors[] = {EFAULT, EINTR, EPERM, ENOMEM};

	if (!map.answers->size || take_byte(map.answers) < 250)
		return 0;
	map.has_failed = 1;
	return -errors[take_below(map.answers, 4)];
}

int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
			 const struct bpf_map_batch_opts *options)
{
	uint32_t asked = *count, left = map.entries - map.at, got = asked < left ? asked : left;
	int error = refusal();

	(void)fd;
	(void)options;
	*count = 0;
	CHECK(asked > 0 && !in == !map.at);
	if (error)
		return error;
	if (asked < map.bucket)
		return -ENOSPC;
	/* Whole buckets, which are what they are. */
	if (got < left && got > map.bucket)
		got -= take_below(map.answers, map.bucket + 1);
	if (in)
		CHECK(!memcmp(in, &map.at, sizeof(map.at)));
	for (uint32_t i = 0; i < got; i++) {
		fill_key((uint8_t *)keys + (size_t)i * map.key_size, map.at + i);
		fill_value((uint8_t *)values + i * copied_size(), map.at + i);
	}
	map.at += got;
	memcpy(out, &map.at, sizeof(map.at));
	*count = got;
	return map.at == map.entries ? -ENOENT : 0;
}

int bpf_map_get_next_key(int fd, const void *key, void *next)
{
	(void)fd;
	map.at = key ? map.at + 1 : 0;
	if (map.at >= map.entries)
		return -ENOENT;
	fill_key(next, map.at);
	return 0;
}

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
	(void)fd;
	(void)key;
	if (refusal())
		return -ENOENT;
	fill_value(value, map.at);
	return 0;
}

static void check_entry(const uint8_t *key, const uint8_t *value, uint32_t entry)
{
	for (uint32_t i = 0; i < map.key_size; i++)
		CHECK(key[i] == key_byte(entry, i));
	for (uint32_t i = 0; !map.is_per_cpu && i < map.value_size; i++)
		CHECK(value[i] == (uint8_t)(entry + i));
	for (uint32_t word = 0; map.is_per_cpu && word < map.value_size / 8; word++) {
		uint64_t sum = 0, found;

		for (int cpu = 0; cpu < map.cpus; cpu++)
			sum += word_of(entry, cpu, word);
		memcpy(&found, value + 8 * word, sizeof(found));
		CHECK(found == sum);
	}
}

static void check_result(int64_t result, const uint8_t *keys, const uint8_t *values,
			 uint64_t capacity)
{
	if (map.is_per_cpu && map.value_size % 8) {
		CHECK(result == -EINVAL);
		return;
	}
	if (map.type == BPF_MAP_TYPE_PERCPU_ARRAY && map.key_size > 256) {
		CHECK(result == -EINVAL);
		return;
	}
	if (map.has_failed) {
		CHECK(result <= (int64_t)capacity);
		return;
	}
	if (map.entries > capacity) {
		CHECK(result == -EMSGSIZE);
		return;
	}
	CHECK(result == (int64_t)map.entries);
	for (uint32_t i = 0; i < map.entries; i++)
		check_entry(keys + (size_t)i * map.key_size, values + (size_t)i * map.value_size,
			    i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t types[] = {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH,
					 BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_ARRAY};
	struct input input = {data, size};
	struct kpod_bpf object = {.cpus = 1 + (int)take_below(&input, 4)};
	int reads = 1 + (int)take_below(&input, 2);

	while (reads--) {
		uint64_t capacity;
		uint8_t *keys, *values;
		int64_t result;

		memset(&map, 0, sizeof(map));
		map.answers = &input;
		map.cpus = object.cpus;
		map.type = types[take_below(&input, 4)];
		map.is_per_cpu =
		    map.type == BPF_MAP_TYPE_PERCPU_HASH || map.type == BPF_MAP_TYPE_PERCPU_ARRAY;
		map.key_size = 1 + take_number(&input) % 300;
		map.value_size = 1 + take_number(&input) % 300;
		if (take_below(&input, 4))
			map.value_size = (map.value_size + 7) & ~7u;
		map.entries = take_number(&input) % MOST_ENTRIES;
		map.max_entries = map.entries + take_number(&input) % 1000;
		map.bucket = map.entries ? take_number(&input) % (map.entries + 1) : 0;
		capacity = take_below(&input, 3) ? map.entries : take_number(&input) % MOST_ENTRIES;
		capacity += !capacity;
		keys = new_buffer(capacity * map.key_size);
		values = new_buffer(capacity * map.value_size);
		result = kpod_bpf_map_read(&object, "m", keys, values, capacity);
		check_result(result, keys, values, capacity);
		CHECK(kpod_bpf_map_read(&object, "none", keys, values, capacity) == -ENOENT);
		free(keys);
		free(values);
	}
	free(object.scratch);
	return 0;
}
