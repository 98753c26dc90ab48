/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_net_stream.c - frames over a real socket pair: in any pieces, a peer that does not read, one that ends, one that
 * lies about a length; and what kinds of descriptors net_fd_open() takes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bits.h"
#include "netif.h"
#include "test.h"
#include "test_host.h"

struct rig {
	struct test_host th;
	struct evloop loop;
	struct log log;
	struct netif *nif;
	int peer;
	unsigned readies, links, gones;
};

static void on_ready(struct netif *n, unsigned pair)
{
	((struct rig *)n->user)->readies++;
}

static void on_link(struct netif *n)
{
	((struct rig *)n->user)->links++;
}

static void on_gone(void *arg)
{
	((struct rig *)arg)->gones++;
}

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	int fd[2];

	signal(SIGPIPE, SIG_IGN); /* the loop's thread has it blocked */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	test_host_init(&r->th);
	ck_assert_int_eq(evloop_init(&r->loop, &r->th.h, NULL), 0);
	log_init(&r->log, &r->th.h, NULL, NULL, 0);
	ck_assert_int_eq(net_stream_open(&r->nif, &r->th.h, &r->loop, &r->log, fd[0], "peer", on_gone, r, NULL), 0);
	r->peer = fd[1];
	r->nif->user = r;
	r->nif->ready = on_ready;
	r->nif->link = on_link;
	r->th.fail_fd = fd[0];
	return r;
}

static void rig_free(struct rig *r)
{
	r->nif->ops->close(r->nif);
	evloop_fini(&r->loop);
	if (r->peer >= 0)
		close(r->peer);
	free(r);
}

/* Receives into buffers of ODD bytes: the frame's length, or -EAGAIN.  Its bytes count up from FIRST. */
static ssize_t take(struct rig *r, size_t odd, uint8_t first)
{
	static uint8_t buf[NETIF_ROOM + 4096];
	struct iovec iov[1024];
	unsigned n = 0;
	ssize_t got;

	for (size_t at = 0; at < NETIF_ROOM && n < 1023; at += odd)
		iov[n++] = (struct iovec){ buf + at, odd };
	if (n * odd < NETIF_ROOM) {
		iov[n] = (struct iovec){ buf + n * odd, sizeof(buf) - n * odd };
		n++;
	}
	memset(buf, 0xee, NETIF_HDR);
	got = r->nif->ops->recv(r->nif, 0, iov, n);
	if (got < 0)
		return got;
	for (unsigned i = 0; i < NETIF_HDR; i++)
		ck_assert_uint_eq(buf[i], 0);
	for (ssize_t i = NETIF_HDR; i < got; i++)
		if (buf[i] != (uint8_t)(first + i - NETIF_HDR))
			ck_abort_msg("byte %zd", i);
	return got - NETIF_HDR;
}

/* A frame as it goes over the wire. */
static size_t wire(uint8_t *buf, uint32_t len, uint8_t first)
{
	uint32_t be = htobe32(len);

	memcpy(buf, &be, 4);
	for (uint32_t i = 0; i < len; i++)
		buf[4 + i] = (uint8_t)(first + i);
	return 4 + len;
}

static uint8_t big[4 * (NETIF_FRAME + 4)];

START_TEST(receive)
{
	struct rig *r = rig_new();
	size_t n = wire(big, 60, 1);

	n += wire(big + n, 1, 2);
	n += wire(big + n, NETIF_FRAME, 3);
	ck_assert_int_eq(take(r, 100, 0), -EAGAIN);
	ck_assert_int_eq(write(r->peer, big, n), (ssize_t)n);
	ck_assert_int_eq(loop_step(&r->loop), 1);
	ck_assert_uint_eq(r->readies, 1);
	memset(r->th.calls, 0, sizeof(r->th.calls));
	ck_assert_int_eq(take(r, 100, 1), 60);
	ck_assert_int_eq(take(r, 7, 2), 1);
	ck_assert_int_eq(take(r, 1500, 3), NETIF_FRAME);
	ck_assert_uint_eq(r->th.calls[OP_RECV], 1); /* all at once */
	ck_assert_int_eq(take(r, 100, 0), -EAGAIN);
	ck_assert_uint_eq(r->th.calls[OP_RECV], 1); /* it was known to be empty */
	ck_assert_int_eq(loop_step(&r->loop), 0);
	rig_free(r);
}
END_TEST

