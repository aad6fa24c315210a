/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kpod.h"

/* Blocks from this size on are mappings of their own, which go back to the system when freed. */
#define OWN_MAPPING (128 * 1024)

static int release_object(struct dl_phdr_info *object, size_t size, void *data)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)data;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
		uintptr_t end = begin + segment->p_filesz;

		/* Read-only segments alone: those pages are the file's own. */
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
			continue;
		begin = (begin + page - 1) & ~(page - 1);
		end &= ~(page - 1);
		if (begin < end)
			madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

KPOD_EXPORT void kpod_memory_release(void)
{
	malloc_trim(0);
	dl_iterate_phdr(release_object, NULL);
}

KPOD_EXPORT int kpod_memory_spare(void)
{
	/* Either threshold, once set, also keeps the other from growing with what is freed. */
	if (mallopt(M_ARENA_MAX, 1) != 1 || mallopt(M_MMAP_THRESHOLD, OWN_MAPPING) != 1 ||
	    mallopt(M_TRIM_THRESHOLD, OWN_MAPPING) != 1)
		return -EINVAL;
	return 0;
}
