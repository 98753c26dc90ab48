/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_vsock.c - streams between a driver and real unix sockets: both ways of making one, credit, ends in every
 * order, the table full, and a driver that breaks the rules.
 */
#include "virtio_vsock.h"
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "test_driver.h"
#include "test_host.h"

enum { RX, TX, EVENT };
enum { CID = 5, RX_LEN = 4096, PORT = 1234 };

struct rig {
	struct td t;
	struct test_host th;
	struct vsock_hub *hub;
	struct virtio_vsock v;
	char dir[32], path[64];
	struct td_seg rx[VIRTQ_MAX_SIZE]; /* by head */
	unsigned n_rx;
	struct vsock_hdr got;             /* the last packet for the guest ... */
	const uint8_t *data;              /* ... and what came with it, until the next offer_rx() */
};

static void offer_rx(struct rig *r, unsigned n)
{
	while (n--) {
		struct td_seg s[2] = { td_in(&r->t, 20), td_in(&r->t, RX_LEN - 20) }; /* the header is in two pieces */
		int head = td_offer(&r->t, &r->t.ring[RX], s, 2);

		TD_ASSERT(head >= 0);
		r->rx[head] = s[0];
	}
}

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	td_init(&r->t);
	test_host_init(&r->th);
	r->t.loop.host = &r->th.h;
	strcpy(r->dir, "/tmp/tvmm-vsock-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/v", r->dir);
	r->hub = malloc(sizeof(*r->hub));
	ck_assert_int_eq(vsock_hub_init(r->hub, r->path, CID, &r->t.loop, &r->t.log, NULL), 0);
	virtio_vsock_init(&r->v, "vsock", r->hub, &r->t.mem, &r->t.loop, &r->t.log);
	td_start(&r->t, &r->v.dev, 0);
	offer_rx(r, 32);
	return r;
}

static void rig_free(struct rig *r)
{
	virtio_set_status(&r->v.dev, 0);
	ck_assert_uint_eq(r->hub->n_conns, 0);
	virtio_vsock_fini(&r->v);
	vsock_hub_fini(r->hub);
	free(r->hub);
	ck_assert_int_ne(access(r->path, F_OK), 0);
	ck_assert_int_eq(rmdir(r->dir), 0);
	td_fini(&r->t);
	free(r);
}

static void settle(struct rig *r)
{
	do
		ck_assert_int_ge(loop_settle(&r->t.loop), 0);
	while (td_run(&r->t, RX) + td_run(&r->t, TX));
}

static struct vsock_hdr header(unsigned op, uint32_t guest_port, uint32_t host_port, uint32_t len)
{
	return (struct vsock_hdr){ .src_cid = CID, .dst_cid = VSOCK_HOST_CID, .src_port = guest_port, .dst_port = host_port,
				   .len = len, .type = VSOCK_STREAM, .op = (uint16_t)op, .buf_alloc = 1 << 20 };
}

static void send_hdr(struct rig *r, const struct vsock_hdr *hdr, const void *data, uint32_t len)
{
	struct td_seg s[] = { td_out(&r->t, hdr, sizeof(*hdr)), td_out(&r->t, data ? data : "", len) };

	TD_ASSERT(td_offer(&r->t, &r->t.ring[TX], s, len ? 2 : 1) >= 0);
	td_kick(&r->t, TX);
	settle(r);
	td_take_used(&r->t, &r->t.ring[TX], NULL);
}

static void guest_sends(struct rig *r, unsigned op, uint32_t guest_port, uint32_t host_port, const void *data, uint32_t len)
{
	struct vsock_hdr hdr = header(op, guest_port, host_port, len);

	hdr.flags = op == VSOCK_OP_SHUTDOWN ? VSOCK_SHUT_BOTH : 0;
	send_hdr(r, &hdr, data, len);
}

/* The next packet for the guest into r->got; 0 if there is none. */
static unsigned guest_gets(struct rig *r)
{
	uint32_t len;
	int head;

	settle(r);
	head = td_take_used(&r->t, &r->t.ring[RX], &len);
	if (head < 0)
		return 0;
	memcpy(&r->got, td_ptr(&r->t, r->rx[head].addr), sizeof(r->got));
	r->data = (const uint8_t *)td_ptr(&r->t, r->rx[head].addr) + sizeof(r->got); /* the pieces lie one behind the other */
	TD_ASSERT(len == sizeof(r->got) + r->got.len);
	TD_ASSERT(r->got.src_cid == VSOCK_HOST_CID || r->got.op == VSOCK_OP_RST);
	TD_ASSERT(r->got.dst_cid == CID && r->got.type == VSOCK_STREAM);
	return r->got.op;
}

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int serve(struct rig *r, unsigned port, int backlog)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", r->path, port);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

