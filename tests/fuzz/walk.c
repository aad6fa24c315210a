/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kpod_walk(): any tree, from any directory, into a buffer of any size, while entries vanish and
 * system calls fail. A tree may pass for a cgroup's, of which what readdir() says is believed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include "fuzz.h"
#include "kpod_files.h"

#define MOST_ENTRIES 12

static struct kpod_root *root;
/* NULL: all calls are as the system answers them. */
static const struct input *failures;
static uint32_t answers;
static int is_cgroup;

/* Whether the input has this call fail. */
static int fails(void)
{
	uint32_t at = answers++;

	return failures && failures->size > at && failures->data[at] > 250;
}

int __real_fstatat(int directory, const char *name, struct stat *status, int flags);
int __wrap_fstatat(int directory, const char *name, struct stat *status, int flags);
struct dirent *__real_readdir(DIR *directory);
struct dirent *__wrap_readdir(DIR *directory);
int __real_fstatfs(int file, struct statfs *filesystem);
int __wrap_fstatfs(int file, struct statfs *filesystem);

int __wrap_fstatat(int directory, const char *name, struct stat *status, int flags)
{
	static const int errors[] = {ENOENT, ENODEV, EACCES, ENOMEM};

	if (!fails())
		return __real_fstatat(directory, name, status, flags);
	errno = errors[answers % 4];
	return -1;
}

struct dirent *__wrap_readdir(DIR *directory)
{
	static struct dirent entry;
	const struct dirent *real;

	if (fails()) {
		errno = answers % 2 ? ENOENT : EIO;
		return NULL;
	}
	real = __real_readdir(directory);
	if (!real)
		return NULL;
	/* Filesystems may have no types, and may list a name twice. */
	if (!fails()) {
		memcpy(&entry, real, real->d_reclen);
		if (answers % 3 == 0 && failures)
			entry.d_type = DT_UNKNOWN;
	}
	return &entry;
}

int __wrap_fstatfs(int file, struct statfs *filesystem)
{
	int result = __real_fstatfs(file, filesystem);

	if (!result && is_cgroup)
		filesystem->f_type = CGROUP2_SUPER_MAGIC;
	return result;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	make_scratch();
	CHECK(!mkdir("root", 0700) && !mkdir("elsewhere", 0700) && !mkdir("elsewhere/x", 0700));
	CHECK(!kpod_root_open("root", &root));
	return 0;
}

static void make_tree(struct input *input)
{
	char name[64];
	int failed = 0;

	CHECK(!chdir("root"));
	for (uint32_t count = take_below(input, MOST_ENTRIES); count; count--) {
		uint32_t kind = take_below(input, 8), length = 1 + take_below(input, 62);

		for (uint32_t i = 0; i < length; i++)
			name[i] = (char)(take_below(input, 16) ? 'a' + take_below(input, 3)
							       : take_byte(input));
		name[length] = '\0';
		if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		if (kind == 0)
			failed += symlink("../elsewhere", name);
		else if (kind == 1)
			failed += close(creat(name, 0600));
		else
			failed += mkdir(name, 0700);
		if (kind == 2)
			failed += chdir(name);
	}
	/* Names are taken already, or are no names; that makes another tree. */
	(void)failed;
	CHECK(!chdir(scratch));
}

static void check_records(const uint8_t *buffer, size_t size, const char *relative,
			  uint32_t max_depth)
{
	uint32_t depth = 0;

	for (size_t at = 0; at < size;) {
		const struct kpod_directory *record = (const void *)(buffer + at);

		CHECK(size - at >= sizeof(*record));
		CHECK(record->path_length < PATH_MAX);
		CHECK(record->path_length <= size - at - sizeof(*record));
		CHECK(at || !strncmp(record->path, relative, record->path_length));
		CHECK(record->depth >= depth && record->depth <= max_depth);
		CHECK(at == 0 ? record->depth == 0 : record->depth > 0);
		CHECK(!memchr(record->path, '\0', record->path_length));
		CHECK(!memmem(record->path, record->path_length, "elsewhere", 9));
		depth = record->depth;
		at += (sizeof(*record) + record->path_length + 7) & ~(size_t)7;
		CHECK(at <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint32_t max_depth = take_below(&input, 4) ? take_below(&input, 6) : take_number(&input);
	uint32_t capacity = take_number(&input) % 4096;
	char relative[8192] = ".";
	uint8_t *buffer = new_buffer(capacity);
	int64_t result, again;
	int has_failures;

	is_cgroup = take_below(&input, 2);
	empty_directory("root");
	make_tree(&input);
	if (take_below(&input, 2))
		take_path(&input, relative, sizeof(relative));
	has_failures = (int)take_below(&input, 2);
	failures = has_failures ? &input : NULL;
	answers = 0;
	result = kpod_walk(root, relative, max_depth, buffer, capacity);
	/* What runs the targets reads directories too. */
	failures = NULL;
	CHECK(result > -4096 && result != 0);
	if (result > 0 && result <= (int64_t)capacity)
		check_records(buffer, (size_t)result, relative, max_depth);
	free(buffer);
	if (result <= 0 || has_failures)
		return 0;
	buffer = new_buffer((size_t)result);
	again = kpod_walk(root, relative, max_depth, buffer, (uint64_t)result);
	CHECK(again == result);
	check_records(buffer, (size_t)result, relative, max_depth);
	free(buffer);
	return 0;
}
