/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf_object.h"
#include "kpod.h"

static const char kernel_btf[] = "/sys/kernel/btf/vmlinux";

KPOD_EXPORT int kpod_bpf_open(const char *path, struct kpod_bpf **object)
{
	/* With this named, a type that the kernel lacks is not looked for in its modules as well,
	 * which takes CAP_SYS_ADMIN, and without it libbpf 1.1 gives up. */
	LIBBPF_OPTS(bpf_object_open_opts, options,
		    .btf_custom_path = access(kernel_btf, R_OK) ? NULL : kernel_btf);
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
	opened->object = bpf_object__open_file(path, &options);
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
		const char *its_name = type ? btf__name_by_offset(btf, type->name_off) : NULL;

		if (!its_name || strcmp(its_name, name))
			continue;
		if (variable->size != size || (size_t)variable->offset + size > length)
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

KPOD_EXPORT int kpod_bpf_has_task_storage(void)
{
	return libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL);
}

KPOD_EXPORT int kpod_bpf_preempts_programs(void)
{
	/* What guards tracepoints (include/linux/tracepoint.h) since they need not turn preemption
	 * off. */
	static const char guard[] = "class_srcu_fast_notrace_t";
	struct btf *btf = btf__parse(kernel_btf, NULL);
	int found;

	if (!btf)
		return -errno;
	found = btf__find_by_name_kind(btf, guard, BTF_KIND_TYPEDEF) > 0;
	btf__free(btf);
	return found;
}

KPOD_EXPORT int kpod_bpf_make_hash(struct kpod_bpf *object, const char *map, uint32_t key_size,
				   uint32_t max_entries)
{
	struct bpf_map *found = find_map(object, map);
	int error;

	if (!found)
		return -ENOENT;
	error = bpf_map__set_type(found, BPF_MAP_TYPE_HASH);
	if (!error)
		error = bpf_map__set_map_flags(found, 0);
	if (!error)
		error = bpf_map__set_key_size(found, key_size);
	return error ? error : bpf_map__set_max_entries(found, max_entries);
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
