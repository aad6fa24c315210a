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

struct scheduled_task {
	/* What it had waited in all when it last got a CPU, in ns. */
	u64 waited_ns;
	struct attribution attribution;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct scheduled_task);
} cpu_sched_tasks SEC(".maps");

static const struct cpu_sched_value cpu_sched_zero = {};

static __always_inline struct cpu_sched_value *cpu_sched_entry(struct container container)
{
	return entry(&cpu_sched, &container.id, &cpu_sched_zero, CPU_SCHED, container);
}

static __always_inline void remember(struct task_struct *task, struct scheduled_task *first)
{
	if (!task_value(&cpu_sched_tasks, task, false, first))
		count_update_error(CPU_SCHED_TASKS);
}

/*
 * How long a task that is about to run has waited, by the run queue's clock, which sched_info is
 * kept by. What it waited on other CPUs before it was moved here is in run_delay already, with all
 * its earlier waits; so that is remembered from one run to the next. What is remembered of a task
 * that is not `known` yet begins as `first`.
 */
static __always_inline u64 waited_ns(struct task_struct *task, u64 queued,
				     struct scheduled_task *known, struct scheduled_task *first)
{
	/* Set for tasks of every scheduling class wherever CPU cgroups exist; a per-CPU symbol
	 * needs KALLSYMS_ALL. */
	u64 here = task->se.cfs_rq->rq->clock - queued, total, waited;

	/* Clocks of two CPUs may disagree a little. */
	if ((s64)here < 0)
		here = 0;
	total = task->sched_info.run_delay + here;
	if (known) {
		waited = total - known->waited_ns;
		known->waited_ns = total;
		return waited;
	}
	first->waited_ns = total;
	remember(task, first);
	/* A task's first run has no waits before it; one that is older than these programs has
	 * unknown ones. */
	return task->sched_info.pcount ? here : total;
}

/* The scheduler calls with interrupts off, so what follows has this CPU's copy of a value to
 * itself, and what is remembered of the two tasks. */
static __always_inline void switched_out(struct task_struct *task, struct cgroup *cgroup)
{
	struct scheduled_task *known = task_value(&cpu_sched_tasks, task, false, NULL);
	struct scheduled_task first = {.waited_ns = task->sched_info.run_delay};
	struct container container =
	    attributed(known ? &known->attribution : &first.attribution, cgroup, false);
	struct cpu_sched_value *value;

	if (!container.id)
		return;
	/* It came here from elsewhere, or is older than these programs: its next wait is known in
	 * full. */
	if (!known)
		remember(task, &first);
	value = cpu_sched_entry(container);
	if (value)
		value->context_switches++;
}

static __always_inline void count_wait(struct cpu_sched_value *value, u64 ns)
{
	u32 slot = histogram_slot(ns);

	if (slot < HISTOGRAM_SLOTS)
		value->runqueue_latency_slots[slot]++;
	value->runqueue_latency_ns += ns;
}

/* `switches` is 1 if a task of the same cgroup makes way, which then need not be looked up, else 0.
 */
static __always_inline void switched_in(struct task_struct *task, struct cgroup *cgroup,
					u64 switches)
{
	struct scheduled_task *known = task_value(&cpu_sched_tasks, task, false, NULL), first = {};
	struct container container =
	    attributed(known ? &known->attribution : &first.attribution, cgroup, false);
	u64 queued = task->sched_info.last_queued, waited = 0;
	struct cpu_sched_value *value;

	if (!container.id)
		return;
	/* Remembered even if there is no room to count it. */
	if (queued)
		waited = waited_ns(task, queued, known, &first);
	value = cpu_sched_entry(container);
	if (!value)
		return;
	value->context_switches += switches;
	if (queued)
		count_wait(value, waited);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct cgroup *from = cgroup_of_task(prev, false), *to = cgroup_of_task(next, false);

	if (to != from && !is_outside(from, false))
		switched_out(prev, from);
	if (!is_outside(to, false))
		switched_in(next, to, to == from);
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
