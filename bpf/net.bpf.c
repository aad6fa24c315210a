/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP, by the container that owns the socket. Most of this runs in softirq, on the CPU of whatever
 * task the packet interrupted, so the current task is never asked.
 */
#include "kpod.bpf.h"
#include "core_fixes.bpf.h"
#include "histogram.bpf.h"
#include "storage.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct tcp_value);
} tcp SEC(".maps");

/* Made when a connection is, or when one that is older is first read from. */
struct socket_state {
	/* Of the cgroup that the socket was made in, which stays its own. */
	struct container container;
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

static __always_inline struct container container_of_socket(struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_TCP ? container_of_sock(sk, false) : no_container;
}

/* What is remembered of a TCP socket, or NULL, and whose it is. */
struct known_socket {
	struct socket_state *state;
	struct container container;
};

static __always_inline struct known_socket known_socket(struct sock *sk, bool probed)
{
	struct known_socket known = {};

	/* Probed ones are told by their events. */
	if (!probed && sk->sk_protocol != IPPROTO_TCP)
		return known;
	known.state = socket_value(&tcp_sockets, sk, probed, NULL);
	known.container = known.state ? known.state->container : container_of_sock(sk, probed);
	return known;
}

static __always_inline struct tcp_value *tcp_entry(struct container container)
{
	return entry(&tcp, &container.id, &tcp_zero, TCP, container);
}

static __always_inline int sent(struct container container, int bytes)
{
	struct tcp_value *value;

	if (bytes <= 0 || !container.id)
		return 0;
	value = tcp_entry(container);
	if (value)
		ADD(value->bytes_sent, bytes);
	return 0;
}

/* Every way to send ends in sock_sendmsg(): send, write, sendfile, splice, io_uring. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int bytes)
{
	return bytes > 0 ? sent(known_socket(sk, false).container, bytes) : 0;
}

/* The same by way of perf, for kernels that preempt programs: see syscall.bpf.c. */
SEC("tp/sock/sock_send_length")
int sock_send_length_perf(struct trace_event_raw_sock_msg_length *event)
{
	if (event->ret <= 0 || event->protocol != IPPROTO_TCP)
		return 0;
	return sent(known_socket((struct sock *)event->sk, true).container, event->ret);
}

/*
 * Before 6.3: the two ways into TCP itself, of which the second (sendfile, splice) is gone since
 * 6.5. What kernel TLS sends does not pass here.
 */
SEC("fexit/tcp_sendmsg")
int BPF_PROG(tcp_sendmsg_fexit, struct sock *sk, struct msghdr *message, size_t size, int bytes)
{
	return bytes > 0 ? sent(known_socket(sk, false).container, bytes) : 0;
}

SEC("fexit/tcp_sendpage")
int BPF_PROG(tcp_sendpage_fexit, struct sock *sk, struct page *page, int offset, size_t size,
	     int flags, int bytes)
{
	return bytes > 0 ? sent(known_socket(sk, false).container, bytes) : 0;
}

/*
 * Where none of these is to be had (arm64 before 6.3): how far the program has written, looked at
 * whenever a segment comes in and before the connection ends. What it has sent counts when it is
 * acknowledged. Returns of functions (kretprobes) would not do: the kernel follows only as many
 * at a time as it has CPUs, and a call may block for long.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u32);
} tcp_sent SEC(".maps");

/* Counts what was written since the last look; the first one of a connection only begins. */
static __always_inline int look_at_sent(struct sock *sk, struct container container, bool begin)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	u32 *counted, seq, bytes;

	if (!tp)
		return 0;
	seq = tp->write_seq;
	counted = socket_value(&tcp_sent, sk, false, NULL);
	if (!counted) {
		if (!socket_value(&tcp_sent, sk, false, &seq))
			count_update_error(TCP_SENT);
		return 0;
	}
	bytes = seq - *counted;
	*counted = seq;
	return begin ? 0 : sent(container, bytes);
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_sent_probe, struct sock *sk)
{
	struct container container = container_of_socket(sk);

	return container.id ? look_at_sent(sk, container, false) : 0;
}

/* A FIN, which takes a sequence number as well, is only sent when the state has changed. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_sent_state, struct sock *sk, int oldstate, int newstate)
{
	struct container container = container_of_socket(sk);

	if (!container.id)
		return 0;
	if (newstate == TCP_ESTABLISHED)
		return look_at_sent(sk, container, true);
	if (oldstate == TCP_ESTABLISHED || oldstate == TCP_CLOSE_WAIT)
		return look_at_sent(sk, container, false);
	return 0;
}

/* Only where sockets cannot hold values themselves. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_sent_destroy, struct sock *sk)
{
	forget_socket(&tcp_sent, sk);
	return 0;
}

/* What TCP knows of a socket of its own; NULL if it is none. */
static __always_inline struct tcp_sock *tcp_of_sock(struct sock *sk, bool probed)
{
	return probed ? (struct tcp_sock *)sk : bpf_skc_to_tcp_sock(sk);
}

