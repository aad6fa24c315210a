// SPDX-License-Identifier: Apache-2.0
/*
 * What a cycle reads, and nothing else: files on descriptors that stay open, sizes of filesystems,
 * maps by batch.
 *
 *   agent_reader
 *
 * It says "ready" and obeys these lines, as of ../lab/workload/line.h, and answers each:
 *
 *   cgroup PATH               a file of a cgroup
 *   interfaces PATH           a /proc/PID/net/dev
 *   mounts PATH               a /proc/PID/mountinfo
 *   filesystem PATH           a directory of a filesystem
 *   map ID                    an eBPF map
 *   go                        reads all of them once; answers the nanoseconds that each kind took
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../lab/workload/line.h"

#define BUFFER_BYTES (256 * 1024)
#define BATCH	     128

struct descriptors {
	int *fds;
	size_t count, room;
};

struct map {
	int fd;
	uint32_t key_size, copied_size, max_entries;
};

static struct descriptors cgroups, interfaces, mounts, filesystems;
static struct map maps[64];
static size_t map_count;
static uint64_t bytes, entries;

/* Returns 0 where all is well, else what to answer. */
static int add(struct descriptors *to, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return errno;
	if (to->count == to->room) {
		to->room = to->room ? to->room * 2 : 1024;
		to->fds = realloc(to->fds, to->room * sizeof(*to->fds));
		if (!to->fds)
			die("Cannot hold so many descriptors");
	}
	to->fds[to->count++] = fd;
	return 0;
}

static bool is_per_cpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static int add_map(uint32_t id)
{
	struct map *map = &maps[map_count];
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);

	map->fd = bpf_map_get_fd_by_id(id);
	if (map->fd < 0 || bpf_obj_get_info_by_fd(map->fd, &info, &size))
		return errno;
	map->key_size = info.key_size;
	map->max_entries = info.max_entries;
	map->copied_size = info.value_size;
	if (is_per_cpu(info.type))
		map->copied_size = ((info.value_size + 7) & ~7u) * libbpf_num_possible_cpus();
	map_count++;
	return 0;
}

/* Whole files; those of a cgroup are all of one piece, which one call gets. */
static uint64_t read_files(const struct descriptors *files, bool is_one_piece)
{
	static char buffer[BUFFER_BYTES];
	uint64_t began = nanoseconds(CLOCK_MONOTONIC);

	for (size_t i = 0; i < files->count; i++) {
		off_t at = 0;
		ssize_t length;

		do {
			length = pread(files->fds[i], buffer, sizeof(buffer), at);
			at += length > 0 ? length : 0;
		} while (length > 0 && !is_one_piece);
		bytes += at;
	}
	return nanoseconds(CLOCK_MONOTONIC) - began;
}

static uint64_t read_filesystems(void)
{
	uint64_t began = nanoseconds(CLOCK_MONOTONIC);
	struct statfs size;

	for (size_t i = 0; i < filesystems.count; i++)
		fstatfs(filesystems.fds[i], &size);
	return nanoseconds(CLOCK_MONOTONIC) - began;
}

static void read_map(const struct map *map)
{
	static char *keys, *values;
	uint32_t batch = BATCH, cursor = 0, next = 0;
	bool first = true;
	int error = 0;

	while (!error) {
		uint32_t got = batch;

		keys = realloc(keys, (size_t)batch * map->key_size);
		values = realloc(values, (size_t)batch * map->copied_size);
		error = bpf_map_lookup_batch(map->fd, first ? NULL : &cursor, &next, keys, values,
					     &got, NULL);
		if (error == -ENOSPC && batch < map->max_entries) {
			/* One bucket holds more than a batch. */
			batch *= 2;
			error = 0;
			continue;
		}
		if (error && error != -ENOENT)
			die("Cannot read a map by batch: got %s", strerror(-error));
		entries += got;
		cursor = next;
		first = false;
	}
}

static uint64_t read_maps(void)
{
	uint64_t began = nanoseconds(CLOCK_MONOTONIC);

	for (size_t i = 0; i < map_count; i++)
		read_map(&maps[i]);
	return nanoseconds(CLOCK_MONOTONIC) - began;
}

static void go(void)
{
	uint64_t in_cgroups, in_interfaces, in_filesystems, in_maps, in_mounts;

	bytes = entries = 0;
	in_cgroups = read_files(&cgroups, true);
	in_interfaces = read_files(&interfaces, false);
	in_filesystems = read_filesystems();
	in_maps = read_maps();
	in_mounts = read_files(&mounts, false);
	say("{\"cgroups\":%lu,\"interfaces\":%lu,\"filesystems\":%lu,\"maps\":%lu,\"mounts\":%lu,"
	    "\"bytes\":%lu,\"entries\":%lu}",
	    in_cgroups, in_interfaces, in_filesystems, in_maps, in_mounts, bytes, entries);
}

int main(void)
{
	struct rlimit limit;
	struct command_line line;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	/* Ctrl-C is for the driver, which ends this one when it has cleaned up. */
	setpgid(0, 0);
	ready("");
	while (next_line(&line)) {
		const char *path = line.text + strlen(line.word) + 1;
		int error;

		if (is(&line, "go")) {
			go();
			continue;
		}
		if (is(&line, "cgroup"))
			error = add(&cgroups, path, O_RDONLY);
		else if (is(&line, "interfaces"))
			error = add(&interfaces, path, O_RDONLY);
		else if (is(&line, "mounts"))
			error = add(&mounts, path, O_RDONLY);
		else if (is(&line, "filesystem"))
			error = add(&filesystems, path, O_PATH);
		else if (is(&line, "map"))
			error = add_map((uint32_t)line.argument[0]);
		else {
			fail_line(&line);
			continue;
		}
		if (error)
			say("{\"error\":\"%s %s: %s\"}", line.word, path, strerror(error));
		else
			say("{}");
	}
	return 0;
}
