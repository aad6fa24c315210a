/*
 * Preloaded into a process: its time of day is ahead by the seconds in the file CLOCK_AHEAD, a
 * 64-bit number of this machine's byte order that may change at any time. Its monotonic clocks are
 * left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

static int64_t seconds_ahead(void)
{
	if (!ahead) {
		int file = open(getenv("CLOCK_AHEAD"), O_RDONLY | O_CLOEXEC);
		void *map = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, file, 0);

		if (map == MAP_FAILED)
			abort();
		close(file);
		ahead = map;
	}
	return *ahead;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(clock, time);

	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		time->tv_sec += seconds_ahead();
	return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
	int result = real(time, zone);

	time->tv_sec += seconds_ahead();
	return result;
}
