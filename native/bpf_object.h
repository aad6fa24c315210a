/* SPDX-License-Identifier: Apache-2.0 */
/* What the sources of the eBPF part share among themselves. */
#ifndef KPOD_BPF_OBJECT_H
#define KPOD_BPF_OBJECT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf.h>

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

static inline struct bpf_map *find_map(struct kpod_bpf *object, const char *name)
{
	return bpf_object__find_map_by_name(object->object, name);
}

/* For libbpf_set_print(): keeps warnings for kpod_log_take(). */
int keep_log_line(enum libbpf_print_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#endif
