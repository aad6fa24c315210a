// SPDX-License-Identifier: Apache-2.0
/*
 * statfs(2) with a time limit. On a network filesystem whose server is gone even looking up a path
 * waits for ever, so a helper thread does both, on memory and a descriptor of its own. The caller
 * waits as long as it wants to for the next answer and then abandons the helper, which frees what
 * it holds when the kernel lets it go; another one goes on with what is left. Such waits end with
 * the process: they are killable.
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
#include "privileges.h"

#define HELPER_STACK_BYTES (256 * 1024)
/* A call with answers all the time ends after this many times what one may take. */
#define MOST_TIMES 10

struct item {
	const char *directory;
	const char *relative;
	const char *key;
	struct kpod_statfs result;
};

#define TEXTS_OF_AN_ITEM 3

struct job {
	struct job *next; /* among the abandoned */
	pthread_cond_t finished;
	int is_abandoned;
	uint32_t count;
	uint32_t done; /* the next item is the one that is worked at */
	int root;
	char *texts;
	struct item items[];
};

/* Guards the list, and what caller and helper both use of a job. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct job *abandoned;
static unsigned int abandoned_count;

static void free_job(struct job *job)
{
	if (job->root >= 0)
		close(job->root);
	pthread_cond_destroy(&job->finished);
	free(job->texts);
	free(job);
}

static const char *next_text(const char **texts)
{
	const char *text = *texts;

	*texts += strlen(text) + 1;
	return text;
}

static struct job *new_job(const struct kpod_root *root, const char *texts, uint64_t texts_size,
			   uint32_t count)
{
	struct job *job = calloc(1, sizeof(*job) + count * sizeof(struct item));
	pthread_condattr_t attributes;

	if (!job)
		return NULL;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&job->finished, &attributes);
	pthread_condattr_destroy(&attributes);
	job->count = count;
	job->root = fcntl(root->descriptor, F_DUPFD_CLOEXEC, 0);
	job->texts = malloc(texts_size);
	if (job->root < 0 || !job->texts) {
		free_job(job);
		return NULL;
	}
	memcpy(job->texts, texts, texts_size);
	texts = job->texts;
	for (struct item *item = job->items; item < job->items + count; item++) {
		item->directory = next_text(&texts);
		item->relative = next_text(&texts);
		item->key = next_text(&texts);
	}
	return job;
}

/* As the next double: only beyond 2^53 is that another number. */
static double bytes(uint64_t blocks, uint64_t block_size)
{
	return (double)((unsigned __int128)blocks * block_size);
}

static int measure(int directory, const char *relative, struct kpod_statfs *result)
{
	int descriptor = kpod_open_beneath(directory, relative, O_PATH, 0);
	struct statfs filesystem;
	struct statx status;
	uint64_t block_size;
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
	block_size = (uint64_t)(filesystem.f_frsize ? filesystem.f_frsize : filesystem.f_bsize);
	result->capacity_bytes = bytes(filesystem.f_blocks, block_size);
	result->free_bytes = bytes(filesystem.f_bfree, block_size);
	result->available_bytes = bytes(filesystem.f_bavail, block_size);
	result->is_directory = S_ISDIR(status.stx_mode);
	result->mount_id = status.stx_mask & STATX_MNT_ID ? (double)status.stx_mnt_id : 0;
	return 0;
}

/* Why an item must not be worked at: an earlier one hangs. 0 if it may. */
static int refusal(const char *key)
{
	for (struct job *job = abandoned; job; job = job->next)
		if (!strcmp(job->items[job->done].key, key))
			return -EBUSY;
	return abandoned_count >= KPOD_STATFS_MAX_HUNG ? -EAGAIN : 0;
}

/* What the items that follow each other lie beneath. */
struct directory {
	const char *path; /* NULL: none is open */
	int descriptor;
};

static void close_directory(struct directory *directory)
{
	if (directory->path)
		close(directory->descriptor);
	directory->path = NULL;
}

/* Opens an item's directory, where it is another than the last one's. Not beneath the root: it may
 * be PID/root. */
