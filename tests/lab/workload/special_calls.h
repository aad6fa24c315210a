/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that do not simply return: interrupted ones, ones that return twice, 32-bit ones. */
#pragma once

/* ---- interrupted ---- */

static struct {
	int pipe[2];
	/* How often the handler ran. */
	volatile sig_atomic_t handled;
	bool restart;
} interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted.handled++;
	/* What the read that the kernel restarts then finds. */
	if (interrupted.restart && write(interrupted.pipe[1], "x", 1) != 1)
		_exit(1);
}

/* Each unit is one read of an empty pipe, which ends when the driver sends SIGUSR1. */
static int interrupted_command(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct command_line line;
	char byte;

	interrupted.restart = !strcmp(option(argc, argv, "--restart", "no"), "yes");
	if (interrupted.restart)
		action.sa_flags = SA_RESTART;
	if (pipe(interrupted.pipe) || sigaction(SIGUSR1, &action, NULL))
		die("Cannot set up a pipe and a handler: got %s", strerror(errno));
	ready("");
	while (next_line(&line)) {
		uint64_t errors = 0;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		interrupted.handled = 0;
		for (uint64_t i = 0; i < line.argument[0]; i++)
			errors += syscall(SYS_read, interrupted.pipe[0], &byte, 1) < 0;
		say("{\"errors\":%llu,\"handled\":%d}", (unsigned long long)errors,
		    (int)interrupted.handled);
	}
	return 0;
}

/* ---- children ---- */

/* One child by one of the calls that return in both, or -1 where this architecture lacks it. */
static pid_t child_by(const char *call)
{
	pid_t child = -1;

#ifdef SYS_fork
	if (!strcmp(call, "fork"))
		child = syscall(SYS_fork);
#endif
#ifdef SYS_vfork
	if (!strcmp(call, "vfork"))
		child = vfork();
#endif
	if (!strcmp(call, "clone"))
		child = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	if (child == 0)
		_exit(0);
	return child;
}

static int children_command(int argc, char **argv)
{
	const char *call = option(argc, argv, "--call", "clone");
	struct command_line line;

	ready("");
	while (next_line(&line)) {
		uint64_t children = 0;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		for (uint64_t i = 0; i < line.argument[0]; i++) {
			pid_t child = child_by(call);

			children += child > 0 && waitpid(child, NULL, 0) == child;
		}
		say("{\"children\":%llu}", (unsigned long long)children);
	}
	return 0;
}

/* ---- compat ---- */

/* getuid of the 32-bit table; number 24 of the 64-bit one is sched_yield. */
#define I386_GETUID 24

/* A 32-bit system call, made by a 64-bit program. */
static long call_i386(long number)
{
#ifdef __x86_64__
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory");
	return result;
#else
	(void)number;
	return -1;
#endif
}

static int compat_command(int argc, char **argv)
{
	struct command_line line;

	(void)argc, (void)argv;
	ready("");
	while (next_line(&line)) {
		uint64_t right = 0;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		for (uint64_t i = 0; i < line.argument[0]; i++)
			right += call_i386(I386_GETUID) == (long)getuid();
		say("{\"right\":%llu}", (unsigned long long)right);
	}
	return 0;
}
