/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_chardev.c - bytes arrive once and in order whatever the peer is; a peer that is slow, stuck or gone neither
 * blocks, spins nor grows anything; descriptors of others keep their flags and offsets.
 */
#include "chardev.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"
#include "test_host.h"

struct sink {
	struct chardev_rx rx; /* first */
	size_t room, got;
	uint8_t next;         /* bytes are expected to count up */
	unsigned asked;
	bool wrong;
};

/* One assertion for many bytes: each is a system call of libcheck's. */
static bool counts_up(const uint8_t *buf, size_t len, uint8_t *next)
{
	bool ok = true;

	for (size_t i = 0; i < len; i++)
		ok &= buf[i] == (*next)++;
	return ok;
}

static size_t sink_room(struct chardev_rx *rx)
{
	return ((struct sink *)rx)->room;
}

static void sink_input(struct chardev_rx *rx, const uint8_t *buf, size_t len)
{
	struct sink *s = (struct sink *)rx;

	if (len > s->room)
		s->wrong = true;
	s->room -= len;
	s->wrong |= !counts_up(buf, len, &s->next);
	s->got += len;
}

struct rig {
	struct test_host th;
	struct evloop l;
	struct chardev c;
	struct sink sink;
	unsigned drained;
	int open_fds;
};

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Closes a descriptor that was open when R began. */
static void rig_close(struct rig *r, int fd)
{
	close(fd);
	r->open_fds--;
}

static void on_drained(void *arg)
{
	++*(unsigned *)arg;
}

static struct rig *rig_new(int in, int out, int log)
{
	struct rig *r = calloc(1, sizeof(*r));

	r->open_fds = count_fds();
	test_host_init(&r->th);
	ck_assert_int_eq(evloop_init(&r->l, &r->th.h, NULL), 0);
	ck_assert_int_eq(chardev_init(&r->c, "console", &r->l, NULL, in, out, log, NULL), 0);
	r->sink.rx = (struct chardev_rx){ sink_room, sink_input };
	r->c.rx = &r->sink.rx;
	r->c.drained[0] = on_drained;
	r->c.drained_arg[0] = &r->drained;
	return r;
}

static void rig_free(struct rig *r)
{
	chardev_fini(&r->c);
	evloop_fini(&r->l);
	ck_assert_int_eq(count_fds(), r->open_fds);
	free(r);
}

static void put_str(struct rig *r, const char *s)
{
	ck_assert_uint_eq(chardev_put(&r->c, (const uint8_t *)s, strlen(s)), strlen(s));
}

static void expect_read(int fd, const char *want)
{
	char buf[256];
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	ck_assert_int_ge(n, 0);
	buf[n] = 0;
	ck_assert_str_eq(buf, want);
}

/* Puts bytes that count up from *NEXT until no more are taken; how many were. */
static size_t fill(struct rig *r, uint8_t *next)
{
	uint8_t buf[1000];
	size_t total = 0, n;

	do {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)(*next + i);
		n = chardev_put(&r->c, buf, sizeof(buf));
		*next = (uint8_t)(*next + n);
		total += n;
		ck_assert_int_ge(loop_settle(&r->l), 0);
	} while (n);
	return total;
}

/* Waits until FD is ready: what is written to a pseudo-terminal takes the kernel a moment to get to the other side. */
static void await(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
}

/* Waits until FD has something to read, and lets the loop run meanwhile. */
static void await_reader(struct rig *r, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = r->l.epfd, .events = POLLIN } };

	do {
		ck_assert_int_gt(poll(p, 2, 10000), 0);
		ck_assert_int_ge(loop_settle(&r->l), 0);
	} while (!p[0].revents);
}

