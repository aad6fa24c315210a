/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eBPF objects: open, set up, load, attach, read. One handle is one object file with its programs
 * and maps.
 *
 * Calls go in this order: open; set_constant, enable_program, resize_map, share_map as needed;
 * load; attach; then everything else until close, which detaches and frees all. All return 0 or
 * more, or -errno. What libbpf and the kernel's verifier had to say about a failure is in
 * kpod_log_take().
 */
#ifndef KPOD_BPF_H
#define KPOD_BPF_H

#include <stdint.h>

struct kpod_bpf;

struct kpod_map_info {
	uint32_t type; /* enum bpf_map_type */
	uint32_t key_size;
	uint32_t value_size; /* of one CPU's copy */
	uint32_t max_entries;
	uint64_t memory_bytes; /* held by the kernel, from the map's fdinfo */
};

struct kpod_program_info {
	uint32_t id;
	uint32_t attached;    /* links: one, or one a CPU for perf events */
	uint64_t run_time_ns; /* these two while kernel.bpf_stats_enabled is on */
	uint64_t runs;
	uint64_t misses; /* events not seen because the program was already running on that CPU */
};

/* Opens an object file; -ENOENT, -EACCES, -LIBBPF_ERRNO__* for what is no object. */
int kpod_bpf_open(const char *path, struct kpod_bpf **object);
void kpod_bpf_close(struct kpod_bpf *object);

/* The object's raw BTF. Returns its size; fills the buffer only when it is large enough. */
int64_t kpod_bpf_btf(struct kpod_bpf *object, uint8_t *buffer, uint64_t capacity);

/* Sets a `const volatile` variable; -EINVAL when `size` is not the variable's, -ENOENT when there
 * is none. */
int kpod_bpf_set_constant(struct kpod_bpf *object, const char *name, const uint8_t *value,
			  uint32_t size);
/* Programs are loaded unless disabled here. */
int kpod_bpf_enable_program(struct kpod_bpf *object, const char *program, uint32_t enabled);
int kpod_bpf_resize_map(struct kpod_bpf *object, const char *map, uint32_t max_entries);
/* Whether tasks can hold values of tracing programs (since Linux 5.11): 1 or 0. */
int kpod_bpf_has_task_storage(void);
/* Whether programs on tracepoints may be preempted (since Linux 7.0), and the kernel then skips
 * their events on that CPU: 1, 0, or -errno where the kernel's BTF cannot be read. */
int kpod_bpf_preempts_programs(void);
/* Makes a map of values that tasks or sockets hold a plain hash. */
int kpod_bpf_make_hash(struct kpod_bpf *object, const char *map, uint32_t key_size,
		       uint32_t max_entries);
/* Leaves a map that no enabled program uses out of the kernel. */
int kpod_bpf_enable_map(struct kpod_bpf *object, const char *map, uint32_t enabled);
/* Uses the map of the same name of another, loaded object. */
int kpod_bpf_share_map(struct kpod_bpf *object, const char *map, struct kpod_bpf *from);

int kpod_bpf_load(struct kpod_bpf *object);
/* Attaches a program to what its section names. */
int kpod_bpf_attach(struct kpod_bpf *object, const char *program);
/* Attaches a perf_event program to every online CPU: type and config as for perf_event_open(2). */
int kpod_bpf_attach_perf_event(struct kpod_bpf *object, const char *program, uint32_t type,
			       uint64_t config, uint64_t sample_period);

int kpod_bpf_map_info(struct kpod_bpf *object, const char *map, struct kpod_map_info *info);
int kpod_bpf_program_info(struct kpod_bpf *object, const char *program,
			  struct kpod_program_info *info);

/*
 * Reads a whole map: key after key, value after value, per-CPU copies added up as arrays of u64.
 * Returns the number of entries; -EMSGSIZE when there are more than `capacity`.
 */
int64_t kpod_bpf_map_read(struct kpod_bpf *object, const char *map, uint8_t *keys, uint8_t *values,
			  uint64_t capacity);
/* Deletes an entry; -ENOENT when there is none. */
int kpod_bpf_map_delete(struct kpod_bpf *object, const char *map, const uint8_t *key);

/* Takes the lines logged since the last call. Returns their size, at most `capacity`. */
int64_t kpod_log_take(char *buffer, uint64_t capacity);

/* libbpf's version, as "v1.1". */
int64_t kpod_libbpf_version(char *buffer, uint64_t capacity);

#endif
