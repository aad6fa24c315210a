/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Slots of latency histograms: exact powers of two of a second, upper bounds inclusive as
 * Prometheus's `le`. */
#ifndef KPOD_HISTOGRAM_BPF_H
#define KPOD_HISTOGRAM_BPF_H

#include "vmlinux.h"
#include "types.h"

/* The longest duration in whole ns that slot i holds: floor(2^(i-20) s) = floor(10^9 * 2^i / 2^20).
 */
#define SLOT_BOUND_NS(i) ((1953125ULL << (i)) >> 11)

/* floor(log2(value)) of a value that is not 0; BPF has no instruction for it. */
static __always_inline u32 log2_floor(u32 value)
{
	u32 log = 0;

#pragma unroll
	for (u32 step = 16; step; step >>= 1) {
		if (value >> step) {
			value >>= step;
			log += step;
		}
	}
	return log;
}

/*
 * The slot of a duration, shortest ones first: most are. 2^k ns <= ns < 2^(k+1) ns lies between the
 * bounds of slots k-10 (0.93 * 2^k ns) and k-8 (3.7 * 2^k ns), so one comparison with the bound
 * between them (1.86 * 2^k ns) decides.
 */
static __always_inline u32 histogram_slot(u64 ns)
{
	u32 slot;

	if (ns <= SLOT_BOUND_NS(0))
		return 0;
	if (ns > SLOT_BOUND_NS(HISTOGRAM_SLOTS - 2))
		return HISTOGRAM_SLOTS - 1;
	slot = log2_floor(ns >> 9);
	if (ns > SLOT_BOUND_NS(slot))
		slot++;
	return slot;
}

#endif
