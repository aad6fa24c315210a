// SPDX-License-Identifier: Apache-2.0
/*
 * The processes of a node's pods, in cgroups that are there, as a container runtime leaves them:
 * each pod with a network of its own, each container with a root filesystem and the usual mounts.
 *
 *   agent_pods DIRECTORY      for the containers' files
 *
 * It says "ready" and obeys these lines, as of ../lab/workload/line.h:
 *
 *   sandbox CGROUP            the next pod's sandbox
 *   container CGROUP          the pod's next container
 *   pod                       makes the pod; answers {"pids":[sandbox, container, ...]}
 *   work                      each process does a little of what is counted; answers when all have
 *
 * All of them end with it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../lab/workload/line.h"

#define MOST_CONTAINERS 16
#define WAIT_SECONDS	30

struct pod {
	char sandbox[LINE_BYTES];
	char containers[MOST_CONTAINERS][LINE_BYTES];
	int count;
};

/* What all processes share. */
static struct {
	atomic_int ready, worked;
	pid_t pids[1 + MOST_CONTAINERS]; /* of the pod that is being made */
} * shared;

static int processes;

static const struct {
	const char *source, *target, *type;
	unsigned long flags;
	const char *data;
} mounts[] = {
    {"proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"tmpfs", "dev", "tmpfs", MS_NOSUID, "size=65536k,mode=755"},
    {"devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"},
    {"mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL},
    {"cgroup", "sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL},
    {"data", "data", NULL, MS_BIND, NULL},
    {"file", "etc/hosts", NULL, MS_BIND, NULL},
    {"file", "dev/termination-log", NULL, MS_BIND, NULL},
    {"file", "etc/hostname", NULL, MS_BIND, NULL},
    {"file", "etc/resolv.conf", NULL, MS_BIND, NULL},
    {"shm", "dev/shm", NULL, MS_BIND, NULL},
    {"tmpfs", "var/run/secrets/kubernetes.io/serviceaccount", "tmpfs", 0, "size=131072k"},
    {"root/proc/bus", "proc/bus", NULL, MS_BIND, NULL},
    {"root/proc/fs", "proc/fs", NULL, MS_BIND, NULL},
    {"root/proc/irq", "proc/irq", NULL, MS_BIND, NULL},
    {"root/proc/sys", "proc/sys", NULL, MS_BIND, NULL},
    {"root/proc/sysrq-trigger", "proc/sysrq-trigger", NULL, MS_BIND, NULL},
    {"tmpfs", "proc/acpi", "tmpfs", MS_RDONLY, "size=4k,nr_inodes=1"},
    {"root/dev/null", "proc/interrupts", NULL, MS_BIND, NULL},
    {"root/dev/null", "proc/kcore", NULL, MS_BIND, NULL},
    {"root/dev/null", "proc/keys", NULL, MS_BIND, NULL},
    {"root/dev/null", "proc/timer_list", NULL, MS_BIND, NULL},
    {"tmpfs", "sys/firmware", "tmpfs", MS_RDONLY, "size=4k,nr_inodes=1"},
};

static void must(bool done, const char *what)
{
	if (!done)
		die("Cannot make %s: got %s; run as root", what, strerror(errno));
}

static void make_file(const char *path, mode_t type)
{
	must(!mknod(path, type | 0644, makedev(1, 3)) || errno == EEXIST, path);
}

static void make_directories(const char *const *paths)
{
	for (; *paths; paths++)
		must(!mkdir(*paths, 0755) || errno == EEXIST, *paths);
}

/* What every container's root shows before anything is mounted in it, and what is mounted there. */
static void make_image(void)
{
	make_directories((const char *const[]){
	    "image", "image/proc", "image/dev", "image/sys", "image/etc", "image/data", "image/var",
	    "image/var/run", "image/var/run/secrets", "image/var/run/secrets/kubernetes.io",
	    "image/var/run/secrets/kubernetes.io/serviceaccount", "data", "shm", "root", NULL});
	make_file("image/etc/hosts", S_IFREG);
	make_file("image/etc/hostname", S_IFREG);
	make_file("image/etc/resolv.conf", S_IFREG);
	make_file("file", S_IFREG);
}

static void join_cgroup(const char *directory)
{
	char path[LINE_BYTES + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0 && write(fd, "0", 1) == 1, directory);
	close(fd);
}

/* A file set of its own above the image, in directories named for the process. */
static void mount_root(void)
{
	char upper[32], work[32], own[32], options[128];

	snprintf(own, sizeof(own), "%d", getpid());
	snprintf(upper, sizeof(upper), "%s/upper", own);
	snprintf(work, sizeof(work), "%s/work", own);
	make_directories((const char *const[]){own, upper, work, NULL});
	snprintf(options, sizeof(options), "lowerdir=image,upperdir=%s,workdir=%s", upper, work);
	must(!mount("overlay", "root", "overlay", 0, options), "a container's root");
}

static void fill_dev(void)
{
	make_directories(
	    (const char *const[]){"root/dev/pts", "root/dev/mqueue", "root/dev/shm", NULL});
	make_file("root/dev/null", S_IFCHR);
	make_file("root/dev/termination-log", S_IFREG);
}

static void mount_all(void)
{
	mount_root();
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		char target[128];

		snprintf(target, sizeof(target), "root/%s", mounts[i].target);
		/* Not every kernel has every one of the files that a runtime hides. */
		must(!mount(mounts[i].source, target, mounts[i].type, mounts[i].flags,
			    mounts[i].data) ||
			 errno == ENOENT,
		     target);
		if (!strcmp(mounts[i].target, "dev"))
			fill_dev();
	}
}

static void enter_root(void)
{
	must(!chdir("root") && !syscall(SYS_pivot_root, ".", ".") && !umount2(".", MNT_DETACH) &&
		 !chdir("/"),
	     "a container's root its root");
}

static void own_mounts(void)
{
	must(!unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL),
	     "a mount namespace");
}

static void bring_up(const char *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_flags = IFF_UP};

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	must(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &request), "an interface that is up");
	close(fd);
}

