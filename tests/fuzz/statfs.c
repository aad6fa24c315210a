/* SPDX-License-Identifier: Apache-2.0 */
/* kpod_statfs(): any directories, paths and keys, filesystems that say anything, some of which hang
 * for a while. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <sys/statfs.h>

#include "fuzz.h"
#include "kpod_files.h"

#define MOST_ITEMS 6

static struct kpod_root *root;
/* What the filesystems say; used by threads that outlive a call. */
static atomic_uint_fast64_t blocks, block_size, answers, hangs;

int __real_fstatfs(int file, struct statfs *filesystem);
int __wrap_fstatfs(int file, struct statfs *filesystem);

int __wrap_fstatfs(int file, struct statfs *filesystem)
{
	int result = __real_fstatfs(file, filesystem);
	uint64_t answer = atomic_fetch_add(&answers, 1);

	filesystem->f_blocks = filesystem->f_bfree = filesystem->f_bavail = blocks;
	filesystem->f_frsize = answer % 2 ? (long)block_size : 0;
	filesystem->f_bsize = (long)block_size;
	if (hangs >> (answer % 8) & 1)
		usleep(3000);
	return result;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	make_scratch();
	CHECK(!mkdir("root", 0700) && !mkdir("root/dir", 0700) && !mkdir("root/1", 0700));
	write_file("root/file", "", 0);
	CHECK(!symlink("loop", "root/loop") && !symlink("/proc/self/root", "root/magic"));
	CHECK(!symlink("../..", "root/out") && !mkfifo("root/fifo", 0600));
	CHECK(!kpod_root_open("root", &root));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t count = take_below(&input, MOST_ITEMS), timeout_ms = 1;
	size_t room = 3 * 8192, used = 0;
	struct kpod_statfs *out = new_buffer(count * sizeof(*out));
	char *texts = calloc(MOST_ITEMS, room), *exact;
	int result;

	blocks = (uint64_t)take_number(&input) << 32 | take_number(&input);
	block_size = (uint64_t)take_number(&input) << take_below(&input, 32);
	hangs = take_below(&input, 4) ? 0 : take_byte(&input);
	/* One that never waits, and one that nothing but a hanging filesystem is too slow for. */
	if (!hangs)
		timeout_ms = take_below(&input, 8) ? 1000 : 0;
	for (uint32_t i = 0; i < 3 * count; i++) {
		if (i % 3 == 2)
			snprintf(texts + used, 8192, "%u", take_below(&input, 3));
		else
			take_path(&input, texts + used, 8192);
		used += strlen(texts + used) + 1;
	}
	exact = new_buffer(used);
	if (used)
		memcpy(exact, texts, used);
	free(texts);
	memset(out ? out : (void *)&used, 0, count * sizeof(*out));
	result = kpod_statfs(root, exact, used, count, timeout_ms, out);
	/* What is left behind must not look at these. */
	free(exact);
	CHECK(result == 0);
	for (uint32_t i = 0; i < count; i++) {
		CHECK(out[i].error >= 0 && out[i].error < 4096);
		CHECK(isfinite(out[i].capacity_bytes) && out[i].capacity_bytes >= 0);
		CHECK(out[i].free_bytes >= 0 && out[i].available_bytes >= 0);
		CHECK(out[i].is_directory == 0 || out[i].is_directory == 1);
		CHECK(!out[i].is_directory_error || out[i].error);
		if (!hangs && timeout_ms)
			CHECK(out[i].error != ETIMEDOUT);
	}
	free(out);
	return 0;
}
