/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is remembered of a task or a socket from one event to the next.
 *
 * The kernel keeps it with the task or socket and frees it with it, where it can (since 5.11, for
 * tracing programs). Elsewhere, and where programs are called by way of perf, to which the kernel
 * does not vouch for a socket's address, user space makes the same maps plain hashes by address
 * before it loads them, and further programs delete what ends.
 */
#ifndef KPOD_STORAGE_BPF_H
#define KPOD_STORAGE_BPF_H

#include "kpod.bpf.h"

/* Set before loading; false where the maps are hashes. */
const volatile bool local_storage = true;

/* The key in a hash; user space knows its size. An address is used again for the next task, but not
 * with the same start. */
struct owner {
	u64 address;
	u64 started_ns;
};

static __always_inline struct owner task_owner(struct task_struct *task, bool probed)
{
	return (struct owner){.address = (u64)task, .started_ns = FIELD(probed, task, start_time)};
}

/* A socket's entry is deleted before its address is used again. */
static __always_inline struct owner socket_owner(const struct sock *sk)
{
	return (struct owner){.address = (u64)sk};
}

static __always_inline void *hashed(void *map, struct owner owner, const void *initial)
{
	void *value = bpf_map_lookup_elem(map, &owner);

	if (value || !initial)
		return value;
	bpf_map_update_elem(map, &owner, initial, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, &owner);
}

/* What `map` holds for a task; made with the value `initial` unless that is NULL. */
static __always_inline void *task_value(void *map, struct task_struct *task, bool probed,
					const void *initial)
{
	if (!local_storage)
		return hashed(map, task_owner(task, probed), initial);
	if (probed)
		return NULL;
	return bpf_task_storage_get(map, task, (void *)initial,
				    initial ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
}

/* The same for a socket. */
static __always_inline void *socket_value(void *map, struct sock *sk, bool probed,
					  const void *initial)
{
	if (!local_storage)
		return hashed(map, socket_owner(sk), initial);
	if (probed)
		return NULL;
	return bpf_sk_storage_get(map, sk, (void *)initial,
				  initial ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
}

static __always_inline void forget_task(void *map, struct task_struct *task)
{
	struct owner owner = task_owner(task, false);

	if (!local_storage)
		bpf_map_delete_elem(map, &owner);
}

static __always_inline void forget_socket(void *map, const struct sock *sk)
{
	struct owner owner = socket_owner(sk);

	if (!local_storage)
		bpf_map_delete_elem(map, &owner);
}

#endif
