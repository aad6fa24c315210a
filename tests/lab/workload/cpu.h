/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling: context switches, CPU time, processes that come and go. */
#pragma once

#define MAX_THREADS 64

/* ---- switch ---- */

static struct {
	int threads;
	int pipe[MAX_THREADS][2];
	int done[2];
} token_ring;

/*
 * Passes a token on until it has run out. Who waits for it blocks in read, so each pass is a
 * wake-up and, with --pin, one switch: voluntary where the giver blocks next, involuntary where
 * the woken thread preempts it. Without --pin a reader on another CPU may find the token there.
 */
static void *pass_on(void *argument)
{
	int own = (int)(intptr_t)argument, next = (own + 1) % token_ring.threads;
	uint64_t left;

	while (read(token_ring.pipe[own][0], &left, sizeof(left)) == sizeof(left)) {
		int to = left ? token_ring.pipe[next][1] : token_ring.done[1];

		left -= left > 0;
		if (write(to, &left, sizeof(left)) != sizeof(left))
			break;
	}
	return NULL;
}

static int switch_command(int argc, char **argv)
{
	struct command_line line;

	token_ring.threads = argc > 1 ? atoi(argv[1]) : 2;
	if (token_ring.threads < 1 || token_ring.threads > MAX_THREADS)
		die("Cannot use %d threads; give 1 to %d", token_ring.threads, MAX_THREADS);
	if (pipe(token_ring.done))
		die("Cannot make a pipe: got %s", strerror(errno));
	for (int i = 0; i < token_ring.threads; i++)
		if (pipe(token_ring.pipe[i]))
			die("Cannot make a pipe: got %s", strerror(errno));
	for (int i = 0; i < token_ring.threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, pass_on, (void *)(intptr_t)i))
			die("Cannot start thread %d", i);
	}
	ready("");
	while (next_line(&line)) {
		uint64_t left = line.argument[0];
		struct rusage before, after;

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		getrusage(RUSAGE_SELF, &before);
		if (write(token_ring.pipe[0][1], &left, sizeof(left)) != sizeof(left) ||
		    read(token_ring.done[0], &left, sizeof(left)) != sizeof(left))
			die("Cannot pass the token: got %s", strerror(errno));
		getrusage(RUSAGE_SELF, &after);
		say("{\"units\":%llu,\"voluntary\":%ld,\"involuntary\":%ld}",
		    (unsigned long long)line.argument[0], after.ru_nvcsw - before.ru_nvcsw,
		    after.ru_nivcsw - before.ru_nivcsw);
	}
	return 0;
}

/* ---- spin ---- */

static struct {
	pthread_barrier_t start, end;
	uint64_t milliseconds;
} spinning;

static void burn(uint64_t milliseconds)
{
	uint64_t until = nanoseconds(CLOCK_THREAD_CPUTIME_ID) + milliseconds * 1000000;

	while (nanoseconds(CLOCK_THREAD_CPUTIME_ID) < until)
		for (volatile int i = 0; i < 10000; i++)
			;
}

static void *burn_again(void *unused)
{
	for (;;) {
		pthread_barrier_wait(&spinning.start);
		burn(spinning.milliseconds);
		pthread_barrier_wait(&spinning.end);
	}
	return unused;
}

static int spin_command(int argc, char **argv)
{
	int threads = atoi(option(argc, argv, "--threads", "1"));
	struct command_line line;

	if (threads < 1 || threads > MAX_THREADS)
		die("Cannot use %d threads; give 1 to %d", threads, MAX_THREADS);
	pthread_barrier_init(&spinning.start, NULL, threads);
	pthread_barrier_init(&spinning.end, NULL, threads);
	for (int i = 1; i < threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, burn_again, NULL))
			die("Cannot start thread %d", i);
	}
	ready("");
	while (next_line(&line)) {
		uint64_t wall = nanoseconds(CLOCK_MONOTONIC);
		uint64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);

		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		spinning.milliseconds = line.argument[0];
		pthread_barrier_wait(&spinning.start);
		burn(spinning.milliseconds);
		pthread_barrier_wait(&spinning.end);
		say("{\"cpu_ns\":%llu,\"wall_ns\":%llu}",
		    (unsigned long long)(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu),
		    (unsigned long long)(nanoseconds(CLOCK_MONOTONIC) - wall));
	}
	return 0;
}

/* ---- fork ---- */

/* Most children whose ids fit into one answer. */
#define MAX_KEPT 100

/* Children that have ended and are not waited for: their /proc files can still be read. */
static void keep_children(uint64_t wanted)
{
	char pids[MAX_KEPT * 12] = "";
	size_t length = 0;

	for (uint64_t i = 0; i < wanted && i < MAX_KEPT; i++) {
		siginfo_t ended;
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (child < 0 || waitid(P_PID, child, &ended, WEXITED | WNOWAIT))
			die("Cannot make a child: got %s", strerror(errno));
		length +=
		    snprintf(pids + length, sizeof(pids) - length, "%s%d", i ? "," : "", child);
	}
	say("{\"kept\":[%s]}", pids);
}

static int fork_command(int argc, char **argv)
{
	struct command_line line;

	(void)argc, (void)argv;
	ready("");
	while (next_line(&line)) {
		uint64_t forked = 0;

		if (is(&line, "keep")) {
			keep_children(line.argument[0]);
			continue;
		}
		if (!is(&line, "go")) {
			fail_line(&line);
			continue;
		}
		for (uint64_t i = 0; i < line.argument[0]; i++) {
			pid_t child = fork();

			if (child == 0)
				_exit(0);
			forked += child > 0 && waitpid(child, NULL, 0) == child;
		}
		say("{\"forked\":%llu}", (unsigned long long)forked);
	}
	return 0;
}
