/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_raw.c - a disk that is a raw image file or a block device, through the host's page cache.
 *
 * The image is locked for as long as it is open (an OFD lock: shared when read-only), so that two machines cannot write
 * one file system.  Formats are never guessed; a file that is plainly something else is refused by name, because a
 * guest that wrote through would destroy it.  Transfers may run on several threads at once (disk_engine.c).
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include "bits.h"
#include "disk.h"
#include "holder.h"

#define BOUNCE KIB(128)

struct disk_raw {
	struct disk disk;
	const struct host *host;
	bool is_device;
	bool no_try;           /* the file system cannot read without waiting; the loop's */
	uint8_t *bounce;       /* of a direct disk: for segments that are not aligned */
	pthread_mutex_t lock;  /* guards what is in it */
};

static struct disk_raw *to_raw(struct disk *d)
{
	return container_of(d, struct disk_raw, disk);
}

/*
 * Without waiting, or not at all: what is in the page cache is read from there.  A file system in memory knows no
 * RWF_NOWAIT and has nothing to wait for.  Other file systems are not written to: while one is frozen (for a snapshot of
 * its volume, say) whoever writes waits, RWF_NOWAIT or not.
 */
static int raw_try(struct disk *d, struct disk_io *io)
{
	struct disk_raw *r = to_raw(d);
	bool write = io->op == DISK_WRITE;
	int flags = d->in_memory ? 0 : RWF_NOWAIT;

	if (write && atomic_load(&d->failed))
		return -EIO;
	if (r->no_try || (write && !d->in_memory))
		return -EAGAIN;
	while (io->n) {
		int n = (int)MIN(io->n, (unsigned)IOV_MAX);
		ssize_t got = write ? r->host->pwritev2(r->host, d->fd, io->iov, n, (off_t)io->off, flags) :
				      r->host->preadv2(r->host, d->fd, io->iov, n, (off_t)io->off, flags);

		if (got == -EINTR)
			continue;
		if (got == -EOPNOTSUPP && flags) {
			r->no_try = true;
			return -EAGAIN;
		}
		if (got < 0)
			return (int)got;
		/* The end of the file, or what is not there yet: who may wait finds out. */
		if (got == 0 && io->iov->iov_len)
			return flags ? -EAGAIN : -EIO;
		disk_io_advance(io, (size_t)got);
	}
	return 0;
}

/* Copies LEN bytes between the front of the segments and BUF. */
static void copy_segs(uint8_t *buf, size_t len, const struct iovec *iov, bool to_segs)
{
	for (; len; iov++) {
		size_t part = MIN(len, iov->iov_len);

		if (part)
			memcpy(to_segs ? iov->iov_base : buf, to_segs ? buf : iov->iov_base, part);
		buf += part;
		len -= part;
	}
}