/* Reads WANT bytes, lets the loop run in between, and checks that they count up and that no more follow. */
static void read_all(struct rig *r, int fd, uint8_t *next, size_t want)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t buf[8192];

	while (want) {
		ssize_t n;

		ck_assert_int_ge(loop_settle(&r->l), 0);
		await_reader(r, fd);
		n = read(fd, buf, MIN(sizeof(buf), want));
		ck_assert_int_gt(n, 0);
		ck_assert(counts_up(buf, (size_t)n, next));
		want -= (size_t)n;
	}
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert(poll(&p, 1, 0) == 0 || read(fd, buf, 1) == 0);
}

START_TEST(output_pipe)
{
	int p[2];
	struct rig *r;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	put_str(r, "hello ");
	put_str(r, "world");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	expect_read(p[0], "hello world");
	ck_assert_int_eq(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0); /* not ours to change */
	ck_assert_uint_eq(r->c.out.chunk, CHARDEV_RING);        /* opened again, not guarded */
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

static void stuck_then_read(int out, int peer, bool reopen_fails)
{
	struct rig *r;
	struct pollfd p = { .events = POLLIN };
	uint8_t put_next = 0, read_next = 0;
	size_t put = 0;

	if (reopen_fails) {
		/* As rig_new(), on a host where /proc/self/fd cannot be opened. */
		r = calloc(1, sizeof(*r));
		r->open_fds = count_fds();
		test_host_init(&r->th);
		test_host_fail(&r->th, OP_OPEN, 1, EACCES);
		ck_assert_int_eq(evloop_init(&r->l, &r->th.h, NULL), 0);
		ck_assert_int_eq(chardev_init(&r->c, "console", &r->l, NULL, -1, out, -1, NULL), 0);
		ck_assert_uint_lt(r->c.out.chunk, CHARDEV_RING);
		r->c.drained[1] = on_drained;
		r->c.drained_arg[1] = &r->drained;
	} else {
		r = rig_new(-1, out, -1);
	}

	do {
		p.fd = r->l.epfd;
		put += fill(r, &put_next); /* a pseudo-terminal has room again once the kernel has passed it on */
	} while (poll(&p, 1, 200));
	ck_assert_uint_ge(put, CHARDEV_RING);
	ck_assert_uint_lt(put, 4 << 20);
	ck_assert_uint_eq(chardev_room(&r->c), 0);
	ck_assert_uint_eq(r->drained, 0);
	ck_assert_int_eq(loop_step(&r->l), 0); /* stuck costs nothing */

	read_all(r, peer, &read_next, put);
	ck_assert_uint_eq(r->drained, 1);
	ck_assert_uint_eq(chardev_room(&r->c), CHARDEV_RING);
	ck_assert_uint_eq(r->c.dropped, 0);

	put = fill(r, &put_next); /* once more, with the ring's start elsewhere */
	read_all(r, peer, &read_next, put);
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
}

START_TEST(output_stuck_pipe)
{
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	stuck_then_read(p[1], p[0], _i);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(output_stuck_socket)
{
	int s[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	stuck_then_read(s[1], s[0], false);
	ck_assert_int_eq(fcntl(s[1], F_GETFL) & O_NONBLOCK, 0);
	close(s[0]);
	close(s[1]);
}
END_TEST

static void open_pty(int *master, int *slave)
{
	struct termios t;

	*master = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ge(*master, 0);
	ck_assert_int_eq(grantpt(*master) | unlockpt(*master), 0);
	*slave = open(ptsname(*master), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(*slave, 0);
	tcgetattr(*slave, &t);
	cfmakeraw(&t);
	tcsetattr(*slave, TCSANOW, &t);
}

START_TEST(output_stuck_pty)
{
	int m, s;

	open_pty(&m, &s);
	stuck_then_read(s, m, _i);
	close(m);
	close(s);
}
END_TEST

/* The master must not be opened again: that would be the master of another pair. */
START_TEST(pty_master)
{
	int m, s;
	struct rig *r;

	open_pty(&m, &s);
	r = rig_new(m, m, -1);
	r->sink.room = 100;
	put_str(r, "ab");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	await(s, POLLIN);
	expect_read(s, "ab");
	ck_assert_int_eq(write(s, "\0\1\2", 3), 3);
	await(m, POLLIN);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 3);
	rig_free(r);
	close(m);
	close(s);
}
END_TEST

/* Forgets the SIGPIPE that is held back by the mask, if there is one. */
static void take_sigpipe(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}

START_TEST(output_peer_gone)
{
	int fd[2];
	struct rig *r;
	uint8_t buf[4096] = { 0 };
	sigset_t pending;
	size_t put = 0;

	if (_i == 0)
		ck_assert_int_eq(pipe(fd), 0);
	else if (_i == 1)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	else
		open_pty(&fd[0], &fd[1]);
	r = rig_new(-1, fd[1], -1);
	put_str(r, "x");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_close(r, fd[0]);
	ck_assert_int_eq(loop_step(&r->l), 0); /* an idle console does not even look */
	for (unsigned i = 0; i < 1000; i++) {
		put += chardev_put(&r->c, buf, sizeof(buf));
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert_uint_eq(put, 1000 * sizeof(buf));
	sigpending(&pending);
	ck_assert(_i == 0 || !sigismember(&pending, SIGPIPE)); /* a pipe's writer cannot say that it wants none */
	take_sigpipe();
	ck_assert_uint_eq(r->c.dropped, put);
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
	close(fd[1]);
}
END_TEST

/* What a peer did not take before it went is dropped, and nobody waits for room: whichever end hears of it first. */
START_TEST(output_stuck_then_gone)
{
	uint8_t next = 0, buf[4096] = { 0 };
	struct rig *r;
	size_t put;
	int s[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	r = rig_new(s[1], s[1], -1);
	r->sink.room = 100;
	rig_close(r, s[1]);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	put = fill(r, &next);
	ck_assert_uint_ge(put, CHARDEV_RING);
	ck_assert_uint_eq(chardev_room(&r->c), 0);
	rig_close(r, s[0]);
	if (_i) { /* the input hears of it before the output's turn comes */
		ck_assert(r->c.in.src.events);
		r->c.in.src.ready(&r->c.in.src, EPOLLIN | EPOLLHUP);
	}
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert(!chardev_has_peer(&r->c));
	ck_assert_uint_eq(r->drained, 1);
	ck_assert_uint_eq(chardev_room(&r->c), CHARDEV_RING);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(chardev_put(&r->c, buf, sizeof(buf)), sizeof(buf));
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
}
END_TEST

START_TEST(output_file)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int fd = mkstemp(path), append = open(path, O_WRONLY | O_APPEND);
	struct rig *r;

	/* Its offset goes on, before us and after us. */
	ck_assert_int_eq(write(fd, "one,", 4), 4);
	r = rig_new(-1, fd, -1);
	ck_assert(r->c.out.direct);
	put_str(r, "two,");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_free(r);
	ck_assert_int_eq(write(fd, "three,", 6), 6);
	r = rig_new(-1, append, -1);
	put_str(r, "four");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_free(r);
	lseek(fd, 0, SEEK_SET);
	expect_read(fd, "one,two,three,four");
	close(append);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(output_disk_full)
{
	int fd = open("/dev/full", O_WRONLY);
	struct rig *r = rig_new(-1, fd, -1);
	uint8_t next = 0;
	uint8_t buf[5000] = { next };

	for (unsigned i = 0; i < 100; i++) {
		ck_assert_uint_eq(chardev_put(&r->c, buf, sizeof(buf)), sizeof(buf));
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert_uint_eq(r->c.dropped, 500000);
	ck_assert_int_ge(r->c.out.src.fd, 0); /* there may be room again */
	rig_free(r);
	close(fd);
}
END_TEST

static void collect(void *arg, const uint8_t *buf, size_t len)
{
	ck_assert(counts_up(buf, len, arg));
}

START_TEST(watch_and_log)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int log = mkstemp(path), p[2];
	struct rig *r;
	uint8_t put_next = 0, read_next = 0, seen_next = 0, log_next = 0;
	size_t put;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], log);
	r->c.watch = collect;
	r->c.watch_arg = &seen_next;
	put = fill(r, &put_next);
	ck_assert_uint_eq(seen_next, put_next);
	ck_assert_uint_lt(lseek(log, 0, SEEK_CUR), put); /* what is not out yet is not in the copy either */
	read_all(r, p[0], &read_next, put);
	ck_assert_uint_eq(lseek(log, 0, SEEK_CUR), put);
	lseek(log, 0, SEEK_SET);
	read_all(r, log, &log_next, put);
	rig_free(r);
	close(p[0]);
	close(p[1]);
	close(log);
	unlink(path);
}
END_TEST

START_TEST(log_without_output)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int log = mkstemp(path);
	struct rig *r = rig_new(-1, -1, log);

	r->th.max_io = 3;
	r->th.fail_fd = log;
	test_host_fail(&r->th, OP_WRITEV, 2, EINTR);
	put_str(r, "kept");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	lseek(log, 0, SEEK_SET);
	expect_read(log, "kept");

	test_host_fail(&r->th, OP_WRITEV, 1, ENOSPC);
	put_str(r, "lost");
	put_str(r, "lost");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	put_str(r, "lost");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->th.calls[OP_WRITEV], 1);
	expect_read(log, "");
	rig_free(r);
	close(log);
	unlink(path);
}
END_TEST

START_TEST(input_in_portions)
{
	enum { TOTAL = 300000 };
	int fd[2];
	struct rig *r;
	uint8_t buf[1000], next = 0;
	size_t sent = 0;

	if (_i == 0)
		ck_assert_int_eq(pipe(fd), 0);
	else if (_i == 1)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	else
		open_pty(&fd[0], &fd[1]);
	if (_i == 2) {
		int m = fd[0]; /* read from the slave, write to the master */

		fd[0] = fd[1];
		fd[1] = m;
	}
	fcntl(fd[1], F_SETFL, O_NONBLOCK);
	r = rig_new(fd[0], -1, -1);
	while (r->sink.got < TOTAL) {
		size_t got = r->sink.got;
		size_t n = MIN(sizeof(buf), TOTAL - sent);
		ssize_t w;

		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)(next + i);
		w = write(fd[1], buf, n);
		if (w > 0) {
			sent += (size_t)w;
			next = (uint8_t)(next + w);
		}
		ck_assert_int_ge(loop_settle(&r->l), 0);
		ck_assert_uint_eq(r->sink.got, got); /* no room, no reading, no spinning */
		await(fd[0], POLLIN);
		r->sink.room = 997;
		chardev_rx_ready(&r->c);
		ck_assert_int_ge(loop_settle(&r->l), 0);
		ck_assert_uint_gt(r->sink.got, got);
		r->sink.room = 0;
		/* A read that found no room again pauses; one that filled it has not looked yet. */
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert(!r->sink.wrong);
	ck_assert_uint_eq(r->sink.got, TOTAL);
	ck_assert_int_eq(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0);
	rig_free(r);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

/* The machine is rebuilt for a reboot: for a while there is nobody who receives. */
START_TEST(input_without_receiver)
{
	int p[2];
	struct rig *r;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(p[0], -1, -1);
	r->sink.room = 1;
	r->c.rx = NULL;
	ck_assert_int_eq(write(p[1], "\0\1\2", 3), 3);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	r->c.rx = &r->sink.rx;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 1);

	r->c.rx = NULL;
	chardev_rx_ready(&r->c);
	put_str(r, "kicks as well");
	ck_assert_int_ge(loop_settle(&r->l), 0);
	r->c.rx = &r->sink.rx;
	r->sink.room = 10;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 3);

	r->c.rx = NULL; /* goes while its descriptor is watched */
	ck_assert_int_eq(write(p[1], "\3", 1), 1);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	r->c.rx = &r->sink.rx;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 4);
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

