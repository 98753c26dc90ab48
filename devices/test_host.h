/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_host.h - for unit tests: a host that fails the Nth call, or transfers only a few bytes at a time, and otherwise
 * is the real one; and one step of an event loop without its thread, so that a test says when the loop runs.
 *
 * A test sets fail_op, fail_at and fail_errno, and later looks at calls[].  One thread at a time.
 */
#ifndef TVMM_DEVICES_TEST_HOST_H
#define TVMM_DEVICES_TEST_HOST_H

#include <string.h>
#include <sys/epoll.h>
#include "bits.h"
#include "evloop.h"
#include "host.h"

enum test_op {
	OP_NONE, OP_OPEN, OP_FSTAT, OP_FCNTL, OP_IOCTL, OP_READV, OP_WRITEV, OP_RECV, OP_SEND, OP_SENDMSG, OP_PREADV, OP_PWRITEV,
	OP_FDATASYNC, OP_EVENTFD, OP_EPOLL_CTL, OP_POLL, OP_GETRANDOM, OP_ANY
};

struct test_host {
	struct host h; /* hand out &th.h */
	unsigned calls[OP_ANY + 1]; /* [OP_ANY] counts all */
	enum test_op fail_op;       /* OP_NONE: nothing fails; OP_ANY: every kind counts */
	unsigned fail_at;           /* this call of that kind, from 1 */
	bool fail_on;               /* and all that follow */
	int fail_errno;
	int fail_fd;                /* these two only on this descriptor, 0: any */
	size_t max_io;              /* the most bytes of one transfer, 0: no limit */
};

/* Counts a call; the error to give, negative, or 0. */
static inline int th_call(const struct host *h, enum test_op op, int fd)
{
	struct test_host *th = h->ctx;
	unsigned n;

	if (th->fail_fd && th->fail_fd != fd)
		return 0;
	th->calls[op]++;
	th->calls[OP_ANY]++;
	if (th->fail_op != op && th->fail_op != OP_ANY)
		return 0;
	n = th->calls[th->fail_op];
	return n == th->fail_at || (th->fail_on && n > th->fail_at) ? -th->fail_errno : 0;
}

static inline int th_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	int ret = th_call(h, OP_OPEN, -1);

	return ret ? ret : host_linux()->open(h, path, flags, mode);
}

static inline int th_fstat(const struct host *h, int fd, struct stat *st)
{
	int ret = th_call(h, OP_FSTAT, fd);

	return ret ? ret : host_linux()->fstat(h, fd, st);
}

static inline int th_fcntl(const struct host *h, int fd, int cmd, uintptr_t arg)
{
	int ret = th_call(h, OP_FCNTL, fd);

	return ret ? ret : host_linux()->fcntl(h, fd, cmd, arg);
}

static inline int th_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	int ret = th_call(h, OP_IOCTL, fd);

	return ret ? ret : host_linux()->ioctl(h, fd, req, arg);
}

/* Makes of *IOV the first bytes of it, in *V, where transfers are limited. */
static inline void th_some(const struct host *h, int fd, struct iovec *v, const struct iovec **iov, int *n)
{
	const struct test_host *th = h->ctx;

	if (!th->max_io || (th->fail_fd && th->fail_fd != fd))
		return;
	*v = (struct iovec){ 0 };
	for (int i = 0; i < *n && !v->iov_len; i++)
		*v = (*iov)[i];
	v->iov_len = MIN(v->iov_len, th->max_io);
	*iov = v;
	*n = 1;
}

#define TH_VECTOR(name, op)                                                                                     \
	static inline ssize_t th_##name(const struct host *h, int fd, const struct iovec *iov, int n)           \
	{                                                                                                       \
		struct iovec v;                                                                                 \
		int ret = th_call(h, op, fd);                                                                   \
                                                                                                                \
		th_some(h, fd, &v, &iov, &n);                                                                   \
		return ret ? ret : host_linux()->name(h, fd, iov, n);                                           \
	}
TH_VECTOR(readv, OP_READV)
TH_VECTOR(writev, OP_WRITEV)

