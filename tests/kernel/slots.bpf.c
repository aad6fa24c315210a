/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The slot that histogram_slot() gives each value that one process names by a system call. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "histogram.bpf.h"

struct pt_regs___x86_argument {
	unsigned long di;
} __attribute__((preserve_access_index));

struct pt_regs___arm64_argument {
	u64 regs[31];
} __attribute__((preserve_access_index));

/* Which calls name values, and of which process. */
const volatile u32 process = 0;
const volatile s64 call = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} slots SEC(".maps");

SEC("tp_btf/sys_enter")
int BPF_PROG(take_value, struct pt_regs *regs, long number)
{
	u64 value, slot;

	if (number != call || bpf_get_current_pid_tgid() >> 32 != process)
		return 0;
	if (bpf_core_field_exists(struct pt_regs___x86_argument, di))
		value = ((struct pt_regs___x86_argument *)regs)->di;
	else
		value = ((struct pt_regs___arm64_argument *)regs)->regs[0];
	slot = histogram_slot(value);
	bpf_map_update_elem(&slots, &value, &slot, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