static size_t growing_room(struct chardev_rx *rx)
{
	struct sink *s = (struct sink *)rx;

	s->room = 20000;
	return s->asked++ % 2 ? 20000 : 100; /* a guest on another CPU makes room at any moment */
}

START_TEST(input_room_grows)
{
	int p[2];
	struct rig *r;
	uint8_t buf[40000];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(write(p[1], buf, sizeof(buf)), sizeof(buf));
	r = rig_new(p[0], -1, -1);
	r->sink.rx.room = growing_room;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, sizeof(buf));
	ck_assert(!r->sink.wrong);
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(input_end)
{
	int p[2], null = open("/dev/null", O_RDONLY);
	struct rig *r;

	/* A hang-up while the receiver has no room must neither spin nor lose what was sent before it. */
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(p[0], -1, -1);
	ck_assert_int_eq(write(p[1], "\0\1\2\3", 4), 4);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	rig_close(r, p[1]);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 0);
	r->sink.room = 3;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 3);
	r->sink.room = 3;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 4);
	ck_assert_int_eq(r->c.in.src.fd, -1);
	ck_assert_int_eq(loop_step(&r->l), 0);
	rig_free(r);
	close(p[0]);

	r = rig_new(null, null, -1);
	r->sink.room = 10;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_int_eq(r->c.in.src.fd, -1);
	rig_free(r);
	close(null);
}
END_TEST

