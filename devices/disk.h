/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk.h - what virtio-blk needs of a disk image; disk_raw.c is the one for raw files and block devices.
 *
 * A disk is a table of functions that do one operation and return when it is done: they may wait for the host, so with
 * disk_engine.c they run on its threads, several at once, or as io_uring requests on disk->fd.  The caller has checked
 * every offset and length against disk->size.  A transfer is all or nothing: 0, or -errno.  After a flush fails, the disk
 * refuses writes and flushes for good (-EIO): what the kernel dropped then cannot be had back by trying again.
 */
#ifndef TVMM_DEVICES_DISK_H
#define TVMM_DEVICES_DISK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "error.h"
#include "host.h"

struct disk;

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_ZERO, DISK_DISCARD };

/* One operation under way: the caller's storage, and its memory behind iov, until done() is called. */
struct disk_io {
	enum disk_op op;
	bool unmap;        /* of DISK_ZERO */
	unsigned n;        /* READ and WRITE: segments; they, OFF and LEN are moved on as it proceeds */
	struct iovec *iov;
	uint64_t off, len; /* LEN: of what is left, for READ and WRITE too */
	void (*done)(struct disk_io *io, int ret); /* on the loop, perhaps before disk_submit() returns */

	/* The engine's own. */
	struct disk *disk;
	struct disk_io *next;
	struct disk_io *group; /* of flushes: who else waits for this one */
	int ret;
};

struct disk_ops {
	int (*readv)(struct disk *d, struct iovec *iov, unsigned n, uint64_t off); /* may modify iov[] */
	int (*writev)(struct disk *d, struct iovec *iov, unsigned n, uint64_t off);
	/*
	 * Makes [off, off + len) read as zeroes; UNMAP: and give its storage back, if that can be had.  -EOPNOTSUPP is never
	 * returned: where the host has no better way, zeroes are written.
	 */
	int (*zero)(struct disk *d, uint64_t off, uint64_t len, bool unmap);
	/* Lets go of what is stored there; it may read as anything.  -EOPNOTSUPP: this disk cannot. */
	int (*discard)(struct disk *d, uint64_t off, uint64_t len);
	int (*flush)(struct disk *d); /* what was written before is on stable storage when it returns 0 */
	/*
	 * A read or write as far as it goes without waiting for the host's storage: 0 done, -EAGAIN for what *IO says now is
	 * left, any other error is final.  On the loop.  May be NULL.
	 */
	int (*try)(struct disk *d, struct disk_io *io);
	/*
	 * Looks whether the image has another size by now, and makes it d->size; NAME is for *ERR.  A size that no disk could
	 * have been opened with is refused, and the old one stays.  On the loop.
	 */
	int (*refresh)(struct disk *d, const char *name, struct tvmm_error *err);
	void (*close)(struct disk *d); /* frees it; nothing is under way */
};

struct disk {
	const struct disk_ops *ops;
	uint64_t size;       /* bytes, a multiple of 512; once open, the I/O loop's to read and, by refresh, to change */
	uint32_t block_size; /* logical block size the guest sees: 512, or the device's */
	bool ro;
	int fd;              /* reads, writes and flushes may go to this descriptor as they are, by io_uring; -1: not */
	bool in_memory;      /* try never answers -EAGAIN: there is no storage to wait for */
	uint32_t align;      /* what FD wants segments' addresses and lengths to be multiples of; 0: nothing */
	_Atomic uint64_t errors; /* requests that failed; for whoever asks */
	atomic_bool failed;  /* a flush failed: what was written may be lost, and nothing more is accepted */

	/* The engine's own: the flushes that one fdatasync is under way for, and those that have to wait for the next. */
	struct disk_io *flushing, *flush_next;
	unsigned cold; /* so many operations more are not tried by a visitor: one lately had to wait */
};

/* Does what IO says, now, on this thread, with the functions above. */
int disk_run(struct disk *d, struct disk_io *io);

/* Moves *IOV, *N and *OFF past GOT bytes that were transferred; the second, all of IO. */
void disk_advance(struct iovec **iov, unsigned *n, uint64_t *off, size_t got);
void disk_io_advance(struct disk_io *io, size_t got);

/* preadv or pwritev, as a struct host has them. */
typedef ssize_t disk_transfer_fn(const struct host *host, int fd, const struct iovec *iov, int n, off_t off);

/*
 * Transfers all N segments of IOV, which it changes; goes on after EINTR and short transfers.  0 or a negative errno; the
 * end of the file is -EIO: the image shrank.
 */
int disk_transfer(const struct host *host, disk_transfer_fn *fn, int fd, struct iovec *iov, unsigned n, uint64_t off);

/* Must IO's memory first be copied, before it can go to d->fd? */
bool disk_must_copy(const struct disk *d, const struct disk_io *io);

enum disk_flags {
	DISK_RO = 1,
	DISK_DIRECT = 2, /* past the host's page cache */
};

/* Opens a raw image file or block device.  A size that is no multiple of 512 is refused. */
int disk_raw_open(struct disk **out, const struct host *h, const char *path, unsigned flags, struct tvmm_error *err);

/*
 * Opens it read-only, and gives a disk that can be written: what is written goes to memory, or to an unlinked file in
 * folder DIR if that is not NULL, and is gone when the disk is closed.
 */
int disk_ephemeral_open(struct disk **out, const struct host *h, const char *path, unsigned flags, const char *dir,
			struct tvmm_error *err);

#endif
