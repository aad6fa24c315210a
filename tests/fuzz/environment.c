/* SPDX-License-Identifier: Apache-2.0 */
/* kpod_environment(): any environment, any prefix, a buffer of any size. */
#define _GNU_SOURCE
#include "fuzz.h"
#include "kpod_files.h"

#define MOST 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	char *variables[MOST + 1] = {NULL}, **before = environ;
	uint64_t capacity = take_byte(&input), expected = 0, at = 0;
	char *prefix = take_text(&input, 16), *buffer = new_buffer(capacity);
	uint32_t count = take_below(&input, MOST + 1);
	int64_t result;

	for (uint32_t i = 0; i < count; i++) {
		char *equals;

		variables[i] = take_text(&input, 64);
		equals = strchrnul(variables[i], '=');
		if ((size_t)(equals - variables[i]) >= strlen(prefix) &&
		    !strncmp(variables[i], prefix, strlen(prefix)))
			expected += (uint64_t)(equals - variables[i]) + 1;
	}
	environ = variables;
	result = kpod_environment(prefix, buffer, capacity);
	environ = before;
	CHECK(result == (int64_t)expected);
	while (expected <= capacity && at < expected) {
		CHECK(!strncmp(buffer + at, prefix, strlen(prefix)) && !strchr(buffer + at, '='));
		at += strlen(buffer + at) + 1;
	}
	CHECK(expected > capacity || at == expected);
	for (uint32_t i = 0; i < count; i++)
		free(variables[i]);
	free(prefix);
	free(buffer);
	return 0;
}
