/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Segments sent again by network namespace, as far as the kernel tells tracing programs of them. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "core_fixes.bpf.h"

struct ns_common___here {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net___here {
	struct ns_common___here ns;
} __attribute__((preserve_access_index));

struct sock_common___here {
	struct {
		struct net___here *net;
	} skc_net;
} __attribute__((preserve_access_index));

struct sock___here {
	struct sock_common___here __sk_common;
} __attribute__((preserve_access_index));

/* By the namespace's inode number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u64);
} retransmits SEC(".maps");

static __always_inline void count(const struct sock *sk, u64 segments)
{
	u64 space = BPF_CORE_READ((struct sock___here *)sk, __sk_common.skc_net.net, ns.inum);
	u64 none = 0, *sum;

	bpf_map_update_elem(&retransmits, &space, &none, BPF_NOEXIST);
	sum = bpf_map_lookup_elem(&retransmits, &space);
	if (sum)
		__sync_fetch_and_add(sum, segments);
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(count_segments, const struct sock *sk, const struct sk_buff *skb)
{
	struct tcp_skb_cb *control =
	    (struct tcp_skb_cb *)((const void *)skb + bpf_core_field_offset(struct sk_buff, cb));

	if (!retransmit_failed(ctx))
		count(sk, BPF_CORE_READ(control, tcp_gso_segs));
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(count_synacks, const struct sock *sk)
{
	count(sk, 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
