/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bpf_object.h"
#include "kpod.h"

/* The last log lines, kept until taken; the oldest give way. */
static struct {
	pthread_mutex_t lock;
	char text[64 * 1024];
	size_t length;
} log_buffer = {.lock = PTHREAD_MUTEX_INITIALIZER};

int keep_log_line(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[16 * 1024];
	int length;

	if (level == LIBBPF_DEBUG)
		return 0;
	length = vsnprintf(line, sizeof(line), format, arguments);
	if (length <= 0)
		return 0;
	if ((size_t)length >= sizeof(line))
		length = sizeof(line) - 1;
	pthread_mutex_lock(&log_buffer.lock);
	if (log_buffer.length + length > sizeof(log_buffer.text)) {
		size_t keep = sizeof(log_buffer.text) - length;

		if (keep < log_buffer.length) {
			memmove(log_buffer.text, log_buffer.text + log_buffer.length - keep, keep);
			log_buffer.length = keep;
		}
	}
	memcpy(log_buffer.text + log_buffer.length, line, length);
	log_buffer.length += length;
	pthread_mutex_unlock(&log_buffer.lock);
	return 0;
}

KPOD_EXPORT int64_t kpod_log_take(char *buffer, uint64_t capacity)
{
	size_t length;

	pthread_mutex_lock(&log_buffer.lock);
	length = log_buffer.length < capacity ? log_buffer.length : capacity;
	/* When not all fits, the end is what matters. */
	memcpy(buffer, log_buffer.text + log_buffer.length - length, length);
	log_buffer.length = 0;
	pthread_mutex_unlock(&log_buffer.lock);
	return length;
}

KPOD_EXPORT int64_t kpod_libbpf_version(char *buffer, uint64_t capacity)
{
	const char *version = libbpf_version_string();
	size_t length = strlen(version);

	if (length > capacity)
		return -EMSGSIZE;
	memcpy(buffer, version, length);
	return length;
}
