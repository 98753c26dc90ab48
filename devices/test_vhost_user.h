/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_vhost_user.h - for unit tests: a small vhost-user server at the other end of a socket pair, in the test's own thread.
 *
 * The host that vhost_user.c gets has a poll() that lets the server have its turn, so nothing ever really waits, and a clock
 * that goes on by a second with each look at it, or less, where it trickles.  What the server does wrong is said in peer.wrong, for one request.
 */
#ifndef TVMM_DEVICES_TEST_VHOST_USER_H
#define TVMM_DEVICES_TEST_VHOST_USER_H

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "test_driver.h"
#include "test_host.h"
#include "vhost_user.h"

enum { R_GET_FEATURES = 1, R_SET_FEATURES, R_SET_OWNER, R_MEM = 5, R_NUM = 8, R_ADDR, R_BASE, R_STOP, R_KICK, R_CALL, R_GET_PROTO = 15,
       R_SET_PROTO, R_QUEUES, R_ENABLE, R_CHANNEL = 21, R_CONFIG = 24, R_MAX };

#define PEER_FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | BIT_ULL(30) | BIT_ULL(2) | BIT_ULL(9) | BIT_ULL(12))

enum wrong {
	GOOD, SILENT, HANGS_UP, CUT, TRICKLES, OTHER_REQUEST, OTHER_VERSION, NO_REPLY_FLAG, TOO_LONG, ONE_SHORT, ENDLESS, WITH_FDS, NACK,
	OTHER_RING, TWICE
};

struct peer_message {
	uint32_t request, flags, len;
	uint8_t payload[256];
};

static struct peer {
	struct test_host th;
	int fd, ours; /* the server's end, and the other until the client has it */
	uint64_t features, proto, queues, agreed;
	uint8_t config[60];
	uint32_t wrong_at; /* the request, 0: none */
	enum wrong wrong;
	size_t cut;        /* of CUT */
	unsigned seen[R_MAX], seconds;
	struct peer_message last[R_MAX], trickle;
	size_t trickle_at, trickle_len;
	int mem_fd, kick[16], call[16], channel;
	bool absent;       /* does not read */
} peer;

static inline void peer_hang_up(void)
{
	close(peer.fd);
	peer.fd = -1;
}

static inline void peer_send(const void *buf, size_t len, bool with_fds)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} c = { .buf = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (with_fds) {
		m.msg_control = c.buf;
		m.msg_controllen = sizeof(c.buf);
		c.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(2 * sizeof(int)) };
		memcpy(CMSG_DATA(&c.align), (const int[]){ 1, 2 }, 2 * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(peer.fd, &m, MSG_NOSIGNAL), (ssize_t)len);
}

/* An answer, or what this server makes of it. */
static inline void peer_answer(struct peer_message *m, uint32_t len)
{
	enum wrong w = peer.wrong_at == m->request ? peer.wrong : GOOD;

	m->flags = 5;
	m->len = len;
	if (w == OTHER_REQUEST)
		m->request ^= 1;
	else if (w == OTHER_VERSION)
		m->flags = 6;
	else if (w == NO_REPLY_FLAG)
		m->flags = 1;
	else if (w == TOO_LONG)
		m->len = len + 1;
	else if (w == ONE_SHORT)
		m->len = --len;
	else if (w == ENDLESS)
		m->len = UINT32_MAX;
	else if (w == NACK || w == OTHER_RING)
		m->payload[0] ^= 1;
	if (w == TRICKLES) {
		peer.trickle = *m;
		peer.trickle_at = 0;
		peer.trickle_len = 12 + len;
		return;
	}
	if (w == SILENT)
		return;
	if (w == TOO_LONG)
		len++;
	if (w != HANGS_UP)
		peer_send(m, w == CUT ? MIN(peer.cut, 12 + len) : 12 + len, w == WITH_FDS);
	if (w == TWICE)
		peer_send(m, 12 + len, false);
	if (w == HANGS_UP || w == CUT)
		peer_hang_up();
}

static inline void peer_keep(int *slot, const int *fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = *fd;
}

