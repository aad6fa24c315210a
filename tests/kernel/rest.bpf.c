/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Context switches of all tasks outside kubepods and of all below it, told apart by the kernel's
 * own list of a cgroup's ancestors. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* The cgroup id of the kubepods root and its level below the hierarchy's root. */
const volatile u64 kubepods_id = 0;
const volatile u32 kubepods_level = 1;

/* 0: outside, 1: below. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} switches SEC(".maps");

/* Until 6.1 the list has ids; tracing programs may not ask for one of them there (before 5.11). */
struct cgroup___ids {
	u64 ancestor_ids[1];
} __attribute__((preserve_access_index));

static __always_inline u64 ancestor_id(u32 level)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct cgroup *cgroup;
	u64 id = 0;

	if (!bpf_core_field_exists(struct cgroup___ids, ancestor_ids))
		return bpf_get_current_ancestor_cgroup_id(level);
	cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	if (BPF_CORE_READ(cgroup, level) >= (int)level)
		bpf_probe_read_kernel(&id, sizeof(id),
				      (void *)cgroup +
					  bpf_core_field_offset(struct cgroup___ids, ancestor_ids) +
					  level * sizeof(id));
	return id;
}

/* The task that is switched out is still the current one here. */
SEC("tp_btf/sched_switch")
int BPF_PROG(count_switches)
{
	u32 below = ancestor_id(kubepods_level) == kubepods_id;
	u64 *count = bpf_map_lookup_elem(&switches, &below);

	if (count)
		++*count;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
