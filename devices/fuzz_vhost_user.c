/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_vhost_user.c - a vhost-user-blk disk with two queues behind virtio_pci, between a guest and a server of the fuzzer's own.
 *
 * The first byte chooses.  Handshake: the input is all that the server says at first.  Tame: a correct driver, and a server that
 * takes and hands back requests in any order and may hang up; each request is answered once, and with success only if it
 * was worked on; after a hang-up, if the server kept to the order.  Else: any guest, and a server that says anything, in pieces, or nothing, on both of its sockets.
 */
#define FUZZ_RINGS 2
#include "fuzz_guest.h"
#include "vhost_user_blk.h"

const char fuzz_name[] = "vhost_user";

#define QUEUES   2u
#define FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | BIT_ULL(30) | BIT_ULL(9) | BIT_ULL(12))
#define STREAM   4096u
#define ASKED    256u

#define TABLES (FUZZ_HIGH)           /* tame: an indirect table per head */
#define STATUS (FUZZ_LOW + 0x2000)   /* a byte per head */
#define HEADER (FUZZ_LOW + 0x2100)
#define DATA   (FUZZ_LOW + 0x2200)

enum { R_GET_FEATURES = 1, R_SET_OWNER = 3, R_MEM = 5, R_NUM = 8, R_ADDR, R_BASE, R_STOP, R_KICK, R_CALL, R_GET_PROTO = 15,
       R_SET_PROTO, R_QUEUES, R_ENABLE, R_CHANNEL = 21, R_CONFIG = 24 };

static struct fuzz_guest g;
static struct vhost_user *v;
static struct vhost_user_blk blk;
static struct fuzz_world world;

/* What the server has said that was not read yet. */
struct stream {
	int fd; /* ours; -1: it is not open */
	bool end;
	size_t at, len;
	uint8_t buf[STREAM];
};

struct server_ring {
	bool on;
	uint16_t next, n; /* the next avail entry; requests that it has */
	uint16_t head[FUZZ_RING_MAX];
};

static struct server {
	struct stream sock, channel;
	int pair; /* the channel's other end, until it is closed */
	struct {
		uint8_t request, ring;
	} asked[ASKED];
	unsigned n_asked, polls;
	bool asleep, handshake, disorder; /* DISORDER: it has handed back requests in another order, so the rings may mislead */
	uint8_t config[VHOST_USER_CONFIG];
	uint64_t features, proto, queues;
	struct server_ring ring[QUEUES];
} s;

/* ---- the server's mouth ------------------------------------------------------------------------------------------- */

static void say(struct stream *t, const void *buf, size_t len)
{
	if (t->fd < 0 || t->end)
		return;
	if (t->at == t->len)
		t->at = t->len = 0;
	len = MIN(len, STREAM - t->len);
	memcpy(t->buf + t->len, buf, len);
	t->len += len;
	g.fh.fd[t->fd].rung |= len != 0;
}

static void hang_up(struct stream *t)
{
	if (t->fd < 0)
		return;
	t->end = true;
	g.fh.fd[t->fd].rung = true;
}

/* The right answer to the oldest question; its length, or 0 if there is none. */
static size_t answer(uint8_t buf[84])
{
	uint32_t request = s.asked[0].request, ring = s.asked[0].ring, head[3] = { request, 5, 8 };
	uint64_t val = 0;

	if (!s.n_asked)
		return 0;
	memmove(s.asked, s.asked + 1, --s.n_asked * sizeof(s.asked[0]));
	memset(buf, 0, 84);
	if (request == R_GET_FEATURES)
		val = s.features;
	else if (request == R_GET_PROTO)
		val = s.proto;
	else if (request == R_QUEUES)
		val = s.queues;
	else if (request == R_STOP)
		val = ring | (uint64_t)s.ring[ring].next << 32;
	memcpy(buf + 12, &val, 8);
	if (request == R_CONFIG) {
		head[2] = 72;
		memcpy(buf + 12, (uint32_t[]){ 0, sizeof(s.config) }, 8);
		memcpy(buf + 24, s.config, sizeof(s.config));
	}
	memcpy(buf, head, sizeof(head));
	return 12 + head[2];
}

static void answer_all(void)
{
	uint8_t buf[84];
	size_t len;

	while ((len = answer(buf)))
		say(&s.sock, buf, len);
}

/* ---- the host's sockets ------------------------------------------------------------------------------------------- */

static int new_socket(const struct host *h)
{
	return fuzz_new_fd(h, FUZZ_SOCK);
}