START_TEST(input_file)
{
	char path[] = "/tmp/tvmm-chardev-XXXXXX";
	int fd = mkstemp(path);
	uint8_t buf[10000];
	struct rig *r;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)i;
	ck_assert_int_eq(write(fd, buf, sizeof(buf)), sizeof(buf));
	lseek(fd, 0, SEEK_SET);
	r = rig_new(fd, -1, -1);
	r->sink.room = 9000;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, 9000);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 9000);
	r->sink.room = 9000;
	chardev_rx_ready(&r->c);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->sink.got, sizeof(buf));
	ck_assert(!r->sink.wrong);
	rig_free(r);
	close(fd);
	unlink(path);
}
END_TEST

/* A background job's read of its terminal: EIO with no hang-up.  Not the end, and no spinning. */
START_TEST(input_background)
{
	int m, s;
	struct rig *r;

	open_pty(&m, &s);
	r = rig_new(s, -1, -1);
	r->sink.room = 100;
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_int_eq(write(m, "\0\1", 2), 2);
	await(s, POLLIN);
	r->th.fail_fd = r->c.in.src.fd;
	r->th.fail_on = true;
	test_host_fail(&r->th, OP_READV, 1, EIO);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_le(r->th.calls[OP_READV], 2);
	r->th.fail_op = OP_NONE; /* in the foreground again */
	ck_assert_int_eq(loop_settle(&r->l), 0);
	ck_assert_int_eq(write(m, "\2", 1), 1);
	while (r->sink.got < 3) {
		await(r->l.epfd, POLLIN);
		loop_step(&r->l);
	}
	rig_close(r, m);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_int_eq(r->c.in.src.fd, -1);
	rig_free(r);
	close(s);
}
END_TEST

