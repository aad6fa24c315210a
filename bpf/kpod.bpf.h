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

/*
 * A member of a record that is reached through a pointer the kernel vouches for, or, with `probed`,
 * through a bare address. `probed` has to be a constant at each place.
 */
#define FIELD(probed, pointer, member)                                                             \
	((probed) ? BPF_CORE_READ(pointer, member) : (pointer)->member)

/* A container's cgroup and its address, to be read through by probing only; no container has the id
 * 0. */
struct container {
	u64 id;
	u64 address;
};

static const struct container no_container = {};

static __always_inline u64 id_of_cgroup(struct cgroup *cgroup, bool probed)
{
	return probed ? BPF_CORE_READ(cgroup, kn, id) : cgroup->kn->id;
}

static __always_inline struct cgroup *parent_of(struct cgroup *cgroup, bool probed)
{
	return probed ? BPF_CORE_READ(cgroup, self.parent, cgroup) : cgroup->self.parent->cgroup;
}

/* Whether the cgroup right below kubepods is a QoS class's (and not a guaranteed pod's, which has
 * no class). */
static __always_inline bool is_qos_class(struct cgroup *cgroup, u64 id)
{
	char initial = 0;

	if (id == qos_ids[0] || id == qos_ids[1])
		return true;
	bpf_probe_read_kernel(&initial, 1, BPF_CORE_READ(cgroup, kn, name) + qos_name_offset);
	if (initial != 'b')
		return false;
	/* Two CPUs may learn both classes at once and one be forgotten: it is then learnt again. */
	if (!qos_ids[0])
		qos_ids[0] = id;
	else
		qos_ids[1] = id;
	return true;
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
static __always_inline void find_kubepods(struct cgroup *cgroup, bool probed)
{
	for (int i = 0; i < MAX_CLIMB; i++) {
		int level = FIELD(probed, cgroup, level);

		if (level <= 0)
			return;
		if (id_of_cgroup(cgroup, probed) == kubepods_id) {
			kubepods_level = level;
			return;
		}
		cgroup = parent_of(cgroup, probed);
	}
}

/*
 * The container that a cgroup belongs to: the cgroup two levels below kubepods, or three where a
 * QoS class is between, however deep below it the process has its own cgroup (systemd or docker in
 * a container). None for all that is no container: processes outside kubepods, first of all.
 *
 * It climbs from parent to parent, which every kernel lays out alike; the ancestors' array has had
 * two layouts, and newer verifiers refuse the part of it that lies in the record's tail padding.
 */
static __always_inline struct container container_of_cgroup(struct cgroup *cgroup, bool probed)
{
	struct cgroup *above, *first, *found;
	u64 first_id;
	int depth;

	if (!kubepods_level)
		find_kubepods(cgroup, probed);
	depth = FIELD(probed, cgroup, level) - (int)kubepods_level;
	if (!kubepods_level || depth < 2)
		return no_container;
	for (int i = 0; i < MAX_NESTING && depth > 3; i++, depth--)
		cgroup = parent_of(cgroup, probed);
	above = parent_of(cgroup, probed);
	first = depth == 3 ? parent_of(above, probed) : above;
	if (id_of_cgroup(parent_of(first, probed), probed) != kubepods_id)
		return no_container;
	first_id = id_of_cgroup(first, probed);
	if (depth == 3)
		found = is_qos_class(first, first_id) ? cgroup : above;
	else if (is_qos_class(first, first_id))
		/* A pod of a QoS class, which is no container. */
		return no_container;
	else
		found = cgroup;
	return (struct container){.id = id_of_cgroup(found, probed), .address = (u64)found};
}

static __always_inline struct cgroup *cgroup_of_task(struct task_struct *task, bool probed)
{
	return probed ? BPF_CORE_READ(task, cgroups, dfl_cgrp) : task->cgroups->dfl_cgrp;
}

static __always_inline struct container container_of_task(struct task_struct *task, bool probed)
{
	return container_of_cgroup(cgroup_of_task(task, probed), probed);
}

/* Whether a cgroup is too near the hierarchy's root to be in a container, as most of a host's are.
 */
static __always_inline bool is_outside(struct cgroup *cgroup, bool probed)
{
	return kubepods_level && FIELD(probed, cgroup, level) < (int)kubepods_level + 2;
}

/* The container that was found for a cgroup. The kernel gives no serial number twice, and 0 only to
 * the root. */
struct attribution {
	u64 serial;
	struct container container;
};

/* The container of a cgroup: the one that is remembered, or found now and remembered. */
static __always_inline struct container attributed(struct attribution *known, struct cgroup *cgroup,
						   bool probed)
{
	u64 serial = FIELD(probed, cgroup, self.serial_nr);

	if (known->serial != serial) {
		known->container = container_of_cgroup(cgroup, probed);
		known->serial = serial;
	}
	return known->container;
}

/* Writes down what a container and its pod are called, so that user space can tell when both are
 * gone. */
static __noinline void record_names(u64 address, u64 id)
{
	const struct cgroup *cgroup = (const struct cgroup *)address;
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
	bpf_probe_read_kernel_str(names->pod, sizeof(names->pod),
				  BPF_CORE_READ(cgroup, self.parent, cgroup, kn, name));
	bpf_probe_read_kernel_str(names->container, sizeof(names->container),
				  BPF_CORE_READ(cgroup, kn, name));
}

/*
 * The entry of `map` for `key`, made with the value `zero` when it is not there yet. An update that
 * the kernel refuses (the map is full) is counted under `index`, and NULL returned.
 */
static __always_inline void *entry(void *map, const void *key, const void *zero, u32 index,
				   struct container container)
{
	void *value = bpf_map_lookup_elem(map, key);

	if (value)
		return value;
	bpf_map_update_elem(map, key, zero, BPF_NOEXIST);
	/* Looked up rather than judged by the error: another CPU may have made it in between. */
	value = bpf_map_lookup_elem(map, key);
	if (value)
		record_names(container.address, container.id);
	else
		count_update_error(index);
	return value;
}

/* Adds to a counter that other CPUs, or a softirq on this one, may be adding to. */
#define ADD(counter, amount) __sync_fetch_and_add(&(counter), (amount))

#endif
