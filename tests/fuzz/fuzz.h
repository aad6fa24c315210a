/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: an input read piece by piece, buffers of the exact size, a scratch
 * directory. */
#ifndef KPOD_FUZZ_H
#define KPOD_FUZZ_H

#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct input {
	const uint8_t *data;
	size_t size;
};

/* 0 once the input is used up. */
static inline uint8_t take_byte(struct input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

static inline uint32_t take_number(struct input *input)
{
	uint32_t number = 0;

	for (int i = 0; i < 4; i++)
		number = number << 8 | take_byte(input);
	return number;
}

static inline uint32_t take_below(struct input *input, uint32_t limit)
{
	return take_byte(input) % limit;
}

/* A text that its NUL, or so many bytes, end; to be freed. */
static inline char *take_text(struct input *input, size_t most)
{
	size_t length = strnlen((const char *)input->data, input->size < most ? input->size : most);
	char *text = malloc(length + 1);

	CHECK(text);
	if (length)
		memcpy(text, input->data, length);
	text[length] = '\0';
	input->data += length;
	input->size -= length;
	take_byte(input);
	return text;
}

/* As an empty typed array may arrive, and to have every byte beyond the end found; to be freed. */
static inline void *new_buffer(size_t size)
{
	void *buffer = size ? malloc(size) : NULL;

	CHECK(buffer || !size);
	return buffer;
}

/* A path of pieces that occur in the tree, and of any others. */
static inline void take_path(struct input *input, char *path, size_t room)
{
	static const char *const pieces[] = {
	    "file", "dir",  "..",    "/",   "out",  "abs",  "in",     "loop",
	    "fifo", "link", "magic", "f0",  "f1",   ".",    "//",     "dir/file",
	    "a",    "b/",   "1",     "999", "self", "fd/0", "cgroup", "\xff",
	};
	size_t used = 0;

	for (uint32_t count = take_below(input, 8); count; count--) {
		uint32_t choice = take_below(input, sizeof(pieces) / sizeof(*pieces) + 2);
		char any[2] = {(char)take_byte(input), '\0'};
		const char *piece =
		    choice < sizeof(pieces) / sizeof(*pieces) ? pieces[choice] : any;
		/* Paths that are too long, now and then. */
		uint32_t times = choice == sizeof(pieces) / sizeof(*pieces) ? 600 : 1;

		while (times-- && used + strlen(piece) + 1 < room) {
			memcpy(path + used, piece, strlen(piece));
			used += strlen(piece);
		}
	}
	path[used] = '\0';
}

static inline int remove_entry(const char *path, const struct stat *status, int kind,
			       struct FTW *position)
{
	(void)status;
	(void)kind;
	return position->level ? remove(path) : 0;
}

/* Removes what is below a directory. */
static inline void empty_directory(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static char scratch[256];

static inline void remove_scratch(void)
{
	empty_directory(scratch);
	rmdir(scratch);
}

/* Makes a directory for this process, which ends with it, and makes it the current one. */
static inline void make_scratch(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(scratch, sizeof(scratch), "%s/kpod-fuzz-XXXXXX", parent ? parent : "/tmp");
	CHECK(mkdtemp(scratch) && !chdir(scratch));
	atexit(remove_scratch);
}

static inline void write_file(const char *path, const void *bytes, size_t size)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(file >= 0 && (!size || write(file, bytes, size) == (ssize_t)size) && !close(file));
}

#endif
