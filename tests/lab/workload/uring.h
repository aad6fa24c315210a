/* SPDX-License-Identifier: Apache-2.0 */
/* The least of io_uring that sends and receives: one entry at a time, by raw system calls. */
#pragma once

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#endif

struct uring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	void *sq_ring, *cq_ring;
	size_t sq_size, cq_size, sqes_size;
};

/* Returns 0, or -1 with errno where the kernel has no io_uring or forbids it. */
static int uring_open(struct uring *ring)
{
	struct io_uring_params params = {0};
	int kind = PROT_READ | PROT_WRITE;

	ring->fd = syscall(SYS_io_uring_setup, 4, &params);
	if (ring->fd < 0)
		return -1;
	ring->sq_size = params.sq_off.array + params.sq_entries * sizeof(unsigned int);
	ring->cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	ring->sqes_size = params.sq_entries * sizeof(struct io_uring_sqe);
	ring->sq_ring = mmap(NULL, ring->sq_size, kind, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->cq_ring = mmap(NULL, ring->cq_size, kind, MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, ring->sqes_size, kind, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	if (ring->sq_ring == MAP_FAILED || ring->cq_ring == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -1;
	ring->sq_tail = ring->sq_ring + params.sq_off.tail;
	ring->sq_mask = ring->sq_ring + params.sq_off.ring_mask;
	ring->sq_array = ring->sq_ring + params.sq_off.array;
	ring->cq_head = ring->cq_ring + params.cq_off.head;
	ring->cq_tail = ring->cq_ring + params.cq_off.tail;
	ring->cq_mask = ring->cq_ring + params.cq_off.ring_mask;
	ring->cqes = ring->cq_ring + params.cq_off.cqes;
	return 0;
}

static void uring_close(struct uring *ring)
{
	munmap(ring->sqes, ring->sqes_size);
	munmap(ring->cq_ring, ring->cq_size);
	munmap(ring->sq_ring, ring->sq_size);
	close(ring->fd);
}

/* Does IORING_OP_SEND or IORING_OP_RECV and waits for it; returns as send and recv do. */
static ssize_t uring_transfer(struct uring *ring, int opcode, int socket, void *data, size_t size)
{
	unsigned int tail = *ring->sq_tail, head = *ring->cq_head, slot = tail & *ring->sq_mask;
	struct io_uring_sqe *entry = &ring->sqes[slot];
	ssize_t result;

	memset(entry, 0, sizeof(*entry));
	entry->opcode = opcode;
	entry->fd = socket;
	entry->addr = (uintptr_t)data;
	entry->len = size;
	entry->msg_flags = opcode == IORING_OP_SEND ? MSG_NOSIGNAL : 0;
	ring->sq_array[slot] = slot;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	while (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == head)
		if (syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) <
		    0)
			return -1;
	result = ring->cqes[head & *ring->cq_mask].res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}
