/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_host.h - a host made of nothing, for fuzz targets: descriptors, an event loop's readiness, one file and one
 * stream in each direction, a clock that moves when told to, faults when told to.
 *
 * No system call is made.  Every call first runs STEP, by which a target changes guest memory while the code under trial
 * is in the middle of something.  fuzz_pump() stands for the loop's thread: it calls what is ready until nothing is.
 */
#ifndef TVMM_BASE_FUZZ_HOST_H
#define TVMM_BASE_FUZZ_HOST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "evloop.h"
#include "fuzz_input.h"
#include "host.h"

#define FUZZ_FDS 48

/* Descriptors that are there from the start. */
enum { FUZZ_FD_FILE = 3, FUZZ_FD_IN = 4, FUZZ_FD_OUT = 5, FUZZ_FD_FREE = 6 };
/* SOCK: a socket or timer of the target's own, readable when it is RUNG. */
enum fuzz_fd_kind { FUZZ_NONE, FUZZ_EPOLL, FUZZ_BELL, FUZZ_FILE, FUZZ_IN, FUZZ_OUT, FUZZ_SOCK };

struct fuzz_fd {
	enum fuzz_fd_kind kind;
	bool rung;
	bool seen;            /* with EPOLLET: nothing new since */
	uint32_t events;      /* of the epoll set */
	struct evsource *src; /* NULL: not in the epoll set */
};

struct fuzz_host {
	struct host h; /* hand out &fh.h */
	uint64_t now;
	struct fuzz_fd fd[FUZZ_FDS];
	unsigned n_fds; /* a number is never used again while the host lives */

	/* The file behind FUZZ_FD_FILE. */
	uint8_t *file;
	uint64_t file_len;  /* bytes that are there */
	uint64_t file_size; /* what fstat says */
	mode_t file_mode;
	bool file_ro;       /* whoever writes has a bug */

	/* The streams. */
	mode_t stream_mode;  /* S_IFIFO, S_IFSOCK, S_IFCHR or S_IFREG */
	bool reopens;        /* /proc/self/fd can be opened */
	size_t in_avail;
	uint8_t in_next;     /* the next byte of input; they count up */
	bool in_end;
	size_t out_room;
	uint64_t out_len;    /* bytes that came out */
	void (*out)(void *arg, const uint8_t *p, size_t len); /* may be NULL */

	/* The FAIL_AT-th transfer from here on fails with FAIL_ERRNO, and so do the FAIL_ON that follow. */
	unsigned fail_at, fail_on;
	int fail_errno;
	size_t max_io;       /* the most bytes of one transfer, 0: no limit */

	void (*step)(void *arg);
	void *arg;
};

static inline struct fuzz_host *fuzz_host_of(const struct host *h)
{
	return h->ctx;
}

static inline void fuzz_step(const struct host *h)
{
	struct fuzz_host *fh = h->ctx;

	if (fh->step)
		fh->step(fh->arg);
}

/* The error that a transfer is to give, negative, or 0. */
static inline int fuzz_fault(const struct host *h)
{
	struct fuzz_host *fh = h->ctx;

	fuzz_step(h);
	if (!fh->fail_at)
		return 0;
	if (fh->fail_at > 1) {
		fh->fail_at--;
		return 0;
	}
	if (fh->fail_on)
		fh->fail_on--;
	else
		fh->fail_at = 0;
	return -fh->fail_errno;
}

static inline struct fuzz_fd *fuzz_fd_of(const struct host *h, int fd)
{
	struct fuzz_host *fh = h->ctx;

	FUZZ_ASSERT(fd >= 0 && fd < FUZZ_FDS);
	FUZZ_ASSERT(fh->fd[fd].kind != FUZZ_NONE);
	return &fh->fd[fd];
}

static inline int fuzz_new_fd(const struct host *h, enum fuzz_fd_kind kind)
{
	struct fuzz_host *fh = h->ctx;

	FUZZ_ASSERT(fh->n_fds < FUZZ_FDS);
	fh->fd[fh->n_fds] = (struct fuzz_fd){ .kind = kind };
	return (int)fh->n_fds++;
}