START_TEST(drain_slow_and_gone)
{
	int p[2];
	struct rig *r;
	uint8_t next = 0, buf[4096];
	sigset_t set;
	size_t total, got = 0;
	ssize_t n;

	/* Stuck: gives up at the limit, and says how much it dropped. */
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	total = fill(r, &next);
	chardev_drain(&r->c, 20);
	ck_assert_uint_eq(r->c.dropped, CHARDEV_RING);
	ck_assert_uint_eq(chardev_room(&r->c), CHARDEV_RING);
	rig_free(r);
	close(p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0)
		got += (size_t)n;
	ck_assert_uint_eq(got, total - CHARDEV_RING);
	close(p[0]);

	/* Gone, on a thread where SIGPIPE would kill. */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	take_sigpipe();
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	put_str(r, "x");
	rig_close(r, p[0]);
	chardev_drain(&r->c, 1000);
	ck_assert_uint_eq(r->c.dropped, 1);
	rig_free(r);
	close(p[1]);
	sigpending(&set);
	ck_assert(!sigismember(&set, SIGPIPE));

	/* Room in the pipe: all out at once, even without patience. */
	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	put_str(r, "last words");
	chardev_drain(&r->c, 0);
	expect_read(p[0], "last words");
	rig_free(r);
	close(p[0]);
	close(p[1]);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}
