/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sockets of one process that are connected to each other, for the ways of transfer that need
 * both ends in step. It counts what its own calls returned.
 *
 *   open       makes the pair; of kind simultaneous it only starts to
 *   go BYTES   from the first socket to the second, once the pair is connected
 *   close      closes both
 */
#pragma once

enum pair_kind { UNIX, UDP, URGENT, DISCARD, NONBLOCKING, ITSELF, SIMULTANEOUS };

static const char *const pair_kinds[] = {
    [UNIX] = "unix",
    [UDP] = "udp",
    [URGENT] = "urgent",	     /* the first byte of each go is out of band */
    [DISCARD] = "discard",	     /* read by MSG_TRUNC, which TCP throws away uncopied */
    [NONBLOCKING] = "nonblocking",   /* as much as the socket buffer takes at a time */
    [ITSELF] = "itself",	     /* one socket, connected to its own address */
    [SIMULTANEOUS] = "simultaneous", /* both ends connect, nobody listens */
};

#define PAIR_KINDS (sizeof(pair_kinds) / sizeof(pair_kinds[0]))
#define PAIR_CHUNK 16384

static struct {
	enum pair_kind kind;
	int from, to;
	char data[PAIR_CHUNK];
} pair;

/* A socket bound to a free port of 127.0.0.1; its address is left in `address`. */
static int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	*address =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)address, length) ||
	    getsockname(fd, (struct sockaddr *)address, &length))
		die("Cannot make a socket: got %s", strerror(errno));
	return fd;
}

static void connect_to(int fd, struct sockaddr_in *address)
{
	if (connect(fd, (struct sockaddr *)address, sizeof(*address)) && errno != EINPROGRESS)
		die("Cannot connect: got %s", strerror(errno));
}

static void open_accepted(void)
{
	struct sockaddr_in address, unused;
	int listener = bound(SOCK_STREAM, &address);

	pair.from = bound(SOCK_STREAM, &unused);
	if (listen(listener, 1))
		die("Cannot listen: got %s", strerror(errno));
	connect_to(pair.from, &address);
	pair.to = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (pair.kind == NONBLOCKING) {
		fcntl(pair.from, F_SETFL, O_NONBLOCK);
		fcntl(pair.to, F_SETFL, O_NONBLOCK);
	}
}

static void open_pair(void)
{
	int type = pair.kind == UDP	       ? SOCK_DGRAM
		   : pair.kind == SIMULTANEOUS ? SOCK_STREAM | SOCK_NONBLOCK
					       : SOCK_STREAM;
	struct sockaddr_in from, to;
	int both[2];

	if (pair.kind == UNIX) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both))
			die("Cannot make a socket pair: got %s", strerror(errno));
		pair.from = both[0], pair.to = both[1];
	} else if (pair.kind == ITSELF) {
		pair.from = pair.to = bound(type, &from);
		connect_to(pair.from, &from);
	} else if (pair.kind == UDP || pair.kind == SIMULTANEOUS) {
		pair.from = bound(type, &from), pair.to = bound(type, &to);
		connect_to(pair.from, &to);
		connect_to(pair.to, &from);
	} else {
		open_accepted();
	}
}

static void await_connected(int fd)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	socklen_t length = sizeof(errno);

	poll(&writable, 1, -1);
	if (pair.kind != UNIX && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errno, &length) || errno))
		die("Cannot connect the pair: got %s", strerror(errno));
	if (pair.kind == SIMULTANEOUS)
		fcntl(fd, F_SETFL, 0);
}

/* Sends up to `left` bytes, as much as can be on its way before anything is read. */
static uint64_t send_some(uint64_t left, int flags)
{
	uint64_t some = 0;

	do {
		size_t size = left - some < PAIR_CHUNK ? left - some : PAIR_CHUNK;
		ssize_t sent = send(pair.from, pair.data, size, flags);

		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent <= 0)
			die("Cannot send: got %s", strerror(errno));
		some += sent;
	} while (pair.kind == NONBLOCKING && some < left);
	return some;
}

static uint64_t receive_all(uint64_t some, int flags)
{
	uint64_t got = 0;

	while (got < some) {
		struct pollfd readable = {.fd = pair.to,
					  .events = flags & MSG_OOB ? POLLPRI : POLLIN};
		ssize_t now;

		poll(&readable, 1, -1);
		now = recv(pair.to, pair.data, flags & MSG_OOB ? 1 : PAIR_CHUNK, flags);
		if (now <= 0)
			die("Cannot receive: got %s", now ? strerror(errno) : "the end");
		got += now;
	}
	return got;
}

static void pass(uint64_t bytes)
{
	unsigned long long sent = 0, received = 0;

	await_connected(pair.from);
	await_connected(pair.to);
	while (sent < bytes) {
		bool urgent = pair.kind == URGENT && !sent;
		uint64_t some =
		    send_some(urgent ? 1 : bytes - sent, urgent ? MSG_OOB : MSG_NOSIGNAL);

		sent += some;
		received += receive_all(some, urgent		     ? MSG_OOB
					      : pair.kind == DISCARD ? MSG_TRUNC
								     : 0);
	}
	say("{\"sent\":%llu,\"received\":%llu}", sent, received);
}

static int pair_command(int argc, char **argv)
{
	struct command_line line;

	while (pair.kind < PAIR_KINDS && (argc < 2 || strcmp(argv[1], pair_kinds[pair.kind])))
		pair.kind++;
	if (pair.kind == PAIR_KINDS)
		die("Cannot make a pair of kind %s; see pair.h", argc < 2 ? "none" : argv[1]);
	ready("");
	while (next_line(&line)) {
		if (is(&line, "go")) {
			pass(line.argument[0]);
		} else if (is(&line, "open")) {
			open_pair();
			say("{\"opened\":%d}", pair.from == pair.to ? 1 : 2);
		} else if (is(&line, "close")) {
			close(pair.from);
			if (pair.to != pair.from)
				close(pair.to);
			say("{}");
		} else {
			fail_line(&line);
		}
	}
	return 0;
}
