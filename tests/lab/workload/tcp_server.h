/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that reads each connection to its end, one thread a connection, by one of several ways
 * into the kernel. "stats" answers what all of them returned so far; a connection's bytes are in it
 * before its client sees the end of the stream.
 */
#pragma once

static struct {
	uint64_t accepted, closed, received, sent, mapped, calls;
} served;

/* Reads once from a socket; adds what it read to the totals; 0 or less at the end. */
typedef ssize_t read_once(int socket, char *buffer, void *state);

static ssize_t plain_once(int socket, char *buffer, void *unused)
{
	(void)unused;
	return read(socket, buffer, BUFFER_BYTES);
}

/* Looks at a chunk before reading it: the same bytes pass through recvmsg twice. */
static ssize_t peek_once(int socket, char *buffer, void *unused)
{
	ssize_t seen = recv(socket, buffer, BUFFER_BYTES, MSG_PEEK);

	(void)unused;
	return seen > 0 ? recv(socket, buffer, seen, 0) : seen;
}

/* How long an echo takes, in µs: what the client then sees as round trip. */
static unsigned int think_usec;

static ssize_t echo_once(int socket, char *buffer, void *unused)
{
	ssize_t got = recv(socket, buffer, BUFFER_BYTES, 0);
	int quick = 0;

	(void)unused;
	if (think_usec && got > 0) {
		/* So that the answer is what acknowledges the question (tcp(7)). */
		setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof(quick));
		usleep(think_usec);
	}
	for (ssize_t at = 0; at < got;) {
		ssize_t sent = send(socket, buffer + at, got - at, MSG_NOSIGNAL);

		if (sent < 0)
			return sent;
		at += sent;
		__atomic_fetch_add(&served.sent, sent, __ATOMIC_RELAXED);
	}
	return got;
}

struct splice_state {
	int pipe[2], null;
};

static ssize_t splice_once(int socket, char *unused, void *state)
{
	struct splice_state *to = state;
	ssize_t got = splice(socket, NULL, to->pipe[1], NULL, BUFFER_BYTES, SPLICE_F_MOVE);

	(void)unused;
	for (ssize_t left = got; left > 0;) {
		ssize_t moved = splice(to->pipe[0], NULL, to->null, NULL, left, SPLICE_F_MOVE);

		if (moved <= 0)
			return -1;
		left -= moved;
	}
	return got;
}

struct zero_state {
	void *window;
};

/* TCP_ZEROCOPY_RECEIVE maps whole pages and leaves the rest to be read (net/ipv4/tcp.c). */
static ssize_t zero_once(int socket, char *buffer, void *state)
{
	struct zero_state *to = state;
	struct pollfd readable = {.fd = socket, .events = POLLIN};
	struct tcp_zerocopy_receive request = {.address = (uintptr_t)to->window,
					       .length = BUFFER_BYTES};
	socklen_t length = sizeof(request);
	size_t rest;
	ssize_t got;

	poll(&readable, 1, -1);
	if (getsockopt(socket, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &request, &length)) {
		if (errno == EIO)
			return 0;
		/* Before 5.11 pages that a cgroup pays for as the kernel's cannot be mapped. */
		request = (struct tcp_zerocopy_receive){0};
	}
	__atomic_fetch_add(&served.mapped, request.length, __ATOMIC_RELAXED);
	if (request.length && !request.recv_skip_hint)
		return request.length;
	rest = request.recv_skip_hint && request.recv_skip_hint < BUFFER_BYTES
		   ? request.recv_skip_hint
		   : BUFFER_BYTES;
	got = recv(socket, buffer, rest, 0);
	return got < 0 ? got : got + (ssize_t)request.length;
}

static ssize_t uring_once(int socket, char *buffer, void *state)
{
	return uring_transfer(state, IORING_OP_RECV, socket, buffer, BUFFER_BYTES);
}

static const char *server_mode;

