/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kpod_bpf_set_constant() and kpod_bpf_btf(): objects whose types say anything of where their
 * variables are. libbpf's calls are answered here.
 */
#define _GNU_SOURCE
#include <errno.h>

#include <bpf/btf.h>

#include "bpf_object.h"
#include "fuzz.h"
#include "kpod.h"

#define MOST_VARIABLES 8

static struct {
	struct btf_type type;
	struct btf_var_secinfo variables[MOST_VARIABLES];
} section;

static struct btf_type variable_type;
static char *names[MOST_VARIABLES];
static uint8_t *initial;
static size_t initial_size;
static int has_btf, has_map, found_section;
static int sets;

static struct bpf_map *const the_map = (struct bpf_map *)&section;
static struct btf *const the_btf = (struct btf *)&section;

struct btf *bpf_object__btf(const struct bpf_object *object)
{
	(void)object;
	return has_btf ? the_btf : NULL;
}

const void *btf__raw_data(const struct btf *btf, __u32 *size)
{
	(void)btf;
	*size = (uint32_t)initial_size;
	return initial;
}

struct bpf_map *bpf_object__next_map(const struct bpf_object *object, const struct bpf_map *map)
{
	(void)object;
	return has_map && !map ? the_map : NULL;
}

const char *bpf_map__name(const struct bpf_map *map)
{
	(void)map;
	return has_map == 1 ? "obj.rodata" : has_map == 2 ? "obj" : NULL;
}

bool bpf_map__is_internal(const struct bpf_map *map)
{
	(void)map;
	return true;
}

__s32 btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind)
{
	(void)btf;
	(void)name;
	(void)kind;
	return found_section ? 1 : -ENOENT;
}

const struct btf_type *btf__type_by_id(const struct btf *btf, __u32 id)
{
	(void)btf;
	if (id == 1)
		return &section.type;
	if (id < 2 || id - 2 >= MOST_VARIABLES)
		return NULL;
	variable_type.name_off = id - 2;
	return &variable_type;
}

const char *btf__name_by_offset(const struct btf *btf, __u32 offset)
{
	(void)btf;
	return offset < MOST_VARIABLES ? names[offset] : NULL;
}

/* Its argument has been const since libbpf 1.4 only. */
void *__wrap_bpf_map__initial_value(const struct bpf_map *map, size_t *size);

void *__wrap_bpf_map__initial_value(const struct bpf_map *map, size_t *size)
{
	(void)map;
	*size = initial_size;
	return initial;
}

int bpf_map__set_initial_value(struct bpf_map *map, const void *data, size_t size)
{
	(void)map;
	CHECK(size == initial_size);
	memcpy(initial, data, size);
	sets++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct kpod_bpf object = {0};
	uint32_t count = take_below(&input, MOST_VARIABLES + 1), value_size, capacity;
	uint8_t *value, *buffer;
	char *name;
	int result;

	has_btf = take_below(&input, 8) != 0;
	has_map = (int)take_below(&input, 4);
	found_section = take_below(&input, 8) != 0;
	initial_size = 1 + take_byte(&input);
	initial = calloc(1, initial_size);
	section.type.info = BTF_KIND_DATASEC << 24 | count;
	for (uint32_t i = 0; i < MOST_VARIABLES; i++) {
		uint32_t any = take_byte(&input);

		section.variables[i].type = any < 250 ? 2 + any % MOST_VARIABLES : any;
		section.variables[i].offset =
		    take_below(&input, 8) ? take_byte(&input) : take_number(&input);
		section.variables[i].size =
		    take_below(&input, 8) ? take_byte(&input) : take_number(&input);
		names[i] = take_text(&input, 3);
	}
	name = take_text(&input, 3);
	value_size = take_byte(&input);
	if (take_below(&input, 2))
		value_size = section.variables[0].size % 100000;
	value_size += !value_size;
	value = new_buffer(value_size);
	if (value_size)
		memset(value, 0xa5, value_size);
	sets = 0;
	result = kpod_bpf_set_constant(&object, name, value, value_size);
	CHECK(result == 0 || result == -ENOENT || result == -EINVAL);
	CHECK(sets == (result == 0));
	for (size_t i = 0, set = 0; !result && i <= initial_size; i++) {
		set += i < initial_size && initial[i] == 0xa5;
		CHECK(i < initial_size || set == value_size);
	}
	capacity = take_number(&input) % 600;
	buffer = new_buffer(capacity);
	CHECK(kpod_bpf_btf(&object, buffer, capacity) ==
	      (has_btf ? (int64_t)initial_size : -ENOENT));
	free(buffer);
	free(value);
	free(name);
	free(initial);
	for (int i = 0; i < MOST_VARIABLES; i++)
		free(names[i]);
	return 0;
}
