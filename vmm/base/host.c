/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * host.c - the real host: each entry is one system call, -1 turned into -errno.  Any thread; retries nothing.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ull

extern char **environ;

static int ret_int(int r)
{
	return r < 0 ? -errno : r;
}

static ssize_t ret_size(ssize_t r)
{
	return r < 0 ? -errno : r;
}

static int linux_open(const struct host *h, const char *path, int flags, mode_t mode)
{
	return ret_int(open(path, flags | O_CLOEXEC, mode));
}

static int linux_close(const struct host *h, int fd)
{
	return ret_int(close(fd));
}

static int linux_fstat(const struct host *h, int fd, struct stat *st)
{
	return ret_int(fstat(fd, st));
}

static int linux_fstatfs(const struct host *h, int fd, struct statfs *fs)
{
	return ret_int(fstatfs(fd, fs));
}

static int linux_fcntl(const struct host *h, int fd, int cmd, uintptr_t arg)
{
	return ret_int(fcntl(fd, cmd, arg));
}

static int linux_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	return ret_int(ioctl(fd, req, arg));
}

static ssize_t linux_readv(const struct host *h, int fd, const struct iovec *iov, int n)
{
	return ret_size(readv(fd, iov, n));
}

static ssize_t linux_writev(const struct host *h, int fd, const struct iovec *iov, int n)
{
	return ret_size(writev(fd, iov, n));
}

static ssize_t linux_recv(const struct host *h, int fd, void *buf, size_t len, int flags)
{
	return ret_size(recv(fd, buf, len, flags));
}

static ssize_t linux_send(const struct host *h, int fd, const void *buf, size_t len, int flags)
{
	return ret_size(send(fd, buf, len, flags));
}

static ssize_t linux_sendmsg(const struct host *h, int fd, const struct msghdr *msg, int flags)
{
	return ret_size(sendmsg(fd, msg, flags));
}

static ssize_t linux_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	return ret_size(preadv(fd, iov, n, off));
}

static ssize_t linux_pwritev(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	return ret_size(pwritev(fd, iov, n, off));
}

static ssize_t linux_preadv2(const struct host *h, int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return ret_size(preadv2(fd, iov, n, off, flags));
}

static ssize_t linux_pwritev2(const struct host *h, int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	return ret_size(pwritev2(fd, iov, n, off, flags));
}

static int linux_fdatasync(const struct host *h, int fd)
{
	return ret_int(fdatasync(fd));
}

static int linux_fallocate(const struct host *h, int fd, int mode, off_t off, off_t len)
{
	return ret_int(fallocate(fd, mode, off, len));
}

static int linux_ftruncate(const struct host *h, int fd, off_t len)
{
	return ret_int(ftruncate(fd, len));
}

static int linux_memfd(const struct host *h, const char *name, unsigned flags)
{
	return ret_int(memfd_create(name, flags | MFD_CLOEXEC));
}