static void serve_until_end(int socket, read_once *once, void *state)
{
	char *buffer = malloc(BUFFER_BYTES);
	ssize_t got;

	while (buffer && (got = once(socket, buffer, state)) > 0) {
		__atomic_fetch_add(&served.received, got, __ATOMIC_RELAXED);
		__atomic_fetch_add(&served.calls, 1, __ATOMIC_RELAXED);
	}
	free(buffer);
}

static void *serve(void *argument)
{
	int socket = (int)(intptr_t)argument;

	if (!strcmp(server_mode, "splice")) {
		struct splice_state to = {.null = open("/dev/null", O_WRONLY | O_CLOEXEC)};

		if (pipe(to.pipe))
			die("Cannot make a pipe: got %s", strerror(errno));
		serve_until_end(socket, splice_once, &to);
		close(to.pipe[0]), close(to.pipe[1]), close(to.null);
	} else if (!strcmp(server_mode, "zero")) {
		struct zero_state to;

		to.window = mmap(NULL, BUFFER_BYTES, PROT_READ, MAP_SHARED, socket, 0);
		if (to.window == MAP_FAILED)
			die("Cannot map the socket: got %s", strerror(errno));
		serve_until_end(socket, zero_once, &to);
		munmap(to.window, BUFFER_BYTES);
	} else if (!strcmp(server_mode, "uring")) {
		struct uring ring;

		if (uring_open(&ring))
			die("Cannot use io_uring: got %s", strerror(errno));
		serve_until_end(socket, uring_once, &ring);
		uring_close(&ring);
	} else {
		serve_until_end(socket,
				!strcmp(server_mode, "peek")   ? peek_once
				: !strcmp(server_mode, "echo") ? echo_once
							       : plain_once,
				NULL);
	}
	__atomic_fetch_add(&served.closed, 1, __ATOMIC_RELAXED);
	close(socket);
	return NULL;
}

static void *accept_all(void *argument)
{
	int listener = (int)(intptr_t)argument, socket;

	while ((socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		pthread_t thread;

		__atomic_fetch_add(&served.accepted, 1, __ATOMIC_RELAXED);
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)socket))
			die("Cannot start a thread for a connection");
		pthread_detach(thread);
	}
	return NULL;
}

static int tcp_server_command(int argc, char **argv)
{
	static const char *const modes = " read peek splice zero uring echo ";
	struct command_line line;
	struct address address;
	char wanted[32], port[8];
	pthread_t acceptor;
	int listener, on = 1;

	if (argc < 3)
		die("Cannot run tcp-server: give ADDR PORT (0 for any)");
	server_mode = option(argc, argv, "--mode", "read");
	think_usec = atoi(option(argc, argv, "--think", "0"));
	snprintf(wanted, sizeof(wanted), " %s ", server_mode);
	if (!strstr(modes, wanted))
		die("Cannot serve by %s; give one of%s", server_mode, modes);
	address = parse_address(argv[1], argv[2]);
	listener = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listener < 0 || bind(listener, (struct sockaddr *)&address.storage, address.length) ||
	    listen(listener, 128))
		die("Cannot listen on %s port %s: got %s", argv[1], argv[2], strerror(errno));
	if (pthread_create(&acceptor, NULL, accept_all, (void *)(intptr_t)listener))
		die("Cannot start the accepting thread");
	snprintf(port, sizeof(port), "%d", local_port(listener));
	ready(port);
	while (next_line(&line)) {
		if (!is(&line, "stats")) {
			fail_line(&line);
			continue;
		}
		say("{\"accepted\":%llu,\"closed\":%llu,\"received\":%llu,\"sent\":%llu,"
		    "\"mapped\":%llu,\"calls\":%llu}",
		    (unsigned long long)served.accepted, (unsigned long long)served.closed,
		    (unsigned long long)served.received, (unsigned long long)served.sent,
		    (unsigned long long)served.mapped, (unsigned long long)served.calls);
	}
	return 0;
}
