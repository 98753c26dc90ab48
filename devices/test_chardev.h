/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_chardev.h - for the tests of chardev: one on a host that fails when told to, with a receiver that counts, a loop
 * that runs when the test says so, and whatever peers there are.  One thread.
 */
#ifndef TVMM_DEVICES_TEST_CHARDEV_H
#define TVMM_DEVICES_TEST_CHARDEV_H

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>
#include "bits.h"
#include "chardev.h"
#include "test.h"
#include "test_failing.h"
#include "test_host.h"

struct sink {
	struct chardev_rx rx; /* first */
	size_t room, got;
	uint8_t next;         /* bytes are expected to count up */
	unsigned asked;
	bool wrong;
};

/* One assertion for many bytes: each is a system call of libcheck's. */
static inline bool counts_up(const uint8_t *buf, size_t len, uint8_t *next)
{
	bool ok = true;

	for (size_t i = 0; i < len; i++)
		ok &= buf[i] == (*next)++;
	return ok;
}

static inline size_t sink_room(struct chardev_rx *rx)
{
	return ((struct sink *)rx)->room;
}

static inline void sink_input(struct chardev_rx *rx, const uint8_t *buf, size_t len)
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
	unsigned open_fds;
};

/* Closes a descriptor that was open when R began. */
static inline void rig_close(struct rig *r, int fd)
{
	close(fd);
	r->open_fds--;
}

static inline void on_drained(void *arg)
{
	++*(unsigned *)arg;
}

static inline struct rig *rig_new(int in, int out, int log)
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

static inline void rig_free(struct rig *r)
{
	chardev_fini(&r->c);
	evloop_fini(&r->l);
	ck_assert_uint_eq(count_fds(), r->open_fds);
	free(r);
}

static inline void put_str(struct rig *r, const char *s)
{
	ck_assert_uint_eq(chardev_put(&r->c, (const uint8_t *)s, strlen(s)), strlen(s));
}

static inline void expect_read(int fd, const char *want)
{
	char buf[256];
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	ck_assert_int_ge(n, 0);
	buf[n] = 0;
	ck_assert_str_eq(buf, want);
}

/* Puts bytes that count up from *NEXT until no more are taken; how many were. */
static inline size_t fill(struct rig *r, uint8_t *next)
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
static inline void await(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
}

/* Waits until FD has something to read, and lets the loop run meanwhile. */
static inline void await_reader(struct rig *r, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = r->l.epfd, .events = POLLIN } };

	do {
		ck_assert_int_gt(poll(p, 2, 10000), 0);
		ck_assert_int_ge(loop_settle(&r->l), 0);
	} while (!p[0].revents);
}

/* Reads WANT bytes, lets the loop run in between, and checks that they count up and that no more follow. */
static inline void read_all(struct rig *r, int fd, uint8_t *next, size_t want)
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

static inline void open_pty(int *master, int *slave)
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

#endif
