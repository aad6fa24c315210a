/* SPDX-License-Identifier: Apache-2.0 */
/* System calls whose number, errors and time are known. */
#pragma once

static struct {
	int zero, null;
	uint64_t units;
	pthread_barrier_t start, end;
} calling;

static void make_calls(void)
{
	char byte = 0;

	for (uint64_t i = 0; i < calling.units; i++) {
		long opened;

		if (syscall(SYS_read, calling.zero, &byte, 1) != 1 ||
		    syscall(SYS_write, calling.null, &byte, 1) != 1)
			die("Cannot read or write a byte: got %s", strerror(errno));
		opened = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
		if (opened < 0 || syscall(SYS_close, (int)opened))
			die("Cannot open and close: got %s", strerror(errno));
		if (syscall(SYS_openat, AT_FDCWD, "/nonexistent", O_RDONLY) != -1)
			die("Cannot fail to open /nonexistent: it exists");
	}
}

static void *make_calls_again(void *unused)
{
	for (;;) {
		pthread_barrier_wait(&calling.start);
		make_calls();
		pthread_barrier_wait(&calling.end);
	}
	return unused;
}

/*
 * Between "ready" and the answer the process makes these calls and the protocol's readv and
 * writev, and no other read, write, openat or close. With threads each of them makes as many, all
 * at once.
 */
static int syscalls_command(int argc, char **argv)
{
	int threads = atoi(option(argc, argv, "--threads", "1"));
	struct command_line line;

	if (threads < 1 || threads > MAX_THREADS)
		die("Cannot use %d threads; give 1 to %d", threads, MAX_THREADS);
	calling.zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	calling.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (calling.zero < 0 || calling.null < 0)
		die("Cannot open /dev/zero and /dev/null: got %s", strerror(errno));
	pthread_barrier_init(&calling.start, NULL, threads);
	pthread_barrier_init(&calling.end, NULL, threads);
	for (int i = 1; i < threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, make_calls_again, NULL))
			die("Cannot start thread %d", i);
	}
	ready("");
	while (next_line(&line)) {
		unsigned long long made = line.argument[0] * threads;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		calling.units = line.argument[0];
		pthread_barrier_wait(&calling.start);
		make_calls();
		pthread_barrier_wait(&calling.end);
		say("{\"read\":{\"count\":%llu,\"errors\":0},\"write\":{\"count\":%llu,\"errors\":"
		    "0},"
		    "\"openat\":{\"count\":%llu,\"errors\":%llu},"
		    "\"close\":{\"count\":%llu,\"errors\":0}}",
		    made, made, 2 * made, made, made);
	}
	return 0;
}

/* epoll_wait exists only on older architectures; elsewhere libraries use epoll_pwait for it. */
#ifdef SYS_epoll_wait
#define EPOLL_CALL "epoll_wait"
#else
#define EPOLL_CALL "epoll_pwait"
#endif

/* One sleep; returns whether the kernel calls it an error. */
static bool sleep_once(const char *call, int epoll, uint64_t usec)
{
	struct timespec wait = {usec / 1000000, usec % 1000000 * 1000};
	struct epoll_event event;
	uint32_t word = 0;

	if (!strcmp(call, "futex"))
		return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait, NULL, 0) < 0;
	if (!strcmp(call, "epoll_wait"))
#ifdef SYS_epoll_wait
		return syscall(SYS_epoll_wait, epoll, &event, 1, (int)(usec / 1000)) < 0;
#else
		return syscall(SYS_epoll_pwait, epoll, &event, 1, (int)(usec / 1000), NULL, 8) < 0;
#endif
	return syscall(SYS_nanosleep, &wait, NULL) < 0;
}

static int sleep_syscall_command(int argc, char **argv)
{
	const char *call = option(argc, argv, "--call", "nanosleep");
	const char *made = !strcmp(call, "epoll_wait") ? EPOLL_CALL : call;
	struct command_line line;
	int epoll;

	if (strcmp(call, "nanosleep") && strcmp(call, "epoll_wait") && strcmp(call, "futex"))
		die("Cannot sleep in %s; give nanosleep, epoll_wait (whole ms) or futex", call);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	/* Without the default slack of 50 us a short sleep takes what it says. */
	prctl(PR_SET_TIMERSLACK, 1);
	ready("");
	while (next_line(&line)) {
		unsigned long long slept = 0, longest = 0, errors = 0;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		for (uint64_t i = 0; i < line.argument[0]; i++) {
			uint64_t start = nanoseconds(CLOCK_MONOTONIC), took;

			errors += sleep_once(call, epoll, line.argument[1]);
			took = nanoseconds(CLOCK_MONOTONIC) - start;
			slept += took;
			longest = took > longest ? took : longest;
		}
		say("{\"syscall\":\"%s\",\"count\":%llu,\"errors\":%llu,\"ns\":%llu,"
		    "\"longest_ns\":%llu}",
		    made, (unsigned long long)line.argument[0], errors, slept, longest);
	}
	return 0;
}

/* The one call is made by number, so that no library stands between. */
static int calls_command(int argc, char **argv)
{
	const char *call = option(argc, argv, "--call", "getppid");
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	bool reads = !strcmp(call, "read");
	struct command_line line;
	char byte;

	if (!reads && strcmp(call, "getppid"))
		die("Cannot repeat %s; give getppid or read", call);
	if (zero < 0)
		die("Cannot open /dev/zero: got %s", strerror(errno));
	ready("");
	while (next_line(&line)) {
		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		if (reads)
			for (uint64_t i = 0; i < line.argument[0]; i++)
				syscall(SYS_read, zero, &byte, 1);
		else
			for (uint64_t i = 0; i < line.argument[0]; i++)
				syscall(SYS_getppid);
		say("{\"count\":%llu}", (unsigned long long)line.argument[0]);
	}
	return 0;
}
