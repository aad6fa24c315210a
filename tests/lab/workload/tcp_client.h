/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that counts what its own calls returned.
 *
 *   go BYTES       a new connection: sends that much, shuts down, reads to the end
 *   connect [MS]   a connection that stays open; gives up after MS milliseconds where given
 *   rr N SIZE      N times SIZE bytes there and back on the last open connection (mode echo);
 *                  SIZE must fit into the socket buffers
 *   close          closes every open connection
 */
#pragma once

#define MAX_OPEN 1024

static struct {
	struct address server;
	const char *mode;
	size_t chunk;
	/* The last piece then waits for the end of the stream, and leaves in one segment with it.
	 */
	int cork;
	char *data;
	struct uring ring;
	int memory, pipe[2];
	int open[MAX_OPEN], count;
} client;

/* Returns a connected socket, or -1 with errno; ETIMEDOUT when the time was up. */
static int connect_within(uint64_t milliseconds)
{
	int kind = SOCK_STREAM | SOCK_CLOEXEC | (milliseconds ? SOCK_NONBLOCK : 0);
	int fd = socket(client.server.storage.ss_family, kind, 0);
	/* Loopback then carries whole pages, so that a receiver may map what splice sends. */
	int pages = 15 * 4096 + 12, failure = 0;
	socklen_t length = sizeof(failure);

	if (!strcmp(client.mode, "splice"))
		setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &pages, sizeof(pages));
	if (connect(fd, (struct sockaddr *)&client.server.storage, client.server.length)) {
		struct pollfd writable = {.fd = fd, .events = POLLOUT};

		failure = errno;
		if (failure == EINPROGRESS) {
			if (poll(&writable, 1, (int)milliseconds) == 0)
				failure = ETIMEDOUT;
			else
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length);
		}
	}
	if (failure) {
		close(fd);
		errno = failure;
		return -1;
	}
	if (milliseconds)
		fcntl(fd, F_SETFL, 0);
	if (client.cork)
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &client.cork, sizeof(client.cork));
	return fd;
}

/* Sends at most size bytes once, in the client's mode; returns what was sent. */
static ssize_t send_once(int fd, size_t size)
{
	off_t start = 0;
	ssize_t filled;

	if (!strcmp(client.mode, "write"))
		return write(fd, client.data, size);
	if (!strcmp(client.mode, "sendfile"))
		return sendfile(fd, client.memory, &start, size);
	if (!strcmp(client.mode, "uring"))
		return uring_transfer(&client.ring, IORING_OP_SEND, fd, client.data, size);
	if (strcmp(client.mode, "splice"))
		return send(fd, client.data, size, MSG_NOSIGNAL);
	filled = write(client.pipe[1], client.data, size);
	for (ssize_t left = filled; left > 0;) {
		ssize_t moved = splice(client.pipe[0], NULL, fd, NULL, left, SPLICE_F_MOVE);

		if (moved <= 0)
			return -1;
		left -= moved;
	}
	return filled;
}

static uint64_t send_bytes(int fd, uint64_t bytes)
{
	uint64_t sent = 0;

	while (sent < bytes) {
		uint64_t left = bytes - sent;
		ssize_t now = send_once(fd, left < client.chunk ? left : client.chunk);

		if (now <= 0)
			break;
		sent += now;
	}
	return sent;
}

static uint64_t receive_until(int fd, uint64_t most)
{
	uint64_t received = 0;

	while (received < most) {
		uint64_t left = most - received;
		ssize_t got = recv(fd, client.data, left < client.chunk ? left : client.chunk, 0);

		if (got <= 0)
			break;
		received += got;
	}
	return received;
}