static void unserve(struct rig *r, int fd, unsigned port)
{
	char path[96];

	snprintf(path, sizeof(path), "%s_%u", r->path, port);
	ck_assert_int_eq(unlink(path), 0);
	close(fd);
}

static void says(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* What the client can read now: "" when there is nothing, "EOF" at the end. */
static const char *hears(struct rig *r, int fd)
{
	static char buf[65536];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	settle(r);
	if (poll(&p, 1, 0) == 0)
		return "";
	n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return "EOF";
	buf[n] = '\0';
	return buf;
}

/* A client's connection to port PORT of the guest, accepted; *HOST_PORT is ours. */
static int connected(struct rig *r, uint32_t *host_port)
{
	char ok[32];
	int fd = dial(r->path);

	says(fd, "CONNECT 1234\n");
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_REQUEST);
	ck_assert_uint_eq(r->got.dst_port, PORT);
	*host_port = r->got.src_port;
	guest_sends(r, VSOCK_OP_RESPONSE, PORT, *host_port, NULL, 0);
	snprintf(ok, sizeof(ok), "OK %u\n", *host_port);
	ck_assert_str_eq(hears(r, fd), ok);
	return fd;
}

START_TEST(from_the_host)
{
	struct rig *r = rig_new();
	uint32_t port;
	int fd = connected(r, &port);

	says(fd, "hello");
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RW);
	ck_assert_uint_eq(r->got.len, 5);
	ck_assert_mem_eq(r->data, "hello", 5);
	guest_sends(r, VSOCK_OP_RW, PORT, port, "world", 5);
	ck_assert_str_eq(hears(r, fd), "world");
	/* The guest closes; the client reads to the end. */
	guest_sends(r, VSOCK_OP_RW, PORT, port, "bye", 3);
	guest_sends(r, VSOCK_OP_SHUTDOWN, PORT, port, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	ck_assert_str_eq(hears(r, fd), "bye");
	ck_assert_str_eq(hears(r, fd), "EOF");
	ck_assert_uint_eq(r->hub->n_conns, 0);
	close(fd);
	rig_free(r);
}
END_TEST

/* The first line may come in pieces, and with the first bytes of the stream behind it. */
START_TEST(hello_in_pieces)
{
	struct rig *r = rig_new();
	int fd = dial(r->path);

	says(fd, "CONN");
	ck_assert_uint_eq(guest_gets(r), 0);
	says(fd, "ECT 7\nearly");
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_REQUEST);
	ck_assert_uint_eq(r->got.dst_port, 7);
	ck_assert_uint_eq(guest_gets(r), 0);
	guest_sends(r, VSOCK_OP_RESPONSE, 7, r->got.src_port, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RW);
	ck_assert_mem_eq(r->data, "early", 5);
	close(fd);
	rig_free(r);
}
END_TEST

START_TEST(bad_hello)
{
	static const char *const bad[] = { "CONNECT \n", "CONNECT 4294967296\n", "CONNECT -1\n", "CONNECT 1 \n", "connect 1\n", "\n",
					   "GET / HTTP/1.1\n", "CONNECT 11111111111111111" };
	struct rig *r = rig_new();
	int fd;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = dial(r->path);
		says(fd, bad[i]);
		ck_assert_msg(!strcmp(hears(r, fd), "EOF"), "'%s' was taken", bad[i]);
		close(fd);
	}
	/* Nobody in the guest: refused by a reset, or there is no driver. */
	fd = dial(r->path);
	says(fd, "CONNECT 4294967295\n");
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_REQUEST);
	guest_sends(r, VSOCK_OP_RST, UINT32_MAX, r->got.src_port, NULL, 0);
	ck_assert_str_eq(hears(r, fd), "EOF");
	close(fd);
	virtio_set_status(&r->v.dev, 0);
	fd = dial(r->path);
	says(fd, "CONNECT 1\n");
	ck_assert_str_eq(hears(r, fd), "EOF");
	close(fd);
	rig_free(r);
}
END_TEST