/* Returns the far end of the pod's interface. */
static int own_network(void)
{
	struct ifreq request = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd;

	must(!unshare(CLONE_NEWNET), "a network namespace");
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	must(fd >= 0 && !ioctl(fd, TUNSETIFF, &request), "the interface eth0");
	bring_up("lo");
	bring_up("eth0");
	return fd;
}

static int listen_locally(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	must(fd >= 0 && !bind(fd, (struct sockaddr *)address, length) && !listen(fd, 8) &&
		 !getsockname(fd, (struct sockaddr *)address, &length),
	     "a socket that listens");
	return fd;
}

static void talk(int listener, const struct sockaddr_in *address)
{
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;
	char bytes[1000] = "";

	if (client >= 0 && !connect(client, (const struct sockaddr *)address, sizeof(*address))) {
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		sendto(client, bytes, sizeof(bytes), 0, NULL, 0);
		recvfrom(server, bytes, sizeof(bytes), MSG_WAITALL, NULL, NULL);
		close(server);
	}
	close(client);
}

/* Every system call that is tracked by default, apart from those of talk(). */
static void call(int epoll)
{
	struct epoll_event event;
	uint32_t word = 0;
	char byte = 0;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 0)
		die("Cannot use /dev/null in a container: got %s", strerror(errno));
	close(fd);
	epoll_wait(epoll, &event, 1, 0);
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &(struct timespec){0, 50000}, NULL, 0);
}

static void wait_for_work(void)
{
	sigset_t work;
	int signal;

	sigemptyset(&work);
	sigaddset(&work, SIGUSR1);
	sigwait(&work, &signal);
}