static int vu_socket(const struct host *h, int domain, int type, int protocol)
{
	FUZZ_ASSERT(type & SOCK_NONBLOCK);
	s.sock = (struct stream){ .fd = new_socket(h) };
	return s.sock.fd;
}

static int vu_connect(const struct host *h, int fd, const struct sockaddr *addr, unsigned len)
{
	FUZZ_ASSERT(fd == s.sock.fd);
	return 0;
}

static int vu_socketpair(const struct host *h, int domain, int type, int fds[2])
{
	fds[0] = s.channel.fd = new_socket(h);
	fds[1] = s.pair = new_socket(h);
	return 0;
}

static int vu_shutdown(const struct host *h, int fd, int how)
{
	fuzz_fd_of(h, fd);
	return 0;
}

static int vu_close(const struct host *h, int fd)
{
	if (fd == s.sock.fd)
		s.sock.fd = -1;
	if (fd == s.channel.fd)
		s.channel.fd = -1;
	return fuzz_close(h, fd);
}

static ssize_t vu_recv(const struct host *h, int fd, void *buf, size_t len, int flags)
{
	struct stream *t = fd == s.sock.fd ? &s.sock : &s.channel;
	int ret;

	FUZZ_ASSERT(fd == t->fd && flags == MSG_DONTWAIT && len && fuzz_fd_of(h, fd)->kind == FUZZ_SOCK);
	ret = fuzz_fault(h);
	if (ret)
		return ret;
	if (g.fh.max_io)
		len = MIN(len, g.fh.max_io);
	len = MIN(len, t->len - t->at);
	if (!len)
		g.fh.fd[fd].rung = t->end;
	if (!len)
		return t->end ? 0 : -EAGAIN;
	memcpy(buf, t->buf + t->at, len);
	t->at += len;
	return (ssize_t)len;
}

/* What a message tells the server. */
static void heard(uint32_t request, const uint8_t *p, uint32_t len)
{
	static const struct {
		uint32_t request, len;
	} lengths[] = { { R_NUM, 8 }, { R_ADDR, 40 }, { R_BASE, 8 }, { R_STOP, 8 }, { R_KICK, 8 }, { R_CALL, 8 }, { R_SET_PROTO, 8 },
			{ R_ENABLE, 8 }, { R_CHANNEL, 0 }, { R_CONFIG, 72 }, { R_MEM, 8 + 2 * 32 }, { R_GET_FEATURES, 0 } };
	struct server_ring *r = request >= R_NUM && request <= R_CALL ? &s.ring[p[0]] : NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++)
		FUZZ_ASSERT(lengths[i].request != request || lengths[i].len == len);
	FUZZ_ASSERT(!r || p[0] < QUEUES);
	if (request == R_BASE)
		*r = (struct server_ring){ .next = load_le16(p + 4) };
	else if (request == R_KICK)
		r->on = true;
	else if (request == R_STOP)
		r->on = false;
}

static ssize_t vu_sendmsg(const struct host *h, int fd, const struct msghdr *m, int flags)
{
	const struct cmsghdr *c = m->msg_controllen ? CMSG_FIRSTHDR(m) : NULL;
	uint32_t head[3], request;
	const uint8_t *p = m->msg_iovlen > 1 ? m->msg_iov[1].iov_base : NULL;
	int ret;

	FUZZ_ASSERT(flags == (MSG_DONTWAIT | MSG_NOSIGNAL) && m->msg_iov[0].iov_len == 12);
	FUZZ_ASSERT(fd >= 0 && (fd == s.sock.fd || fd == s.channel.fd));
	memcpy(head, m->msg_iov[0].iov_base, 12);
	FUZZ_ASSERT(m->msg_iovlen == (head[2] ? 2 : 1) && (!head[2] || m->msg_iov[1].iov_len == head[2]));
	ret = fuzz_fault(h);
	if (ret)
		return ret;
	if (g.fh.max_io && g.fh.max_io < 12 + head[2])
		return (ssize_t)g.fh.max_io;
	if (fd == s.channel.fd) {
		FUZZ_ASSERT(head[1] == 5 && head[2] == 8);
		return 20;
	}
	if (s.sock.end)
		return -EPIPE;
	request = head[0];
	FUZZ_ASSERT((head[1] & ~8u) == 1);
	FUZZ_ASSERT(!c == !(request == R_MEM || request == R_KICK || request == R_CALL || request == R_CHANNEL));
	FUZZ_ASSERT(!c || c->cmsg_len == CMSG_LEN((request == R_MEM ? 2 : 1) * sizeof(int)));
	heard(request, p, head[2]);
	if (head[1] & 8 || request == R_GET_FEATURES || request == R_GET_PROTO || request == R_QUEUES || request == R_CONFIG ||
	    request == R_STOP) {
		FUZZ_ASSERT(s.n_asked < ASKED);
		s.asked[s.n_asked].ring = request == R_STOP ? p[0] : 0;
		s.asked[s.n_asked++].request = (uint8_t)request;
	}
	return 12 + head[2];
}

