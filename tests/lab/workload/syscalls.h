/* SPDX-License-Identifier: Apache-2.0 */
/* System calls whose number, errors and time are known. */
#pragma once

/*
 * Between "ready" and the answer the process makes these calls and the protocol's readv and
 * writev, and no other read, write, openat or close.
 */
static int syscalls_command(int argc, char **argv)
{
	struct command_line line;
	int zero, null;
	char byte = 0;

	(void)argc, (void)argv;
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (zero < 0 || null < 0)
		die("Cannot open /dev/zero and /dev/null: got %s", strerror(errno));
	ready("");
	while (next_line(&line)) {
		unsigned long long units = line.argument[0], failed = 0;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		for (unsigned long long i = 0; i < units; i++) {
			long opened;

			if (syscall(SYS_read, zero, &byte, 1) != 1 ||
			    syscall(SYS_write, null, &byte, 1) != 1)
				die("Cannot read or write a byte: got %s", strerror(errno));
			opened = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
			if (opened < 0 || syscall(SYS_close, (int)opened))
				die("Cannot open and close: got %s", strerror(errno));
			failed += syscall(SYS_openat, AT_FDCWD, "/nonexistent", O_RDONLY) == -1;
		}
		say("{\"read\":{\"count\":%llu,\"errors\":0},\"write\":{\"count\":%llu,\"errors\":"
		    "0},"
		    "\"openat\":{\"count\":%llu,\"errors\":%llu},"
		    "\"close\":{\"count\":%llu,\"errors\":0}}",
		    units, units, 2 * units, failed, units);
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
		unsigned long long slept = 0, errors = 0;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		for (uint64_t i = 0; i < line.argument[0]; i++) {
			uint64_t start = nanoseconds(CLOCK_MONOTONIC);

			errors += sleep_once(call, epoll, line.argument[1]);
			slept += nanoseconds(CLOCK_MONOTONIC) - start;
		}
		say("{\"syscall\":\"%s\",\"count\":%llu,\"errors\":%llu,\"ns\":%llu}", made,
		    (unsigned long long)line.argument[0], errors, slept);
	}
	return 0;
}
