/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: faults that need the disk, and more memory than a cgroup allows. */
#pragma once

static void fill_file(int fd, off_t size)
{
	static char block[1 << 20];
	struct stat now;

	if (fstat(fd, &now))
		die("Cannot stat the file: got %s", strerror(errno));
	memset(block, 'x', sizeof(block));
	for (off_t at = now.st_size; at < size;) {
		off_t most = sizeof(block);
		off_t left = size - at < most ? size - at : most;
		ssize_t written = pwrite(fd, block, left, at);

		if (written <= 0)
			die("Cannot fill the file: got %s; give one on a disk with room",
			    strerror(errno));
		at += written;
	}
}

/*
 * Touches pages that are not in the page cache. MADV_RANDOM stops the read-ahead that would bring
 * in a neighbour (mm/filemap.c, do_sync_mmap_readahead), so each page is one major fault.
 */
static uint64_t touch_cold(int fd, size_t pages, size_t page_size)
{
	struct rusage before, after;
	uint64_t sum = 0;
	volatile char *map;

	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("Cannot drop the file's pages: got %s", strerror(errno));
	map = mmap(NULL, pages * page_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || madvise((void *)map, pages * page_size, MADV_RANDOM))
		die("Cannot map the file: got %s", strerror(errno));
	getrusage(RUSAGE_SELF, &before);
	for (size_t i = 0; i < pages; i++)
		sum += map[i * page_size];
	getrusage(RUSAGE_SELF, &after);
	munmap((void *)map, pages * page_size);
	if (sum != pages * 'x')
		die("Cannot use the file: it was filled by someone else; give a new name");
	return after.ru_majflt - before.ru_majflt;
}

static int fault_command(int argc, char **argv)
{
	size_t page_size = sysconf(_SC_PAGESIZE);
	struct command_line line;
	int fd;

	if (argc < 2)
		die("Cannot run fault: got no file; name one on a disk (not tmpfs)");
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		die("Cannot open %s: got %s", argv[1], strerror(errno));
	ready("");
	while (next_line(&line)) {
		size_t pages = line.argument[0];

		if (!is(&line, "go") || !pages) {
			fail_line(&line);
			continue;
		}
		fill_file(fd, pages * page_size);
		say("{\"pages\":%zu,\"major_faults\":%llu}", pages,
		    (unsigned long long)touch_cold(fd, pages, page_size));
	}
	return 0;
}

static int alloc_command(int argc, char **argv)
{
	struct command_line line;
	uint64_t allocated = 0;

	(void)argc, (void)argv;
	ready("");
	while (next_line(&line)) {
		size_t size = line.argument[0] << 20;
		char *memory;

		if (!is(&line, "go") || !size) {
			fail_line(&line);
			continue;
		}
		memory =
		    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED) {
			say("{\"error\":\"mmap: %s\"}", strerror(errno));
			continue;
		}
		memset(memory, 1, size);
		allocated += size;
		say("{\"allocated_bytes\":%llu}", (unsigned long long)allocated);
	}
	return 0;
}
