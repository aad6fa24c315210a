/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Tracked system calls: how many, how many failed, how long they took. */
#include "kpod.bpf.h"
#include "core_fixes.bpf.h"
#include "histogram.bpf.h"
#include "storage.bpf.h"

#define MAX_SYSCALLS 512
#define MAX_ERRNO    4095

/*
 * What a call that a signal interrupted returns (include/linux/errno.h). The program never sees it:
 * the signal's handler, if it has one, decides between EINTR and making the call again.
 */
#define ERESTARTSYS	      512
#define ERESTARTNOINTR	      513
#define ERESTART_RESTARTBLOCK 516
/* include/uapi/asm-generic/signal{,-defs}.h. */
#define SIG_IGN	   1
#define SA_RESTART 0x10000000

/* Which system calls to look at, by number; set before loading. */
const volatile bool tracked[MAX_SYSCALLS] = {};

/* Shared by all CPUs: one copy a CPU of a histogram for every container and call would take too
 * much memory. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct syscall_key);
	__type(value, struct syscall_value);
} syscall SEC(".maps");

/* The call a task is in. */
struct call {
	u64 entered_ns;
	u64 number;
	/* Set from its interruption to the handler or the next call: one of the codes above. */
	u64 interruption;
	/* Of the task's cgroup, which it may leave at any time. */
	struct attribution attribution;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} syscall_tasks SEC(".maps");

static const struct syscall_value syscall_zero = {};

static __always_inline struct syscall_value *syscall_entry(struct container container, u64 number)
{
	struct syscall_key key = {.cgroup_id = container.id, .number = number};

	return entry(&syscall, &key, &syscall_zero, SYSCALL, container);
}

static __always_inline int entered(struct task_struct *task, bool probed, u64 number)
{
	struct cgroup *cgroup = cgroup_of_task(task, probed);
	struct syscall_value *value;
	struct call first = {}, *call;
	struct container container;

	if (is_outside(cgroup, probed) || is_compat_task(task, probed))
		return 0;
	call = task_value(&syscall_tasks, task, probed, NULL);
	container = attributed(call ? &call->attribution : &first.attribution, cgroup, probed);
	if (!container.id)
		return 0;
	value = syscall_entry(container, number);
	if (!value)
		return 0;
	ADD(value->count, 1);
	if (!call)
		call = task_value(&syscall_tasks, task, probed, &first);
	if (!call) {
		count_update_error(SYSCALL_TASKS);
		return 0;
	}
	call->number = number;
	call->interruption = 0;
	call->entered_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int current_entered(u64 number)
{
	if (number >= MAX_SYSCALLS || !tracked[number])
		return 0;
	if (HAS_CURRENT_TASK)
		return entered(bpf_get_current_task_btf(), false, number);
	return entered((struct task_struct *)bpf_get_current_task(), true, number);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
	return current_entered(number);
}

/*
 * The programs with _perf do the same, called by way of perf, which turns preemption off. They are
 * for kernels that may preempt the others: while one is, the kernel skips that program's events on
 * that CPU.
 */
SEC("tp/raw_syscalls/sys_enter")
int sys_enter_perf(struct trace_event_raw_sys_enter *event)
{
	return current_entered(event->id);
}

static __always_inline int left(struct task_struct *task, bool probed, u64 number, long result)
{
	struct cgroup *cgroup = cgroup_of_task(task, probed);
	struct syscall_value *value;
	struct container container;
	struct call *call;
	u64 latency;
	u32 slot;

	if (is_outside(cgroup, probed))
		return 0;
	call = task_value(&syscall_tasks, task, probed, NULL);
	/* Entered before these programs were attached, or as a child that returns from its parent's
	 * call. */
	if (!call || !call->entered_ns || call->number != number)
		return 0;
	latency = bpf_ktime_get_ns() - call->entered_ns;
	call->entered_ns = 0;
	container = attributed(&call->attribution, cgroup, probed);
	value = container.id ? syscall_entry(container, number) : NULL;
	if (!value)
		return 0;
	if (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK)
		call->interruption = -result;
	else if (result < 0 && result >= -MAX_ERRNO)
		ADD(value->errors, 1);
	slot = histogram_slot(latency);
	if (slot < HISTOGRAM_SLOTS)
		ADD(value->latency_slots[slot], 1);
	ADD(value->latency_ns, latency);
	return 0;
}

static __always_inline int current_left(u64 number, long result)
{
	if (number >= MAX_SYSCALLS || !tracked[number])
		return 0;
	if (HAS_CURRENT_TASK)
		return left(bpf_get_current_task_btf(), false, number, result);
	return left((struct task_struct *)bpf_get_current_task(), true, number, result);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	return current_left(syscall_number(regs), result);
}

SEC("tp/raw_syscalls/sys_exit")
int sys_exit_perf(struct trace_event_raw_sys_exit *event)
{
	return current_left(event->id, event->ret);
}

/*
 * A handler is about to run: what a call that was interrupted for it returns is decided here, as in
 * handle_signal() of arch/x86/kernel/signal.c and do_signal() of arch/arm64/kernel/signal.c.
 * Without a handler every interrupted call is made again.
 */
static __always_inline int interrupted(struct task_struct *task, bool probed, u64 flags)
{
	struct container container = container_of_task(task, probed);
	struct syscall_value *value;
	struct call *call;
	u64 interruption;

	if (!container.id)
		return 0;
	call = task_value(&syscall_tasks, task, probed, NULL);
	if (!call || !call->interruption)
		return 0;
	interruption = call->interruption;
	call->interruption = 0;
	if (interruption == ERESTARTNOINTR || (interruption == ERESTARTSYS && (flags & SA_RESTART)))
		return 0;
	value = syscall_entry(container, call->number);
	if (value)
		ADD(value->errors, 1);
	return 0;
}

static __always_inline int current_interrupted(u64 handler, u64 flags)
{
	if (handler <= SIG_IGN)
		return 0;
	if (HAS_CURRENT_TASK)
		return interrupted(bpf_get_current_task_btf(), false, flags);
	return interrupted((struct task_struct *)bpf_get_current_task(), true, flags);
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(signal_deliver, int signal, struct kernel_siginfo *info, struct k_sigaction *action)
{
	return current_interrupted((u64)action->sa.sa_handler, action->sa.sa_flags);
}

SEC("tp/signal/signal_deliver")
int signal_deliver_perf(struct trace_event_raw_signal_deliver *event)
{
	return current_interrupted(event->sa_handler, event->sa_flags);
}

/* Only where tasks cannot hold values themselves. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(syscall_task_free, struct task_struct *task)
{
	forget_task(&syscall_tasks, task);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
