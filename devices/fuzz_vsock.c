/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_vsock.c - virtio-vsock behind virtio_pci, with its hub, between any guest and any clients.
 *
 * Beside the guest's usual tricks, packets with a well-formed header and ports from a small set are sent, so that
 * connections come to life (the first byte says whether that is all); clients come, talk, stop, hang up and fail.  What the guest was given for a client never
 * exceeds the credit that it granted, no connection holds more than its buffer, the loop never spins, and after a reset a
 * client gets through.
 */
#include "fuzz_guest.h"
#include "virtio_vsock.h"

const char fuzz_name[] = "vsock";

enum { RX, TX, EVENT };
enum { FIRST_SOCKET = 1000, SOCKETS = 64, CID = 3, DATA = FUZZ_LOW + 0x2000 };

struct socket {
	bool open, hung_up, listens;
	bool full;            /* takes nothing */
	unsigned said, says;  /* bytes of what it says that were read, and that there are */
	struct evsource *src;
	uint32_t events;
};

static struct fuzz_guest g;
static struct vsock_hub hub;
static struct virtio_vsock vsock;
static struct fuzz_world world;
static struct {
	unsigned n, waiting; /* sockets made so far, clients in the listener's queue */
	uint64_t taken;      /* bytes that clients took */
	struct socket s[SOCKETS];
} w;
static bool tame; /* the guest leaves the rings alone */
static const struct host *lower; /* what fuzz_host.h has for the rest */

static const char hello[] = "CONNECT 7\n";

static struct socket *socket_of(int fd)
{
	FUZZ_ASSERT(fd >= FIRST_SOCKET && fd < FIRST_SOCKET + SOCKETS && w.s[fd - FIRST_SOCKET].open);
	return &w.s[fd - FIRST_SOCKET];
}

static int new_socket(const struct host *h)
{
	int ret = fuzz_fault(h);

	if (ret || w.n == SOCKETS)
		return ret ? ret : -EMFILE;
	w.s[w.n] = (struct socket){ .open = true };
	return FIRST_SOCKET + (int)w.n++;
}

static int make_socket(const struct host *h, int domain, int type, int protocol)
{
	return new_socket(h);
}

static int set_name(const struct host *h, int fd, const struct sockaddr *addr, unsigned len)
{
	socket_of(fd);
	return 0;
}

static int connect_socket(const struct host *h, int fd, const struct sockaddr *addr, unsigned len)
{
	socket_of(fd)->says = UINT_MAX;
	socket_of(fd)->said = sizeof(hello) - 1;
	return fuzz_fault(h);
}

static int listen_socket(const struct host *h, int fd, int backlog)
{
	socket_of(fd)->listens = true;
	return 0;
}

static int accept_socket(const struct host *h, int fd, int flags)
{
	int ret;

	FUZZ_ASSERT(socket_of(fd)->listens);
	if (!w.waiting)
		return -EAGAIN;
	ret = new_socket(h);
	if (ret > 0)
		w.s[ret - FIRST_SOCKET].says = 1;
	w.waiting--; /* where there is no descriptor, the client gives up */
	return ret;
}

static int shutdown_socket(const struct host *h, int fd, int how)
{
	socket_of(fd);
	return fuzz_fault(h);
}

static int mode_socket(const struct host *h, int fd, mode_t mode)
{
	socket_of(fd);
	return 0;
}

static int unlink_socket(const struct host *h, const char *path)
{
	return 0;
}

static int close_any(const struct host *h, int fd)
{
	if (fd < FIRST_SOCKET)
		return lower->close(h, fd);
	FUZZ_ASSERT(!socket_of(fd)->src);
	socket_of(fd)->open = false;
	return 0;
}

static int epoll_ctl_any(const struct host *h, int epfd, int op, int fd, struct epoll_event *ev)
{
	struct socket *s;
	int ret;

	if (fd < FIRST_SOCKET)
		return lower->epoll_ctl(h, epfd, op, fd, ev);
	s = socket_of(fd);
	FUZZ_ASSERT(op == EPOLL_CTL_ADD ? !s->src : !!s->src);
	ret = op == EPOLL_CTL_ADD ? fuzz_fault(h) : 0; /* the others need no memory */
	if (ret)
		return ret;
	s->src = op == EPOLL_CTL_DEL ? NULL : ev->data.ptr;
	s->events = op == EPOLL_CTL_DEL ? 0 : ev->events;
	return 0;
}

static size_t say(struct socket *s, uint8_t *p, size_t len, bool peek)
{
	unsigned at = s->said;
	size_t n = 0;

	while (n < len && at < s->says) {
		p[n++] = at < sizeof(hello) - 1 ? (uint8_t)hello[at] : (uint8_t)at;
		at++;
	}
	if (!peek)
		s->said = at;
	return n;
}

