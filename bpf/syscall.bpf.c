/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Tracked system calls: how many, how many failed, how long they took. */
#include "kpod.bpf.h"
#include "core_fixes.bpf.h"
#include "histogram.bpf.h"

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
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} syscall_tasks SEC(".maps");

static const struct syscall_value syscall_zero = {};

static __always_inline struct syscall_value *syscall_entry(struct cgroup *container, u64 number)
{
	struct syscall_key key = {.cgroup_id = container->kn->id, .number = number};

	return entry(&syscall, &key, &syscall_zero, SYSCALL, container);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct syscall_value *value;
	struct cgroup *container;
	struct call *call;

	if ((u64)number >= MAX_SYSCALLS || !tracked[number])
		return 0;
	container = container_of_task(task);
	if (!container || is_compat_task(task))
		return 0;
	value = syscall_entry(container, number);
	if (!value)
		return 0;
	ADD(value->count, 1);
	call = bpf_task_storage_get(&syscall_tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		count_update_error(SYSCALL_TASKS);
		return 0;
	}
	call->number = number;
	call->interruption = 0;
	call->entered_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 number = syscall_number(regs), latency;
	struct syscall_value *value;
	struct cgroup *container;
	struct call *call;
	u32 slot;

	if (number >= MAX_SYSCALLS || !tracked[number])
		return 0;
	container = container_of_task(task);
	if (!container)
		return 0;
	call = bpf_task_storage_get(&syscall_tasks, task, NULL, 0);
	/* Entered before these programs were attached, or as a child that returns from its parent's
	 * call. */
	if (!call || !call->entered_ns || call->number != number)
		return 0;
	latency = bpf_ktime_get_ns() - call->entered_ns;
	call->entered_ns = 0;
	value = syscall_entry(container, number);
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

/*
 * A handler is about to run: what a call that was interrupted for it returns is decided here, as in
 * handle_signal() of arch/x86/kernel/signal.c and do_signal() of arch/arm64/kernel/signal.c.
 * Without a handler every interrupted call is made again.
 */
SEC("tp_btf/signal_deliver")
int BPF_PROG(signal_deliver, int signal, struct kernel_siginfo *info, struct k_sigaction *action)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgroup *container = container_of_task(task);
	struct syscall_value *value;
	struct call *call;
	u64 interruption;

	if (!container || (u64)action->sa.sa_handler <= SIG_IGN)
		return 0;
	call = bpf_task_storage_get(&syscall_tasks, task, NULL, 0);
	if (!call || !call->interruption)
		return 0;
	interruption = call->interruption;
	call->interruption = 0;
	if (interruption == ERESTARTNOINTR ||
	    (interruption == ERESTARTSYS && (action->sa.sa_flags & SA_RESTART)))
		return 0;
	value = syscall_entry(container, call->number);
	if (value)
		ADD(value->errors, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
