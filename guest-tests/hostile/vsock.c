/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock.c - attacks on sockets between guest and host (virtio 1.2, 5.10.6): packets from and to nobody, lengths and credit
 * that lie, connections without end.  Where the host half listens at port 1024, it never reads.
 *
 * A connection that breaks the rules is reset; the others, and the device, are not touched.
 */
#include "hostile.h"

enum { RX, TX, EVENTS };
enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };
#define GUEST_CID 3
#define HOST_CID  2
#define LISTENS   1024
#define STREAM    1
#define MAX_CONNS 128

struct vsock_header {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

#define HDR(t)    ((volatile struct vsock_header *)(t)->buf)
#define DATA(t)   ((t)->buf + 4096)
#define ANSWER(t) ((volatile struct vsock_header *)((t)->buf + 2048))

static struct vsock_header header(uint32_t port, uint16_t op, uint32_t len)
{
	return (struct vsock_header){ GUEST_CID, HOST_CID, port, LISTENS, len, STREAM, op, 0, 65536, 0 };
}

/* A packet with LEN bytes behind the header, whatever that says. */
static bool put(struct target *t, struct vsock_header h, uint32_t len)
{
	struct vdesc d[2] = { { (uint64_t)HDR(t), sizeof(h), 0, 0 }, { (uint64_t)DATA(t), len, 0, 0 } };

	*HDR(t) = h;
	return target_ask(t, TX, d, len ? 2 : 1) == 0;
}

/* The next packet for the guest; its operation, or SILENT. */
static long get(struct target *t)
{
	struct vdesc d = { (uint64_t)ANSWER(t), 1024, VD_WRITE, 0 };
	long ret = target_ask(t, RX, &d, 1);

	return ret >= (long)sizeof(*ANSWER(t)) ? ANSWER(t)->op : ret;
}

static bool is_reset(struct target *t)
{
	return get(t) == RST && ANSWER(t)->dst_cid == GUEST_CID;
}

/* Connects; false where nobody listens. */
static bool connect(struct target *t, uint32_t port)
{
	return put(t, header(port, REQUEST, 0), 0) && get(t) == RESPONSE && ANSWER(t)->dst_port == port;
}

static bool from_and_to_nobody(struct target *t)
{
	static const uint64_t cid[] = { 0, 1, 2, 4, 0xffffffff, 0x100000003, ~0ull };
	static const uint16_t type[] = { 0, 2, 3, 0x8000, 0xffff };
	bool good = true;

	for (unsigned op = 0; good && op <= 9; op++) {
		struct vsock_header h = header(5000, (uint16_t)op, 0);

		for (unsigned i = 0; good && i < ARRAY_SIZE(cid); i++) {
			h.src_cid = cid[i];
			good = put(t, h, 0) && (op == RST || is_reset(t));
			h.src_cid = GUEST_CID;
			h.dst_cid = cid[i];
			good = good && (cid[i] == HOST_CID || (put(t, h, 0) && (op == RST || is_reset(t))));
			h.dst_cid = HOST_CID;
		}
		for (unsigned i = 0; good && i < ARRAY_SIZE(type); i++) {
			h.type = type[i];
			good = put(t, h, 0) && (op == RST || is_reset(t));
		}
		/* A connection that does not exist, or a port that nobody listens at. */
		h.type = STREAM;
		h.dst_port = 77;
		good = good && put(t, h, 0) && (op == RST || is_reset(t));
	}
	return good;
}

static bool random_packets(struct target *t)
{
	bool good = true;

	for (unsigned i = 0; good && i < 300; i++) {
		struct vsock_header h = header((uint32_t)(rnd() % 4), (uint16_t)(rnd() % 9), (uint32_t)(rnd() % 4 ? rnd() % 512 : rnd()));

		h.flags = (uint32_t)rnd();
		h.buf_alloc = (uint32_t)rnd();
		h.fwd_cnt = (uint32_t)rnd();
		if (h.op == REQUEST)
			h.dst_port = 78;
		good = put(t, h, (uint32_t)(rnd() % 3 ? rnd() % 512 : 0));
	}
	return good;
}

static bool short_packets(struct target *t)
{
	struct vdesc d[1] = { { (uint64_t)HDR(t), 0, 0, 0 } }, pieces[16], r[2];
	bool good = true;

	*HDR(t) = header(1, RST, 0);
	for (uint32_t len = 0; good && len < sizeof(struct vsock_header); len += len < 40 ? 20 : 3) {
		d[0].len = len;
		good = target_refuses(t, TX, d, 1);
		/* To be received: no room for a header. */
		r[0] = (struct vdesc){ (uint64_t)ANSWER(t), len, VD_WRITE, 0 };
		good = good && target_refuses(t, RX, r, 1);
	}
	for (unsigned i = 0; i < 15; i++)
		pieces[i] = (struct vdesc){ (uint64_t)t->buf + i * 3, i < 14 ? 3 : 2, 0, 0 };
	return good && target_ask(t, TX, pieces, 15) == 0;
}

/* Lengths behind which there is less, more than the credit, and data after the end. */
static bool lengths_that_lie(struct target *t)
{
	static const uint32_t told[] = { 101, 4096, 65536, 65537, 0x7fffffff, 0x80000000, ~0u };
	bool good = true;

	for (unsigned i = 0; good && i < ARRAY_SIZE(told); i++) {
		uint32_t port = 2000 + i;

		if (!connect(t, port))
			return i == 0; /* nobody listens here */
		good = put(t, header(port, RW, told[i]), 100) && is_reset(t) && ANSWER(t)->dst_port == port;
	}
	good = good && connect(t, 2100) && put(t, header(2100, REQUEST, 0), 0) && is_reset(t);
	good = good && connect(t, 2101) && put(t, header(2101, RESPONSE, 0), 0) && is_reset(t);
	good = good && connect(t, 2102) && put(t, header(2102, 200, 0), 0) && is_reset(t);
	if (good && connect(t, 2103)) {
		struct vsock_header h = header(2103, SHUTDOWN, 0);

		h.flags = 2; /* it sends no more */
		good = put(t, h, 0) && put(t, header(2103, RW, 100), 100) && is_reset(t);
	}
	return good;
}

/* More than anybody's buffers: the connection is reset at some point, and another one is as it was. */
static bool beyond_credit(struct target *t)
{
	struct vqueue *rx = &t->v.q[RX];
	bool over = false;
	uint16_t before;

	if (!connect(t, 3000))
		return true;
	if (!connect(t, 3001))
		return false;
	before = rx->used->idx;
	for (unsigned i = 0; i < QUEUE_SIZE / 2; i++) {
		vq_desc(rx, (uint16_t)i, (uint64_t)ANSWER(t) + i * 128, 128, VD_WRITE, 0);
		vq_offer(rx, (uint16_t)i);
	}
	vq_ring_bell(rx);
	for (unsigned i = 0; !over && i < 400; i++) {
		if (!put(t, header(3000, RW, 28672), 28672))
			return false;
		for (; rx->used->idx != before; before++) {
			uint32_t id = rx->used->e[before & (QUEUE_SIZE - 1)].id;
			volatile struct vsock_header *h = (volatile void *)((uint64_t)ANSWER(t) + id * 128);

			over |= h->op == RST && h->dst_port == 3000;
			vq_offer(rx, (uint16_t)id);
		}
		vq_ring_bell(rx);
	}
	/* The other answers when it is asked. */
	before = rx->used->idx;
	if (!over || !put(t, header(3001, CREDIT_REQUEST, 0), 0))
		return false;
	for (uint64_t end = deadline_ms(4000); rx->used->idx == before; cpu_relax())
		if (expired(end))
			return false;
	return true;
}

/* As many connections as there are, and as many again; the guest listens to no answer. */
static bool connects_without_end(struct target *t)
{
	bool good = true, listens = connect(t, 9999);
	unsigned open = 0;

	target_start(t);
	for (uint32_t i = 0; good && i < 2 * MAX_CONNS; i++)
		good = put(t, header(10000 + i, REQUEST, 0), 0);
	for (uint32_t i = 0; good && i < 500; i++)
		good = put(t, header(50000 + i, RW, 0), 0);
	for (unsigned i = 0; good && i < 2 * MAX_CONNS + 64; i++) {
		struct vdesc d = { (uint64_t)ANSWER(t), 1024, VD_WRITE, 0 };
		struct vqueue *q = &t->v.q[RX];
		uint16_t before = q->used->idx;

		vq_desc(q, 0, d.addr, d.len, d.flags, 0);
		vq_offer(q, 0);
		vq_ring_bell(q);
		for (uint64_t end = deadline_ms(20); q->used->idx == before && !expired(end);)
			cpu_relax();
		if (q->used->idx == before)
			break;
		open += ANSWER(t)->op == RESPONSE;
	}
	target_start(t);
	return good && open == (listens ? MAX_CONNS : 0);
}

/* Asked for credit a thousand times, it owes one answer. */
static bool credit_flood(struct target *t)
{
	bool good = true;

	if (!connect(t, 4000))
		return true;
	for (unsigned i = 0; good && i < 500; i++)
		good = put(t, header(4000, CREDIT_REQUEST, 0), 0);
	good = good && get(t) == CREDIT_UPDATE && put(t, header(4000, CREDIT_UPDATE, 0), 0);
	return good && put(t, header(4000, RST, 0), 0);
}

static bool event_queue(struct target *t)
{
	struct vqueue *q = &t->v.q[EVENTS];

	for (unsigned i = 0; i < QUEUE_SIZE; i++) {
		vq_desc(q, (uint16_t)i, bad_address(t, i % 16), (uint32_t)rnd(), (uint16_t)rnd(), (uint16_t)rnd());
		vq_offer(q, (uint16_t)rnd());
		vq_ring_bell(q);
	}
	return true;
}

const struct attack vsock_attacks[] = {
	{ "packets from and to nobody", WORKS, from_and_to_nobody, 0, false },
	{ "random packets", WORKS, random_packets, 0, false },
	{ "packets without a header, or room for one", WORKS, short_packets, 0, false },
	{ "packet lengths that lie", WORKS, lengths_that_lie, 0, false },
	{ "data beyond credit", WORKS, beyond_credit, 0, true },
	{ "connections without end", WORKS, connects_without_end, 0, true },
	{ "credit asked for all the time", WORKS, credit_flood, 0, false },
	{ "garbage in the event queue", EITHER, event_queue, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
