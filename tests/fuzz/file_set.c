/* SPDX-License-Identifier: Apache-2.0 */
/* File sets: any sequence of calls, on files that are written, replaced and removed meanwhile,
 * against a model. */
#define _GNU_SOURCE
#include <errno.h>

#include "fuzz.h"
#include "kpod_files.h"

#define FILES	    4
#define SLOTS	    16
#define CALLS	    48
#define GENERATIONS (FILES + CALLS)

/* What was in an inode. */
struct content {
	uint8_t *bytes;
	uint32_t length;
};

static struct kpod_root *root;
static struct content contents[GENERATIONS];
static int made;
/* The contents' index of each file there is; -1: removed. */
static int current[FILES];

struct model {
	int is_used;
	int is_anew;
	int of; /* file if opened anew, contents otherwise; -1: none that is known */
	int has_content;
};

static struct model models[SLOTS];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	make_scratch();
	CHECK(!mkdir("root", 0700) && !mkdir("root/dir", 0700));
	CHECK(!kpod_root_open("root", &root));
	return 0;
}

static const char *name_of(int file)
{
	static char name[16];

	snprintf(name, sizeof(name), "f%d", file);
	return name;
}

static const char *path_of(int file)
{
	static char path[32];

	snprintf(path, sizeof(path), "root/dir/%s", name_of(file));
	return path;
}

static void write_content(struct input *input, int file, int replaced)
{
	uint32_t length = take_below(input, 32),
		 times = 1 + take_byte(input) * take_below(input, 64);
	struct content *content;

	if (replaced || current[file] < 0) {
		unlink(path_of(file));
		current[file] = made++;
	}
	content = &contents[current[file]];
	free(content->bytes);
	content->length = length * times;
	content->bytes = malloc(content->length + 1);
	for (uint32_t i = 0; i < length; i++)
		content->bytes[i] = take_byte(input);
	for (uint32_t i = length; i < content->length; i++)
		content->bytes[i] = content->bytes[i - length];
	write_file(path_of(file), content->bytes, content->length);
}

static void add(struct kpod_file_set *set, struct input *input, int file, int is_anew)
{
	char path[8192], any[8192];
	int is_any = take_below(input, 8) == 0, slot;

	snprintf(path, sizeof(path), "dir/%s", name_of(file));
	if (is_any)
		take_path(input, any, sizeof(any));
	if (is_anew)
		slot = kpod_file_set_add_anew(set, root, is_any ? any : "dir", name_of(file));
	else
		slot = kpod_file_set_add(set, root, is_any ? any : path);
	if (!is_any)
		CHECK(is_anew || current[file] >= 0 ? slot >= 0 : slot == -ENOENT);
	if (slot < 0)
		return;
	if (slot >= SLOTS || is_any) {
		CHECK(!kpod_file_set_remove(set, (uint32_t)slot));
		return;
	}
	CHECK(!models[slot].is_used);
	models[slot] = (struct model){1, is_anew, is_anew ? file : current[file], 0};
}

static void check_content(const struct kpod_file_set *set, uint32_t slot,
			  const struct content *expected)
{
	uint8_t *buffer = new_buffer(expected->length);

	CHECK(kpod_file_set_content(set, &slot, 1, buffer, expected->length) == expected->length);
	CHECK(!expected->length || !memcmp(buffer, expected->bytes, expected->length));
	free(buffer);
}

static void refresh(struct kpod_file_set *set, struct input *input)
{
	uint32_t count = take_below(input, 12);
	uint32_t *slots = new_buffer(count * sizeof(*slots));
	int32_t *lengths = new_buffer(count * sizeof(*lengths));

	for (uint32_t i = 0; i < count; i++)
		slots[i] = take_below(input, 8) ? take_below(input, SLOTS) : take_number(input);
	kpod_file_set_refresh(set, slots, count, lengths);
	for (uint32_t i = 0; i < count; i++) {
		struct model *model = slots[i] < SLOTS ? &models[slots[i]] : NULL;
		int of;

		if (!model || !model->is_used) {
			CHECK(lengths[i] == -EBADF);
			continue;
		}
		of = model->is_anew ? current[model->of] : model->of;
		if (of < 0) {
			CHECK(lengths[i] == -ENOENT);
			model->has_content = 0;
			continue;
		}
		CHECK(lengths[i] == KPOD_UNCHANGED ? model->has_content
						   : lengths[i] == (int32_t)contents[of].length);
		model->has_content = 1;
		check_content(set, slots[i], &contents[of]);
		CHECK(!kpod_file_set_inode(set, slots[i]) == !model->is_anew);
	}
	free(slots);
	free(lengths);
}

/* Any slots into a buffer of any size. */
static void copy(const struct kpod_file_set *set, struct input *input)
{
	uint32_t count = take_below(input, 6), capacity = take_number(input) % 200000;
	uint32_t *slots = new_buffer(count * sizeof(*slots));
	uint8_t *buffer = new_buffer(capacity);
	int64_t result;

	for (uint32_t i = 0; i < count; i++)
		slots[i] = take_below(input, SLOTS + 1);
	result = kpod_file_set_content(set, slots, count, buffer, capacity);
	CHECK(result == -EBADF || result == -EMSGSIZE ||
	      (result >= 0 && result <= (int64_t)capacity));
	for (uint32_t i = 0; i < count && result >= 0; i++)
		CHECK(slots[i] < SLOTS && models[slots[i]].has_content);
	free(slots);
	free(buffer);
}

static void call(struct kpod_file_set *set, struct input *input)
{
	uint32_t kind = take_below(input, 8);
	int file = (int)take_below(input, FILES);
	uint32_t slot = take_below(input, SLOTS + 1);

	switch (kind) {
	case 0:
	case 1:
		write_content(input, file, kind == 1);
		break;
	case 2:
	case 3:
		add(set, input, file, kind == 3);
		break;
	case 4:
		if (slot < SLOTS && models[slot].is_used) {
			CHECK(!kpod_file_set_remove(set, slot));
			models[slot] = (struct model){0};
		} else {
			CHECK(kpod_file_set_remove(set, slot) == -EBADF);
			CHECK(!kpod_file_set_inode(set, slot));
		}
		break;
	case 5:
		unlink(path_of(file));
		current[file] = -1;
		break;
	case 6:
		copy(set, input);
		break;
	default:
		refresh(set, input);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct kpod_file_set *set;

	CHECK(!kpod_file_set_open(&set));
	memset(models, 0, sizeof(models));
	empty_directory("root/dir");
	for (int file = 0; file < FILES; file++)
		current[file] = -1;
	for (int calls = 0; input.size && calls < CALLS; calls++)
		call(set, &input);
	kpod_file_set_close(set);
	for (; made; made--) {
		free(contents[made - 1].bytes);
		contents[made - 1] = (struct content){0};
	}
	return 0;
}
