/* SPDX-License-Identifier: Apache-2.0 */
/* kpod_processes(): directories of any names with any text in their cgroup files, into a buffer of
 * any size. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>

#include "fuzz.h"
#include "kpod_files.h"

#define MOST_PROCESSES 6

static struct kpod_root *root;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	make_scratch();
	CHECK(!mkdir("root", 0700));
	CHECK(!kpod_root_open("root", &root));
	return 0;
}

static void make_process(struct input *input)
{
	static uint8_t bytes[128 * 1024];
	char name[32], path[64];
	uint32_t kind = take_below(input, 6);
	size_t length = take_byte(input), times = 1 + take_byte(input) * take_below(input, 4);

	if (kind < 4) {
		snprintf(name, sizeof(name), "%u", take_number(input) >> take_below(input, 32));
	} else {
		for (size_t i = 0; i < 20; i++)
			name[i] = "0123456789-+x "[take_below(input, 14)];
		name[1 + take_below(input, 19)] = '\0';
	}
	snprintf(path, sizeof(path), "root/%s", name);
	if (mkdir(path, 0700))
		return;
	snprintf(path, sizeof(path), "root/%s/cgroup", name);
	for (size_t i = 0; i < length; i++)
		bytes[i] = take_byte(input);
	for (size_t i = length; i < length * times && i < sizeof(bytes); i++)
		bytes[i] = bytes[i - length];
	if (kind == 0)
		CHECK(!mkdir(path, 0700));
	else if (kind == 1)
		CHECK(!symlink("../../../../etc/hostname", path));
	else
		write_file(path, bytes,
			   length * times < sizeof(bytes) ? length * times : sizeof(bytes));
}

static void check_records(const uint8_t *buffer, size_t size)
{
	for (size_t at = 0; at < size;) {
		const struct kpod_process *record = (const void *)(buffer + at);
		char path[64];
		struct stat status;

		CHECK(size - at >= sizeof(*record));
		CHECK(record->text_length <= size - at - sizeof(*record));
		CHECK(record->pid > 0 && record->pid <= INT_MAX);
		snprintf(path, sizeof(path), "root/%u/cgroup", record->pid);
		CHECK(!lstat(path, &status) && S_ISREG(status.st_mode));
		CHECK(record->text_length == (uint32_t)status.st_size);
		at += (sizeof(*record) + record->text_length + 7) & ~(size_t)7;
		CHECK(at <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t capacity = take_number(&input) % 100000;
	uint8_t *buffer = new_buffer(capacity);
	int64_t result;

	empty_directory("root");
	for (uint32_t count = take_below(&input, MOST_PROCESSES); count; count--)
		make_process(&input);
	result = kpod_processes(root, buffer, capacity);
	CHECK(result >= 0 || result == -EISDIR || result == -EXDEV);
	if (result >= 0 && result <= (int64_t)capacity)
		check_records(buffer, (size_t)result);
	free(buffer);
	return 0;
}
