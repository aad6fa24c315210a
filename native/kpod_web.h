/* SPDX-License-Identifier: Apache-2.0 */
/* What a web server wants to know that its runtime does not tell: its descriptors and connections,
 * and the hashes of passwords. */
#ifndef KPOD_WEB_H
#define KPOD_WEB_H

#include <stdint.h>

/* How many descriptors this process has, or -errno. */
KPOD_EXPORT int kpod_descriptors(void);

/* A TCP connection of this process. */
struct kpod_connection {
	uint64_t id;	       /* the socket's cookie: no other ever has it */
	uint64_t received;     /* bytes */
	uint64_t acknowledged; /* bytes sent that the other end has confirmed */
	uint32_t descriptor;
	uint32_t unacknowledged; /* bytes that are still to be sent or confirmed */
	uint32_t quiet_ms;	 /* since the last byte in either direction */
	uint32_t peer_port;
};

/*
 * The connections of this process whose own port is this, listening sockets left out, as an array
 * of struct kpod_connection. Returns its length in bytes, which may be more than `capacity`: what
 * does not fit is left out then.
 */
KPOD_EXPORT int64_t kpod_connections(uint32_t port, uint8_t *buffer, uint64_t capacity);

/*
 * Breaks a connection off: its owner reads an end and may write no more, and what was not yet sent
 * is dropped when the owner closes it. -ENOENT if the descriptor is another connection's by now. To
 * be called on the thread that owns the connection, or it may just be closing the descriptor.
 */
KPOD_EXPORT int kpod_connection_drop(uint32_t descriptor, uint64_t id);

/*
 * Whether a password is the one that a bcrypt hash was made of: 1, 0, -ENOSYS where there is no
 * libcrypt, -EINVAL if this libcrypt cannot use the hash. Takes milliseconds to minutes, as the
 * hash asks for.
 */
KPOD_EXPORT int kpod_password_fits(const char *hash, const char *password);

#endif