static ssize_t recv_any(const struct host *h, int fd, void *buf, size_t len, int flags)
{
	struct socket *s = socket_of(fd);
	int ret = fuzz_fault(h);

	if (ret)
		return ret;
	if (s->said == s->says)
		return s->hung_up ? 0 : -EAGAIN;
	return (ssize_t)say(s, buf, len, flags & MSG_PEEK);
}

static ssize_t readv_any(const struct host *h, int fd, const struct iovec *iov, int n)
{
	ssize_t done = 0;
	int ret;

	if (fd < FIRST_SOCKET)
		return lower->readv(h, fd, iov, n);
	ret = fuzz_fault(h);
	if (ret)
		return ret;
	if (socket_of(fd)->said == socket_of(fd)->says)
		return socket_of(fd)->hung_up ? 0 : -EAGAIN;
	for (int i = 0; i < n; i++)
		done += (ssize_t)say(socket_of(fd), iov[i].iov_base, iov[i].iov_len, false);
	return done;
}

static ssize_t send_any(const struct host *h, int fd, const void *buf, size_t len, int flags)
{
	const struct socket *s = socket_of(fd);
	int ret = fuzz_fault(h);

	FUZZ_ASSERT(flags & MSG_NOSIGNAL);
	if (ret || s->hung_up || s->full)
		return ret ? ret : s->hung_up ? -EPIPE : -EAGAIN;
	len = g.fh.max_io ? MIN(len, g.fh.max_io) : len;
	w.taken += len;
	return (ssize_t)len;
}

static int map_memory(const struct host *h, void **out, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	*out = calloc(1, len);
	return *out ? 0 : -ENOMEM;
}

static int advise(const struct host *h, void *addr, size_t len, int advice)
{
	memset(addr, 0, len);
	return 0;
}

static void build(void)
{
	struct host *h = &g.fh.h;

	fuzz_guest_init(&g);
	lower = malloc(sizeof(*lower));
	memcpy((void *)(uintptr_t)lower, h, sizeof(*h));
	h->socket = make_socket;
	h->bind = set_name;
	h->connect = connect_socket;
	h->listen = listen_socket;
	h->accept = accept_socket;
	h->shutdown = shutdown_socket;
	h->fchmod = mode_socket;
	h->unlink = unlink_socket;
	h->close = close_any;
	h->epoll_ctl = epoll_ctl_any;
	h->recv = recv_any;
	h->readv = readv_any;
	h->send = send_any;
	h->mmap = map_memory;
	h->madvise = advise;
	FUZZ_ASSERT(!vsock_hub_init(&hub, "/v", CID, &g.loop, &g.log, NULL));
	virtio_vsock_init(&vsock, "vsock", &hub, &g.mem, &g.loop, &g.log);
	fuzz_add(&g, &vsock.dev);
	fuzz_keep(&world, &hub, sizeof(hub));
	fuzz_keep(&world, &vsock, sizeof(vsock));
	fuzz_keep(&world, &w, sizeof(w));
	fuzz_keep_guest(&world, &g);
}

/* What the loop would do, until there is nothing to do: soon, for level-triggered readiness that nobody tends spins. */
static void run(void)
{
	unsigned steps = 0;
	bool any;

	do {
		FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS || g.fh.fail_on);
		any = false;
		for (unsigned i = 0; i < w.n; i++) {
			struct socket *s = &w.s[i];
			uint32_t events = 0;

			if (!s->open || !s->src)
				continue;
			if (s->events & EPOLLIN && (s->listens ? w.waiting > 0 : s->said < s->says || s->hung_up))
				events |= EPOLLIN;
			if (s->events & EPOLLOUT && !s->full)
				events |= EPOLLOUT;
			if (s->hung_up)
				events |= EPOLLHUP;
			if (!events)
				continue;
			any = true;
			s->src->ready(s->src, events);
		}
	} while (any && ++steps < 1000);
	/* A client that never stops talking keeps us busy for as long as there are buffers; nothing else does. */
	FUZZ_ASSERT(steps < 1000 || g.fh.fail_on || g.fh.fail_at);
	for (unsigned i = 0; i < VSOCK_CONNS; i++)
		FUZZ_ASSERT(hub.conn[i].got - hub.conn[i].fwd <= VSOCK_BUF);
	FUZZ_ASSERT(hub.queue_n <= VSOCK_CONNS && hub.stray_n <= VSOCK_STRAYS);
}