/* By way of memory that is aligned, piece by piece. */
static int transfer_copied(struct disk_raw *r, disk_transfer_fn *fn, struct iovec *iov, unsigned n, uint64_t off)
{
	size_t left = 0;
	int ret = 0;

	for (unsigned i = 0; i < n; i++)
		left += iov[i].iov_len;
	pthread_mutex_lock(&r->lock);
	while (left && !ret) {
		struct iovec v = { r->bounce, MIN(left, BOUNCE) };
		size_t part = v.iov_len;
		uint64_t at = off;

		if (fn == r->host->pwritev)
			copy_segs(r->bounce, part, iov, false);
		ret = disk_transfer(r->host, fn, r->disk.fd, &v, 1, at);
		if (!ret && fn == r->host->preadv)
			copy_segs(r->bounce, part, iov, true);
		disk_advance(&iov, &n, &off, part);
		left -= part;
	}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

static int transfer(struct disk_raw *r, disk_transfer_fn *fn, struct iovec *iov, unsigned n, uint64_t off)
{
	const struct disk_io io = { .iov = iov, .n = n };

	return disk_must_copy(&r->disk, &io) ? transfer_copied(r, fn, iov, n, off) : disk_transfer(r->host, fn, r->disk.fd, iov, n, off);
}

static int raw_readv(struct disk *d, struct iovec *iov, unsigned n, uint64_t off)
{
	struct disk_raw *r = to_raw(d);

	return transfer(r, r->host->preadv, iov, n, off);
}

static int raw_writev(struct disk *d, struct iovec *iov, unsigned n, uint64_t off)
{
	struct disk_raw *r = to_raw(d);

	return atomic_load(&d->failed) ? -EIO : transfer(r, r->host->pwritev, iov, n, off);
}

static int write_zeroes(struct disk_raw *r, uint64_t off, uint64_t len)
{
	static const uint8_t zeroes[KIB(64)] __attribute__((aligned(4096)));
	int ret = 0;

	while (len && !ret) {
		struct iovec iov = { (void *)(uintptr_t)zeroes, MIN(len, sizeof(zeroes)) };
		uint64_t n = iov.iov_len;

		ret = disk_transfer(r->host, r->host->pwritev, r->disk.fd, &iov, 1, off);
		off += n;
		len -= n;
	}
	return ret;
}

/* One range by the kernel: MODE is fallocate's for a file, REQUEST the ioctl for a block device. */
static int by_kernel(struct disk_raw *r, int mode, unsigned long request, uint64_t off, uint64_t len)
{
	uint64_t range[2] = { off, len };
	int ret;

	do
		ret = r->is_device ? r->host->ioctl(r->host, r->disk.fd, request, (uintptr_t)range) :
				     r->host->fallocate(r->host, r->disk.fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
	while (ret == -EINTR);
	return ret < 0 ? ret : 0;
}

static bool not_supported(int ret)
{
	return ret == -EOPNOTSUPP || ret == -ENOSYS || ret == -ENOTTY || ret == -EINVAL;
}

static int raw_zero(struct disk *d, uint64_t off, uint64_t len, bool unmap)
{
	struct disk_raw *r = to_raw(d);
	int ret;

	if (atomic_load(&d->failed))
		return -EIO;
	/* A hole reads as zeroes; a device's discard promises nothing. */
	ret = by_kernel(r, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, BLKZEROOUT, off, len);
	return not_supported(ret) ? write_zeroes(r, off, len) : ret;
}

static int raw_discard(struct disk *d, uint64_t off, uint64_t len)
{
	struct disk_raw *r = to_raw(d);
	int ret = atomic_load(&d->failed) ? -EIO : by_kernel(r, FALLOC_FL_PUNCH_HOLE, BLKDISCARD, off, len);

	return not_supported(ret) ? -EOPNOTSUPP : ret;
}

static int raw_flush(struct disk *d)
{
	struct disk_raw *r = to_raw(d);
	int ret;

	if (atomic_load(&d->failed))
		return -EIO;
	do
		ret = r->host->fdatasync(r->host, r->disk.fd);
	while (ret == -EINTR);
	/* The kernel may have dropped the pages it could not write: a later flush would succeed, and lie. */
	if (ret >= 0)
		return 0;
	atomic_store(&d->failed, true);
	return -EIO;
}

static void raw_close(struct disk *d)
{
	struct disk_raw *r = to_raw(d);

	r->host->close(r->host, r->disk.fd);
	free(r->bounce);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* What the image's size is now, in *SIZE, and the size of its logical blocks, in *BLOCK. */
static int find_size(struct disk_raw *r, const char *path, uint64_t *size_out, uint32_t *block_out, struct tvmm_error *err)
{
	struct stat st;
	uint64_t size;
	int block = 512, ret = r->host->fstat(r->host, r->disk.fd, &st);

	if (ret)
		return err_set(err, TVMM_E_IO, -ret, path, "cannot look at the disk image");
	if (S_ISBLK(st.st_mode)) {
		r->is_device = true;
		ret = r->host->ioctl(r->host, r->disk.fd, BLKGETSIZE64, (uintptr_t)&size);
		if (ret >= 0)
			ret = r->host->ioctl(r->host, r->disk.fd, BLKSSZGET, (uintptr_t)&block);
		if (ret < 0)
			return err_set(err, TVMM_E_IO, -ret, path, "the block device does not tell its size");
	} else if (S_ISREG(st.st_mode)) {
		size = (uint64_t)st.st_size;
	} else {
		return err_set(err, TVMM_E_IO, 0, path, "this is neither a regular file nor a block device");
	}
	if (!size)
		return err_set(err, TVMM_E_IO, 0, path, "the disk image is empty");
	*size_out = size;
	*block_out = (uint32_t)block;
	return 0;
}

static int check_size(uint64_t size, const char *path, struct tvmm_error *err)
{
	if (size % 512 == 0)
		return 0;
	err_set(err, TVMM_E_IO, 0, path, "the disk image is %lu bytes, which is no multiple of 512", size);
	err_hint(err, "truncate -s %%512 %.300s", path);
	return -EINVAL;
}

static int raw_refresh(struct disk *d, const char *name, struct tvmm_error *err)
{
	uint64_t size = 0;
	uint32_t block = 0; /* of a device; the guest was told, and cannot be told anew */
	int ret = find_size(to_raw(d), name, &size, &block, err);

	if (!ret)
		ret = check_size(size, name, err);
	if (!ret && d->align && size % d->align)
		ret = err_set(err, TVMM_E_IO, EINVAL, name, "for direct I/O here the size must be a multiple of %u; it is %lu", d->align, size);
	if (!ret)
		d->size = size;
	return ret;
}

static const struct disk_ops raw_ops = {
	.readv = raw_readv, .writev = raw_writev, .zero = raw_zero, .discard = raw_discard, .flush = raw_flush, .try = raw_try,
	.refresh = raw_refresh, .close = raw_close,
};

/* Of a process that was killed, io_uring keeps files open for some 20 ms longer than the process lasts. */
#define LINGER_MS    20
#define LINGER_TRIES 25

static void linger(const struct disk_raw *r)
{
	r->host->poll(r->host, NULL, 0, LINGER_MS);
}

/* Who has it open is sought, for the hint: an OFD lock belongs to no process, and is reported with pid -1. */
static int lock_image(struct disk_raw *r, const char *path, bool ro, struct tvmm_error *err)
{
	char comm[32] = "";
	struct stat st;
	pid_t pid = 0;

	for (unsigned i = 0; !pid && i < LINGER_TRIES; i++) {
		struct flock fl = { .l_type = ro ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
		int ret = r->host->fcntl(r->host, r->disk.fd, F_OFD_SETLK, (uintptr_t)&fl);

		if (ret != -EAGAIN && ret != -EACCES)
			return 0; /* locked, or on a file system that has no locks */
		if (r->host->fstat(r->host, r->disk.fd, &st) == 0)
			pid = holder_of(st.st_dev, st.st_ino, comm, sizeof(comm));
		if (!pid)
			linger(r);
	}
	err_set(err, TVMM_E_BUSY, EBUSY, path, "the disk image is in use");
	if (pid)
		err_hint(err, "process %d (%s) holds it; with ,ro on both sides it can be shared", (int)pid, comm);
	else
		err_hint(err, "by another disk of this machine, another machine of this process, or another user's; with ,ro on both "
			 "sides it can be shared");
	return -EBUSY;
}

#define N_IMAGES 6 /* what qemu-img can convert comes first */

static const struct {
	const char *what;
	unsigned off, len;
	char magic[8];
} formats[] = {
	{ "a qcow2 image", 0, 4, "QFI\xfb" },
	{ "a QED image", 0, 4, "QED\0" },
	{ "a VMDK image", 0, 4, "KDMV" },
	{ "a VHD image", 0, 8, "conectix" },
	{ "a VHDX image", 0, 8, "vhdxfile" },
	{ "a VDI image", 64, 4, "\x7f\x10\xda\xbe" },
	{ "an xz file", 0, 6, "\xfd" "7zXZ\0" },
	{ "a zstd file", 0, 4, "\x28\xb5\x2f\xfd" },
	{ "a gzip file", 0, 2, "\x1f\x8b" },
};

static int refuse_formats(struct disk_raw *r, const char *path, struct tvmm_error *err)
{
	uint8_t head[128];

	if (host_pread_all(r->host, r->disk.fd, head, sizeof(head), 0))
		return 0; /* the guest will see the error, if it is one */
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		if (memcmp(head + formats[i].off, formats[i].magic, formats[i].len))
			continue;
		err_set(err, TVMM_E_IO, 0, path, "this is %s; only raw images can be used", formats[i].what);
		if (i < N_IMAGES)
			err_hint(err, "qemu-img convert -O raw %.150s %.150s.raw", path, path);
		else
			err_hint(err, "unpack it first");
		return -EINVAL;
	}
	return 0;
}

/* Opens a block device again, for ourselves alone: what the host has mounted must not be written behind its back. */
static int claim_device(struct disk_raw *r, const char *path, struct tvmm_error *err)
{
	int fd = -EBUSY;

	for (unsigned i = 0; fd == -EBUSY && i < LINGER_TRIES; i++) {
		if (i)
			linger(r);
		fd = r->host->open(r->host, path, O_RDWR | O_EXCL | O_NOCTTY | O_NONBLOCK, 0);
	}
	if (fd < 0) {
		err_set(err, fd == -EBUSY ? TVMM_E_BUSY : TVMM_E_IO, -fd, path,
			"the block device cannot be had for writing alone");
		if (fd == -EBUSY)
			err_hint(err, "it is mounted, or in use by something else (lsblk %.200s tells)", path);
		return fd;
	}
	r->host->close(r->host, r->disk.fd);
	r->disk.fd = fd;
	return 0;
}

/* What else is good to know; none of it can fail the opening. */
static void look_at_file_system(struct disk_raw *r)
{
	struct statfs fs;

	/* With O_NONBLOCK, io_uring would answer -EAGAIN where it could wait. */
	r->host->fcntl(r->host, r->disk.fd, F_SETFL, r->disk.align ? O_DIRECT : 0);
	r->disk.in_memory = !r->is_device && !r->disk.align && r->host->fstatfs(r->host, r->disk.fd, &fs) == 0 &&
			    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Can ALIGN bytes at ALIGN be read?  A wrong alignment is EINVAL; any other error is for the guest to see. */
static bool align_works(struct disk_raw *r, uint32_t align)
{
	struct iovec v = { r->bounce, align };

	return r->disk.size < 2ull * align || r->host->preadv(r->host, r->disk.fd, &v, 1, align) != -EINVAL;
}

/*
 * Past the page cache.  What alignment that needs depends on what is below the file system; there is no call for it in
 * every kernel, so it is tried.  The guest is told of it as its block size.
 */
static int make_direct(struct disk_raw *r, const char *path, struct tvmm_error *err)
{
	uint32_t align = r->disk.block_size;
	int ret;

	r->bounce = aligned_alloc(4096, BOUNCE);
	if (!r->bounce)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	ret = r->host->fcntl(r->host, r->disk.fd, F_SETFL, O_DIRECT);
	while (!ret && align < 4096 && !align_works(r, align))
		align *= 2;
	if (ret || !align_works(r, align)) {
		ret = err_set(err, TVMM_E_IO, EINVAL, path, "this file system has no direct I/O");
		err_hint(err, "leave out the key 'direct'");
		return ret;
	}
	if (r->disk.size % align) {
		err_set(err, TVMM_E_IO, 0, path, "for direct I/O here the size must be a multiple of %u; it is %lu", align, r->disk.size);
		err_hint(err, "truncate -s %%%u %.300s", align, path);
		return -EINVAL;
	}
	r->disk.align = r->disk.block_size = align;
	r->no_try = true; /* without waiting means: but for the device */
	return 0;
}

int disk_raw_open(struct disk **out, const struct host *h, const char *path, unsigned flags, struct tvmm_error *err)
{
	struct disk_raw *r = calloc(1, sizeof(*r));
	bool ro = flags & DISK_RO;
	int ret;

	if (!r)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	*r = (struct disk_raw){ .disk = { .ops = &raw_ops, .ro = ro }, .host = h };
	pthread_mutex_init(&r->lock, NULL);
	/* O_NONBLOCK: a path to a FIFO must not hang us; it means nothing to files and block devices. */
	r->disk.fd = h->open(h, path, (ro ? O_RDONLY : O_RDWR) | O_NOCTTY | O_NONBLOCK, 0);
	if (r->disk.fd < 0) {
		ret = err_set(err, TVMM_E_IO, -r->disk.fd, path, "cannot open the disk image%s", ro ? "" : " for writing");
		if (!ro && (ret == -EACCES || ret == -EROFS || ret == -EPERM))
			err_hint(err, "a read-only disk is --disk %.200s,ro", path);
		if (ret == -ENXIO) /* what opening a socket gives */
			err_hint(err, "if a vhost-user server listens there: --disk %.200s,format=vhost-user", path);
		pthread_mutex_destroy(&r->lock);
		free(r);
		return ret;
	}
	ret = find_size(r, path, &r->disk.size, &r->disk.block_size, err);
	if (!ret && r->is_device && !ro)
		ret = claim_device(r, path, err);
	if (!ret)
		ret = refuse_formats(r, path, err);
	if (!ret) /* later: other formats have any size, and no use for one of ours */
		ret = check_size(r->disk.size, path, err);
	if (!ret)
		ret = lock_image(r, path, ro, err);
	if (!ret && flags & DISK_DIRECT)
		ret = make_direct(r, path, err);
	if (ret) {
		raw_close(&r->disk);
		return ret;
	}
	look_at_file_system(r);
	*out = &r->disk;
	return 0;
}
