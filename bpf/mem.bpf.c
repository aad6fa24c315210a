/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* OOM kills, by victim, and page faults that needed I/O. */
#include "kpod.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct oom_value);
} oom SEC(".maps");

/* Processes already counted, by their first thread. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} oom_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct page_faults_value);
} page_faults SEC(".maps");

/*
 * The current task is the one that asked for memory, which may be another container's; the victim
 * is the argument (since 6.8). A dying process is marked once a thread that still allocates, but
 * killed once.
 */
SEC("tp_btf/mark_victim")
int BPF_PROG(mark_victim, struct task_struct *victim)
{
	static const struct oom_value zero = {};
	struct cgroup *container = container_of_task(victim);
	struct oom_value *value;
	u64 *counted, id;

	if (!container)
		return 0;
	counted = bpf_task_storage_get(&oom_processes, victim->group_leader, NULL,
				       BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!counted) {
		count_update_error(OOM_PROCESSES);
	} else {
		if (*counted)
			return 0;
		*counted = 1;
	}
	id = container->kn->id;
	value = entry(&oom, &id, &zero, OOM, container);
	if (value)
		ADD(value->kills, 1);
	return 0;
}

/* Attached to the software event page-faults-maj on every CPU with a period of one: each fault
 * once. */
SEC("perf_event")
int page_faults_major(void *ctx)
{
	static const struct page_faults_value zero = {};
	struct cgroup *container = container_of_task(bpf_get_current_task_btf());
	struct page_faults_value *value;
	u64 id;

	if (!container)
		return 0;
	id = container->kn->id;
	value = entry(&page_faults, &id, &zero, PAGE_FAULTS, container);
	if (value)
		ADD(value->major, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