static int linux_mmap(const struct host *h, void **out, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = mmap(addr, len, prot, flags, fd, off);

	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

static int linux_munmap(const struct host *h, void *addr, size_t len)
{
	return ret_int(munmap(addr, len));
}

static int linux_madvise(const struct host *h, void *addr, size_t len, int advice)
{
	return ret_int(madvise(addr, len, advice));
}

static ssize_t linux_process_madvise(const struct host *h, int pidfd, const struct iovec *iov, int n, int advice)
{
	return ret_size(syscall(SYS_process_madvise, pidfd, iov, (size_t)n, advice, 0u));
}

static int linux_mincore(const struct host *h, void *addr, size_t len, unsigned char *vec)
{
	return ret_int(mincore(addr, len, vec));
}

static int linux_uring_setup(const struct host *h, unsigned entries, struct io_uring_params *p)
{
	return ret_int((int)syscall(SYS_io_uring_setup, entries, p)); /* always close-on-exec */
}

static int linux_uring_register(const struct host *h, int fd, unsigned op, void *arg, unsigned n)
{
	return ret_int((int)syscall(SYS_io_uring_register, fd, op, arg, n));
}

static int linux_uring_enter(const struct host *h, int fd, unsigned submit, unsigned wait, unsigned flags)
{
	return ret_int((int)syscall(SYS_io_uring_enter, fd, submit, wait, flags, NULL, 0));
}

static int linux_socket(const struct host *h, int domain, int type, int protocol)
{
	return ret_int(socket(domain, type | SOCK_CLOEXEC, protocol));
}

static int linux_socketpair(const struct host *h, int domain, int type, int fds[2])
{
	return ret_int(socketpair(domain, type | SOCK_CLOEXEC, 0, fds));
}

static int linux_bind(const struct host *h, int fd, const struct sockaddr *addr, unsigned len)
{
	return ret_int(bind(fd, addr, len));
}

static int linux_listen(const struct host *h, int fd, int backlog)
{
	return ret_int(listen(fd, backlog));
}

static int linux_accept(const struct host *h, int fd, int flags)
{
	return ret_int(accept4(fd, NULL, NULL, flags | SOCK_CLOEXEC));
}

static int linux_connect(const struct host *h, int fd, const struct sockaddr *addr, unsigned len)
{
	return ret_int(connect(fd, addr, len));
}

static int linux_shutdown(const struct host *h, int fd, int how)
{
	return ret_int(shutdown(fd, how));
}

static int linux_getsockopt(const struct host *h, int fd, int level, int name, void *val, unsigned *len)
{
	return ret_int(getsockopt(fd, level, name, val, len));
}

static int linux_fchmod(const struct host *h, int fd, mode_t mode)
{
	return ret_int(fchmod(fd, mode));
}

static int linux_mkdir(const struct host *h, const char *path, mode_t mode)
{
	return ret_int(mkdir(path, mode));
}

static int linux_unlink(const struct host *h, const char *path)
{
	return ret_int(unlink(path));
}

static int linux_thread(const struct host *h, pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return -pthread_create(t, attr, fn, arg);
}

/* posix_spawnp(), for a library may live in a process with threads. */
static int spawn(pid_t *pid, char *const argv[], posix_spawn_file_actions_t *fa)
{
	posix_spawnattr_t attr;
	sigset_t none, all;
	int ret = posix_spawnattr_init(&attr);

	if (ret)
		return ret;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	ret = posix_spawnp(pid, argv[0], fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	return ret;
}

static int linux_spawn(const struct host *h, pid_t *pid, char *const argv[], const int *fds, unsigned n)
{
	posix_spawn_file_actions_t fa;
	int ret, above[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };

	if (n > sizeof(above) / sizeof(above[0]))
		return -EINVAL;
	ret = posix_spawn_file_actions_init(&fa);
	if (ret)
		return -ret;
	/* First out of the way of the places they are to come to. */
	for (unsigned i = 0; i < n && !ret; i++) {
		if (fds[i] < 0) {
			ret = posix_spawn_file_actions_addopen(&fa, (int)i, "/dev/null", O_RDWR, 0);
			continue;
		}
		above[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, (int)n);
		ret = above[i] < 0 ? errno : posix_spawn_file_actions_adddup2(&fa, above[i], (int)i);
	}
	if (!ret)
		ret = spawn(pid, argv, &fa);
	for (unsigned i = 0; i < n; i++)
		if (above[i] >= 0)
			close(above[i]);
	posix_spawn_file_actions_destroy(&fa);
	return -ret;
}

static int linux_pidfd_open(const struct host *h, pid_t pid)
{
	return ret_int((int)syscall(SYS_pidfd_open, pid, 0u)); /* always close-on-exec */
}

static int linux_kill(const struct host *h, pid_t pid, int pidfd, int sig)
{
	return ret_int(pidfd < 0 ? kill(pid, sig) : (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0u));
}

static int linux_waitpid(const struct host *h, pid_t pid, int *status)
{
	return ret_int(waitpid(pid, status, 0));
}

static int linux_pipe(const struct host *h, int fds[2], int flags)
{
	return ret_int(pipe2(fds, flags | O_CLOEXEC));
}

static int linux_eventfd(const struct host *h, unsigned initial, int flags)
{
	return ret_int(eventfd(initial, flags | EFD_CLOEXEC));
}

static int linux_epoll_create(const struct host *h)
{
	return ret_int(epoll_create1(EPOLL_CLOEXEC));
}

static int linux_epoll_ctl(const struct host *h, int epfd, int op, int fd, struct epoll_event *ev)
{
	return ret_int(epoll_ctl(epfd, op, fd, ev));
}

static int linux_epoll_wait(const struct host *h, int epfd, struct epoll_event *evs, int max, int timeout_ms)
{
	return ret_int(epoll_wait(epfd, evs, max, timeout_ms));
}

static int linux_poll(const struct host *h, struct pollfd *fds, unsigned n, int timeout_ms)
{
	return ret_int(poll(fds, n, timeout_ms));
}

static int linux_timerfd(const struct host *h)
{
	return ret_int(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

static int linux_timerfd_set(const struct host *h, int fd, uint64_t abs_ns, uint64_t period_ns)
{
	struct itimerspec t = {
		.it_value = { .tv_sec = (time_t)(abs_ns / NS), .tv_nsec = (long)(abs_ns % NS) },
		.it_interval = { .tv_sec = (time_t)(period_ns / NS), .tv_nsec = (long)(period_ns % NS) },
	};

	return ret_int(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
}

static ssize_t linux_getrandom(const struct host *h, void *buf, size_t len)
{
	return ret_size(getrandom(buf, len, GRND_NONBLOCK));
}

static uint64_t linux_now_ns(const struct host *h)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

const struct host *host_linux(void)
{
	static const struct host h = {
		.open = linux_open,
		.close = linux_close,
		.fstat = linux_fstat,
		.fstatfs = linux_fstatfs,
		.fcntl = linux_fcntl,
		.ioctl = linux_ioctl,
		.readv = linux_readv,
		.writev = linux_writev,
		.recv = linux_recv,
		.send = linux_send,
		.sendmsg = linux_sendmsg,
		.preadv = linux_preadv,
		.pwritev = linux_pwritev,
		.preadv2 = linux_preadv2,
		.pwritev2 = linux_pwritev2,
		.fdatasync = linux_fdatasync,
		.fallocate = linux_fallocate,
		.ftruncate = linux_ftruncate,
		.memfd = linux_memfd,
		.mmap = linux_mmap,
		.munmap = linux_munmap,
		.madvise = linux_madvise,
		.process_madvise = linux_process_madvise,
		.mincore = linux_mincore,
		.uring_setup = linux_uring_setup,
		.uring_register = linux_uring_register,
		.uring_enter = linux_uring_enter,
		.socket = linux_socket,
		.socketpair = linux_socketpair,
		.bind = linux_bind,
		.listen = linux_listen,
		.accept = linux_accept,
		.connect = linux_connect,
		.shutdown = linux_shutdown,
		.getsockopt = linux_getsockopt,
		.fchmod = linux_fchmod,
		.unlink = linux_unlink,
		.mkdir = linux_mkdir,
		.thread = linux_thread,
		.spawn = linux_spawn,
		.pidfd_open = linux_pidfd_open,
		.kill = linux_kill,
		.waitpid = linux_waitpid,
		.pipe = linux_pipe,
		.eventfd = linux_eventfd,
		.epoll_create = linux_epoll_create,
		.epoll_ctl = linux_epoll_ctl,
		.epoll_wait = linux_epoll_wait,
		.poll = linux_poll,
		.timerfd = linux_timerfd,
		.timerfd_set = linux_timerfd_set,
		.getrandom = linux_getrandom,
		.now_ns = linux_now_ns,
	};

	return &h;
}

int host_pread_all(const struct host *h, int fd, void *buf, size_t len, off_t off)
{
	char *p = buf;

	while (len) {
		struct iovec iov = { .iov_base = p, .iov_len = len };
		ssize_t n = h->preadv(h, fd, &iov, 1, off);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ENODATA;
		p += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}
