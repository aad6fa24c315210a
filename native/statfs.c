// SPDX-License-Identifier: Apache-2.0
/*
 * statfs(2) with a time limit. On a network filesystem whose server is gone even looking up a path
 * waits for ever, so a helper thread does both, on memory and a descriptor of its own. The caller
 * waits as long as it wants to and then abandons the helper, which frees what it holds when the
 * kernel lets it go. Such waits end with the process: they are killable.
 *
 * The library must stay loaded while a helper is running (link with -z nodelete).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "beneath.h"
#include "kpod_files.h"

#define HELPER_STACK_BYTES (256 * 1024)

struct job {
	struct job *next; /* among the abandoned */
	int directory;
	char *relative;
	char *key;
	pthread_cond_t finished;
	int is_finished;
	int is_abandoned;
	int error;
	struct kpod_statfs result;
};

/* Guards the list, and every job's is_finished and is_abandoned. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct job *abandoned;
static unsigned int abandoned_count;

static void free_job(struct job *job)
{
	if (job->directory >= 0)
		close(job->directory);
	pthread_cond_destroy(&job->finished);
	free(job->relative);
	free(job->key);
	free(job);
}

static struct job *new_job(const struct kpod_root *root, const char *relative, const char *key)
{
	struct job *job = calloc(1, sizeof(*job));
	pthread_condattr_t attributes;

	if (!job)
		return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&job->finished, &attributes);
	pthread_condattr_destroy(&attributes);
	job->directory = fcntl(root->descriptor, F_DUPFD_CLOEXEC, 0);
	job->relative = strdup(relative);
	job->key = strdup(key);
	if (job->directory >= 0 && job->relative && job->key)
		return job;
	free_job(job);
	return NULL;
}

static int measure(int directory, const char *relative, struct kpod_statfs *result)
{
	int descriptor = kpod_open_beneath(directory, relative, O_PATH, 0);
	struct statfs filesystem;
	struct statx status;
	int error = 0;

	if (descriptor < 0)
		return descriptor;
	/* What it is does not change, so what the kernel remembers of it will do. */
	if (fstatfs(descriptor, &filesystem) ||
	    statx(descriptor, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID,
		  &status))
		error = -errno;
	close(descriptor);
	if (error)
		return error;
	result->block_size =
	    (uint64_t)(filesystem.f_frsize ? filesystem.f_frsize : filesystem.f_bsize);
	result->blocks = filesystem.f_blocks;
	result->blocks_free = filesystem.f_bfree;
	result->blocks_available = filesystem.f_bavail;
	result->files = filesystem.f_files;
	result->files_free = filesystem.f_ffree;
	result->type = (uint64_t)filesystem.f_type;
	result->device = (uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor;
	result->mode = status.stx_mode;
	result->mount_id = status.stx_mask & STATX_MNT_ID ? status.stx_mnt_id : 0;
	return 0;
}

static void forget(struct job *job)
{
	struct job **link = &abandoned;

	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
	abandoned_count--;
}

static void *help(void *argument)
{
	struct job *job = argument;
	int is_abandoned;

	job->error = measure(job->directory, job->relative, &job->result);
	pthread_mutex_lock(&lock);
	job->is_finished = 1;
	is_abandoned = job->is_abandoned;
	if (is_abandoned)
		forget(job);
	else
		pthread_cond_signal(&job->finished);
	pthread_mutex_unlock(&lock);
	if (is_abandoned)
		free_job(job);
	return NULL;
}

/* Starts the detached helper, deaf to signals: the process's handlers are not to run on it. */
static int start_helper(struct job *job)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t helper;
	int error = pthread_attr_init(&attributes);

	if (error)
		return -error;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&helper, &attributes, help, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}

static struct timespec after(uint32_t milliseconds)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += milliseconds / 1000;
	at.tv_nsec += (long)(milliseconds % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* Why a call must not start: an earlier one hangs. 0 if it may. */
static int refusal(const char *key)
{
	int error = 0;

	pthread_mutex_lock(&lock);
	if (abandoned_count >= KPOD_STATFS_MAX_HUNG)
		error = -EAGAIN;
	for (struct job *job = abandoned; job; job = job->next)
		if (!strcmp(job->key, key))
			error = -EBUSY;
	pthread_mutex_unlock(&lock);
	return error;
}

int kpod_statfs(const struct kpod_root *root, const char *relative, const char *key,
		uint32_t timeout_ms, struct kpod_statfs *out)
{
	struct timespec deadline = after(timeout_ms);
	int error = refusal(key);
	struct job *job;

	if (error)
		return error;
	job = new_job(root, relative, key);
	if (!job)
		return -ENOMEM;
	error = start_helper(job);
	if (error) {
		free_job(job);
		return error;
	}

	pthread_mutex_lock(&lock);
	while (!job->is_finished && !error)
		error = -pthread_cond_timedwait(&job->finished, &lock, &deadline);
	if (!job->is_finished) {
		job->is_abandoned = 1;
		job->next = abandoned;
		abandoned = job;
		abandoned_count++;
		pthread_mutex_unlock(&lock);
		return error;
	}
	pthread_mutex_unlock(&lock);

	error = job->error;
	if (!error)
		*out = job->result;
	free_job(job);
	return error;
}
