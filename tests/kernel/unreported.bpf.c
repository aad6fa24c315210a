/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Runs of a task that no tracing program is told of. A kernel may run none while certain tasks are
 * current, such as a hypervisor's agent; then the switch from such a task is not reported, and with
 * it that the next one has got the CPU. It shows in that another task leaves the CPU than the one
 * that took it last.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} running SEC(".maps");

/* By process id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u64);
} unreported SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(count_unreported, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u64 process = bpf_get_current_pid_tgid() >> 32, none = 0, *task, *count;
	u32 zero = 0;

	task = bpf_map_lookup_elem(&running, &zero);
	if (!task)
		return 0;
	if (*task && *task != (u64)prev) {
		bpf_map_update_elem(&unreported, &process, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&unreported, &process);
		if (count)
			__sync_fetch_and_add(count, 1);
	}
	*task = (u64)next;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