static void server_op(unsigned op);

/* Somebody waits: in the handshake for what the input says, else for a server that answers, or hangs up. */
static int vu_poll(const struct host *h, struct pollfd *fds, unsigned n, int timeout_ms)
{
	FUZZ_ASSERT(n == 1 && timeout_ms > 0);
	g.fh.now += 1000000;
	if (s.handshake) {
		if (!fuzz_more(&g.in))
			g.fh.now += 1000000ull * (unsigned)timeout_ms;
		else
			server_op(fuzz_u8(&g.in));
	} else if (s.asleep) {
		g.fh.now += 1000000ull * (unsigned)timeout_ms;
	} else if (s.n_asked) {
		answer_all();
	} else if (s.polls++ > 2) {
		hang_up(&s.sock);
	}
	return 0;
}

/* ---- the machine -------------------------------------------------------------------------------------------------- */

static void server_begin(void)
{
	memset(&s, 0, offsetof(struct server, ring));
	memset(s.ring, 0, sizeof(s.ring));
	s.sock.fd = s.channel.fd = s.pair = -1;
	s.features = FEATURES;
	s.proto = BIT_ULL(0) | BIT_ULL(3) | BIT_ULL(5) | BIT_ULL(9);
	s.queues = QUEUES;
	s.config[0] = 200;
	s.config[34] = QUEUES;
}

static struct server at_first;

static void build(void)
{
	static const int memfd[] = { FUZZ_FD_FILE, FUZZ_FD_FILE };

	fuzz_guest_init(&g);
	g.fh.h.socket = vu_socket;
	g.fh.h.socketpair = vu_socketpair;
	g.fh.h.connect = vu_connect;
	g.fh.h.shutdown = vu_shutdown;
	g.fh.h.sendmsg = vu_sendmsg;
	g.fh.h.recv = vu_recv;
	g.fh.h.poll = vu_poll;
	g.fh.h.close = vu_close;
	server_begin();
	FUZZ_ASSERT(!vhost_user_open(&v, &g.fh.h, "server", NULL));
	FUZZ_ASSERT(!vhost_user_attach(v, &g.loop, &g.log, &g.mem, memfd, NULL));
	vhost_user_blk_init(&blk, "disk 0", v, 16, &g.mem, &g.loop, &g.log);
	FUZZ_ASSERT(blk.dev.n_queues == QUEUES);
	fuzz_add(&g, &blk.dev);
	fuzz_keep(&world, v, sizeof(*v));
	fuzz_keep(&world, &blk, offsetof(struct vhost_user_blk, req));
	fuzz_keep_guest(&world, &g);
	at_first = s;
}

static void check(void)
{
	FUZZ_ASSERT(v->first < VHOST_USER_ANSWERS && v->count <= VHOST_USER_ANSWERS && v->stops <= v->count);
	FUZZ_ASSERT(v->in_len <= VHOST_USER_MESSAGE && v->heard_len <= VHOST_USER_MESSAGE);
	FUZZ_ASSERT(!v->gone || (!v->dev && !v->rings && !v->count));
	FUZZ_ASSERT(v->dev || !v->rings);
	for (unsigned q = 0; q < QUEUES; q++) {
		FUZZ_ASSERT(!(v->rings & BIT(q)) || blk.dev.queue[q].vq.live);
		FUZZ_ASSERT(!v->call[q].dev == !(v->rings & BIT(q)));
	}
}

static void run(void)
{
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS);
	check();
}

/* ---- a server that may say anything ------------------------------------------------------------------------------- */

static void say_header(struct stream *t)
{
	uint32_t head[3] = { fuzz_u8(&g.in), fuzz_u8(&g.in), (uint32_t)fuzz_value(&g.in) };
	const uint8_t *p;
	size_t len;

	p = fuzz_bytes(&g.in, MIN(head[2], 16u), &len);
	say(t, head, sizeof(head));
	say(t, p, len);
}

