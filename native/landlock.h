/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock, as far as it is needed here; not part of the ABI. */
#ifndef KPOD_LANDLOCK_H
#define KPOD_LANDLOCK_H

/*
 * Returns the descriptor of a set of rules that denies changing files in any way and starting
 * programs, as far as this kernel knows how to; -errno where it has no Landlock, or may not use it.
 */
int kpod_landlock_deny_writes(void);

/* Binds the calling thread, and those that it starts, to the rules for ever; it must have
 * no_new_privs. */
int kpod_landlock_enter(int ruleset);

#endif