static int change_directory(struct directory *directory, int root, const char *path)
{
	if (directory->path && !strcmp(directory->path, path))
		return 0;
	close_directory(directory);
	directory->descriptor = openat(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory->descriptor < 0)
		return -errno;
	directory->path = path;
	return 0;
}

static void work_at(const struct item *item, int root, struct directory *directory,
		    struct kpod_statfs *result)
{
	int error = change_directory(directory, root, item->directory);

	result->is_directory_error = error != 0;
	if (!error)
		error = measure(directory->descriptor, item->relative, result);
	result->error = -error;
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
	struct directory directory = {NULL, -1};
	int is_abandoned;

	pthread_mutex_lock(&lock);
	while (job->done < job->count) {
		struct item *item = &job->items[job->done];
		struct kpod_statfs result = {.error = -refusal(item->key)};

		if (!result.error) {
			pthread_mutex_unlock(&lock);
			work_at(item, job->root, &directory, &result);
			pthread_mutex_lock(&lock);
		}
		if (job->is_abandoned)
			break;
		item->result = result;
		job->done++;
	}
	is_abandoned = job->is_abandoned;
	if (is_abandoned)
		forget(job);
	else
		pthread_cond_signal(&job->finished);
	pthread_mutex_unlock(&lock);
	close_directory(&directory);
	if (is_abandoned)
		free_job(job);
	return NULL;
}

/* Starts the detached helper, deaf to signals but one: the process's handlers are not to run on it.
 */
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
	sigdelset(&all, KPOD_PRIVILEGES_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&helper, &attributes, help, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}

static struct timespec after(uint64_t milliseconds)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(milliseconds / 1000);
	at.tv_nsec += (long)(milliseconds % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

static int is_over(const struct timespec *time)
{
	struct timespec now = after(0);

	return now.tv_sec > time->tv_sec ||
	       (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

/* Waits for all answers, for the next one no longer than it may take. Returns how many there are.
 */
static uint32_t wait_for(struct job *job, uint32_t timeout_ms, const struct timespec *end)
{
	struct timespec deadline = after(timeout_ms);
	uint32_t seen = 0;

	while (job->done < job->count) {
		if (!pthread_cond_timedwait(&job->finished, &lock, &deadline))
			continue;
		if (job->done == seen || is_over(end))
			break;
		seen = job->done;
		deadline = after(timeout_ms);
	}
	return job->done;
}

/* Takes the answers, and gives the helper up where one is missing. Returns how many there are. */
static uint32_t finish(struct job *job, uint32_t timeout_ms, const struct timespec *end,
		       struct kpod_statfs *out)
{
	uint32_t done;
	int is_complete;

	pthread_mutex_lock(&lock);
	done = wait_for(job, timeout_ms, end);
	for (uint32_t i = 0; i < done; i++)
		out[i] = job->items[i].result;
	is_complete = done == job->count;
	if (!is_complete) {
		job->is_abandoned = 1;
		job->next = abandoned;
		abandoned = job;
		abandoned_count++;
	}
	pthread_mutex_unlock(&lock);
	if (is_complete)
		free_job(job);
	return done;
}

/* What follows the texts of so many items. */
static const char *skip(const char *texts, uint32_t items)
{
	for (uint32_t i = 0; i < TEXTS_OF_AN_ITEM * items; i++)
		next_text(&texts);
	return texts;
}

int kpod_statfs(const struct kpod_root *root, const char *texts, uint64_t texts_size,
		uint32_t count, uint32_t timeout_ms, struct kpod_statfs *out)
{
	struct timespec end = after((uint64_t)timeout_ms * MOST_TIMES);
	/* Without any, texts may be NULL. */
	const char *texts_end = count ? texts + texts_size : texts;
	uint32_t from = 0;

	while (from < count && !is_over(&end)) {
		struct job *job = new_job(root, texts, (uint64_t)(texts_end - texts), count - from);
		int error = job ? start_helper(job) : -ENOMEM;
		uint32_t done;

		if (error) {
			if (job)
				free_job(job);
			return error;
		}
		done = finish(job, timeout_ms, &end, out + from);
		from += done;
		if (from == count)
			return 0;
		out[from++].error = ETIMEDOUT;
		texts = skip(texts, done + 1);
	}
	while (from < count)
		out[from++].error = EAGAIN;
	return 0;
}