/* One byte at a time, with interruptions. */
START_TEST(receive_crumbs)
{
	struct rig *r = rig_new();
	size_t n = wire(big, 33, 9);

	n += wire(big + n, 34, 10);
	for (size_t i = 0; i < n; i++) {
		ssize_t got;

		test_host_fail(&r->th, OP_RECV, 1, i % 3 ? EINTR : EAGAIN);
		ck_assert_int_eq(write(r->peer, big + i, 1), 1);
		loop_step(&r->loop);
		got = take(r, 13, i < 40 ? 9 : 10);
		if (i % 3 == 0) { /* it was said to be empty; the next edge tells better */
			test_host_fail(&r->th, OP_NONE, 0, 0);
			continue;
		}
		ck_assert_int_eq(got, i == 36 || (i > 36 && i < 39 && got > 0) ? 33 : i == n - 1 ? 34 : -EAGAIN);
	}
	rig_free(r);
}
END_TEST

static int put(struct rig *r, uint32_t len, uint8_t first)
{
	static uint8_t p[NETIF_ROOM];
	struct iovec iov[3] = { { p, 5 }, { p + 5, 7 }, { p + 12, len } };

	for (uint32_t i = 0; i < len; i++)
		p[NETIF_HDR + i] = (uint8_t)(first + i);
	return r->nif->ops->send(r->nif, 0, iov, 3, NETIF_HDR + len);
}

/* The peer does not read: a frame that is out in part is finished first, then -EAGAIN; all arrives, whole and in order. */
START_TEST(send_stuck)
{
	struct rig *r = rig_new();
	unsigned sent = 0, seen = 0, small = 4096;
	size_t have = 0;
	bool stuck = false;

	setsockopt(r->nif ? r->th.fail_fd : -1, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	r->th.max_io = 700;
	while (seen < 300) {
		uint32_t len;
		ssize_t n;

		for (int ret = 0; !ret && sent < 300;) {
			ret = put(r, 1 + sent * 37 % 3000, (uint8_t)sent);
			stuck |= ret == -EAGAIN;
			sent += !ret;
		}
		loop_step(&r->loop);
		n = read(r->peer, big + have, 5000);
		ck_assert_int_gt(n, 0);
		have += (size_t)n;
		while (have >= 4) {
			memcpy(&len, big, 4);
			len = be32toh(len);
			ck_assert_uint_eq(len, 1 + seen * 37 % 3000);
			if (have < 4 + len)
				break;
			for (uint32_t i = 0; i < len; i++)
				if (big[4 + i] != (uint8_t)(seen + i))
					ck_abort_msg("frame %u byte %u", seen, i);
			memmove(big, big + 4 + len, have - 4 - len);
			have -= 4 + len;
			seen++;
		}
	}
	ck_assert(stuck);
	ck_assert_int_ge(loop_settle(&r->loop), 0);
	ck_assert_uint_eq(r->nif->dropped, 0);
	rig_free(r);
}
END_TEST

/* The peer's next frame must be number I. */
static void next_is(struct rig *r, unsigned i)
{
	ck_assert_int_eq(read(r->peer, big, 4 + 500), 4 + 500);
	ck_assert_uint_eq(big[4], (uint8_t)i);
	ck_assert_uint_eq(big[4 + 499], (uint8_t)(i + 499));
}

/* Interrupted, no memory, no room, short, at each call of a frame's way out: it is lost whole, or arrives whole. */
START_TEST(passing_failures)
{
	static const int errors[] = { EINTR, EAGAIN, ENOBUFS, ENOMEM };
	static const enum test_op ops[] = { OP_WRITEV, OP_SEND };

	for (unsigned k = 0; k < ARRAY_SIZE(errors) * ARRAY_SIZE(ops) * 3; k++) {
		enum test_op op = ops[k % 2];
		int e = errors[k / 2 % ARRAY_SIZE(errors)];
		struct rig *r;
		bool lost;

		if (op == OP_SEND && e == EAGAIN) /* a true one is followed by an edge; see send_stuck */
			continue;
		r = rig_new();
		r->th.max_io = op == OP_SEND ? 100 : 0; /* the rest goes out by send() */
		for (unsigned i = 0; i < 3; i++) {
			if (i == k / 8)
				test_host_fail(&r->th, op, 1, e);
			while (put(r, 500, (uint8_t)i) == -EAGAIN)
				ck_assert_int_eq(loop_step(&r->loop), 1);
			while (r->th.max_io && loop_step(&r->loop))
				;
			lost = r->nif->dropped && i == k / 8;
			if (!lost)
				next_is(r, i);
		}
		ck_assert(r->nif->up);
		ck_assert_uint_eq(r->nif->dropped, op == OP_WRITEV && (e == ENOBUFS || e == ENOMEM));
		ck_assert_int_ge(loop_settle(&r->loop), 0);
		rig_free(r);
	}
}
END_TEST

/* The same on the way in. */
START_TEST(passing_failures_in)
{
	static const int errors[] = { EINTR, ENOBUFS, ENOMEM };

	for (unsigned k = 0; k < ARRAY_SIZE(errors); k++) {
		struct rig *r = rig_new();
		size_t n = wire(big, 500, 7);

		ck_assert_int_eq(write(r->peer, big, n), (ssize_t)n);
		test_host_fail(&r->th, OP_RECV, 1, errors[k]);
		ck_assert_int_eq(loop_step(&r->loop), 1);
		if (errors[k] != EINTR) {
			ck_assert_int_eq(take(r, 100, 7), -EAGAIN);
			ck_assert_int_eq(loop_step(&r->loop), 1); /* an edge for what was there already */
		}
		ck_assert_int_eq(take(r, 100, 7), 500);
		ck_assert(r->nif->up);
		rig_free(r);
	}
}
END_TEST

START_TEST(peer_ends)
{
	struct rig *r = rig_new();
	size_t n = wire(big, 60, 1);

	ck_assert_int_eq(write(r->peer, big, n), (ssize_t)n);
	close(r->peer);
	r->peer = -1;
	ck_assert_int_eq(loop_step(&r->loop), 1);
	ck_assert(r->nif->up);                /* there is something to be had yet */
	ck_assert_int_eq(take(r, 100, 1), 60);
	r->nif->ops->recv(r->nif, 0, &(struct iovec){ big, sizeof(big) }, 1);
	put(r, 100, 0);
	ck_assert(!r->nif->up);
	ck_assert_uint_eq(r->links, 1);
	ck_assert_uint_eq(r->gones, 1);
	ck_assert_int_eq(put(r, 100, 0), 0);
	ck_assert_uint_gt(r->nif->dropped, 0);
	ck_assert_int_eq(loop_step(&r->loop), 0);
	rig_free(r);
}
END_TEST

/* With nothing left to take, the end is noticed by itself. */
START_TEST(peer_ends_quietly)
{
	struct rig *r = rig_new();

	close(r->peer);
	r->peer = -1;
	loop_step(&r->loop);
	ck_assert(!r->nif->up);
	ck_assert_uint_eq(r->gones, 1);
	ck_assert_int_eq(loop_step(&r->loop), 0);
	rig_free(r);
}
END_TEST

START_TEST(bad_length)
{
	const uint32_t bad[] = { 0, htobe32(NETIF_FRAME + 1), 0xffffffff };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rig *r = rig_new();

		ck_assert_int_eq(write(r->peer, &bad[i], 4), 4);
		loop_step(&r->loop);
		ck_assert_int_eq(take(r, 100, 0), -EAGAIN);
		ck_assert(!r->nif->up);
		ck_assert_uint_eq(r->links, 1);
		rig_free(r);
	}
}
END_TEST

