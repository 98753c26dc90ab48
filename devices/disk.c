/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk.c - what all kinds of disk share: one operation done at once, on the thread that calls.
 */
#include <limits.h>
#include "bits.h"
#include "disk.h"

int disk_run(struct disk *d, struct disk_io *io)
{
	switch (io->op) {
	case DISK_READ:
		return d->ops->readv(d, io->iov, io->n, io->off);
	case DISK_WRITE:
		return d->ops->writev(d, io->iov, io->n, io->off);
	case DISK_ZERO:
		return d->ops->zero(d, io->off, io->len, io->unmap);
	case DISK_DISCARD:
		return d->ops->discard(d, io->off, io->len);
	case DISK_FLUSH:
	default:
		return d->ops->flush(d);
	}
}

void disk_advance(struct iovec **iov, unsigned *n, uint64_t *off, size_t got)
{
	*off += got;
	for (; *n && got >= (*iov)->iov_len; (*iov)++, (*n)--)
		got -= (*iov)->iov_len;
	if (*n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + got;
		(*iov)->iov_len -= got;
	}
}

int disk_transfer(const struct host *host, disk_transfer_fn *fn, int fd, struct iovec *iov, unsigned n, uint64_t off)
{
	while (n) {
		ssize_t got = fn(host, fd, iov, (int)MIN(n, (unsigned)IOV_MAX), (off_t)off);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return (int)got;
		if (got == 0 && iov->iov_len)
			return -EIO;
		disk_advance(&iov, &n, &off, (size_t)got);
	}
	return 0;
}

void disk_io_advance(struct disk_io *io, size_t got)
{
	disk_advance(&io->iov, &io->n, &io->off, got);
	io->len -= got;
}

bool disk_must_copy(const struct disk *d, const struct disk_io *io)
{
	uint64_t all = 0;

	for (unsigned i = 0; d->align && i < io->n; i++)
		all |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return d->align && all & (d->align - 1);
}
