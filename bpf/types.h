/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What crosses from the kernel to user space: the key and value of every map. This is the only
 * place where a layout is written by hand; the TypeScript side is generated from the BTF that the
 * compiler makes of it, and compared with that BTF again whenever an object is loaded.
 *
 * Values that live in per-CPU maps consist of u64 counters only, because user space adds the CPUs'
 * copies up as arrays of u64.
 */
#ifndef KPOD_TYPES_H
#define KPOD_TYPES_H

/* Histogram slot i < 26 holds values up to and including 2^(i-20) seconds; the last one all that
 * are longer. */
#define HISTOGRAM_SLOTS 27

/* Directory names are at most NAME_MAX (255) long; those that kubelets and runtimes make stay below
 * 128. */
#define CGROUP_NAME_SIZE 128

/* The names of a container's cgroup and of its pod's, so that a container is known although its
 * cgroup is gone. */
struct cgroup_names {
	char pod[CGROUP_NAME_SIZE];
	char container[CGROUP_NAME_SIZE];
};

struct cpu_sched_value {
	u64 context_switches;
	u64 runqueue_latency_ns;
	u64 runqueue_latency_slots[HISTOGRAM_SLOTS];
};

struct tcp_value {
	u64 bytes_sent;
	u64 bytes_received;
	u64 retransmits;
	u64 connections_active;
	u64 connections_passive;
	u64 connect_failures;
	u64 rtt_ns;
	u64 rtt_slots[HISTOGRAM_SLOTS];
};

struct oom_value {
	u64 kills;
};

struct page_faults_value {
	u64 major;
};

struct syscall_key {
	u64 cgroup_id;
	u64 number;
};

struct syscall_value {
	u64 count;
	u64 errors;
	u64 latency_ns;
	u64 latency_slots[HISTOGRAM_SLOTS];
};

/* Index into update_errors: the maps that programs put entries into, each called as in lower case.
 */
enum counted_map {
	CGROUPS,
	CPU_SCHED,
	CPU_SCHED_TASKS,
	TCP,
	TCP_SOCKETS,
	TCP_SENT,
	OOM,
	OOM_PROCESSES,
	OOM_PIDS,
	PAGE_FAULTS,
	PAGE_FAULTS_TASKS,
	SYSCALL,
	SYSCALL_TASKS,
	COUNTED_MAPS,
};

#endif