/* A correct driver looks at what was used, and offers no more than the ring holds. */
static bool has_room(struct fuzz_ring *r)
{
	uint32_t len;

	if (!r->size || !tame)
		return r->size;
	while (fuzz_used(&g, r, &len))
		;
	return (uint16_t)(r->avail_idx - r->used_seen) < r->size;
}

static void send_packet(unsigned op, uint32_t guest_port, uint32_t host_port, uint32_t len, uint32_t claim)
{
	struct vsock_hdr hdr = { .src_cid = CID, .dst_cid = VSOCK_HOST_CID, .src_port = guest_port, .dst_port = host_port,
				 .len = claim, .type = VSOCK_STREAM, .op = (uint16_t)op, .flags = claim & 3,
				 .buf_alloc = claim << 4, .fwd_cnt = len };
	struct fuzz_ring *r = &g.ring[TX];

	if (!has_room(r))
		return;
	memcpy(fuzz_ptr(&g, DATA, sizeof(hdr)), &hdr, sizeof(hdr));
	fuzz_offer(&g, r, &(struct fuzz_seg){ DATA, (uint32_t)sizeof(hdr) + len, false }, 1, 0);
	fuzz_kick(&g, 0, TX);
}

/* A receive buffer more, after the used ones were looked at. */
static void offer_buffer(uint32_t len)
{
	struct fuzz_ring *r = &g.ring[RX];

	if (!has_room(r))
		return;
	fuzz_offer(&g, r, &(struct fuzz_seg){ FUZZ_HIGH, len, true }, 1, 0);
	fuzz_kick(&g, 0, RX);
}

static uint32_t host_port(uint8_t b)
{
	return b & 1 ? 9 : (1u << 30) + (b >> 1 & 3);
}

static void clients(uint8_t b)
{
	struct socket *s = &w.s[1 + (b >> 4) % (SOCKETS - 1)];

	switch (b & 7) {
	case 0:
	case 1:
		w.waiting += w.waiting < 4;
		break;
	case 2:
		s->says += s->says < 100000 ? 1u << (b >> 4) : 0;
		break;
	case 3:
		s->hung_up = true;
		break;
	case 4:
		s->full = !s->full;
		break;
	case 5:
		s->says = MAX(s->says, (unsigned)sizeof(hello) - 1);
		break;
	default:
		g.fh.max_io = b >> 4;
		break;
	}
	/* One that was made by connect() says nothing of its own. */
	s->said = MIN(s->said, s->says);
}

static void program(void)
{
	fuzz_setup(&g, 0, UINT64_MAX, 16);
	while (fuzz_more(&g.in)) {
		uint8_t b = fuzz_u8(&g.in), c;

		switch (b & 7) {
		case 0:
			if (!tame)
				fuzz_op(&g);
			break;
		case 1:
			clients(fuzz_u8(&g.in));
			break;
		case 2:
			offer_buffer(fuzz_u8(&g.in) * 4u);
			break;
		case 3:
			fuzz_plan_fault(&g);
			break;
		case 4:
			run();
			break;
		default:
			c = fuzz_u8(&g.in);
			send_packet(b >> 3 & 7, c & 16 ? 7 : 8, host_port(c), fuzz_u8(&g.in) * 16u, fuzz_u8(&g.in) * 16u);
			break;
		}
	}
	run();
	fuzz_check(&g, false);
}

/* A new driver, and a client of port 7: it is asked for. */
static void still_works(void)
{
	struct vsock_hdr hdr;
	struct fuzz_req *req;
	uint32_t len;

	fuzz_calm(&g);
	if (w.n > SOCKETS - 2)
		return;
	fuzz_setup(&g, 0, UINT64_MAX, 16);
	run();
	w.waiting = 1;
	run();
	clients(5);
	for (unsigned i = 1; i < w.n; i++)
		w.s[i].says = MAX(w.s[i].says, (unsigned)sizeof(hello) - 1);
	run();
	req = fuzz_offer(&g, &g.ring[RX], &(struct fuzz_seg){ FUZZ_HIGH, 100, true }, 1, 0);
	fuzz_kick(&g, 0, RX);
	run();
	FUZZ_ASSERT(fuzz_used(&g, &g.ring[RX], &len) == req && len == sizeof(hdr));
	memcpy(&hdr, fuzz_ptr(&g, FUZZ_HIGH, sizeof(hdr)), sizeof(hdr));
	FUZZ_ASSERT(hdr.op == VSOCK_OP_REQUEST && hdr.dst_port == 7 && hdr.dst_cid == CID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_guest_now = NULL;
	if (!world.n)
		build();
	fuzz_begin(&g, &world, &in);
	tame = how & 2;
	program();
	if (how & 1)
		still_works();
	return 0;
}
