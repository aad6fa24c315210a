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

static void *allocate(void *argument)
{
	size_t size = (size_t)(uintptr_t)argument;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return (void *)(intptr_t)errno;
	memset(memory, 1, size);
	return NULL;
}

/* Each of the threads takes that much at once; returns how many got it. */
static uint64_t allocate_on_each(int threads, size_t size)
{
	pthread_t others[MAX_THREADS];
	uint64_t succeeded = 0;

	for (int i = 1; i < threads; i++)
		if (pthread_create(&others[i], NULL, allocate, (void *)(uintptr_t)size))
			die("Cannot start thread %d", i);
	succeeded += !allocate((void *)(uintptr_t)size);
	for (int i = 1; i < threads; i++) {
		void *error;

		pthread_join(others[i], &error);
		succeeded += !error;
	}
	return succeeded;
}

static int alloc_command(int argc, char **argv)
{
	int threads = atoi(option(argc, argv, "--threads", "1"));
	struct command_line line;
	uint64_t allocated = 0;

	if (threads < 1 || threads > MAX_THREADS)
		die("Cannot use %d threads; give 1 to %d", threads, MAX_THREADS);
	ready("");
	while (next_line(&line)) {
		size_t size = line.argument[0] << 20;

		if (!is(&line, "go") || !size) {
			fail_line(&line);
			continue;
		}
		allocated += size * allocate_on_each(threads, size);
		say("{\"allocated_bytes\":%llu}", (unsigned long long)allocated);
	}
	return 0;
}
