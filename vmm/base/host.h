/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * host.h - the seam between tinyvmm and the system below it.
 *
 * Everything that can fail outside this process (files, memory, KVM, descriptors, time, randomness) is called through
 * one table, so that a test can fail the Nth call for every N, and a fuzzer can run the device core without a host.
 * host_linux() is the real one.  Each function returns what its system call returns, with -errno in place of -1, and
 * none of them retries.  All may be called from any thread.
 */
#ifndef TVMM_BASE_HOST_H
#define TVMM_BASE_HOST_H

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

struct epoll_event;
struct io_uring_params;
struct statfs;
struct msghdr;
struct pollfd;
struct sockaddr;

struct host {
	int (*open)(const struct host *h, const char *path, int flags, mode_t mode); /* O_CLOEXEC is added */
	int (*close)(const struct host *h, int fd);
	int (*fstat)(const struct host *h, int fd, struct stat *st);
	int (*fstatfs)(const struct host *h, int fd, struct statfs *fs);
	int (*fcntl)(const struct host *h, int fd, int cmd, uintptr_t arg);
	int (*ioctl)(const struct host *h, int fd, unsigned long req, uintptr_t arg);
	ssize_t (*readv)(const struct host *h, int fd, const struct iovec *iov, int n);
	ssize_t (*writev)(const struct host *h, int fd, const struct iovec *iov, int n);
	ssize_t (*recv)(const struct host *h, int fd, void *buf, size_t len, int flags);
	ssize_t (*send)(const struct host *h, int fd, const void *buf, size_t len, int flags);
	ssize_t (*sendmsg)(const struct host *h, int fd, const struct msghdr *msg, int flags);
	ssize_t (*preadv)(const struct host *h, int fd, const struct iovec *iov, int n, off_t off);
	ssize_t (*pwritev)(const struct host *h, int fd, const struct iovec *iov, int n, off_t off);
	/* With flags (RWF_NOWAIT). */
	ssize_t (*preadv2)(const struct host *h, int fd, const struct iovec *iov, int n, off_t off, int flags);
	ssize_t (*pwritev2)(const struct host *h, int fd, const struct iovec *iov, int n, off_t off, int flags);
	int (*fdatasync)(const struct host *h, int fd);
	int (*fallocate)(const struct host *h, int fd, int mode, off_t off, off_t len);
	int (*ftruncate)(const struct host *h, int fd, off_t len);
	int (*memfd)(const struct host *h, const char *name, unsigned flags);
	int (*mmap)(const struct host *h, void **out, void *addr, size_t len, int prot, int flags, int fd, off_t off);
	int (*munmap)(const struct host *h, void *addr, size_t len);
	int (*madvise)(const struct host *h, void *addr, size_t len, int advice);
	/* Advice for many ranges of this process at once: bytes advised, maybe fewer than asked.  PIDFD: its own. */
	ssize_t (*process_madvise)(const struct host *h, int pidfd, const struct iovec *iov, int n, int advice);
	int (*mincore)(const struct host *h, void *addr, size_t len, unsigned char *vec);
	int (*uring_setup)(const struct host *h, unsigned entries, struct io_uring_params *p);
	int (*uring_register)(const struct host *h, int fd, unsigned op, void *arg, unsigned n);
	int (*uring_enter)(const struct host *h, int fd, unsigned submit, unsigned wait, unsigned flags);
	int (*socket)(const struct host *h, int domain, int type, int protocol); /* SOCK_CLOEXEC is added */
	int (*socketpair)(const struct host *h, int domain, int type, int fds[2]); /* SOCK_CLOEXEC is added */
	int (*bind)(const struct host *h, int fd, const struct sockaddr *addr, unsigned len);
	int (*listen)(const struct host *h, int fd, int backlog);
	int (*accept)(const struct host *h, int fd, int flags);                  /* SOCK_CLOEXEC is added */
	int (*connect)(const struct host *h, int fd, const struct sockaddr *addr, unsigned len);
	int (*shutdown)(const struct host *h, int fd, int how);
	int (*getsockopt)(const struct host *h, int fd, int level, int name, void *val, unsigned *len);
	int (*fchmod)(const struct host *h, int fd, mode_t mode);
	int (*unlink)(const struct host *h, const char *path);
	int (*mkdir)(const struct host *h, const char *path, mode_t mode);
	/* 0 or -errno.  thread_start() (thread.h) is who calls it. */
	int (*thread)(const struct host *h, pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
	/*
	 * Starts the program ARGV[0], looked for in PATH, in a process group of its own, with no signal blocked or ignored: FDS
	 * are its descriptors from 0 on (-1: /dev/null), and it has no others that were opened as ours are.
	 */
	int (*spawn)(const struct host *h, pid_t *pid, char *const argv[], const int *fds, unsigned n);
	int (*pidfd_open)(const struct host *h, pid_t pid);
	int (*kill)(const struct host *h, pid_t pid, int pidfd, int sig); /* by PIDFD, or with -1 by PID */
	int (*waitpid)(const struct host *h, pid_t pid, int *status);
	int (*pipe)(const struct host *h, int fds[2], int flags);         /* O_CLOEXEC is added */
	int (*eventfd)(const struct host *h, unsigned initial, int flags);
	int (*epoll_create)(const struct host *h);
	int (*epoll_ctl)(const struct host *h, int epfd, int op, int fd, struct epoll_event *ev);
	int (*epoll_wait)(const struct host *h, int epfd, struct epoll_event *evs, int max, int timeout_ms);
	int (*poll)(const struct host *h, struct pollfd *fds, unsigned n, int timeout_ms);
	int (*timerfd)(const struct host *h);                                        /* CLOCK_MONOTONIC, non-blocking */
	int (*timerfd_set)(const struct host *h, int fd, uint64_t abs_ns, uint64_t period_ns); /* 0, 0 disarms */
	ssize_t (*getrandom)(const struct host *h, void *buf, size_t len);           /* never blocks: GRND_NONBLOCK */
	uint64_t (*now_ns)(const struct host *h);                                    /* CLOCK_MONOTONIC */
	void *ctx;                                                                   /* a test's own */
};

/* The table of real system calls.  Constant, for ever valid. */
const struct host *host_linux(void);

/* Reads or writes all LEN bytes at OFF, going on after short transfers and EINTR.  0, -errno, or -ENODATA at the end
 * of the file. */
int host_pread_all(const struct host *h, int fd, void *buf, size_t len, off_t off);

#endif
