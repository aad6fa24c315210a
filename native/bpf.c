/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kpod.h"

#define ROUND_UP_8(size) (((size) + 7u) & ~7u)

struct attachment {
	struct bpf_program *program;
	struct bpf_link *link;
	struct attachment *next;
};

struct kpod_bpf {
	struct bpf_object *object;
	struct attachment *attachments;
	/* Per-CPU copies on their way to being added up; grows to the largest chunk read. */
	uint8_t *scratch;
	size_t scratch_size;
	int cpus;
};

/* The last log lines, kept until taken; the oldest give way. */
static struct {
	pthread_mutex_t lock;
	char text[64 * 1024];
	size_t length;
} log_buffer = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int keep_log_line(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[16 * 1024];
	int length;

	if (level == LIBBPF_DEBUG)
		return 0;
	length = vsnprintf(line, sizeof(line), format, arguments);
	if (length <= 0)
		return 0;
	if ((size_t)length >= sizeof(line))
		length = sizeof(line) - 1;
	pthread_mutex_lock(&log_buffer.lock);
	if (log_buffer.length + length > sizeof(log_buffer.text)) {
		size_t keep = sizeof(log_buffer.text) - length;

		if (keep < log_buffer.length) {
			memmove(log_buffer.text, log_buffer.text + log_buffer.length - keep, keep);
			log_buffer.length = keep;
		}
	}
	memcpy(log_buffer.text + log_buffer.length, line, length);
	log_buffer.length += length;
	pthread_mutex_unlock(&log_buffer.lock);
	return 0;
}

KPOD_EXPORT int64_t kpod_log_take(char *buffer, uint64_t capacity)
{
	size_t length;

	pthread_mutex_lock(&log_buffer.lock);
	length = log_buffer.length < capacity ? log_buffer.length : capacity;
	/* When not all fits, the end is what matters. */
	memcpy(buffer, log_buffer.text + log_buffer.length - length, length);
	log_buffer.length = 0;
	pthread_mutex_unlock(&log_buffer.lock);
	return length;
}

KPOD_EXPORT int64_t kpod_libbpf_version(char *buffer, uint64_t capacity)
{
	const char *version = libbpf_version_string();
	size_t length = strlen(version);

	if (length > capacity)
		return -EMSGSIZE;
	memcpy(buffer, version, length);
	return length;
}

KPOD_EXPORT int kpod_bpf_open(const char *path, struct kpod_bpf **object)
{
	struct kpod_bpf *opened;
	int cpus;

	libbpf_set_print(keep_log_line);
	cpus = libbpf_num_possible_cpus();
	if (cpus < 0)
		return cpus;
	opened = calloc(1, sizeof(*opened));
	if (!opened)
		return -ENOMEM;
	opened->cpus = cpus;
	opened->object = bpf_object__open_file(path, NULL);
	if (!opened->object) {
		int error = -errno;

		free(opened);
		return error;
	}
	*object = opened;
	return 0;
}

KPOD_EXPORT void kpod_bpf_close(struct kpod_bpf *object)
{
	while (object->attachments) {
		struct attachment *attachment = object->attachments;

		object->attachments = attachment->next;
		bpf_link__destroy(attachment->link);
		free(attachment);
	}
	bpf_object__close(object->object);
	free(object->scratch);
	free(object);
}

KPOD_EXPORT int64_t kpod_bpf_btf(struct kpod_bpf *object, uint8_t *buffer, uint64_t capacity)
{
	const struct btf *btf = bpf_object__btf(object->object);
	const void *data;
	uint32_t size;

	if (!btf)
		return -ENOENT;
	data = btf__raw_data(btf, &size);
	if (!data)
		return -ENOMEM;
	if (size <= capacity)
		memcpy(buffer, data, size);
	return size;
}

static struct bpf_map *find_map(struct kpod_bpf *object, const char *name)
{
	return bpf_object__find_map_by_name(object->object, name);
}

static struct bpf_program *find_program(struct kpod_bpf *object, const char *name)
{
	return bpf_object__find_program_by_name(object->object, name);
}

/* The map that holds the section's initial contents: its own name has the object's before it, cut
 * short. */
static struct bpf_map *find_section(struct kpod_bpf *object, const char *section)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object->object)
	{
		const char *name = bpf_map__name(map);
		const char *suffix = name ? strchr(name, '.') : NULL;

		if (bpf_map__is_internal(map) && suffix && !strcmp(suffix, section))
			return map;
	}
	return NULL;
}

