/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of this process. */
#ifndef KPOD_MEMORY_H
#define KPOD_MEMORY_H

#include <stdint.h>

/*
 * Makes malloc() keep less: one arena for all threads, and large blocks in mappings of their own.
 * Best called before the process has many threads. -EINVAL where this libc knows no such settings.
 */
KPOD_EXPORT int kpod_memory_spare(void);

/*
 * Gives back what only the start needed: free memory of malloc(), and the pages of programs and
 * libraries that are mapped. What is needed again comes from the page cache.
 */
KPOD_EXPORT void kpod_memory_release(void);

#endif
