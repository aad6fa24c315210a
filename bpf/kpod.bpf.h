/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What every program of the agent uses: settings, shared maps, attribution to a container, entry
 * creation. */
#ifndef KPOD_BPF_H
#define KPOD_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "types.h"

/* Set before loading: the cgroup id of the kubepods root. */
const volatile u64 kubepods_id = 0;
/* Where in the name of a cgroup right below kubepods its QoS class would begin: 0 for "burstable",
 * 9 for "kubepods-burstable.slice". No pod's directory has a 'b' there ("pod…", "kubepods-pod…").
 */
const volatile u32 qos_name_offset = 0;

/* One instance each, shared by all objects: the first object loaded makes it, the others use it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct cgroup_names);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTED_MAPS);
	__type(key, u32); /* enum counted_map: arrays take nothing but integers as keys */
	__type(value, u64);
} update_errors SEC(".maps");

/* Brings the enum's names into the object's BTF, from which user space has them. */
const volatile enum counted_map counted_maps = COUNTED_MAPS;

static __always_inline void count_update_error(u32 map)
{
	u64 *errors = bpf_map_lookup_elem(&update_errors, &map);

	if (errors)
		__sync_fetch_and_add(errors, 1);
}

/* Cgroup ids of the QoS classes' directories, learnt from their names; zero while unseen. */
u64 qos_ids[2] = {};

/* Whether the cgroup right below kubepods is a QoS class's (and not a guaranteed pod's, which has
 * no class). */
static __always_inline bool is_qos_class(struct cgroup *cgroup, u64 id)
{
	char initial = 0;

	if (id == qos_ids[0] || id == qos_ids[1])
		return true;
	bpf_probe_read_kernel(&initial, 1, (const char *)cgroup->kn->name + qos_name_offset);
	if (initial != 'b')
		return false;
	/* Two CPUs may learn both classes at once and one be forgotten: it is then learnt again. */
	if (!qos_ids[0])
		qos_ids[0] = id;
	else
		qos_ids[1] = id;
	return true;
}

static __always_inline struct cgroup *parent_of(struct cgroup *cgroup)
{
	return cgroup->self.parent->cgroup;
}

/* How many levels a climb goes up: 32 below a container's own cgroup, and more to find kubepods. */
#define MAX_NESTING 32
#define MAX_CLIMB   (MAX_NESTING + 8)

/* How many levels kubepods is below the hierarchy's root; 0, which it never is, while unknown. */
u32 kubepods_level = 0;

/*
 * Learns the level from the first cgroup below kubepods that is met. User space could not tell it
 * everywhere: a node that is a container itself (kind) sees only its own part of the hierarchy, and
 * not how deep in the machine's that lies.
 */
static __always_inline void find_kubepods(struct cgroup *cgroup)
{
	for (int i = 0; i < MAX_CLIMB && cgroup->level > 0; i++) {
		if (cgroup->kn->id == kubepods_id) {
			kubepods_level = cgroup->level;
			return;
		}
		cgroup = parent_of(cgroup);
	}
}

/*
 * The container that a cgroup belongs to: the cgroup two levels below kubepods, or three where a
 * QoS class is between, however deep below it the process has its own cgroup (systemd or docker in
 * a container). NULL for all that is no container: processes outside kubepods, first of all.
 *
 * It climbs from parent to parent, which every kernel lays out alike; the ancestors' array has had
 * two layouts, and newer verifiers refuse the part of it that lies in the record's tail padding.
 */
static __always_inline struct cgroup *container_of_cgroup(struct cgroup *cgroup)
{
	struct cgroup *above, *first;
	int depth;

	if (!kubepods_level)
		find_kubepods(cgroup);
	depth = cgroup->level - (int)kubepods_level;
	if (!kubepods_level || depth < 2)
		return NULL;
	for (int i = 0; i < MAX_NESTING && depth > 3; i++, depth--)
		cgroup = parent_of(cgroup);
	above = parent_of(cgroup);
	first = depth == 3 ? parent_of(above) : above;
	if (parent_of(first)->kn->id != kubepods_id)
		return NULL;
	if (depth == 3)
		return is_qos_class(first, first->kn->id) ? cgroup : above;
	/* Two levels below: a guaranteed pod's container, or a pod of a QoS class, which is no
	 * container. */
	return is_qos_class(first, first->kn->id) ? NULL : cgroup;
}

static __always_inline struct cgroup *container_of_task(struct task_struct *task)
{
	return container_of_cgroup(task->cgroups->dfl_cgrp);
}

/* Writes down what a container and its pod are called, so that user space can tell when both are
 * gone. */
static __noinline void record_names(struct cgroup *container, u64 id)
{
	static const struct cgroup_names unnamed = {};
	struct cgroup_names *names;

	/* EEXIST: another map of the same container came first. */
	if (bpf_map_update_elem(&cgroups, &id, &unnamed, BPF_NOEXIST)) {
		if (!bpf_map_lookup_elem(&cgroups, &id))
			count_update_error(CGROUPS);
		return;
	}
	names = bpf_map_lookup_elem(&cgroups, &id);
	if (!names)
		return;
	bpf_probe_read_kernel_str(names->pod, sizeof(names->pod), parent_of(container)->kn->name);
	bpf_probe_read_kernel_str(names->container, sizeof(names->container), container->kn->name);
}

/*
 * The entry of `map` for `key`, made with the value `zero` when it is not there yet. An update that
 * the kernel refuses (the map is full) is counted under `index`, and NULL returned.
 */
static __always_inline void *entry(void *map, const void *key, const void *zero, u32 index,
				   struct cgroup *container)
{
	void *value = bpf_map_lookup_elem(map, key);

	if (value)
		return value;
	bpf_map_update_elem(map, key, zero, BPF_NOEXIST);
	/* Looked up rather than judged by the error: another CPU may have made it in between. */
	value = bpf_map_lookup_elem(map, key);
	if (value)
		record_names(container, container->kn->id);
	else
		count_update_error(index);
	return value;
}

/* Adds to a counter that other CPUs, or a softirq on this one, may be adding to. */
#define ADD(counter, amount) __sync_fetch_and_add(&(counter), (amount))

#endif
