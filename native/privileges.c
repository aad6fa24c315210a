// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kpod.h"
#include "landlock.h"
#include "privileges.h"

#define MOST_SECONDS 2

/* What every thread is to do: it stays, as a thread that hangs in the kernel does it when it gets
 * out. */
static struct {
	uint64_t keep;
	int ruleset; /* -1: none */
	sem_t answered;
	atomic_int answerer; /* the thread that was the last to answer */
	atomic_int error;
} order = {.ruleset = -1};

struct threads {
	pid_t *known;
	size_t count;
	size_t capacity;
};

static int get_capabilities(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) ? -errno : 0;
}

static int set_capabilities(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static void drop_from_bounding_set(uint64_t keep)
{
	for (int number = 0; number < 64; number++)
		if (!(keep >> number & 1) && prctl(PR_CAPBSET_DROP, number, 0, 0, 0))
			/* The kernel knows no more, or forbids it: then there is no_new_privs. */
			break;
}

/* Gives up the calling thread's privileges. Safe in a signal handler. */
static int give_up(void)
{
	struct __user_cap_data_struct data[2];
	int error;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	drop_from_bounding_set(order.keep);
	error = get_capabilities(data);
	if (error)
		return error;
	for (int i = 0; i < 2; i++) {
		uint32_t keep = (uint32_t)(order.keep >> 32 * i);

		data[i].permitted &= keep;
		data[i].effective &= keep;
		data[i].inheritable &= keep;
	}
	error = set_capabilities(data);
	if (!error && order.ruleset >= 0)
		error = kpod_landlock_enter(order.ruleset);
	return error;
}

static void on_order(int signal)
{
	int before = errno, none = 0, error = give_up();

	(void)signal;
	if (error)
		atomic_compare_exchange_strong(&order.error, &none, error);
	atomic_store(&order.answerer, gettid());
	sem_post(&order.answered);
	errno = before;
}

static int take_signal(void)
{
	struct sigaction action = {.sa_handler = on_order, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct sigaction current;

	sigfillset(&action.sa_mask);
	if (sigaction(KPOD_PRIVILEGES_SIGNAL, NULL, &current))
		return -errno;
	if (current.sa_handler != SIG_DFL)
		return -EBUSY;
	return sigaction(KPOD_PRIVILEGES_SIGNAL, &action, NULL) ? -errno : 0;
}

static int is_known(const struct threads *threads, pid_t thread)
{
	for (size_t i = 0; i < threads->count; i++)
		if (threads->known[i] == thread)
			return 1;
	return 0;
}

static int note(struct threads *threads, pid_t thread)
{
	if (threads->count == threads->capacity) {
		size_t capacity = threads->capacity ? 2 * threads->capacity : 64;
		pid_t *grown = realloc(threads->known, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		threads->known = grown;
		threads->capacity = capacity;
	}
	threads->known[threads->count++] = thread;
	return 0;
}

static int wait_for_answer(pid_t thread, const struct timespec *deadline)
{
	/* What another thread answers late is not this one's. */
	do {
		while (sem_timedwait(&order.answered, deadline))
			if (errno != EINTR)
				return -errno;
	} while (atomic_load(&order.answerer) != thread);
	return 0;
}

/* Has one thread give up its privileges, unless it ends before. */
static void command(pid_t thread, const struct timespec *deadline, struct kpod_privileges *dropped)
{
	pid_t process = getpid();

	if (tgkill(process, thread, KPOD_PRIVILEGES_SIGNAL))
		return;
	if (!wait_for_answer(thread, deadline))
		dropped->threads++;
	else if (!tgkill(process, thread, 0))
		dropped->left++;
}

/* Commands all threads that are not known yet. Returns how many that were, or -errno. */
static int command_new(struct threads *threads, const struct timespec *deadline,
		       struct kpod_privileges *dropped)
{
	DIR *directory = opendir("/proc/self/task");
	struct dirent *entry;
	int found = 0;

	if (!directory)
		return -errno;
	while ((entry = readdir(directory))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (!thread || is_known(threads, thread))
			continue;
		if (note(threads, thread)) {
			found = -ENOMEM;
			break;
		}
		found++;
		command(thread, deadline, dropped);
	}
	closedir(directory);
	return found;
}

/*
 * Commands all threads. One that is started meanwhile, by another that has not answered yet, is
 * there at the next look; that two looks find nobody new rules out one that was between them.
 */
static int command_all(struct kpod_privileges *dropped)
{
	struct threads threads = {0};
	struct timespec deadline;
	int found = note(&threads, gettid());

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += MOST_SECONDS;
	for (int looks = 0; looks < 2 && found >= 0; looks++) {
		found = command_new(&threads, &deadline, dropped);
		if (found > 0)
			looks = -1;
	}
	free(threads.known);
	return found < 0 ? found : 0;
}

int kpod_privileges_drop(uint64_t keep, uint32_t deny_writes, struct kpod_privileges *dropped)
{
	int error = take_signal();

	if (error)
		return error;
	memset(dropped, 0, sizeof(*dropped));
	order.keep = keep;
	if (deny_writes)
		order.ruleset = kpod_landlock_deny_writes();
	sem_init(&order.answered, 0, 0);
	error = give_up();
	if (error)
		return error;
	dropped->threads = 1;
	dropped->denies_writes = order.ruleset >= 0;
	error = command_all(dropped);
	/* A thread that did not answer needs it yet. */
	if (order.ruleset >= 0 && !dropped->left) {
		close(order.ruleset);
		order.ruleset = -1;
	}
	return error ? error : atomic_load(&order.error);
}

static int try_map(int map)
{
	uint32_t key = 0, value = 0;
	int error = bpf_map_lookup_elem(map, &key, &value);

	return error ? error : bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

int kpod_privileges_suffice_for_maps(uint64_t capabilities)
{
	int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "kpod_trial", sizeof(uint32_t),
				 sizeof(uint32_t), 1, NULL);
	struct __user_cap_data_struct all[2], some[2];
	int error, result;

	if (map < 0)
		return map;
	error = get_capabilities(all);
	if (!error) {
		memcpy(some, all, sizeof(some));
		for (int i = 0; i < 2; i++)
			some[i].effective &= (uint32_t)(capabilities >> 32 * i);
		error = set_capabilities(some);
	}
	if (!error) {
		result = try_map(map) ? 0 : 1;
		error = set_capabilities(all);
	}
	close(map);
	return error ? error : result;
}
