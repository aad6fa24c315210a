/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who waits for a CPU and how long, and who is switched out how often.
 *
 * The scheduler itself notes when it puts a task on a run queue (sched_info, the source of
 * schedstat and of delay accounting), so the switch is the only event needed: no program runs on
 * wakeups.
 */
#include "kpod.bpf.h"
#include "histogram.bpf.h"
#include "storage.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct cpu_sched_value);
} cpu_sched SEC(".maps");

/* What a task had waited in all when it last got a CPU, in ns. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} cpu_sched_tasks SEC(".maps");

static const struct cpu_sched_value cpu_sched_zero = {};

static __always_inline struct cpu_sched_value *cpu_sched_entry(struct container container)
{
	return entry(&cpu_sched, &container.id, &cpu_sched_zero, CPU_SCHED, container);
}

/* The scheduler calls with interrupts off, so what follows has this CPU's copy of a value to
 * itself. */
static __always_inline void switched_out(struct container container)
{
	struct cpu_sched_value *value = cpu_sched_entry(container);

	if (value)
		value->context_switches++;
}

/*
 * How long a task that is about to run has waited, by the run queue's clock, which sched_info is
 * kept by. What it waited on other CPUs before it was moved here is in run_delay already, with all
 * its earlier waits; so that is remembered from one run to the next.
 */
static __always_inline u64 waited_ns(struct task_struct *task, u64 queued)
{
	/* Set for tasks of every scheduling class wherever CPU cgroups exist; a per-CPU symbol
	 * needs KALLSYMS_ALL. */
	u64 here = task->se.cfs_rq->rq->clock - queued, total, waited, *before;

	/* Clocks of two CPUs may disagree a little. */
	if ((s64)here < 0)
		here = 0;
	total = task->sched_info.run_delay + here;
	before = task_value(&cpu_sched_tasks, task, false, NULL);
	if (before) {
		waited = total - *before;
		*before = total;
		return waited;
	}
	if (!task_value(&cpu_sched_tasks, task, false, &total))
		count_update_error(CPU_SCHED_TASKS);
	/* A task's first run has no waits before it; one that is older than these programs has
	 * unknown ones. */
	return task->sched_info.pcount ? here : total;
}

static __always_inline void switched_in(struct task_struct *task, struct container container)
{
	u64 queued = task->sched_info.last_queued, waited;
	struct cpu_sched_value *value;
	u32 slot;

	if (!queued)
		return;
	waited = waited_ns(task, queued);
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
	struct container from = container_of_task(prev, false), to;

	if (from.id)
		switched_out(from);
	to = container_of_task(next, false);
	if (to.id)
		switched_in(next, to);
	return 0;
}

/* Only where tasks cannot hold values themselves. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(cpu_sched_task_free, struct task_struct *task)
{
	forget_task(&cpu_sched_tasks, task);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
