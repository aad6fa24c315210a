// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"

#define RIGHT(bit) (1ULL << (bit))

/* Bits of access rights that C headers may be too old for, and since which version of the
 * interface. */
#define REFER	  RIGHT(13) /* 2 */
#define TRUNCATE  RIGHT(14) /* 3 */
#define IOCTL_DEV RIGHT(15) /* 5 */

static const uint64_t changing =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

int kpod_landlock_deny_writes(void)
{
	long version =
	    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t handled = changing | (version >= 2 ? REFER : 0) | (version >= 3 ? TRUNCATE : 0) |
			   (version >= 5 ? IOCTL_DEV : 0);
	/* No rule follows that would allow any of it anywhere. */
	struct landlock_ruleset_attr rules = {.handled_access_fs = handled};
	long ruleset;

	if (version < 0)
		return -errno;
	ruleset = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules.handled_access_fs), 0);
	return ruleset < 0 ? -errno : (int)ruleset;
}

int kpod_landlock_enter(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;
}
