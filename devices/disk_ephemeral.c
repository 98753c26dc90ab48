/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_ephemeral.c - a disk over an image that is only ever read: what the guest writes is kept aside, and is gone when
 * the disk is closed.
 *
 * Aside is a sparse file without a name, in memory or in a folder, of the image's size; a bit for each block says which of
 * the two holds it.  A block that is written in part is copied first, under the lock, so that two writes into it cannot
 * lose each other's bytes; bits are set once what they stand for is there, and never cleared.  Transfers may run on
 * several threads at once.  A flush has nothing to do: nothing is to outlive the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <stdlib.h>
#include "bits.h"
#include "disk.h"

#define BLOCK 4096u

struct disk_ephemeral {
	struct disk disk;
	struct disk *base;
	const struct host *host;
	int fd;
	bool in_memory;
	pthread_mutex_t lock;      /* held while blocks change sides, or are copied */
	_Atomic uint64_t *ours;    /* a bit for each block: it is in FD */
};

/* Reads or writes a run of bytes that all lie on one side; may change the vector. */
typedef int side_fn(struct disk_ephemeral *e, struct iovec *iov, unsigned n, uint64_t off, bool ours);

static struct disk_ephemeral *to_ephemeral(struct disk *d)
{
	return container_of(d, struct disk_ephemeral, disk);
}

/* Acquire: pairs with set_ours(); what was written before the bit was set is there. */
static bool is_ours(const struct disk_ephemeral *e, uint64_t block)
{
	return atomic_load_explicit(&e->ours[block / 64], memory_order_acquire) & BIT_ULL(block % 64);
}

static void set_ours(struct disk_ephemeral *e, uint64_t off, uint64_t end)
{
	for (uint64_t b = off / BLOCK; b * BLOCK < end; b++)
		atomic_fetch_or_explicit(&e->ours[b / 64], BIT_ULL(b % 64), memory_order_release);
}

/* How many bytes from OFF on, at most LEN, are on the same side as the first; *OURS says which. */
static uint64_t run_of(const struct disk_ephemeral *e, uint64_t off, uint64_t len, bool *ours)
{
	uint64_t end = (off / BLOCK + 1) * BLOCK;

	*ours = is_ours(e, off / BLOCK);
	while (end < off + len && is_ours(e, end / BLOCK) == *ours)
		end += BLOCK;
	return MIN(end - off, len);
}

static bool all_ours(const struct disk_ephemeral *e, uint64_t off, uint64_t len)
{
	bool ours;

	return !len || (run_of(e, off, len, &ours) == len && ours);
}

static int side_transfer(struct disk_ephemeral *e, bool write, struct iovec *iov, unsigned n, uint64_t off)
{
	return disk_transfer(e->host, write ? e->host->pwritev : e->host->preadv, e->fd, iov, n, off);
}

static uint64_t length(const struct iovec *iov, unsigned n)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

static int read_side(struct disk_ephemeral *e, struct iovec *iov, unsigned n, uint64_t off, bool ours)
{
	return ours ? side_transfer(e, false, iov, n, off) : e->base->ops->readv(e->base, iov, n, off);
}

/* The first LEN bytes of the segments are made a vector of their own for each run, a few segments at a time. */
static int ephemeral_readv(struct disk *d, struct iovec *iov, unsigned n, uint64_t off)
{
	struct disk_ephemeral *e = to_ephemeral(d);
	uint64_t left = length(iov, n);

	while (left) {
		struct iovec part[16];
		unsigned k = 0;
		bool ours;
		uint64_t run = run_of(e, off, left, &ours), len = 0;
		int ret;

		for (; k < ARRAY_SIZE(part) && k < n && len < run; k++) {
			part[k] = (struct iovec){ iov[k].iov_base, MIN(iov[k].iov_len, run - len) };
			len += part[k].iov_len;
		}
		ret = read_side(e, part, k, off, ours);
		if (ret)
			return ret;
		disk_advance(&iov, &n, &off, len);
		left -= len;
	}
	return 0;
}

/* Brings the block at OFF to our side as it is.  Under the lock. */
static int copy_block(struct disk_ephemeral *e, uint64_t off)
{
	uint8_t buf[BLOCK];
	uint64_t at = align_down(off, BLOCK);
	struct iovec v = { buf, MIN(BLOCK, e->disk.size - at) };
	int ret;

	if (is_ours(e, off / BLOCK))
		return 0;
	ret = e->base->ops->readv(e->base, &v, 1, at);
	v = (struct iovec){ buf, MIN(BLOCK, e->disk.size - at) };
	return ret ? ret : side_transfer(e, true, &v, 1, at);
}

/* The blocks at both ends of a range that does not cover them whole. */
static int copy_ends(struct disk_ephemeral *e, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;
	int ret = off % BLOCK ? copy_block(e, off) : 0;

	/* The image's last block may be a part of one. */
	if (!ret && end % BLOCK && end != e->disk.size && (end / BLOCK != off / BLOCK || off % BLOCK == 0))
		ret = copy_block(e, end);
	return ret;
}