static inline int fuzz_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	struct fuzz_host *fh = h->ctx;

	if (!strncmp(path, "/proc/self/fd/", 14))
		return fh->reopens ? fuzz_new_fd(h, fh->fd[atoi(path + 14)].kind) : -EACCES;
	return fuzz_new_fd(h, FUZZ_FILE);
}

static inline int fuzz_close(const struct host *h, int fd)
{
	fuzz_fd_of(h, fd)->kind = FUZZ_NONE;
	return 0;
}

static inline int fuzz_fstat(const struct host *h, int fd, struct stat *st)
{
	const struct fuzz_host *fh = h->ctx;
	bool file = fuzz_fd_of(h, fd)->kind == FUZZ_FILE;
	int ret = fuzz_fault(h);

	memset(st, 0, sizeof(*st));
	st->st_mode = (file ? fh->file_mode : fh->stream_mode) | 0600;
	st->st_size = file ? (off_t)fh->file_size : 0;
	return ret;
}

static inline int fuzz_fstatfs(const struct host *h, int fd, struct statfs *fs)
{
	fuzz_fd_of(h, fd);
	return -ENOSYS;
}

static inline int fuzz_fcntl(const struct host *h, int fd, int cmd, uintptr_t arg)
{
	const struct fuzz_fd *f = fuzz_fd_of(h, fd);

	return cmd == F_DUPFD_CLOEXEC ? fuzz_new_fd(h, f->kind) : 0;
}

static inline int fuzz_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	return -ENOTTY;
}

/* The whole of a transfer with a limit; walks the vector, calling FN for each piece. */
static inline ssize_t fuzz_walk(const struct host *h, const struct iovec *iov, int n, size_t limit,
				void (*fn)(struct fuzz_host *fh, uint8_t *p, size_t len, uint64_t done))
{
	struct fuzz_host *fh = h->ctx;
	size_t done = 0;

	FUZZ_ASSERT(n >= 0 && n <= IOV_MAX);
	if (fh->max_io)
		limit = MIN(limit, fh->max_io);
	for (int i = 0; i < n && done < limit; i++) {
		size_t part = MIN(iov[i].iov_len, limit - done);

		if (part)
			fn(fh, iov[i].iov_base, part, done);
		done += part;
	}
	return (ssize_t)done;
}

static inline void fuzz_in_piece(struct fuzz_host *fh, uint8_t *p, size_t len, uint64_t done)
{
	for (size_t i = 0; i < len; i++)
		p[i] = fh->in_next++;
	fh->in_avail -= len;
}

static inline void fuzz_out_piece(struct fuzz_host *fh, uint8_t *p, size_t len, uint64_t done)
{
	if (fh->out)
		fh->out(fh->arg, p, len);
	fh->out_room -= len;
	fh->out_len += len;
}

static inline ssize_t fuzz_readv(const struct host *h, int fd, const struct iovec *iov, int n)
{
	struct fuzz_host *fh = h->ctx;
	struct fuzz_fd *f = fuzz_fd_of(h, fd);
	int ret;

	if (f->kind == FUZZ_BELL) {
		FUZZ_ASSERT(n == 1 && iov->iov_len == 8);
		memset(iov->iov_base, 0, 8);
		ret = f->rung ? 8 : -EAGAIN;
		f->rung = false;
		return ret;
	}
	FUZZ_ASSERT(f->kind == FUZZ_IN);
	f->seen = true;
	ret = fuzz_fault(h);
	if (ret)
		return ret;
	if (!fh->in_avail)
		return fh->in_end || fh->stream_mode == S_IFREG ? 0 : -EAGAIN;
	return fuzz_walk(h, iov, n, fh->in_avail, fuzz_in_piece);
}

static inline ssize_t fuzz_writev(const struct host *h, int fd, const struct iovec *iov, int n)
{
	struct fuzz_host *fh = h->ctx;
	struct fuzz_fd *f = fuzz_fd_of(h, fd);
	int ret;

	if (f->kind == FUZZ_BELL) {
		f->rung = true;
		f->seen = false;
		return 8;
	}
	FUZZ_ASSERT(f->kind == FUZZ_OUT);
	ret = fuzz_fault(h);
	if (ret)
		return ret;
	if (fh->stream_mode == S_IFREG)
		fh->out_room = SIZE_MAX;
	else if (!fh->reopens)
		/* This one would block: it must have been polled, and the write be small enough. */
		FUZZ_ASSERT(fh->out_room && n == 1 && iov->iov_len <= PIPE_BUF);
	return fh->out_room ? fuzz_walk(h, iov, n, fh->out_room, fuzz_out_piece) : -EAGAIN;
}

