/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Privileges of this process: what is needed only to begin is given up for good.
 *
 * Capabilities and Landlock domains belong to threads, and a thread can change its own alone, so
 * each is asked by a signal to give up its own. Threads that are started later have what their
 * creators have.
 */
#ifndef KPOD_PRIVILEGES_H
#define KPOD_PRIVILEGES_H

#include <stdint.h>

struct kpod_privileges {
	uint32_t threads;	/* that have given theirs up */
	uint32_t left;		/* that did not answer in time, and still have theirs */
	uint32_t denies_writes; /* whether the kernel denies writing from now on */
};

/*
 * Leaves every thread those of its capabilities that keep names (bit n for number n of
 * linux/capability.h), and no way to get others: not by starting a program either. With deny_writes
 * no thread may open a file for writing, make, remove or rename one, or start a program from then
 * on, where the kernel has Landlock; nor look into other processes' /proc/PID/root. What is open
 * stays so. To be called once. Takes two seconds at most. Returns 0, or the -errno of the first
 * thread that was refused.
 */
KPOD_EXPORT int kpod_privileges_drop(uint64_t keep, uint32_t deny_writes,
				     struct kpod_privileges *dropped);

/*
 * Whether a map can be read and changed with no more capabilities than these, which kernels before
 * 5.19 refuse where kernel.unprivileged_bpf_disabled is set: 1 or 0, or -errno if no map can be
 * made.
 */
KPOD_EXPORT int kpod_privileges_suffice_for_maps(uint64_t capabilities);

#endif
