/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_failing.h - for unit tests: calls of the host of which one fails.  A test puts those it wants into a host of its
 * own, sets until_failure to N and runs; the Nth of them fails, and where until_failure is not 0 afterwards, there were
 * fewer.  And what a test of such failures looks at: how many descriptors there are.  Any thread, one test at a time.
 */
#ifndef TVMM_BASE_TEST_FAILING_H
#define TVMM_BASE_TEST_FAILING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "host.h"
#include "test.h"

static _Atomic unsigned until_failure;

static inline bool fails(void)
{
	return until_failure && !--until_failure;
}

#define FAILING(ret, name, err, params, args) \
	static inline ret f_##name params \
	{ \
		return fails() ? -(err) : host_linux()->name args; \
	}
#define HOST const struct host *h
FAILING(int, open, EMFILE, (HOST, const char *p, int f, mode_t m), (h, p, f, m))
FAILING(int, fstat, EIO, (HOST, int fd, struct stat *st), (h, fd, st))
FAILING(int, fcntl, EMFILE, (HOST, int fd, int cmd, uintptr_t arg), (h, fd, cmd, arg))
FAILING(ssize_t, readv, EIO, (HOST, int fd, const struct iovec *v, int n), (h, fd, v, n))
FAILING(int, socket, EMFILE, (HOST, int d, int t, int p), (h, d, t, p))
FAILING(int, socketpair, EMFILE, (HOST, int d, int t, int fds[2]), (h, d, t, fds))
FAILING(int, bind, EACCES, (HOST, int fd, const struct sockaddr *a, unsigned l), (h, fd, a, l))
FAILING(int, listen, EIO, (HOST, int fd, int n), (h, fd, n))
FAILING(int, accept, EMFILE, (HOST, int fd, int f), (h, fd, f))
FAILING(int, connect, EIO, (HOST, int fd, const struct sockaddr *a, unsigned l), (h, fd, a, l))
FAILING(int, fchmod, EPERM, (HOST, int fd, mode_t m), (h, fd, m))
FAILING(int, unlink, EACCES, (HOST, const char *p), (h, p))
FAILING(int, pipe, EMFILE, (HOST, int fds[2], int f), (h, fds, f))
FAILING(int, pidfd_open, EMFILE, (HOST, pid_t pid), (h, pid))
FAILING(int, waitpid, EINTR, (HOST, pid_t pid, int *status), (h, pid, status))
FAILING(int, eventfd, EMFILE, (HOST, unsigned i, int f), (h, i, f))
FAILING(int, epoll_create, EMFILE, (HOST), (h))
FAILING(int, poll, ENOMEM, (HOST, struct pollfd *p, unsigned n, int ms), (h, p, n, ms))
FAILING(int, timerfd, EMFILE, (HOST), (h))
#undef HOST

static inline int f_epoll_ctl(const struct host *h, int ep, int op, int fd, struct epoll_event *ev)
{
	return op == 1 && fails() ? -ENOMEM : host_linux()->epoll_ctl(h, ep, op, fd, ev); /* EPOLL_CTL_ADD */
}

#endif