KPOD_EXPORT int kpod_bpf_set_constant(struct kpod_bpf *object, const char *name,
				      const uint8_t *value, uint32_t size)
{
	const struct btf *btf = bpf_object__btf(object->object);
	struct bpf_map *map = find_section(object, ".rodata");
	const struct btf_type *section;
	const struct btf_var_secinfo *variable;
	const void *initial;
	uint8_t *contents;
	size_t length;
	int id, i, error;

	if (!btf || !map)
		return -ENOENT;
	id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	initial = bpf_map__initial_value(map, &length);
	if (id < 0 || !initial)
		return -ENOENT;
	section = btf__type_by_id(btf, id);
	variable = btf_var_secinfos(section);
	for (i = 0; i < btf_vlen(section); i++, variable++) {
		const struct btf_type *type = btf__type_by_id(btf, variable->type);

		if (strcmp(btf__name_by_offset(btf, type->name_off), name))
			continue;
		if (variable->size != size || variable->offset + size > length)
			return -EINVAL;
		contents = malloc(length);
		if (!contents)
			return -ENOMEM;
		memcpy(contents, initial, length);
		memcpy(contents + variable->offset, value, size);
		error = bpf_map__set_initial_value(map, contents, length);
		free(contents);
		return error;
	}
	return -ENOENT;
}

KPOD_EXPORT int kpod_bpf_enable_program(struct kpod_bpf *object, const char *program,
					uint32_t enabled)
{
	struct bpf_program *found = find_program(object, program);

	return found ? bpf_program__set_autoload(found, enabled) : -ENOENT;
}

KPOD_EXPORT int kpod_bpf_resize_map(struct kpod_bpf *object, const char *map, uint32_t max_entries)
{
	struct bpf_map *found = find_map(object, map);

	return found ? bpf_map__set_max_entries(found, max_entries) : -ENOENT;
}

KPOD_EXPORT int kpod_bpf_enable_map(struct kpod_bpf *object, const char *map, uint32_t enabled)
{
	struct bpf_map *found = find_map(object, map);

	return found ? bpf_map__set_autocreate(found, enabled) : -ENOENT;
}

KPOD_EXPORT int kpod_bpf_share_map(struct kpod_bpf *object, const char *map, struct kpod_bpf *from)
{
	struct bpf_map *found = find_map(object, map), *other = find_map(from, map);

	if (!found || !other)
		return -ENOENT;
	return bpf_map__reuse_fd(found, bpf_map__fd(other));
}

KPOD_EXPORT int kpod_bpf_load(struct kpod_bpf *object)
{
	return bpf_object__load(object->object);
}

static int keep_link(struct kpod_bpf *object, struct bpf_program *program, struct bpf_link *link)
{
	struct attachment *attachment = malloc(sizeof(*attachment));

	if (!attachment) {
		bpf_link__destroy(link);
		return -ENOMEM;
	}
	attachment->program = program;
	attachment->link = link;
	attachment->next = object->attachments;
	object->attachments = attachment;
	return 0;
}

KPOD_EXPORT int kpod_bpf_attach(struct kpod_bpf *object, const char *program)
{
	struct bpf_program *found = find_program(object, program);
	struct bpf_link *link;

	if (!found)
		return -ENOENT;
	link = bpf_program__attach(found);
	return link ? keep_link(object, found, link) : -errno;
}

KPOD_EXPORT int kpod_bpf_attach_perf_event(struct kpod_bpf *object, const char *program,
					   uint32_t type, uint64_t config, uint64_t sample_period)
{
	struct perf_event_attr attributes = {
	    .type = type,
	    .size = sizeof(attributes),
	    .config = config,
	    .sample_period = sample_period,
	};
	struct bpf_program *found = find_program(object, program);
	int attached = 0, cpu;

	if (!found)
		return -ENOENT;
	for (cpu = 0; cpu < object->cpus; cpu++) {
		struct bpf_link *link;
		int event, error;

		event =
		    syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
		if (event < 0) {
			/* Possible, but not online. */
			if (errno == ENODEV)
				continue;
			return -errno;
		}
		/* The link owns the event from here on. */
		link = bpf_program__attach_perf_event(found, event);
		if (!link) {
			error = -errno;
			close(event);
			return error;
		}
		error = keep_link(object, found, link);
		if (error)
			return error;
		attached++;
	}
	return attached ? 0 : -ENODEV;
}

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

KPOD_EXPORT int kpod_bpf_program_info(struct kpod_bpf *object, const char *program,
				      struct kpod_program_info *info)
{
	struct bpf_program *found = find_program(object, program);
	struct attachment *attachment;
	struct bpf_prog_info kernel_info = {};
	uint32_t length = sizeof(kernel_info);
	int error;

	if (!found)
		return -ENOENT;
	error = bpf_obj_get_info_by_fd(bpf_program__fd(found), &kernel_info, &length);
	if (error)
		return error;
	info->id = kernel_info.id;
	info->attached = 0;
	for (attachment = object->attachments; attachment; attachment = attachment->next)
		info->attached += attachment->program == found;
	info->run_time_ns = kernel_info.run_time_ns;
	info->runs = kernel_info.run_cnt;
	info->misses = kernel_info.recursion_misses;
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
	return (size_t)ROUND_UP_8(bpf_map__value_size(map)) * object->cpus;
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
		size_t keys_size = (size_t)ROUND_UP_8(chunk * key_size);
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
