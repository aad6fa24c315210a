/* SPDX-License-Identifier: Apache-2.0 */
/* kpod_read_file(): any path, any content, in pieces of any size. Nothing outside of the root is
 * ever read. */
#define _GNU_SOURCE
#include <errno.h>

#include "fuzz.h"
#include "kpod_files.h"

static const char outside[] = "this is outside of the root";
static struct kpod_root *root;
/* How many bytes a read gives at most; every so many-th is interrupted. */
static uint32_t piece, interruptions, reads;

ssize_t __real_pread(int file, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread(int file, void *buffer, size_t size, off_t offset);

ssize_t __wrap_pread(int file, void *buffer, size_t size, off_t offset)
{
	if (interruptions && ++reads % (interruptions + 1) == 0) {
		errno = EINTR;
		return -1;
	}
	return __real_pread(file, buffer, size < piece ? size : piece, offset);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	make_scratch();
	write_file("secret", outside, sizeof(outside));
	CHECK(!mkdir("root", 0700) && !mkdir("root/dir", 0700));
	CHECK(!symlink("../secret", "root/out") && !symlink("dir/file", "root/in"));
	CHECK(!symlink("loop", "root/loop") && !symlink("/proc/self/root", "root/magic"));
	CHECK(!symlink("../../secret", "root/dir/link") && !mkfifo("root/fifo", 0600));
	CHECK(!symlink(scratch, "root/abs"));
	CHECK(!kpod_root_open("root", &root));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	char path[8192];
	uint32_t capacity = take_number(&input) % 20000, repeat;
	size_t length;
	uint8_t *content, *buffer;
	int64_t result;

	piece = 1 + take_number(&input) % 5000;
	interruptions = take_below(&input, 4);
	repeat = take_byte(&input);
	take_path(&input, path, sizeof(path));
	length = input.size * repeat;
	if (length > 40000)
		length = 40000;
	content = malloc(length + 1);
	for (size_t i = 0; i < length; i++)
		content[i] = input.data[i % input.size];
	write_file("root/file", content, length);
	write_file("root/dir/file", content, length);
	/* No more than some thousand reads. */
	if (piece < length / 1000)
		piece = (uint32_t)(length / 1000);

	buffer = new_buffer(capacity);
	result = kpod_read_file(root, path, buffer, capacity);
	if (!strcmp(path, "file") || !strcmp(path, "in"))
		CHECK(result == (length > capacity ? -EMSGSIZE : (int64_t)length));
	CHECK(result <= (int64_t)capacity && result > -4096);
	if (result > 0)
		CHECK((size_t)result == length && !memcmp(buffer, content, length));
	free(buffer);
	free(content);
	return 0;
}