START_TEST(from_the_guest)
{
	struct rig *r = rig_new();
	int listener = serve(r, 99, 1), fd;

	guest_sends(r, VSOCK_OP_REQUEST, 5000, 99, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RESPONSE);
	ck_assert_uint_eq(r->got.src_port, 99);
	ck_assert_uint_eq(r->got.dst_port, 5000);
	ck_assert_uint_eq(r->got.buf_alloc, VSOCK_BUF);
	fd = accept(listener, NULL, NULL);
	guest_sends(r, VSOCK_OP_RW, 5000, 99, "up", 2);
	ck_assert_str_eq(hears(r, fd), "up");
	says(fd, "down");
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RW);
	ck_assert_mem_eq(r->data, "down", 4);
	/* The host's end closes: the guest hears of it, closes in turn, and is released. */
	close(fd);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_SHUTDOWN);
	guest_sends(r, VSOCK_OP_SHUTDOWN, 5000, 99, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	ck_assert_uint_eq(r->hub->n_conns, 0);
	/* Where nobody listens, and a packet that belongs to nothing. */
	guest_sends(r, VSOCK_OP_REQUEST, 5001, 98, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	ck_assert_uint_eq(r->got.dst_port, 5001);
	ck_assert_uint_eq(r->got.src_port, 98);
	guest_sends(r, VSOCK_OP_RW, 1, 2, "x", 1);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	guest_sends(r, VSOCK_OP_RST, 1, 2, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), 0);
	unserve(r, listener, 99);
	rig_free(r);
}
END_TEST

/* Half-closed: the client has sent all it has, and still gets an answer. */
START_TEST(half_closed)
{
	struct rig *r = rig_new();
	struct vsock_hdr hdr;
	uint32_t port;
	int fd = connected(r, &port);

	says(fd, "question");
	shutdown(fd, SHUT_WR);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RW);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_SHUTDOWN);
	ck_assert_uint_eq(r->got.flags, VSOCK_SHUT_SEND);
	ck_assert_uint_eq(guest_gets(r), 0);
	guest_sends(r, VSOCK_OP_RW, PORT, port, "answer", 6);
	ck_assert_str_eq(hears(r, fd), "answer");
	hdr = header(VSOCK_OP_SHUTDOWN, PORT, port, 0);
	hdr.flags = VSOCK_SHUT_SEND;
	send_hdr(r, &hdr, NULL, 0);
	ck_assert_str_eq(hears(r, fd), "EOF");
	ck_assert_uint_eq(guest_gets(r), 0);
	close(fd);
	rig_free(r);
}
END_TEST

/* The client does not read: what credit allows is kept, in order; more than that ends the connection. */
START_TEST(credit_of_the_guest)
{
	struct rig *r = rig_new();
	static uint8_t chunk[4096];
	uint32_t port, sent = 0, fwd = 0, heard = 0;
	int fd = connected(r, &port);
	const char *text;

	memset(chunk, 'a', sizeof(chunk));
	while (sent - fwd + sizeof(chunk) <= VSOCK_BUF && sent < 4u << 20) {
		guest_sends(r, VSOCK_OP_RW, PORT, port, chunk, sizeof(chunk));
		sent += sizeof(chunk);
		while (guest_gets(r)) {
			ck_assert_uint_eq(r->got.op, VSOCK_OP_CREDIT_UPDATE);
			fwd = r->got.fwd_cnt;
			offer_rx(r, 1);
		}
		r->t.brk -= r->t.brk > TD_RAM / 2 ? sizeof(chunk) + sizeof(struct vsock_hdr) : 0;
	}
	ck_assert_uint_gt(sent, VSOCK_BUF);
	ck_assert_uint_lt(sent, 4u << 20); /* the socket was full */
	while (*(text = hears(r, fd)) == 'a')
		heard += (uint32_t)strlen(text);
	ck_assert_uint_eq(heard, sent);
	while (guest_gets(r))
		ck_assert_uint_eq(r->got.op, VSOCK_OP_CREDIT_UPDATE);
	ck_assert_uint_ge(r->got.fwd_cnt + VSOCK_BUF / 4, sent);
	guest_sends(r, VSOCK_OP_CREDIT_REQUEST, PORT, port, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_CREDIT_UPDATE);
	ck_assert_uint_eq(r->got.fwd_cnt, sent);
	/* A length that the packet does not have. */
	struct vsock_hdr lie = header(VSOCK_OP_RW, PORT, port, 5000);

	send_hdr(r, &lie, chunk, 100);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	ck_assert_str_eq(hears(r, fd), "EOF");
	close(fd);
	rig_free(r);
}
END_TEST