static void transfer(uint64_t bytes)
{
	unsigned long long sent, received;
	int fd = connect_within(0);

	if (fd < 0) {
		say("{\"errno\":%d,\"sent\":0,\"received\":0}", errno);
		return;
	}
	sent = send_bytes(fd, bytes);
	shutdown(fd, SHUT_WR);
	received = receive_until(fd, UINT64_MAX);
	say("{\"errno\":0,\"sent\":%llu,\"received\":%llu,\"port\":%d,\"tcp\":{%s}}", sent,
	    received, local_port(fd), tcp_account(fd));
	close(fd);
}

static void keep_connection(uint64_t milliseconds)
{
	int fd = -1;

	errno = EMFILE;
	if (client.count < MAX_OPEN)
		fd = connect_within(milliseconds);

	if (fd < 0) {
		say("{\"errno\":%d,\"open\":%d}", errno, client.count);
		return;
	}
	client.open[client.count++] = fd;
	say("{\"errno\":0,\"open\":%d,\"port\":%d}", client.count, local_port(fd));
}

static void request_response(uint64_t times, uint64_t size)
{
	unsigned long long sent = 0, received = 0, start;
	int fd;

	if (!client.count) {
		fd = connect_within(0);
		if (fd < 0) {
			say("{\"errno\":%d,\"sent\":0,\"received\":0}", errno);
			return;
		}
		client.open[client.count++] = fd;
	}
	fd = client.open[client.count - 1];
	start = nanoseconds(CLOCK_MONOTONIC);
	for (uint64_t i = 0; i < times; i++) {
		sent += send_bytes(fd, size);
		received += receive_until(fd, size);
	}
	say("{\"errno\":0,\"sent\":%llu,\"received\":%llu,\"ns\":%llu,\"port\":%d,\"tcp\":{%s}}",
	    sent, received, (unsigned long long)nanoseconds(CLOCK_MONOTONIC) - start,
	    local_port(fd), tcp_account(fd));
}

static void set_up_client(int argc, char **argv)
{
	static const char *const modes = " send write sendfile splice uring ";
	char wanted[32];

	if (argc < 3)
		die("Cannot run tcp-client: give ADDR PORT");
	client.server = parse_address(argv[1], argv[2]);
	client.mode = option(argc, argv, "--mode", "send");
	client.chunk = strtoull(option(argc, argv, "--chunk", "65536"), NULL, 10);
	client.cork = !strcmp(option(argc, argv, "--cork", "no"), "yes");
	snprintf(wanted, sizeof(wanted), " %s ", client.mode);
	if (!strstr(modes, wanted))
		die("Cannot send by %s; give one of%s", client.mode, modes);
	/* A pipe holds 65536 bytes unless told otherwise; a fuller one would block the writer. */
	if (client.chunk < 1 || client.chunk > (strcmp(client.mode, "splice") ? 1 << 20 : 1 << 16))
		die("Cannot send %zu bytes at a time; give 1 to 1048576 (65536 by splice)",
		    client.chunk);
	client.data =
	    mmap(NULL, client.chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	client.memory = memfd_create("workload", MFD_CLOEXEC);
	if (client.data == MAP_FAILED || client.memory < 0 ||
	    ftruncate(client.memory, client.chunk) || pipe(client.pipe))
		die("Cannot set up the client: got %s", strerror(errno));
	if (!strcmp(client.mode, "uring") && uring_open(&client.ring))
		die("Cannot use io_uring: got %s", strerror(errno));
}

static int tcp_client_command(int argc, char **argv)
{
	struct command_line line;

	set_up_client(argc, argv);
	ready("");
	while (next_line(&line)) {
		if (is(&line, "go")) {
			transfer(line.argument[0]);
		} else if (is(&line, "connect")) {
			keep_connection(line.argument[0]);
		} else if (is(&line, "rr")) {
			request_response(line.argument[0], line.argument[1]);
		} else if (is(&line, "close")) {
			int closed = client.count;

			while (client.count)
				close(client.open[--client.count]);
			say("{\"closed\":%d}", closed);
		} else {
			fail_line(&line);
		}
	}
	return 0;
}
