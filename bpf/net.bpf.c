/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP, by the container that owns the socket. Most of this runs in softirq, on the CPU of whatever
 * task the packet interrupted, so the current task is never asked.
 */
#include "kpod.bpf.h"
#include "core_fixes.bpf.h"
#include "histogram.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct tcp_value);
} tcp SEC(".maps");

struct socket_state {
	/* Sequence number up to which what the program has read is counted. */
	u32 counted_seq;
	/* This end opened the connection. */
	u32 active;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_state);
} tcp_sockets SEC(".maps");

static const struct tcp_value tcp_zero = {};

static __always_inline struct cgroup *container_of_socket(const struct sock *sk)
{
	struct cgroup *cgroup;

	if (sk->sk_protocol != IPPROTO_TCP)
		return NULL;
	cgroup = sk->sk_cgrp_data.cgroup;
	return cgroup ? container_of_cgroup(cgroup) : NULL;
}

static __always_inline struct tcp_value *tcp_entry(struct cgroup *container)
{
	u64 id = container->kn->id;

	return entry(&tcp, &id, &tcp_zero, TCP, container);
}

/* Every way to send ends in sock_sendmsg(): send, write, sendfile, splice, io_uring. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int sent)
{
	struct cgroup *container;
	struct tcp_value *value;

	if (sent <= 0)
		return 0;
	container = container_of_socket(sk);
	value = container ? tcp_entry(container) : NULL;
	if (value)
		ADD(value->bytes_sent, sent);
	return 0;
}

/*
 * TCP calls this after every piece that the program has taken from the receive queue, by whatever
 * way: recv, read, splice, io_uring, zero copy. How much it was is the distance copied_seq has
 * moved, which a peek does not move.
 */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tcp_rcv_space_adjust, struct sock *sk)
{
	struct cgroup *container = container_of_socket(sk);
	struct socket_state *state;
	struct tcp_value *value;
	struct tcp_sock *tp;
	u32 seq, read;

	if (!container)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	seq = tp->copied_seq;
	state = bpf_sk_storage_get(&tcp_sockets, sk, NULL, 0);
	if (!state) {
		/* A connection older than these programs: its count begins after this piece. */
		struct socket_state first = {.counted_seq = seq};

		if (!bpf_sk_storage_get(&tcp_sockets, sk, &first, BPF_LOCAL_STORAGE_GET_F_CREATE))
			count_update_error(TCP_SOCKETS);
		return 0;
	}
	read = seq - state->counted_seq;
	if (!read)
		return 0;
	state->counted_seq = seq;
	/* The other end's FIN takes a sequence number of its own, which tcp_read_sock() steps over
	 * as well. */
	if (seq == tp->rcv_nxt && (sk->__sk_common.skc_flags & (1UL << SOCK_DONE)))
		read--;
	value = tcp_entry(container);
	if (value)
		ADD(value->bytes_received, read);
	return 0;
}

static __always_inline void retransmitted(const struct sock *sk, u32 segments)
{
	struct cgroup *container = container_of_socket(sk);
	struct tcp_value *value = container ? tcp_entry(container) : NULL;

	if (value)
		ADD(value->retransmits, segments);
}

/* One call may send several segments: tcp_gso_segs of them, as TcpRetransSegs counts. */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, const struct sock *sk, const struct sk_buff *skb)
{
	u16 segments = 0;

	if (retransmit_failed(ctx))
		return 0;
	bpf_probe_read_kernel(&segments, sizeof(segments),
			      (const void *)skb + bpf_core_field_offset(struct sk_buff, cb) +
				  bpf_core_field_offset(struct tcp_skb_cb, tcp_gso_segs));
	retransmitted(sk, segments);
	return 0;
}

/* A SYN-ACK sent again: there is no socket yet but the listener's. */
SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(tcp_retransmit_synack, const struct sock *sk)
{
	retransmitted(sk, 1);
	return 0;
}

static __always_inline struct socket_state *socket_state(struct sock *sk)
{
	struct socket_state *state =
	    bpf_sk_storage_get(&tcp_sockets, sk, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!state)
		count_update_error(TCP_SOCKETS);
	return state;
}

static __always_inline void established(struct sock *sk, struct cgroup *container, int oldstate)
{
	struct socket_state *state = socket_state(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct tcp_value *value = tcp_entry(container);

	if (state && tp)
		state->counted_seq = tp->copied_seq;
	if (!value)
		return;
	/* Two ends that open at once both pass through SYN_RECV, so where it comes from is not
	 * enough. */
	if (oldstate == TCP_SYN_SENT || (state && state->active))
		ADD(value->connections_active, 1);
	else
		ADD(value->connections_passive, 1);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int oldstate, int newstate)
{
	struct cgroup *container = container_of_socket(sk);
	struct socket_state *state;
	struct tcp_value *value;

	if (!container)
		return 0;
	if (newstate == TCP_SYN_SENT) {
		state = socket_state(sk);
		if (state)
			state->active = 1;
	} else if (newstate == TCP_ESTABLISHED) {
		established(sk, container, oldstate);
	} else if (newstate == TCP_CLOSE &&
		   (oldstate == TCP_SYN_SENT || oldstate == TCP_SYN_RECV)) {
		state = bpf_sk_storage_get(&tcp_sockets, sk, NULL, 0);
		if (oldstate == TCP_SYN_RECV && !(state && state->active))
			return 0;
		value = tcp_entry(container);
		if (value)
			ADD(value->connect_failures, 1);
	}
	return 0;
}

/* Each segment that an established socket receives; srtt_us is in eighths of a microsecond. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *sk)
{
	struct cgroup *container = container_of_socket(sk);
	struct tcp_value *value;
	struct tcp_sock *tp;
	u64 rtt;
	u32 slot;

	if (!container)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !tp->srtt_us)
		return 0;
	rtt = (u64)tp->srtt_us * 1000 / 8;
	value = tcp_entry(container);
	if (!value)
		return 0;
	slot = histogram_slot(rtt);
	if (slot < HISTOGRAM_SLOTS)
		ADD(value->rtt_slots[slot], 1);
	ADD(value->rtt_ns, rtt);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