START_TEST(broken)
{
	const enum test_op ops[] = { OP_WRITEV, OP_RECV };

	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		struct rig *r = rig_new();

		test_host_fail(&r->th, ops[i], 1, ECONNRESET);
		take(r, 100, 0);
		ck_assert_int_eq(put(r, 100, 0), 0);
		ck_assert(!r->nif->up);
		ck_assert_uint_eq(r->gones, 1);
		rig_free(r);
	}
}
END_TEST

START_TEST(descriptors)
{
	struct rig *r = rig_new();
	struct tvmm_error err;
	struct netif *n;
	int fd[2], null = open("/dev/null", O_RDWR);

	r->th.fail_fd = 0;
	ck_assert_int_eq(net_fd_open(&n, &r->th.h, &r->loop, &r->log, 999, &err), -EBADF);
	ck_assert_int_eq(net_fd_open(&n, &r->th.h, &r->loop, &r->log, null, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.message, "neither a tap's nor a socket"));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	for (unsigned at = 1; at <= 6; at++) {
		test_host_fail(&r->th, OP_ANY, at, EIO);
		if (!net_fd_open(&n, &r->th.h, &r->loop, &r->log, fd[0], &err)) {
			ck_assert_uint_ge(at, 5);
			n->ops->close(n);
		}
	}
	ck_assert_int_ge(fcntl(fd[0], F_GETFD), 0);
	close(fd[0]);
	close(fd[1]);
	close(null);
	rig_free(r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { receive, receive_crumbs, send_stuck, passing_failures, passing_failures_in,
				       peer_ends, peer_ends_quietly, bad_length, broken, descriptors, NULL };

	return test_main("net_stream", tests);
}