/* To those that runtimes leave a container by default: none may mount. */
static void drop_capabilities(void)
{
	const uint64_t kept = 0xa80425fb;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2] = {{(uint32_t)kept, (uint32_t)kept, 0}};

	for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
		if (!(kept >> capability & 1))
			prctl(PR_CAPBSET_DROP, capability);
	must(!syscall(SYS_capset, &header, sets), "fewer capabilities");
}

static void run_container(const char *cgroup, bool serves)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), listener = -1;
	struct sockaddr_in address;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	own_mounts();
	mount_all();
	join_cgroup(cgroup);
	enter_root();
	drop_capabilities();
	if (serves)
		listener = listen_locally(&address);
	atomic_fetch_add(&shared->ready, 1);
	for (;;) {
		wait_for_work();
		call(epoll);
		if (serves)
			talk(listener, &address);
		atomic_fetch_add(&shared->worked, 1);
	}
}

static void run_sandbox(const struct pod *pod)
{
	static const char frame[60] = {[12] = 0x08};
	int network;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	own_mounts();
	network = own_network();
	must(!mount("shm", "shm", "tmpfs", 0, "size=65536k"), "a pod's shared memory");
	for (int i = 0; i < pod->count; i++) {
		pid_t pid = fork();

		must(pid >= 0, "a container's process");
		if (!pid)
			run_container(pod->containers[i], i == 0);
		shared->pids[1 + i] = pid;
	}
	join_cgroup(pod->sandbox);
	atomic_fetch_add(&shared->ready, 1);
	for (;;) {
		wait_for_work();
		if (write(network, frame, sizeof(frame)) < 0)
			die("Cannot send to a pod's interface: got %s", strerror(errno));
		atomic_fetch_add(&shared->worked, 1);
	}
}

/* Whether so many processes have come so far before long. */
static bool all_have(atomic_int *counter, int expected)
{
	uint64_t limit = nanoseconds(CLOCK_MONOTONIC) + WAIT_SECONDS * 1000000000ull;

	while (atomic_load(counter) < expected) {
		if (nanoseconds(CLOCK_MONOTONIC) > limit)
			return false;
		usleep(200);
	}
	return true;
}

static void make_pod(const struct pod *pod)
{
	char pids[512] = "";
	pid_t pid = fork();

	must(pid >= 0, "a sandbox's process");
	if (!pid)
		run_sandbox(pod);
	processes += 1 + pod->count;
	if (!all_have(&shared->ready, processes))
		die("Cannot wait longer for a pod's processes; see what they said");
	shared->pids[0] = pid;
	for (int i = 0; i <= pod->count; i++)
		sprintf(pids + strlen(pids), "%s%d", i ? "," : "", shared->pids[i]);
	say("{\"pids\":[%s]}", pids);
}

static void work(void)
{
	atomic_store(&shared->worked, 0);
	kill(0, SIGUSR1);
	if (!all_have(&shared->worked, processes))
		die("Cannot wait longer for the pods' processes to work");
	say("{}");
}

int main(int argc, char **argv)
{
	struct command_line line;
	struct pod pod = {.count = 0};
	sigset_t blocked;

	must(argc == 2 && !chdir(argv[1]), "files in the directory for the containers");
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared != MAP_FAILED, "shared memory");
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	/* One group for all of them; and Ctrl-C is for the driver. */
	setpgid(0, 0);
	make_image();
	ready("");
	while (next_line(&line)) {
		const char *rest = line.text + strlen(line.word) + 1;

		if (is(&line, "sandbox"))
			strcpy(pod.sandbox, rest);
		else if (is(&line, "container") && pod.count < MOST_CONTAINERS)
			strcpy(pod.containers[pod.count++], rest);
		else if (is(&line, "pod")) {
			make_pod(&pod);
			pod.count = 0;
		} else if (is(&line, "work"))
			work();
		else
			fail_line(&line);
	}
	return 0;
}
