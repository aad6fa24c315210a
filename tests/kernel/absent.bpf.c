/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Looks for a type that no kernel has, as core_fixes.bpf.h does for those of other kernels. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct no_such_type {
	int member;
} __attribute__((preserve_access_index));

SEC("tp_btf/sched_switch")
int BPF_PROG(look_for_type)
{
	return bpf_core_field_exists(struct no_such_type, member);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