static inline ssize_t fuzz_recv(const struct host *h, int fd, void *buf, size_t len, int flags)
{
	struct iovec v = { buf, len };

	FUZZ_ASSERT(flags & MSG_DONTWAIT);
	return fuzz_readv(h, fd, &v, 1);
}

static inline ssize_t fuzz_send(const struct host *h, int fd, const void *buf, size_t len, int flags)
{
	struct iovec v = { (void *)(uintptr_t)buf, len };

	FUZZ_ASSERT(flags & MSG_DONTWAIT && flags & MSG_NOSIGNAL);
	return fuzz_writev(h, fd, &v, 1);
}

static inline ssize_t fuzz_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	const struct fuzz_host *fh = h->ctx;
	int ret = fuzz_fault(h);
	uint64_t at = (uint64_t)off;
	ssize_t total = 0;
	size_t limit;

	FUZZ_ASSERT(fuzz_fd_of(h, fd)->kind == FUZZ_FILE);
	FUZZ_ASSERT(off >= 0);
	if (ret)
		return ret;
	limit = at < fh->file_len ? fh->file_len - at : 0;
	if (fh->max_io)
		limit = MIN(limit, fh->max_io);
	for (int i = 0; i < n && limit; i++) {
		size_t part = MIN(iov[i].iov_len, limit);

		memcpy(iov[i].iov_base, fh->file + at + total, part);
		total += (ssize_t)part;
		limit -= part;
	}
	return total;
}

static inline ssize_t fuzz_pwritev(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	const struct fuzz_host *fh = h->ctx;
	int ret = fuzz_fault(h);
	uint64_t at = (uint64_t)off;
	ssize_t total = 0;
	size_t limit;

	FUZZ_ASSERT(fuzz_fd_of(h, fd)->kind == FUZZ_FILE);
	FUZZ_ASSERT(!fh->file_ro);
	FUZZ_ASSERT(off >= 0 && at <= fh->file_size);
	if (ret)
		return ret;
	limit = at < fh->file_len ? fh->file_len - at : 0;
	if (fh->max_io)
		limit = MIN(limit, fh->max_io);
	for (int i = 0; i < n && limit; i++) {
		size_t part = MIN(iov[i].iov_len, limit);

		memcpy(fh->file + at + total, iov[i].iov_base, part);
		total += (ssize_t)part;
		limit -= part;
	}
	return total;
}

static inline int fuzz_fdatasync(const struct host *h, int fd)
{
	FUZZ_ASSERT(fuzz_fd_of(h, fd)->kind == FUZZ_FILE);
	return fuzz_fault(h);
}

/* Discarded and zeroed ranges read as zeroes. */
static inline int fuzz_fallocate(const struct host *h, int fd, int mode, off_t off, off_t len)
{
	const struct fuzz_host *fh = h->ctx;
	int ret = fuzz_fault(h);

	FUZZ_ASSERT(fuzz_fd_of(h, fd)->kind == FUZZ_FILE);
	FUZZ_ASSERT(!fh->file_ro);
	FUZZ_ASSERT(off >= 0 && len > 0 && (uint64_t)off + (uint64_t)len <= fh->file_size);
	if (!ret && (uint64_t)off < fh->file_len)
		memset(fh->file + off, 0, MIN((uint64_t)len, fh->file_len - (uint64_t)off));
	return ret;
}

static inline int fuzz_eventfd(const struct host *h, unsigned initial, int flags)
{
	return fuzz_new_fd(h, FUZZ_BELL);
}

static inline int fuzz_epoll_create(const struct host *h)
{
	return fuzz_new_fd(h, FUZZ_EPOLL);
}

