/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Differences between kernels and architectures, told by the fields that exist and never by a
 * version. */
#ifndef KPOD_CORE_FIXES_BPF_H
#define KPOD_CORE_FIXES_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>

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
static __always_inline bool is_compat_task(struct task_struct *task)
{
	if (bpf_core_field_exists(struct pt_regs___kpod_x86, orig_ax))
		return task->thread_info.status & X86_TS_COMPAT;
	return task->thread_info.flags & (1UL << ARM64_TIF_32BIT);
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
