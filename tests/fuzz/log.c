/* SPDX-License-Identifier: Apache-2.0 */
/* kpod_log_take(): the end of what was logged, whatever was, and however long its lines. */
#define _GNU_SOURCE
#include <stdarg.h>

#include "bpf_object.h"
#include "fuzz.h"
#include "kpod.h"

#define LONGEST_LINE (16 * 1024 - 1)
#define LONGEST_LOG  (64 * 1024)

static void __attribute__((format(printf, 2, 3)))
log_line(enum libbpf_print_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	keep_log_line(level, format, arguments);
	va_end(arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char logged[1024 * 1024];
	struct input input = {data, size};
	size_t used = 0;

	for (int lines = 0; input.size && lines < 40; lines++) {
		size_t length = take_number(&input) % (take_below(&input, 8) ? 4000 : 80000),
		       capacity;
		char fill = (char)(take_byte(&input) | 1), *line, *buffer;
		int64_t taken;

		if (take_below(&input, 4)) {
			line = malloc(length + 1);
			memset(line, fill, length);
			line[length] = '\0';
			log_line(take_below(&input, 4) ? LIBBPF_WARN : LIBBPF_INFO, "%s", line);
			log_line(LIBBPF_DEBUG, "%s", line);
			if (length > LONGEST_LINE)
				length = LONGEST_LINE;
			memcpy(logged + used, line, length);
			used += length;
			free(line);
			continue;
		}
		capacity = take_below(&input, 2) ? length + 1 : LONGEST_LOG;
		buffer = new_buffer(capacity);
		taken = kpod_log_take(buffer, capacity);
		CHECK(taken >= 0 && taken <= (int64_t)capacity && (size_t)taken <= used);
		CHECK((size_t)taken == used || (size_t)taken == capacity || taken == LONGEST_LOG);
		if (taken)
			CHECK(!memcmp(buffer, logged + used - taken, (size_t)taken));
		free(buffer);
		used = 0;
	}
	kpod_log_take(logged, sizeof(logged));
	return 0;
}
