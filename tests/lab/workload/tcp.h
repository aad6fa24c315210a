/* SPDX-License-Identifier: Apache-2.0 */
/* What both ends of a TCP connection share. */
#pragma once

#define BUFFER_BYTES (1 << 18)

struct address {
	struct sockaddr_storage storage;
	socklen_t length;
};

/* An IPv4 or IPv6 address and a port, both as text. */
static struct address parse_address(const char *host, const char *port)
{
	struct address address = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address.storage;

	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(atoi(port));
		address.length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(atoi(port));
		address.length = sizeof(*v6);
	} else {
		die("Cannot use %s: not an IPv4 or IPv6 address", host);
	}
	return address;
}

static int local_port(int socket)
{
	struct sockaddr_storage local = {0};
	socklen_t length = sizeof(local);

	getsockname(socket, (struct sockaddr *)&local, &length);
	/* The port has the same place in both families. */
	return ntohs(((struct sockaddr_in *)&local)->sin_port);
}

/* The kernel's own account of a connection, as `ss -ti` shows it, as JSON members. */
static const char *tcp_account(int socket)
{
	static char text[256];
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length);
	snprintf(text, sizeof(text),
		 "\"bytes_sent\":%llu,\"bytes_retransmitted\":%llu,\"retransmits\":%u,"
		 "\"bytes_received\":%llu,\"rtt_us\":%u,\"min_rtt_us\":%u",
		 (unsigned long long)info.tcpi_bytes_sent,
		 (unsigned long long)info.tcpi_bytes_retrans, info.tcpi_total_retrans,
		 (unsigned long long)info.tcpi_bytes_received, info.tcpi_rtt, info.tcpi_min_rtt);
	return text;
}