/* The guest has no room: its client waits in its own socket, and neither of us spins. */
START_TEST(credit_of_the_host)
{
	struct rig *r = rig_new();
	struct vsock_hdr hdr;
	uint32_t port;
	int fd = connected(r, &port);

	hdr = header(VSOCK_OP_CREDIT_UPDATE, PORT, port, 0);
	hdr.buf_alloc = 3;
	send_hdr(r, &hdr, NULL, 0);
	says(fd, "hello");
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RW);
	ck_assert_uint_eq(r->got.len, 3);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_CREDIT_REQUEST);
	ck_assert_uint_eq(guest_gets(r), 0);
	/* None yet, it answers: it is not asked again and again. */
	send_hdr(r, &hdr, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), 0);
	hdr.fwd_cnt = 3;
	send_hdr(r, &hdr, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RW);
	ck_assert_uint_eq(r->got.len, 2);
	ck_assert_mem_eq(r->data, "lo", 2);
	/* A guest that claims to have passed on more than it got has no credit either. */
	hdr.fwd_cnt = 100;
	send_hdr(r, &hdr, NULL, 0);
	says(fd, "x");
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_CREDIT_REQUEST);
	ck_assert_uint_eq(guest_gets(r), 0);
	/* The client goes away with that: nothing may spin, and the guest's close ends it. */
	close(fd);
	settle(r);
	guest_sends(r, VSOCK_OP_SHUTDOWN, PORT, port, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	ck_assert_uint_eq(r->hub->n_conns, 0);
	rig_free(r);
}
END_TEST

/* No buffers for a while: nothing is lost, and many clients have their turns. */
START_TEST(no_buffers)
{
	struct rig *r = rig_new();
	unsigned seen[3] = { 0 };
	int fd[3];
	uint32_t port[3];

	for (unsigned i = 0; i < 3; i++)
		fd[i] = connected(r, &port[i]);
	for (unsigned n = 0; n < 26; n++)
		for (unsigned i = 0; i < 3; i++)
			says(fd[i], (char[2]){ (char)('a' + n), 0 });
	settle(r);
	for (unsigned left = 3 * 26; left;) {
		while (guest_gets(r)) {
			for (unsigned i = 0; i < 3; i++) {
				if (r->got.src_port != port[i])
					continue;
				for (unsigned k = 0; k < r->got.len; k++, left--)
					ck_assert_int_eq(r->data[k], 'a' + (int)seen[i]++);
			}
		}
		ck_assert_uint_gt(r->t.ring[RX].n_free, 0);
		offer_rx(r, 1);
		td_kick(&r->t, RX);
	}
	for (unsigned i = 0; i < 3; i++)
		close(fd[i]);
	rig_free(r);
}
END_TEST

/* More clients than places: the rest waits, and gets its turn. */
START_TEST(table_full)
{
	struct rig *r = rig_new();
	int fd[VSOCK_CONNS + 1];

	for (unsigned i = 0; i <= VSOCK_CONNS; i++) {
		fd[i] = dial(r->path);
		settle(r);
	}
	ck_assert_uint_eq(r->hub->n_conns, VSOCK_CONNS);
	says(fd[VSOCK_CONNS], "CONNECT 1\n");
	ck_assert_uint_eq(guest_gets(r), 0);
	guest_sends(r, VSOCK_OP_REQUEST, 1, 2, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	close(fd[0]);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_REQUEST);
	for (unsigned i = 1; i <= VSOCK_CONNS; i++)
		close(fd[i]);
	rig_free(r);
}
END_TEST