/* Counts what the program has read since the last look, the first of which only begins. */
static __always_inline int look_at_received(struct sock *sk, bool probed, struct known_socket known,
					    bool begin)
{
	struct socket_state *state = known.state;
	struct tcp_value *value;
	struct tcp_sock *tp;
	u32 seq, read;

	if (!known.container.id)
		return 0;
	tp = tcp_of_sock(sk, probed);
	if (!tp)
		return 0;
	seq = FIELD(probed, tp, copied_seq);
	if (!state) {
		/* A connection older than these programs: its count begins after this piece. */
		struct socket_state first = {.container = known.container, .counted_seq = seq};

		if (begin && !socket_value(&tcp_sockets, sk, probed, &first))
			count_update_error(TCP_SOCKETS);
		return 0;
	}
	read = seq - state->counted_seq;
	if (!read)
		return 0;
	state->counted_seq = seq;
	/* The other end's FIN takes a sequence number of its own, which is stepped over as well. */
	if (seq == FIELD(probed, tp, rcv_nxt) &&
	    (FIELD(probed, sk, __sk_common.skc_flags) & (1UL << SOCK_DONE)))
		read--;
	value = tcp_entry(known.container);
	if (value)
		ADD(value->bytes_received, read);
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
	return look_at_received(sk, false, known_socket(sk, false), true);
}

/* The same by way of perf, as what follows a connection from its beginning: see storage.bpf.h. */
SEC("tp/tcp/tcp_rcv_space_adjust")
int tcp_rcv_space_adjust_perf(struct trace_event_raw_tcp_event_sk *event)
{
	struct sock *sk = (struct sock *)event->skaddr;

	return look_at_received(sk, true, known_socket(sk, true), true);
}

static __always_inline void retransmitted(struct sock *sk, u32 segments)
{
	struct container container = container_of_socket(sk);
	struct tcp_value *value = container.id ? tcp_entry(container) : NULL;

	if (value)
		ADD(value->retransmits, segments);
}

/* One call may send several segments: tcp_gso_segs of them, as TcpRetransSegs counts. */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, struct sock *sk, const struct sk_buff *skb)
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
int BPF_PROG(tcp_retransmit_synack, struct sock *sk)
{
	retransmitted(sk, 1);
	return 0;
}

static __always_inline struct socket_state *socket_state(struct sock *sk, bool probed,
							 struct container container)
{
	struct socket_state first = {.container = container};
	struct socket_state *state = socket_value(&tcp_sockets, sk, probed, &first);

	if (!state)
		count_update_error(TCP_SOCKETS);
	return state;
}

static __always_inline void established(struct sock *sk, bool probed, struct container container,
					int oldstate)
{
	struct socket_state *state = socket_state(sk, probed, container);
	struct tcp_sock *tp = tcp_of_sock(sk, probed);
	struct tcp_value *value = tcp_entry(container);

	if (state && tp)
		state->counted_seq = FIELD(probed, tp, copied_seq);
	if (!value)
		return;
	/* Two ends that open at once both pass through SYN_RECV, so where it comes from is not
	 * enough. */
	if (oldstate == TCP_SYN_SENT || (state && state->active))
		ADD(value->connections_active, 1);
	else
		ADD(value->connections_passive, 1);
}

static __always_inline int state_set(struct sock *sk, bool probed, struct container container,
				     int oldstate, int newstate)
{
	struct socket_state *state;
	struct tcp_value *value;

	if (!container.id)
		return 0;
	if (newstate == TCP_SYN_SENT) {
		state = socket_state(sk, probed, container);
		if (state)
			state->active = 1;
	} else if (newstate == TCP_ESTABLISHED) {
		established(sk, probed, container, oldstate);
	} else if (oldstate == TCP_ESTABLISHED || oldstate == TCP_CLOSE_WAIT ||
		   oldstate == TCP_FIN_WAIT2) {
		/* What was read last may not have been looked at: see kpod_bpf_program_misses. */
		look_at_received(sk, probed, known_socket(sk, probed), false);
	} else if (newstate == TCP_CLOSE &&
		   (oldstate == TCP_SYN_SENT || oldstate == TCP_SYN_RECV)) {
		state = socket_value(&tcp_sockets, sk, probed, NULL);
		if (oldstate == TCP_SYN_RECV && !(state && state->active))
			return 0;
		value = tcp_entry(container);
		if (value)
			ADD(value->connect_failures, 1);
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int oldstate, int newstate)
{
	return state_set(sk, false, container_of_socket(sk), oldstate, newstate);
}

SEC("tp/sock/inet_sock_set_state")
int inet_sock_set_state_perf(struct trace_event_raw_inet_sock_set_state *event)
{
	struct sock *sk = (struct sock *)event->skaddr;

	if (event->protocol != IPPROTO_TCP)
		return 0;
	return state_set(sk, true, container_of_sock(sk, true), event->oldstate, event->newstate);
}

/* Each segment that an established socket receives; srtt_us is in eighths of a microsecond. */
SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *sk)
{
	struct container container = known_socket(sk, false).container;
	struct tcp_value *value;
	struct tcp_sock *tp;
	u64 rtt;
	u32 slot;

	if (!container.id)
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

/* Only where sockets cannot hold values themselves. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy_sock, struct sock *sk)
{
	forget_socket(&tcp_sockets, sk);
	return 0;
}

SEC("tp/tcp/tcp_destroy_sock")
int tcp_destroy_sock_perf(struct trace_event_raw_tcp_event_sk *event)
{
	forget_socket(&tcp_sockets, event->skaddr);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
