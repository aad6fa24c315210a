/* SPDX-License-Identifier: Apache-2.0 */
/* What the host-file sources share; not part of the ABI. */
#ifndef KPOD_BENEATH_H
#define KPOD_BENEATH_H

#include <stdint.h>

struct kpod_root {
	int descriptor; /* O_PATH */
};

/*
 * Opens relative beneath directory. resolve adds to RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS.
 * Returns a descriptor (close-on-exec) or -errno.
 */
int kpod_open_beneath(int directory, const char *relative, int flags, uint64_t resolve);

/* Reads a file from its beginning to its end. Returns bytes or -errno; -EMSGSIZE: does not fit. */
int64_t kpod_read_whole(int descriptor, uint8_t *buffer, uint64_t capacity);

/* The same of a file that the kernel writes as one record, of which one read gets all. */
int64_t kpod_read_record(int descriptor, uint8_t *buffer, uint64_t capacity);

#endif