static inline void peer_do(struct peer_message *m, const int *fds, unsigned n)
{
	bool need_reply = m->flags & 8;

	ck_assert_uint_lt(m->request, R_MAX);
	ck_assert_uint_eq(m->flags & 7, 1);
	peer.seen[m->request]++;
	peer.last[m->request] = *m;
	ck_assert_uint_eq(n, m->request == R_MEM || m->request == R_KICK || m->request == R_CALL || m->request == R_CHANNEL);
	switch (m->request) {
	case R_GET_FEATURES:
		memcpy(m->payload, &peer.features, 8);
		peer_answer(m, 8);
		return;
	case R_GET_PROTO:
		memcpy(m->payload, &peer.proto, 8);
		peer_answer(m, 8);
		return;
	case R_QUEUES:
		memcpy(m->payload, &peer.queues, 8);
		peer_answer(m, 8);
		return;
	case R_CONFIG:
		ck_assert_uint_eq(m->len, 72);
		memcpy(m->payload + 12, peer.config, 60);
		peer_answer(m, 72);
		return;
	case R_STOP:
		peer_answer(m, 8);
		return;
	case R_SET_PROTO:
		memcpy(&peer.agreed, m->payload, 8);
		break;
	case R_MEM:
		peer_keep(&peer.mem_fd, fds);
		break;
	case R_KICK:
		peer_keep(&peer.kick[m->payload[0]], fds);
		break;
	case R_CALL:
		peer_keep(&peer.call[m->payload[0]], fds);
		break;
	case R_CHANNEL:
		peer_keep(&peer.channel, fds);
		break;
	default:
		break;
	}
	if (need_reply) {
		memset(m->payload, 0, 8);
		peer_answer(m, 8);
	}
}

/* Its turn: all that it was told. */
static inline void peer_serve(void)
{
	if (peer.trickle_len) {
		peer_send((uint8_t *)&peer.trickle + peer.trickle_at, 1, false);
		if (++peer.trickle_at == peer.trickle_len)
			peer.trickle_len = 0;
	}
	while (peer.fd >= 0 && !peer.absent) {
		struct peer_message m = { .request = 0 };
		struct iovec iov = { &m, 12 };
		char control[256];
		struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		ssize_t ret = recvmsg(peer.fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int fds[4] = { -1, -1, -1, -1 };
		unsigned n = 0;

		if (ret <= 0)
			return;
		ck_assert_int_eq(ret, 12);
		if (CMSG_FIRSTHDR(&h)) {
			n = (unsigned)((CMSG_FIRSTHDR(&h)->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			ck_assert_uint_le(n, 4);
			memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&h)), n * sizeof(int));
		}
		ck_assert_uint_le(m.len, sizeof(m.payload));
		if (m.len)
			ck_assert_int_eq(recv(peer.fd, m.payload, m.len, 0), m.len);
		peer_do(&m, fds, n);
	}
}

static inline int peer_poll(const struct host *h, struct pollfd *fds, unsigned n, int timeout_ms)
{
	int ret = th_call(h, OP_POLL, -1);

	ck_assert_int_gt(timeout_ms, 0);
	if (ret)
		return ret;
	peer_serve();
	return host_linux()->poll(h, fds, n, 0);
}

static inline uint64_t peer_now(const struct host *h)
{
	return (uint64_t)++peer.seconds * (peer.wrong == TRICKLES ? 1000 : 1000000000);
}

static inline int peer_socket(const struct host *h, int domain, int type, int protocol)
{
	int fd = peer.ours;

	peer.ours = -1;
	return fd;
}

static inline int peer_connect(const struct host *h, int fd, const struct sockaddr *addr, unsigned len)
{
	return 0;
}

static inline void peer_begin(void)
{
	int pair[2];

	memset(&peer, 0, sizeof(peer));
	test_host_init(&peer.th);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	peer.ours = pair[0];
	peer.fd = pair[1];
	peer.th.h.poll = peer_poll;
	peer.th.h.now_ns = peer_now;
	peer.th.h.socket = peer_socket;
	peer.th.h.connect = peer_connect;
	peer.features = PEER_FEATURES;
	peer.proto = UINT64_MAX;
	peer.queues = 4;
	peer.config[0] = 200; /* sectors */
	peer.config[34] = 4;  /* queues */
	peer.mem_fd = peer.channel = -1;
	for (unsigned i = 0; i < 16; i++)
		peer.kick[i] = peer.call[i] = -1;
}

static inline void peer_end(void)
{
	const int left[] = { peer.fd, peer.ours, peer.mem_fd, peer.channel };

	for (unsigned i = 0; i < 4; i++)
		if (left[i] >= 0)
			close(left[i]);
	for (unsigned i = 0; i < 16; i++) {
		if (peer.kick[i] >= 0)
			close(peer.kick[i]);
		if (peer.call[i] >= 0)
			close(peer.call[i]);
	}
}

#endif