static void server_op(unsigned op)
{
	uint8_t buf[84], b;
	size_t len;

	switch (op & 15) {
	case 0:
	case 1:
		say(&s.sock, buf, answer(buf));
		break;
	case 2:
		answer_all();
		break;
	case 3: /* one byte is wrong */
		len = answer(buf);
		b = fuzz_u8(&g.in);
		if (len)
			buf[b % len] ^= fuzz_u8(&g.in);
		say(&s.sock, buf, len);
		break;
	case 4: /* cut short */
		len = answer(buf);
		b = fuzz_u8(&g.in);
		say(&s.sock, buf, MIN(len, b));
		break;
	case 5:
		hang_up(&s.sock);
		break;
	case 6:
		say_header(&s.sock);
		break;
	case 7:
		say_header(&s.channel);
		break;
	case 8:
		b = fuzz_u8(&g.in);
		say(&s.channel, (uint32_t[]){ 2, b & 1 ? 1 : 9, 0 }, b & 2 ? 7 : 12);
		break;
	case 9:
		hang_up(&s.channel);
		break;
	case 10:
		b = fuzz_u8(&g.in);
		g.fh.h.writev(&g.fh.h, v->call[b % QUEUES].bell.src.fd, &(struct iovec){ buf, 8 }, 1);
		break;
	case 11:
		b = fuzz_u8(&g.in);
		s.config[b % sizeof(s.config)] ^= fuzz_u8(&g.in);
		break;
	case 12:
		s.asleep = !s.asleep;
		break;
	case 13:
		b = fuzz_u8(&g.in);
		s.features ^= b & 3 ? 0 : BIT_ULL(b >> 2);
		s.proto ^= b & 3 ? BIT_ULL(b >> 4) : 0;
		s.queues = b & 15;
		break;
	case 14:
		if (!s.handshake)
			vhost_user_refresh(v);
		break;
	default:
		if (!s.handshake)
			run();
		break;
	}
}

static void wild_program(void)
{
	while (fuzz_more(&g.in)) {
		uint8_t b = g.in.p[0];

		s.polls = 0;
		if ((b & 15) == 5) {
			s.asleep = false; /* a setup waits for the reset's end */
			fuzz_calm(&g);
		}
		if ((b & 15) == 15 || (b & 15) == 1) {
			g.in.p++;
			server_op(b >> 4);
		} else {
			fuzz_op(&g);
		}
		check();
	}
	run();
	g.log_extra += 2;
	fuzz_check(&g, false);
}

/* ---- the handshake ------------------------------------------------------------------------------------------------ */

static void handshake(void)
{
	struct vhost_user *second = NULL;
	struct tvmm_error err = { 0 };
	unsigned open_before = 0, open_after = 0;

	for (unsigned i = 0; i < g.fh.n_fds; i++)
		open_before += g.fh.fd[i].kind != FUZZ_NONE;
	server_begin();
	s.handshake = true;
	if (!vhost_user_open(&second, &g.fh.h, "another", &err)) {
		FUZZ_ASSERT(second->queues && second->queues <= VIRTIO_MAX_QUEUES);
		FUZZ_ASSERT(second->features & VIRTIO_F_VERSION_1 && !(second->protocol & ~0x229ull));
		FUZZ_ASSERT(second->protocol & BIT_ULL(9) && !second->gone && !second->in_len);
		FUZZ_ASSERT(s.n_asked == 0);
	} else {
		FUZZ_ASSERT(!second && err.code && err.message[0]);
	}
	vhost_user_close(second);
	for (unsigned i = 0; i < g.fh.n_fds; i++)
		open_after += g.fh.fd[i].kind != FUZZ_NONE;
	FUZZ_ASSERT(open_before == open_after);
}

/* ---- tame --------------------------------------------------------------------------------------------------------- */

enum { OPEN, DONE }; /* tags: it is with the device; how often it was worked on */

static void tame_offer(unsigned q, unsigned slot)
{
	struct fuzz_ring *r = &g.ring[q];
	unsigned head = slot % r->size, at = q * FUZZ_RING_MAX + head;
	struct fuzz_req *req = &r->req[head];
	const struct fuzz_seg seg[3] = { { HEADER, 16, false }, { DATA, 64, true }, { STATUS + at, 1, true } };

	if (req->tag[OPEN])
		return;
	fuzz_poke(&g, STATUS + at, 0xff, 1);
	r->next = (uint16_t)head;
	fuzz_offer(&g, r, seg, 3, TABLES + 48 * at);
	req->tag[OPEN] = 1;
	req->tag[DONE] = 0;
}

