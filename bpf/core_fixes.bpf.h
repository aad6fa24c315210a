/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Differences between kernels and architectures, told by the fields that exist and never by a
 * version. */
#ifndef KPOD_CORE_FIXES_BPF_H
#define KPOD_CORE_FIXES_BPF_H

#include "kpod.bpf.h"

/* arch/x86/include/asm/thread_info.h: TS_COMPAT; arch/arm64/include/asm/thread_info.h: TIF_32BIT.
 */
#define X86_TS_COMPAT	0x0002
#define ARM64_TIF_32BIT 22

/* libbpf's bpf_tracing.h has a pt_regs___arm64 of its own on that architecture. */
struct pt_regs___kpod_x86 {
	unsigned long orig_ax;
} __attribute__((preserve_access_index));

struct pt_regs___kpod_arm64 {
	s32 syscallno;
} __attribute__((preserve_access_index));

/* Whether a task is in a 32-bit system call, whose numbers mean other calls. */
static __always_inline bool is_compat_task(struct task_struct *task, bool probed)
{
	if (bpf_core_field_exists(struct pt_regs___kpod_x86, orig_ax))
		return FIELD(probed, task, thread_info.status) & X86_TS_COMPAT;
	return FIELD(probed, task, thread_info.flags) & (1UL << ARM64_TIF_32BIT);
}

/* include/uapi/linux/bpf.h: the helpers that a kernel has. */
enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
};

/*
 * Whether the kernel vouches for the pointer to the current task (since 5.11). Where it does not,
 * all that is read through it is read by probing. In the branch of `if (HAS_CURRENT_TASK)` that
 * this kernel cannot take, nothing has to pass the verifier.
 */
#define HAS_CURRENT_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

static __always_inline struct container container_of_current(void)
{
	if (HAS_CURRENT_TASK)
		return container_of_task(bpf_get_current_task_btf(), false);
	return container_of_task((struct task_struct *)bpf_get_current_task(), true);
}

/* include/linux/cgroup-defs.h before 5.15: the cgroup's address, with bits below it that say that
 * net_cls or net_prio took its place. */
struct sock_cgroup_data___tagged {
	u64 val;
};

struct sock___tagged {
	struct sock_cgroup_data___tagged sk_cgrp_data;
};

#define SOCK_CGROUP_TAGS 3

static __always_inline struct container container_of_sock(struct sock *sk, bool probed)
{
	struct cgroup *cgroup;
	u64 tagged;

	if (bpf_core_field_exists(struct sock_cgroup_data, cgroup)) {
		cgroup = FIELD(probed, sk, sk_cgrp_data.cgroup);
		return cgroup ? container_of_cgroup(cgroup, probed) : no_container;
	}
	tagged = BPF_CORE_READ((struct sock___tagged *)sk, sk_cgrp_data.val);
	if (!tagged || tagged & SOCK_CGROUP_TAGS)
		return no_container;
	return container_of_cgroup((struct cgroup *)tagged, true);
}

/* The number of the system call that `regs` belongs to. */
static __always_inline u64 syscall_number(struct pt_regs *regs)
{
	if (bpf_core_field_exists(struct pt_regs___kpod_x86, orig_ax))
		return ((struct pt_regs___kpod_x86 *)regs)->orig_ax;
	return (u64)(s64)((struct pt_regs___kpod_arm64 *)regs)->syscallno;
}

/* include/trace/events/tcp.h. */
struct trace_event_raw_tcp_retransmit_skb___reports_failure {
	int err;
} __attribute__((preserve_access_index));

/*
 * Whether nothing was sent after all, by the arguments of tcp_retransmit_skb. Older kernels raise
 * the event only after a success; newer ones always, with the error as a third argument.
 */
static __always_inline bool retransmit_failed(const u64 *arguments)
{
	return bpf_core_field_exists(struct trace_event_raw_tcp_retransmit_skb___reports_failure,
				     err) &&
	       (int)arguments[2];
}

#endif
