/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_uring.c - an io_uring by raw system calls.  Called by the I/O loop's thread alone.
 *
 *   submission   *sq_head .. *sq_tail   kernel takes, we give; entry i is always sqe i (the array is the identity)
 *   completion   *cq_head .. *cq_tail   we take, kernel gives
 *
 * Completions never overflow: no more is in flight than the completion queue holds.
 */
#include "disk_uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>

/* Acquire: pairs with the kernel's release of an index; what the index covers is read, or written over, after it. */
static unsigned load_acquire(const unsigned *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store_release(unsigned *p, unsigned v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static int map(struct disk_uring *u, void **out, size_t len, off_t off)
{
	return u->host->mmap(u->host, out, NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd, off);
}

static int map_rings(struct disk_uring *u, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	unsigned *array;
	char *ring;
	int ret;

	/* Both rings in one mapping, and no completion is ever dropped: since Linux 5.5. */
	if (!(p->features & IORING_FEAT_SINGLE_MMAP) || !(p->features & IORING_FEAT_NODROP))
		return -ENOSYS;
	u->ring_len = sq > cq ? sq : cq;
	ret = map(u, &u->ring, u->ring_len, IORING_OFF_SQ_RING);
	if (ret)
		return ret;
	u->sqe_len = p->sq_entries * sizeof(struct io_uring_sqe);
	ret = map(u, &u->sqe_map, u->sqe_len, IORING_OFF_SQES);
	if (ret)
		return ret;
	ring = u->ring;
	u->sqes = u->sqe_map;
	u->sq_head = (unsigned *)(void *)(ring + p->sq_off.head);
	u->sq_tail = (unsigned *)(void *)(ring + p->sq_off.tail);
	u->sq_mask = p->sq_entries - 1;
	u->cq_head = (unsigned *)(void *)(ring + p->cq_off.head);
	u->cq_tail = (unsigned *)(void *)(ring + p->cq_off.tail);
	u->cq_mask = p->cq_entries - 1;
	u->cq_entries = p->cq_entries;
	u->cqes = (struct io_uring_cqe *)(void *)(ring + p->cq_off.cqes);
	array = (unsigned *)(void *)(ring + p->sq_off.array);
	for (unsigned i = 0; i < p->sq_entries; i++)
		array[i] = i;
	return 0;
}

int disk_uring_init(struct disk_uring *u, const struct host *host)
{
	/* Cooperative: a completion waits until we enter the kernel anyway, instead of interrupting us. */
	struct io_uring_params p = { .flags = IORING_SETUP_COOP_TASKRUN };
	unsigned workers[2] = { DISK_URING_WORKERS, DISK_URING_WORKERS }; /* for files, and for all else */
	int ret;

	*u = (struct disk_uring){ .host = host, .fd = -1 };
	u->fd = host->uring_setup(host, DISK_URING_ENTRIES, &p);
	if (u->fd == -EINVAL) { /* before Linux 5.19 */
		p = (struct io_uring_params){ 0 };
		u->fd = host->uring_setup(host, DISK_URING_ENTRIES, &p);
	}
	if (u->fd < 0)
		return u->fd;
	ret = map_rings(u, &p);
	/* The kernel's own threads, for what cannot be done without waiting.  Before Linux 5.15 it sets the limit itself. */
	if (!ret)
		host->uring_register(host, u->fd, IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2);
	if (ret)
		disk_uring_fini(u);
	else
		u->tail = *u->sq_tail;
	return ret;
}

void disk_uring_fini(struct disk_uring *u)
{
	if (!u->host || u->fd < 0)
		return;
	if (u->sqe_map)
		u->host->munmap(u->host, u->sqe_map, u->sqe_len);
	if (u->ring)
		u->host->munmap(u->host, u->ring, u->ring_len);
	u->host->close(u->host, u->fd);
	u->fd = -1;
}

bool disk_uring_add(struct disk_uring *u, struct disk_io *io)
{
	struct io_uring_sqe *sqe = &u->sqes[u->tail & u->sq_mask];

	if (io->disk->fd < 0 || io->n > UIO_MAXIOV || u->in_flight == u->cq_entries ||
	    u->tail - load_acquire(u->sq_head) > u->sq_mask)
		return false;
	memset(sqe, 0, sizeof(*sqe));
	switch (io->op) {
	case DISK_READ:
	case DISK_WRITE:
		sqe->opcode = io->op == DISK_READ ? IORING_OP_READV : IORING_OP_WRITEV;
		sqe->addr = (uintptr_t)io->iov;
		sqe->len = io->n;
		sqe->off = io->off;
		break;
	case DISK_FLUSH:
		sqe->opcode = IORING_OP_FSYNC;
		sqe->fsync_flags = IORING_FSYNC_DATASYNC;
		break;
	case DISK_ZERO:
	case DISK_DISCARD:
	default:
		return false;
	}
	sqe->fd = io->disk->fd;
	sqe->user_data = (uintptr_t)io;
	u->tail++;
	u->in_flight++;
	return true;
}

struct disk_io *disk_uring_submit(struct disk_uring *u)
{
	struct disk_io *back = NULL;
	unsigned n = u->tail - load_acquire(u->sq_head);

	store_release(u->sq_tail, u->tail);
	while (n) {
		int ret = u->host->uring_enter(u->host, u->fd, n, 0, 0);

		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			break;
		n -= (unsigned)ret < n ? (unsigned)ret : n;
	}
	/* Without a kernel thread that polls, entries are taken inside the call alone: what is left is ours again. */
	for (; u->tail != load_acquire(u->sq_head); u->in_flight--) {
		struct disk_io *io = (struct disk_io *)(uintptr_t)u->sqes[--u->tail & u->sq_mask].user_data;

		io->next = back;
		back = io;
	}
	store_release(u->sq_tail, u->tail);
	return back;
}

struct disk_io *disk_uring_take(struct disk_uring *u, int *res)
{
	unsigned head = *u->cq_head;
	const struct io_uring_cqe *cqe;
	struct disk_io *io;

	if (head == load_acquire(u->cq_tail))
		return NULL;
	cqe = &u->cqes[head & u->cq_mask];
	io = (struct disk_io *)(uintptr_t)cqe->user_data;
	*res = cqe->res;
	store_release(u->cq_head, head + 1);
	u->in_flight--;
	return io;
}