static void tame_collect(unsigned q)
{
	struct fuzz_ring *r = &g.ring[q];
	struct fuzz_req *req;
	uint32_t len;

	while ((req = fuzz_used(&g, r, &len))) {
		uint8_t status = *fuzz_ptr(&g, req->seg[2].addr, 1);

		if (v->gone && s.disorder)
			continue;
		FUZZ_ASSERT(req->tag[OPEN]); /* never twice */
		FUZZ_ASSERT(status == 0 ? req->tag[DONE] != 0 : status == 1 && v->gone);
		req->tag[OPEN] = 0;
	}
}

/* The server takes one more. */
static void tame_take(unsigned q)
{
	struct server_ring *t = &s.ring[q];
	const struct fuzz_ring *r = &g.ring[q];
	const uint8_t *avail = fuzz_ptr(&g, r->avail, 4 + 2u * r->size);

	if (!t->on || s.sock.end || v->gone || t->next == load_le16(avail + 2))
		return;
	FUZZ_ASSERT(t->n < r->size);
	t->head[t->n++] = load_le16(avail + 4 + 2 * (t->next++ % r->size));
}

static void tame_finish(unsigned q, unsigned which)
{
	struct server_ring *t = &s.ring[q];
	struct fuzz_ring *r = &g.ring[q];
	uint16_t head, used = load_le16(fuzz_ptr(&g, r->used + 2, 2));

	if (!t->on || !t->n || s.sock.end)
		return;
	which %= t->n;
	s.disorder |= which != 0;
	head = t->head[which];
	memmove(t->head + which, t->head + which + 1, (--t->n - which) * sizeof(t->head[0]));
	FUZZ_ASSERT(head < r->size && r->req[head].tag[OPEN]); /* none that was answered already */
	r->req[head].tag[DONE]++;
	fuzz_poke(&g, r->req[head].seg[2].addr, 0, 1);
	fuzz_poke(&g, r->used + 4 + 8 * (used % r->size), head | 65ull << 32, 8);
	fuzz_poke(&g, r->used + 2, used + 1u, 2);
	g.fh.h.writev(&g.fh.h, v->call[q].bell.src.fd, &(struct iovec){ &used, 8 }, 1);
}

static void tame_setup(uint16_t size)
{
	memset(s.ring, 0, sizeof(s.ring));
	s.disorder = false;
	for (unsigned q = 0; q < QUEUES; q++)
		memset(g.ring[q].req, 0, sizeof(g.ring[q].req));
	s.polls = 0;
	fuzz_setup(&g, 0, UINT64_MAX, size);
	answer_all();
	run();
}

static void tame_program(void)
{
	uint16_t size = (uint16_t)(4u << (fuzz_u8(&g.in) & 3));

	tame_setup(size);
	while (fuzz_more(&g.in)) {
		uint8_t b = fuzz_u8(&g.in), q = b >> 3 & 1, arg = b >> 4;

		switch (b & 7) {
		case 0:
		case 1:
			tame_offer(q, b & 1 ? arg : fuzz_u8(&g.in));
			fuzz_kick(&g, 0, q);
			break;
		case 2:
			for (unsigned i = 0; i <= arg; i++)
				tame_take(q);
			break;
		case 3:
			tame_finish(q, arg);
			break;
		case 4:
			tame_take(q);
			tame_finish(q, 0);
			break;
		case 5:
			run();
			tame_collect(q);
			break;
		case 6:
			if (arg == 15)
				hang_up(&s.sock);
			run();
			break;
		default:
			if (arg == 15)
				tame_setup(size);
			break;
		}
	}
	for (unsigned i = 0; i < 2 * FUZZ_RING_MAX; i++)
		for (unsigned q = 0; q < QUEUES; q++) {
			tame_take(q);
			tame_finish(q, 0);
			run();
			tame_collect(q);
		}
	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned i = 0; i < FUZZ_RING_MAX; i++)
			FUZZ_ASSERT(!g.ring[q].req[i].tag[OPEN] || (v->gone && s.disorder));
	FUZZ_ASSERT(v->gone == s.sock.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_guest_now = NULL;
	if (!world.n)
		build();
	s = at_first;
	fuzz_begin(&g, &world, &in);
	if ((how & 3) == 0)
		handshake();
	else if ((how & 3) == 1)
		tame_program();
	else
		wild_program();
	return 0;
}