static inline int fuzz_epoll_ctl(const struct host *h, int epfd, int op, int fd, struct epoll_event *ev)
{
	const struct fuzz_host *fh = h->ctx;
	struct fuzz_fd *f = fuzz_fd_of(h, fd);

	FUZZ_ASSERT(fuzz_fd_of(h, epfd)->kind == FUZZ_EPOLL);
	if (f->kind != FUZZ_BELL && fh->stream_mode == S_IFREG)
		return -EPERM;
	FUZZ_ASSERT(op == EPOLL_CTL_ADD ? !f->src : !!f->src);
	f->src = op == EPOLL_CTL_DEL ? NULL : ev->data.ptr;
	f->events = op == EPOLL_CTL_DEL ? 0 : ev->events;
	f->seen = false;
	return 0;
}

static inline int fuzz_epoll_wait(const struct host *h, int epfd, struct epoll_event *evs, int max, int timeout_ms)
{
	return -EINTR;
}

static inline int fuzz_poll(const struct host *h, struct pollfd *fds, unsigned n, int timeout_ms)
{
	return 0;
}

static inline ssize_t fuzz_getrandom(const struct host *h, void *buf, size_t len)
{
	const struct fuzz_host *fh = h->ctx;
	int ret = fuzz_fault(h);

	if (ret)
		return ret;
	if (fh->max_io)
		len = MIN(len, fh->max_io);
	memset(buf, 0x5a, len);
	return (ssize_t)len;
}

static inline uint64_t fuzz_now(const struct host *h)
{
	return fuzz_host_of(h)->now;
}

static inline void fuzz_host_init(struct fuzz_host *fh)
{
	*fh = (struct fuzz_host){
		.h = { .open = fuzz_open, .close = fuzz_close, .fstat = fuzz_fstat, .fstatfs = fuzz_fstatfs, .fcntl = fuzz_fcntl,
		       .ioctl = fuzz_ioctl, .readv = fuzz_readv, .writev = fuzz_writev, .recv = fuzz_recv,
		       .send = fuzz_send, .preadv = fuzz_preadv, .pwritev = fuzz_pwritev, .fdatasync = fuzz_fdatasync,
		       .fallocate = fuzz_fallocate, .eventfd = fuzz_eventfd, .epoll_create = fuzz_epoll_create,
		       .epoll_ctl = fuzz_epoll_ctl, .epoll_wait = fuzz_epoll_wait, .poll = fuzz_poll,
		       .getrandom = fuzz_getrandom, .now_ns = fuzz_now, .ctx = fh },
		.now = 1000000000000ull,
		.n_fds = FUZZ_FD_FREE,
		.file_mode = S_IFREG,
		.stream_mode = S_IFIFO,
		.reopens = true,
		.out_room = SIZE_MAX / 2,
	};
	fh->fd[FUZZ_FD_FILE].kind = FUZZ_FILE;
	fh->fd[FUZZ_FD_IN].kind = FUZZ_IN;
	fh->fd[FUZZ_FD_OUT].kind = FUZZ_OUT;
}

/* What epoll would report of F. */
static inline uint32_t fuzz_ready(const struct fuzz_host *fh, const struct fuzz_fd *f)
{
	bool in = f->kind == FUZZ_BELL || f->kind == FUZZ_SOCK ? f->rung : f->kind == FUZZ_IN && (fh->in_avail || fh->in_end);
	bool out = f->kind == FUZZ_OUT && fh->out_room;

	if (!f->src || (f->events & EPOLLET && f->seen))
		return 0;
	return f->events & ((in ? EPOLLIN : 0) | (out ? EPOLLOUT : 0));
}

/* Runs the loop until nothing is ready, for at most LIMIT calls; returns how many there were. */
static inline unsigned fuzz_pump(struct fuzz_host *fh, unsigned limit)
{
	unsigned steps = 0, before;

	do {
		before = steps;
		for (unsigned i = 0; i < fh->n_fds && steps < limit; i++) {
			struct fuzz_fd *f = &fh->fd[i];
			uint32_t ready = fuzz_ready(fh, f);

			if (!ready)
				continue;
			if (f->kind == FUZZ_BELL)
				f->seen = true;
			f->src->ready(f->src, ready);
			steps++;
		}
	} while (steps != before && steps < limit);
	return steps;
}

#endif
