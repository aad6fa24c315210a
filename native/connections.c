// SPDX-License-Identifier: Apache-2.0
/* The connections of this process, found among its descriptors: their owner keeps them to itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kpod.h"

/* TCP_LISTEN; <netinet/tcp.h>, which has the name, does not go with <linux/tcp.h>. */
#define STATE_LISTEN 10

static int descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) ? -errno : (int)limit.rlim_cur;
}

/* How many descriptors the process has room for just now, which is above the highest in use. */
static int descriptor_room(void)
{
	char status[4096];
	const char *field;
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (file < 0)
		return errno == EMFILE ? descriptor_limit() : -errno;
	length = read(file, status, sizeof(status) - 1);
	close(file);
	if (length < 0)
		return -EIO;
	status[length] = 0;
	field = strstr(status, "\nFDSize:");
	return field ? atoi(field + strlen("\nFDSize:")) : -ENODATA;
}

int kpod_descriptors(void)
{
	int room = descriptor_room(), open = 0;

	for (int descriptor = 0; descriptor < room; descriptor++)
		open += fcntl(descriptor, F_GETFD) >= 0;
	return room < 0 ? room : open;
}

typedef int address_function(int, struct sockaddr *, socklen_t *);

/* The port of one end of a socket: getsockname() says its own, getpeername() the other's. */
static int port_of(int descriptor, address_function *end)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	if (end(descriptor, (struct sockaddr *)&address, &length))
		return -1;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return -1;
}

static int cookie(int descriptor, uint64_t *id)
{
	socklen_t length = sizeof(*id);

	return getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, id, &length) ? -errno : 0;
}

/* Whether the descriptor is a connection on this port, and if so, what there is to say of it. */
static int describe(int descriptor, int port, struct kpod_connection *connection)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);
	int queued = 0, peer;

	if (port_of(descriptor, getsockname) != port ||
	    getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) ||
	    info.tcpi_state == STATE_LISTEN || ioctl(descriptor, SIOCOUTQ, &queued) ||
	    cookie(descriptor, &connection->id))
		return 0;
	peer = port_of(descriptor, getpeername);
	connection->peer_port = peer < 0 ? 0 : (uint32_t)peer;
	connection->descriptor = (uint32_t)descriptor;
	connection->received = info.tcpi_bytes_received;
	connection->acknowledged = info.tcpi_bytes_acked;
	connection->unacknowledged = (uint32_t)queued;
	connection->quiet_ms = info.tcpi_last_data_recv < info.tcpi_last_data_sent
				   ? info.tcpi_last_data_recv
				   : info.tcpi_last_data_sent;
	return 1;
}

int64_t kpod_connections(uint32_t port, uint8_t *buffer, uint64_t capacity)
{
	int room = descriptor_room();
	uint64_t used = 0;

	if (room < 0)
		return room;
	for (int descriptor = 0; descriptor < room; descriptor++) {
		struct kpod_connection connection;

		if (!describe(descriptor, (int)port, &connection))
			continue;
		if (used + sizeof(connection) <= capacity)
			memcpy(buffer + used, &connection, sizeof(connection));
		used += sizeof(connection);
	}
	return (int64_t)used;
}

int kpod_connection_drop(uint32_t descriptor, uint64_t id)
{
	/* Without it the kernel goes on trying to send what nobody reads when all is closed. */
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	uint64_t found;
	int error = cookie((int)descriptor, &found);

	if (error || found != id)
		return -ENOENT;
	if (setsockopt((int)descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) ||
	    shutdown((int)descriptor, SHUT_RDWR))
		return errno == ENOTCONN ? 0 : -errno;
	return 0;
}
