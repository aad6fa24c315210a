/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel types these programs look at, and no others. Every record is relocated (CO-RE) against
 * the running kernel's BTF when an object is loaded, so only the names of records and members
 * matter here, not their order or offsets; the same view serves x86_64 and arm64. A name with three
 * underscores is a variant of the type before them: the layout other kernel versions have.
 */
#ifndef KPOD_VMLINUX_H
#define KPOD_VMLINUX_H
/* By this bpf/bpf_tracing.h knows that registers have the kernel's names. */
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef unsigned long size_t;
typedef _Bool bool;
#define true 1
#define false 0

/* From include/uapi/linux/bpf.h. */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_F_NO_PREALLOC = 1,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
};

/* From include/net/tcp_states.h, include/uapi/linux/in.h,
 * include/net/sock.h. */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
};
#define IPPROTO_TCP 6
#define SOCK_DONE   1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	u64 id;
	const char *name;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
	u64 serial_nr;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct thread_info {
	unsigned long flags;
	u32 status;
};

struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
	unsigned long long last_queued;
};

struct rq {
	u64 clock;
};

struct cfs_rq {
	struct rq *rq;
};

struct sched_entity {
	struct cfs_rq *cfs_rq;
};

struct signal_struct {
	struct mm_struct *oom_mm;
};

struct task_struct {
	struct thread_info thread_info;
	struct sched_entity se;
	struct sched_info sched_info;
	struct css_set *cgroups;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	u64 start_time;
	unsigned long maj_flt;
	s32 pid;
};

/* Both architectures' registers: programs on kprobes take arguments from them. */
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long di, si, dx, cx, r8, ax, sp, ip;
#endif
};

/* bpf/bpf_tracing.h has arm64's by this name. */
struct user_pt_regs {
	u64 regs[31];
	u64 sp, pc, pstate;
};

struct sigaction {
	void *sa_handler;
	unsigned long sa_flags;
};

struct k_sigaction {
	struct sigaction sa;
};

struct kernel_siginfo;

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
	struct sock_cgroup_data sk_cgrp_data;
};

struct tcp_sock {
	u32 copied_seq;
	u32 rcv_nxt;
	u32 write_seq;
	u32 srtt_us;
};

struct sk_buff {
	char cb[48];
};

struct tcp_skb_cb {
	u16 tcp_gso_segs;
};

/* The records of tracepoints, as perf has them. */
struct trace_event_raw_sys_enter {
	long id;
};

struct trace_event_raw_sys_exit {
	long id;
	long ret;
};

struct trace_event_raw_signal_deliver {
	unsigned long sa_handler;
	unsigned long sa_flags;
};

struct trace_event_raw_sock_msg_length {
	const void *sk;
	u16 protocol;
	int ret;
};

struct trace_event_raw_tcp_event_sk {
	const void *skaddr;
};

struct trace_event_raw_inet_sock_set_state {
	const void *skaddr;
	int oldstate;
	int newstate;
	u16 protocol;
};

struct msghdr;
struct page;
struct request_sock;

struct bpf_perf_event_data_kern;
struct bpf_perf_event_data;

#pragma clang attribute pop

#endif