static int ephemeral_writev(struct disk *d, struct iovec *iov, unsigned n, uint64_t off)
{
	struct disk_ephemeral *e = to_ephemeral(d);
	uint64_t len = length(iov, n);
	int ret;

	if (all_ours(e, off, len))
		return side_transfer(e, true, iov, n, off);
	pthread_mutex_lock(&e->lock);
	ret = copy_ends(e, off, len);
	if (!ret)
		ret = side_transfer(e, true, iov, n, off);
	if (!ret)
		set_ours(e, off, off + len);
	pthread_mutex_unlock(&e->lock);
	return ret;
}

static int write_zeroes(struct disk_ephemeral *e, uint64_t off, uint64_t len)
{
	static const uint8_t zeroes[KIB(64)];
	int ret = 0;

	while (len && !ret) {
		struct iovec v = { (void *)(uintptr_t)zeroes, MIN(len, sizeof(zeroes)) };
		uint64_t n = v.iov_len;

		ret = ephemeral_writev(&e->disk, &v, 1, off);
		off += n;
		len -= n;
	}
	return ret;
}

/* Whole blocks become a hole of ours, which needs no storage. */
static int ephemeral_zero(struct disk *d, uint64_t off, uint64_t len, bool unmap)
{
	struct disk_ephemeral *e = to_ephemeral(d);
	uint64_t from = align_up(off, BLOCK), to = align_down(off + len, BLOCK);
	int ret;

	if (from >= to)
		return write_zeroes(e, off, len);
	ret = write_zeroes(e, off, from - off);
	if (!ret)
		ret = write_zeroes(e, to, off + len - to);
	if (ret)
		return ret;
	pthread_mutex_lock(&e->lock);
	do
		ret = e->host->fallocate(e->host, e->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from));
	while (ret == -EINTR);
	if (!ret)
		set_ours(e, from, to);
	pthread_mutex_unlock(&e->lock);
	return ret ? write_zeroes(e, from, to - from) : 0;
}

static int ephemeral_discard(struct disk *d, uint64_t off, uint64_t len)
{
	return ephemeral_zero(d, off, len, true);
}

static int ephemeral_flush(struct disk *d)
{
	return 0;
}

/* What is all in our memory needs no waiting, and what is all in the image is the image's business. */
static int ephemeral_try(struct disk *d, struct disk_io *io)
{
	struct disk_ephemeral *e = to_ephemeral(d);
	bool ours;
	uint64_t run = io->len ? run_of(e, io->off, io->len, &ours) : 0;

	if (!run || run < io->len)
		return -EAGAIN;
	if (ours)
		return !e->in_memory ? -EAGAIN : side_transfer(e, io->op == DISK_WRITE, io->iov, io->n, io->off);
	return io->op == DISK_READ && e->base->ops->try ? e->base->ops->try(e->base, io) : -EAGAIN;
}

static int ephemeral_refresh(struct disk *d, const char *name, struct tvmm_error *err)
{
	return err_set(err, TVMM_E_IO, EOPNOTSUPP, name, "an ephemeral disk keeps the size that its image had");
}

static void ephemeral_close(struct disk *d)
{
	struct disk_ephemeral *e = to_ephemeral(d);

	if (e->fd >= 0)
		e->host->close(e->host, e->fd);
	e->base->ops->close(e->base);
	pthread_mutex_destroy(&e->lock);
	free((void *)e->ours);
	free(e);
}

static const struct disk_ops ephemeral_ops = {
	.readv = ephemeral_readv, .writev = ephemeral_writev, .zero = ephemeral_zero, .discard = ephemeral_discard,
	.flush = ephemeral_flush, .try = ephemeral_try, .refresh = ephemeral_refresh, .close = ephemeral_close,
};

static int open_aside(struct disk_ephemeral *e, const char *path, const char *dir, struct tvmm_error *err)
{
	int ret;

	e->fd = dir ? e->host->open(e->host, dir, O_TMPFILE | O_RDWR, 0600) : e->host->memfd(e->host, "disk", MFD_CLOEXEC);
	if (e->fd < 0) {
		ret = err_set(err, TVMM_E_IO, -e->fd, dir ? dir : path, "cannot make a file to keep aside what is written");
		if (dir)
			err_hint(err, "it must be a folder that can be written, of a file system with unnamed files (O_TMPFILE)");
		return ret;
	}
	ret = e->host->ftruncate(e->host, e->fd, (off_t)e->disk.size);
	return ret ? err_set(err, TVMM_E_IO, -ret, path, "cannot make a file of its size to keep aside what is written") : 0;
}

int disk_ephemeral_open(struct disk **out, const struct host *h, const char *path, unsigned flags, const char *dir,
			struct tvmm_error *err)
{
	struct disk_ephemeral *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	ret = disk_raw_open(&e->base, h, path, flags | DISK_RO, err);
	if (ret) {
		free(e);
		return ret;
	}
	e->host = h;
	e->in_memory = !dir;
	e->disk = (struct disk){ .ops = &ephemeral_ops, .size = e->base->size, .block_size = e->base->block_size, .fd = -1 };
	pthread_mutex_init(&e->lock, NULL);
	e->ours = calloc(e->disk.size / BLOCK / 64 + 1, sizeof(*e->ours));
	ret = e->ours ? open_aside(e, path, dir, err) : err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	if (ret) {
		if (!e->ours)
			e->fd = -1;
		ephemeral_close(&e->disk);
		return ret;
	}
	*out = &e->disk;
	return 0;
}
