// SPDX-License-Identifier: Apache-2.0
/*
 * Processes whose kernel activity is known exactly, to hold a metric against.
 *
 *   workload [--cgroup DIR]... [--new-netns | --netns NAME|PATH] [--pin] COMMAND [ARGS]
 *
 * The process joins the cgroups and the network namespace first, so that everything it makes
 * afterwards, sockets included, belongs to them. A command prints "ready" when it is set up, then
 * obeys the lines on its standard input (see line.h), and stays alive until it reads "exit" or the
 * end of the input, so that its /proc files can be read beside the kernel's own numbers.
 *
 *   pause                                      nothing
 *   switch [THREADS]                           go N: N or more switches, around a ring of threads
 *   spin [--threads T]                         go MS: MS milliseconds of CPU time on each thread
 *   fork                                       go N: N children, one after another
 *                                              keep N: as many left as zombies (100 at most)
 *   syscalls [--threads T]                     go N: N of each kind on each thread, exactly
 *   calls [--call getppid|read]                go N: N of that system call, one byte each for read
 *   sleep-syscall [--call NAME]                go N USEC: N sleeps inside one system call
 *   interrupted [--restart yes]                go N: N reads, each until a SIGUSR1
 *   children [--call fork|vfork|clone]         go N: N children by that call
 *   compat                                     go N: N 32-bit system calls (x86_64)
 *   fault FILE                                 go N: N major faults on the file
 *   alloc [--threads T]                        go MB: MB more of touched memory on each thread
 *   tcp-server ADDR PORT [--mode MODE] [--think USEC]
 *                                              stats
 *   tcp-client ADDR PORT [--mode MODE] [--chunk BYTES] [--cork yes]
 *                                              go BYTES, connect [MS], rr N SIZE, close
 *   pair KIND                                  open, go BYTES, close
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "workload/line.h"
#include "workload/cpu.h"
#include "workload/memory.h"
#include "workload/syscalls.h"
#include "workload/special_calls.h"
#include "workload/uring.h"
#include "workload/tcp.h"
#include "workload/tcp_server.h"
#include "workload/tcp_client.h"
#include "workload/pair.h"

static int pause_command(int argc, char **argv)
{
	struct command_line line;

	(void)argc, (void)argv;
	ready("");
	while (next_line(&line))
		fail_line(&line);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
    {"pause", pause_command},
    {"switch", switch_command},
    {"spin", spin_command},
    {"fork", fork_command},
    {"syscalls", syscalls_command},
    {"calls", calls_command},
    {"sleep-syscall", sleep_syscall_command},
    {"interrupted", interrupted_command},
    {"children", children_command},
    {"compat", compat_command},
    {"fault", fault_command},
    {"alloc", alloc_command},
    {"tcp-server", tcp_server_command},
    {"tcp-client", tcp_client_command},
    {"pair", pair_command},
};

static void join_cgroup(const char *directory)
{
	char path[4096], pid[16];
	int fd, length = snprintf(pid, sizeof(pid), "%d", getpid());

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, pid, length) != length)
		die("Cannot join the cgroup %s: got %s; make it first and run as root", directory,
		    strerror(errno));
	close(fd);
}

static void join_network(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), strchr(name, '/') ? "%s" : "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die("Cannot enter the network namespace %s: got %s; make it first and run as root",
		    path, strerror(errno));
	close(fd);
}

/* A new namespace's loopback interface is down; a pod's is up. */
static void new_network(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET))
		die("Cannot make a network namespace: got %s; run as root", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		die("Cannot bring up lo: got %s; run as root", strerror(errno));
	close(fd);
}

/* Pins the process to the first CPU it may use, so that its threads contend for it. */
static void pin(void)
{
	cpu_set_t allowed, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		die("Cannot read the CPU mask: got %s", strerror(errno));
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		die("Cannot pin to CPU %d: got %s", cpu, strerror(errno));
}

int main(int argc, char **argv)
{
	int at = 1;

	for (; at < argc && !strncmp(argv[at], "--", 2); at++) {
		if (!strcmp(argv[at], "--cgroup") && at + 1 < argc)
			join_cgroup(argv[++at]);
		else if (!strcmp(argv[at], "--netns") && at + 1 < argc)
			join_network(argv[++at]);
		else if (!strcmp(argv[at], "--new-netns"))
			new_network();
		else if (!strcmp(argv[at], "--pin"))
			pin();
		else
			die("Cannot use the option %s; see the head of workload.c", argv[at]);
	}
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; at < argc && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[at], commands[i].name))
			return commands[i].run(argc - at, argv + at);
	die("Cannot run %s: not a command; see the head of workload.c",
	    at < argc ? argv[at] : "nothing");
}
