/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* OOM kills, by victim, and page faults that needed I/O. */
#include "kpod.bpf.h"
#include "core_fixes.bpf.h"
#include "storage.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct oom_value);
} oom SEC(".maps");

/* Processes already counted, by their first thread. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} oom_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct page_faults_value);
} page_faults SEC(".maps");

static __always_inline int killed(struct container container)
{
	static const struct oom_value zero = {};
	struct oom_value *value;

	if (!container.id)
		return 0;
	value = entry(&oom, &container.id, &zero, OOM, container);
	if (value)
		ADD(value->kills, 1);
	return 0;
}

/*
 * Where the kernel counts the kill itself (oom_kill of memory.events). With memory.oom.group, which
 * the kubelet sets, it kills the process it has chosen and then all of the cgroup's, that one
 * again: here a process is killed once. It is marked by then.
 */
static __always_inline int killed_first(struct task_struct *victim, bool probed)
{
	void *marked =
	    probed ? (void *)BPF_CORE_READ(victim, signal, oom_mm) : (void *)victim->signal->oom_mm;

	return marked ? 0 : killed(container_of_task(victim, probed));
}

SEC("fentry/__oom_kill_process")
int BPF_PROG(oom_kill_fentry, struct task_struct *victim)
{
	return killed_first(victim, false);
}

SEC("kprobe/__oom_kill_process")
int BPF_KPROBE(oom_kill_kprobe, struct task_struct *victim)
{
	return killed_first(victim, true);
}

/*
 * The current task is the one that asked for memory, which may be another container's; the victim
 * is the argument (since 6.8). A dying process is marked once a thread that still allocates, but
 * killed once.
 */
SEC("tp_btf/mark_victim")
int BPF_PROG(mark_victim, struct task_struct *victim)
{
	struct container container = container_of_task(victim, false);
	static const u64 not_counted = 0;
	u64 *counted;

	if (!container.id)
		return 0;
	counted = task_value(&oom_processes, victim->group_leader, false, &not_counted);
	if (!counted) {
		count_update_error(OOM_PROCESSES);
	} else {
		if (*counted)
			return 0;
		*counted = 1;
	}
	return killed(container);
}

/* Before 6.8 only the victim's process id is told; it ends soon, and then it is there to look at.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u32);
} oom_pids SEC(".maps");

SEC("tp_btf/mark_victim")
int BPF_PROG(mark_victim_pid, int pid)
{
	u32 key = pid, value = 1;

	if (bpf_map_update_elem(&oom_pids, &key, &value, BPF_ANY))
		count_update_error(OOM_PIDS);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(oom_victim_exit, struct task_struct *task)
{
	u32 pid = task->pid;

	if (bpf_map_delete_elem(&oom_pids, &pid))
		return 0;
	return killed(container_of_task(task, false));
}

/* Only where tasks cannot hold values themselves. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(oom_task_free, struct task_struct *task)
{
	forget_task(&oom_processes, task);
	return 0;
}

static __always_inline void count_faults(struct container container, u64 faults)
{
	static const struct page_faults_value zero = {};
	struct page_faults_value *value =
	    entry(&page_faults, &container.id, &zero, PAGE_FAULTS, container);

	if (value)
		ADD(value->major, faults);
}

/* Attached to the software event page-faults-maj on every CPU with a period of one: each fault
 * once. */
SEC("perf_event")
int page_faults_major(void *ctx)
{
	struct container container = container_of_current();

	if (container.id)
		count_faults(container, 1);
	return 0;
}

/*
 * Where perf_event_open() is not to be had (kernel.perf_event_paranoid of 3 wants CAP_SYS_ADMIN): a
 * task's own count of major faults, looked at whenever it leaves the CPU. Faults that the kernel
 * takes on its behalf are among these.
 */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} page_faults_tasks SEC(".maps");

/* When the first task was looked at: what older ones had counted by then is not ours. */
u64 watching_since_ns = 0;

SEC("tp_btf/sched_switch")
int BPF_PROG(page_faults_switch, bool preempt, struct task_struct *task)
{
	u64 faults = task->maj_flt, *counted, before;
	struct container container;
	bool is_older;

	if (!watching_since_ns)
		watching_since_ns = bpf_ktime_get_ns();
	/* Most tasks, at almost every switch; but what an older one begins at has to be known. */
	is_older = task->start_time < watching_since_ns;
	if (!faults && !is_older)
		return 0;
	container = container_of_task(task, false);
	if (!container.id)
		return 0;
	counted = task_value(&page_faults_tasks, task, false, NULL);
	if (counted) {
		before = *counted;
		*counted = faults;
	} else {
		before = is_older ? faults : 0;
		if (!task_value(&page_faults_tasks, task, false, &faults))
			count_update_error(PAGE_FAULTS_TASKS);
	}
	if (faults > before)
		count_faults(container, faults - before);
	return 0;
}

/* Only where tasks cannot hold values themselves. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(page_faults_task_free, struct task_struct *task)
{
	forget_task(&page_faults_tasks, task);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