END_TEST

static void *put_many(void *arg)
{
	struct rig *r = arg;
	size_t done = 0;

	while (done < 1 << 20) {
		uint8_t buf[64];

		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)(done + i);
		done += chardev_put(&r->c, buf, sizeof(buf));
	}
	return NULL;
}

/* The real loop on its thread, a putting thread, and a reader. */
START_TEST(threads)
{
	int p[2];
	struct rig *r;
	pthread_t t;
	size_t got = 0;
	uint8_t buf[777], next = 0;

	ck_assert_int_eq(pipe(p), 0);
	r = rig_new(-1, p[1], -1);
	r->th.h = *host_linux(); /* ours counts for one thread alone */
	ck_assert_int_eq(evloop_start(&r->l, "loop", NULL), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, put_many, r), 0);
	while (got < 1 << 20) {
		ssize_t n = read(p[0], buf, sizeof(buf));

		ck_assert_int_gt(n, 0);
		ck_assert(counts_up(buf, (size_t)n, &next));
		got += (size_t)n;
	}
	pthread_join(t, NULL);
	evloop_stop(&r->l);
	rig_free(r);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(every_failure_of_init)
{
	int in[2], out[2], before, done = 0;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	before = count_fds();
	for (unsigned at = 1; !done; at++) {
		struct test_host th;
		struct evloop l;
		struct chardev *c = calloc(1, sizeof(*c));
		struct tvmm_error err = { 0 };
		int ret;

		test_host_init(&th);
		ck_assert_int_eq(evloop_init(&l, &th.h, NULL), 0);
		test_host_fail(&th, OP_ANY, at, ENOMEM);
		ret = chardev_init(c, "console", &l, NULL, in[0], out[1], -1, &err);
		done = th.calls[OP_ANY] < at;
		if (ret)
			ck_assert_uint_gt(strlen(err.message), 0);
		else
			chardev_fini(c);
		evloop_fini(&l);
		free(c);
		ck_assert_int_eq(count_fds(), before);
		ck_assert_uint_lt(at, 100);
	}
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chardev");
	TCase *tc = tcase_create("chardev");
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE); /* as on the loop's thread */
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	tcase_add_test(tc, output_pipe);
	tcase_add_loop_test(tc, output_stuck_pipe, 0, 2);
	tcase_add_test(tc, output_stuck_socket);
	tcase_add_loop_test(tc, output_stuck_pty, 0, 2);
	tcase_add_test(tc, pty_master);
	tcase_add_loop_test(tc, output_peer_gone, 0, 3);
	tcase_add_loop_test(tc, output_stuck_then_gone, 0, 2);
	tcase_add_test(tc, output_file);
	tcase_add_test(tc, output_disk_full);
	tcase_add_test(tc, watch_and_log);
	tcase_add_test(tc, log_without_output);
	tcase_add_loop_test(tc, input_in_portions, 0, 3);
	tcase_add_test(tc, input_without_receiver);
	tcase_add_test(tc, input_room_grows);
	tcase_add_test(tc, input_end);
	tcase_add_test(tc, input_file);
	tcase_add_test(tc, input_background);
	tcase_add_test(tc, drain_slow_and_gone);
	tcase_add_test(tc, threads);
	tcase_add_test(tc, every_failure_of_init);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
