/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Who waits for a CPU and how long, and who is switched out how often. */
#include "kpod.bpf.h"
#include "histogram.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct cpu_sched_value);
} cpu_sched SEC(".maps");

/* Since when a task has been runnable without a CPU, in ns; 0 while it runs or sleeps. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} cpu_sched_tasks SEC(".maps");

static __always_inline void set_runnable(struct task_struct *task)
{
	u64 *since =
	    bpf_task_storage_get(&cpu_sched_tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!since)
		count_update_error(CPU_SCHED_TASKS);
	else if (!*since)
		*since = bpf_ktime_get_ns();
}

static __always_inline int woken(struct task_struct *task)
{
	/* Woken while still on its CPU, on the way to sleep: it never stops running, so it does not
	 * wait. */
	if (task->on_cpu || !container_of_task(task))
		return 0;
	set_runnable(task);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(sched_wakeup, struct task_struct *task)
{
	return woken(task);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(sched_wakeup_new, struct task_struct *task)
{
	return woken(task);
}

static const struct cpu_sched_value cpu_sched_zero = {};

static __always_inline struct cpu_sched_value *cpu_sched_entry(struct cgroup *container)
{
	u64 id = container->kn->id;

	return entry(&cpu_sched, &id, &cpu_sched_zero, CPU_SCHED, container);
}

/* The scheduler calls with interrupts off, so what follows has this CPU's copy of a value to
 * itself. */
static __always_inline void switched_out(struct cgroup *container)
{
	struct cpu_sched_value *value = cpu_sched_entry(container);

	if (value)
		value->context_switches++;
}

static __always_inline void switched_in(struct task_struct *task, struct cgroup *container)
{
	u64 *since = bpf_task_storage_get(&cpu_sched_tasks, task, NULL, 0);
	struct cpu_sched_value *value;
	u64 now, waited;
	u32 slot;

	/* Runnable since before these programs were attached: how long is not known. */
	if (!since || !*since)
		return;
	now = bpf_ktime_get_ns();
	/* Clocks of two CPUs may disagree by some ns. */
	waited = now > *since ? now - *since : 0;
	*since = 0;
	value = cpu_sched_entry(container);
	if (!value)
		return;
	slot = histogram_slot(waited);
	if (slot < HISTOGRAM_SLOTS)
		value->runqueue_latency_slots[slot]++;
	value->runqueue_latency_ns += waited;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct cgroup *from = container_of_task(prev), *to;

	if (from) {
		/* Preempted tasks stay runnable whatever state they were about to enter. */
		if (preempt || !prev->__state)
			set_runnable(prev);
		switched_out(from);
	}
	to = container_of_task(next);
	if (to)
		switched_in(next, to);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