#define TH_VECTOR_AT(name, op)                                                                                  \
	static inline ssize_t th_##name(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)\
	{                                                                                                       \
		struct iovec v;                                                                                 \
		int ret = th_call(h, op, fd);                                                                   \
                                                                                                                \
		th_some(h, fd, &v, &iov, &n);                                                                   \
		return ret ? ret : host_linux()->name(h, fd, iov, n, off);                                      \
	}
TH_VECTOR_AT(preadv, OP_PREADV)
TH_VECTOR_AT(pwritev, OP_PWRITEV)

static inline ssize_t th_recv(const struct host *h, int fd, void *buf, size_t len, int flags)
{
	int ret = th_call(h, OP_RECV, fd);

	return ret ? ret : host_linux()->recv(h, fd, buf, len, flags);
}

static inline ssize_t th_send(const struct host *h, int fd, const void *buf, size_t len, int flags)
{
	int ret = th_call(h, OP_SEND, fd);

	return ret ? ret : host_linux()->send(h, fd, buf, len, flags);
}

static inline ssize_t th_sendmsg(const struct host *h, int fd, const struct msghdr *msg, int flags)
{
	int ret = th_call(h, OP_SENDMSG, fd);

	return ret ? ret : host_linux()->sendmsg(h, fd, msg, flags);
}

static inline int th_fdatasync(const struct host *h, int fd)
{
	int ret = th_call(h, OP_FDATASYNC, fd);

	return ret ? ret : host_linux()->fdatasync(h, fd);
}

static inline int th_eventfd(const struct host *h, unsigned initial, int flags)
{
	int ret = th_call(h, OP_EVENTFD, -1);

	return ret ? ret : host_linux()->eventfd(h, initial, flags);
}

static inline int th_epoll_ctl(const struct host *h, int epfd, int op, int fd, struct epoll_event *ev)
{
	int ret = th_call(h, OP_EPOLL_CTL, fd);

	return ret ? ret : host_linux()->epoll_ctl(h, epfd, op, fd, ev);
}

static inline int th_poll(const struct host *h, struct pollfd *fds, unsigned n, int timeout_ms)
{
	int ret = th_call(h, OP_POLL, -1);

	return ret ? ret : host_linux()->poll(h, fds, n, timeout_ms);
}

static inline ssize_t th_getrandom(const struct host *h, void *buf, size_t len)
{
	const struct test_host *th = h->ctx;
	int ret = th_call(h, OP_GETRANDOM, -1);

	return ret ? ret : host_linux()->getrandom(h, buf, th->max_io ? MIN(len, th->max_io) : len);
}

static inline void test_host_init(struct test_host *th)
{
	*th = (struct test_host){ .h = *host_linux() };
	th->h.ctx = th;
	th->h.open = th_open;
	th->h.fstat = th_fstat;
	th->h.fcntl = th_fcntl;
	th->h.ioctl = th_ioctl;
	th->h.readv = th_readv;
	th->h.writev = th_writev;
	th->h.recv = th_recv;
	th->h.send = th_send;
	th->h.sendmsg = th_sendmsg;
	th->h.preadv = th_preadv;
	th->h.pwritev = th_pwritev;
	th->h.fdatasync = th_fdatasync;
	th->h.eventfd = th_eventfd;
	th->h.epoll_ctl = th_epoll_ctl;
	th->h.poll = th_poll;
	th->h.getrandom = th_getrandom;
}

/* From here on the AT-th call of kind OP fails with ERR. */
static inline void test_host_fail(struct test_host *th, enum test_op op, unsigned at, int err)
{
	memset(th->calls, 0, sizeof(th->calls));
	th->fail_op = op;
	th->fail_at = at;
	th->fail_errno = err;
}

/* What the loop's thread does when epoll_wait() returns, without waiting; how many events there were. */
static inline int loop_step(struct evloop *l)
{
	struct epoll_event evs[16];
	int n = l->host->epoll_wait(l->host, l->epfd, evs, 16, 0);

	for (int i = 0; i < n; i++) {
		struct evsource *src = evs[i].data.ptr;

		if (src->fd >= 0)
			src->ready(src, evs[i].events);
	}
	return n;
}

/* Until there is nothing to do.  The number of steps, or -1 if it never ends: something spins. */
static inline int loop_settle(struct evloop *l)
{
	for (int i = 0; i < 10000; i++)
		if (loop_step(l) == 0)
			return i;
	return -1;
}

#endif