START_TEST(hostile)
{
	struct rig *r = rig_new();
	struct td_seg s;
	uint32_t port;
	int fd = connected(r, &port);
	struct vsock_hdr hdr;

	/* Packets that are not for us, or say nothing known. */
	for (unsigned op = 0; op < 300; op += op < 9 ? 1 : 97) {
		hdr = header(op, PORT, port, 0);
		hdr.dst_cid = 77;
		send_hdr(r, &hdr, NULL, 0);
		hdr = header(op, PORT, port, 0);
		hdr.type = 2;
		send_hdr(r, &hdr, NULL, 0);
		while (guest_gets(r))
			ck_assert_uint_eq(r->got.op, VSOCK_OP_RST);
		offer_rx(r, 32 - (VIRTQ_MAX_SIZE / 2 - r->t.ring[RX].n_free) / 2 < 2 ? 0 : 2);
	}
	ck_assert_uint_eq(r->hub->n_conns, 1);
	/* An answer to what was not asked. */
	guest_sends(r, VSOCK_OP_RESPONSE, PORT, port, NULL, 0);
	ck_assert_uint_eq(guest_gets(r), VSOCK_OP_RST);
	ck_assert_str_eq(hears(r, fd), "EOF");
	close(fd);
	/* No room for answers: some are dropped, nothing grows. */
	for (unsigned i = 0; i < 3 * VSOCK_STRAYS; i++)
		guest_sends(r, VSOCK_OP_RW, i, i, NULL, 0);
	ck_assert_uint_le(r->hub->stray_n, VSOCK_STRAYS);
	/* A packet without a whole header latches the device, and a reset mends it. */
	s = td_out(&r->t, "short", 5);
	td_offer(&r->t, &r->t.ring[TX], &s, 1);
	td_kick(&r->t, TX);
	ck_assert_uint_ne(virtio_status(&r->v.dev) & VIRTIO_S_NEEDS_RESET, 0);
	ck_assert_ptr_nonnull(strstr(r->t.last_log, "shorter than its header"));
	td_start(&r->t, &r->v.dev, VIRTIO_F_EVENT_IDX);
	offer_rx(r, 4);
	fd = connected(r, &port);
	/* A receive buffer that holds no header. */
	s = td_in(&r->t, 43);
	virtio_set_status(&r->v.dev, 0);
	ck_assert_str_eq(hears(r, fd), "EOF");
	close(fd);
	td_start(&r->t, &r->v.dev, 0);
	td_offer(&r->t, &r->t.ring[RX], &s, 1);
	td_kick(&r->t, RX);
	ck_assert_uint_ne(virtio_status(&r->v.dev) & VIRTIO_S_NEEDS_RESET, 0);
	rig_free(r);
}
END_TEST

/* The path: taken, stale, too long, and what the host refuses. */
START_TEST(listening)
{
	struct rig *r = rig_new();
	struct tvmm_error err = { 0 };
	struct vsock_hub *other = malloc(sizeof(*other));
	char path[200];
	struct stat st;
	int fd;

	ck_assert_int_eq(vsock_hub_init(other, r->path, CID, &r->t.loop, &r->t.log, &err), -EADDRINUSE);
	ck_assert_int_eq(err.code, TVMM_E_BUSY);
	ck_assert_str_eq(err.message, "another process listens at the vsock socket");
	vsock_hub_fini(other);
	ck_assert(!stat(r->path, &st) && (st.st_mode & 07777) == 0600);
	ck_assert_int_eq(access(r->path, F_OK), 0); /* it is not its own to remove */
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(vsock_hub_init(other, path, CID, &r->t.loop, &r->t.log, &err), -ENAMETOOLONG);
	ck_assert_str_eq(err.hint, "it may have 96 bytes");
	vsock_hub_fini(other);
	/* Left behind by one that was killed. */
	fd = serve(r, 3, 1);
	close(fd);
	snprintf(path, sizeof(path), "%s_3", r->path);
	ck_assert_int_eq(vsock_hub_init(other, path, CID, &r->t.loop, &r->t.log, &err), 0);
	vsock_hub_fini(other);
	free(other);
	rig_free(r);
}
END_TEST

/* A client whose socket fails, at each call: the guest hears of an end, and nothing is left. */
START_TEST(failing_client)
{
	static const enum test_op ops[] = { OP_READV, OP_SEND, OP_RECV, OP_EPOLL_CTL };

	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		for (unsigned at = 1; at <= 3; at++) {
			struct rig *r = rig_new();
			int fd;

			test_host_fail(&r->th, ops[i], at, ops[i] == OP_EPOLL_CTL ? ENOMEM : EIO);
			fd = dial(r->path);
			(void)!send(fd, "CONNECT 1234\n", 13, MSG_NOSIGNAL);
			if (guest_gets(r) == VSOCK_OP_REQUEST) {
				guest_sends(r, VSOCK_OP_RESPONSE, PORT, r->got.src_port, NULL, 0);
				(void)!send(fd, "data", 4, MSG_NOSIGNAL);
				settle(r);
				guest_sends(r, VSOCK_OP_RW, PORT, r->got.src_port, "data", 4);
			}
			settle(r);
			close(fd);
			rig_free(r);
		}
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { from_the_host, hello_in_pieces, bad_hello, from_the_guest, half_closed, credit_of_the_guest,
				       credit_of_the_host, no_buffers, table_full, hostile, listening, failing_client, NULL };

	return test_main("virtio-vsock", tests);
}
