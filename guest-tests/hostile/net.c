/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net.c - attacks on the network device (virtio 1.2, 5.1.6): headers that lie about their packet, packets of every wrong
 * length, buffers too small to receive anything, and commands that are none.
 *
 * Whatever is in a packet, the device takes it and goes on; what the host makes of it is the interface's business.
 */
#include "hostile.h"

enum { RX, TX };
#define HEADER 12u
#define NET_CTRL_VQ (1ull << 17)
#define NET_MQ      (1ull << 22)

struct net_header { uint8_t flags, gso_type; uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers; };

#define HDR(t)  ((volatile struct net_header *)(t)->buf)
#define DATA(t) ((t)->buf + 4096)

static struct vdesc out(const volatile void *p, uint32_t len)
{
	return (struct vdesc){ (uint64_t)p, len, 0, 0 };
}

static struct vdesc in(const volatile void *p, uint32_t len)
{
	return (struct vdesc){ (uint64_t)p, len, VD_WRITE, 0 };
}

static bool send(struct target *t, uint32_t len)
{
	struct vdesc d[2] = { out(HDR(t), HEADER), out(DATA(t), len) };

	return target_ask(t, TX, d, 2) == 0;
}

/* An IPv4 frame with a TCP segment in it, as far as headers go. */
static void make_frame(struct target *t)
{
	static const uint8_t head[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 2, 2, 2, 2, 2, 8, 0,
					0x45, 0, 5, 0xdc, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };

	for (unsigned i = 0; i < sizeof(head); i++)
		DATA(t)[i] = head[i];
}

static bool headers_that_lie(struct target *t)
{
	static const uint16_t odd[] = { 0, 1, 13, 14, 33, 34, 54, 59, 60, 61, 1459, 1513, 1514, 1515, 0x7fff, 0x8000, 0xfffe, 0xffff };
	static const uint8_t gso[] = { 0, 1, 3, 4, 5, 0x80, 0x81, 0x83, 0x84, 0x85, 0x7f, 0xff };
	static const uint32_t len[] = { 60, 1514, 20000 };
	bool good = true;

	make_frame(t);
	for (unsigned i = 0; good && i < ARRAY_SIZE(gso) * ARRAY_SIZE(odd); i++) {
		uint16_t v = odd[i % ARRAY_SIZE(odd)];

		*HDR(t) = (struct net_header){ (uint8_t)(i % 3), gso[i / ARRAY_SIZE(odd)], i & 1 ? 54 : v, i & 2 ? v : 1448, i & 4 ? 34 : v,
					       i & 8 ? 16 : v, v };
		good = send(t, len[i % 3]);
	}
	for (unsigned i = 0; good && i < 300; i++) {
		*HDR(t) = (struct net_header){ (uint8_t)rnd(), (uint8_t)rnd(), (uint16_t)rnd(), (uint16_t)rnd(), (uint16_t)rnd(),
					       (uint16_t)rnd(), (uint16_t)rnd() };
		good = send(t, (uint32_t)(rnd() % 2000));
	}
	return good;
}

static bool packet_lengths(struct target *t)
{
	struct vdesc d[16];
	bool good = true;

	*HDR(t) = (struct net_header){ 0 };
	for (uint32_t len = 0; good && len <= HEADER + 16; len++) {
		d[0] = out(t->buf, len);
		good = target_ask(t, TX, d, 1) == 0;
	}
	/* A header in single bytes, and more than any frame. */
	for (unsigned i = 0; i < HEADER; i++)
		d[i] = out(t->buf + i, 1);
	d[HEADER] = out(DATA(t), 60);
	good = good && target_ask(t, TX, d, HEADER + 1) == 0;
	d[0] = out(HDR(t), HEADER);
	for (unsigned i = 1; i < 16; i++)
		d[i] = out(DATA(t), 28672);
	good = good && target_ask(t, TX, d, 16) == 0;
	/* Nothing to read, or something to write besides. */
	d[0] = in(DATA(t), 2048);
	good = good && target_ask(t, TX, d, 1) == 0;
	d[0] = out(HDR(t), HEADER);
	d[1] = out(DATA(t), 60);
	d[2] = in(DATA(t), 2048);
	return good && target_ask(t, TX, d, 3) == 0;
}

/* Buffers in which no packet begins come back empty. */
static bool small_buffers(struct target *t)
{
	struct vdesc d[2];
	bool good = true;

	for (uint32_t len = 0; good && len < HEADER; len++) {
		d[0] = in(DATA(t), len);
		good = target_ask(t, RX, d, 1) == 0;
	}
	d[0] = out(DATA(t), 2048);
	good = good && target_ask(t, RX, d, 1) == 0;
	d[1] = in(DATA(t), 11);
	return good && target_ask(t, RX, d, 2) == 0;
}

/* A frame over buffers of twelve bytes each; and, where it may not be spread, a buffer too small for any. */
static bool spread_over_many(struct target *t)
{
	struct vqueue *q = &t->v.q[RX];
	uint16_t before = q->used->idx;

	for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
		vq_desc(q, i, (uint64_t)DATA(t) + i * 16u, HEADER + 1, VD_WRITE, 0);
		vq_offer(q, i);
	}
	vq_ring_bell(q);
	for (uint64_t end = deadline_ms(4000); (uint16_t)(q->used->idx - before) < 5;)
		if (expired(end))
			return false;
	target_start_with(t, 0);
	for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
		vq_desc(q, i, (uint64_t)DATA(t), HEADER + 1, VD_WRITE, 0);
		vq_offer(q, i);
	}
	vq_ring_bell(q);
	for (uint64_t end = deadline_ms(2); !expired(end); cpu_relax())
		;
	return !(virtio_status(&t->v) & VS_NEEDS_RESET);
}

/* ---- commands ------------------------------------------------------------------------------------------------------ */

static unsigned control_queue(struct target *t)
{
	return t->v.features & NET_MQ ? mmio_r16(t->v.common + VC_NUMQ) - 1 : 0;
}

/* A command of LEN bytes: its answer, or what target_ask() says. */
static long command(struct target *t, uint32_t len, uint8_t class, uint8_t cmd, uint16_t arg)
{
	struct vdesc d[2] = { out(t->buf, len), in(t->buf + 64, 1) };
	long ret;

	t->buf[0] = class;
	t->buf[1] = cmd;
	t->buf[2] = (uint8_t)arg;
	t->buf[3] = (uint8_t)(arg >> 8);
	t->buf[64] = 0xee;
	ret = target_ask(t, control_queue(t), d, 2);
	return ret == 1 ? t->buf[64] : ret;
}

static bool commands_that_are_none(struct target *t)
{
	static const uint16_t pairs[] = { 0, 3, 4, 7, 0x100, 0x8000, 0xffff };
	bool good = true;

	if (!control_queue(t))
		return true;
	for (unsigned class = 0; good && class < 256; class += class < 8 ? 1 : 31)
		for (unsigned cmd = 0; good && cmd < 256; cmd += cmd < 4 ? 1 : 63)
			good = (class == 4 && cmd == 0) || command(t, 4, (uint8_t)class, (uint8_t)cmd, 1) == 1;
	for (unsigned i = 0; good && i < ARRAY_SIZE(pairs); i++)
		good = command(t, 4, 4, 0, pairs[i]) == 1;
	for (uint32_t len = 0; good && len < 4; len++)
		good = command(t, len, 4, 0, 1) == 1;
	return good && command(t, 4, 4, 0, 2) == 0 && command(t, 4096, 4, 0, 1) == 0;
}

static bool commands_without_answer(struct target *t)
{
	struct vdesc d[16] = { out(t->buf, 4) };
	unsigned q = control_queue(t);

	if (!q)
		return true;
	if (!target_refuses(t, q, d, 1))
		return false;
	d[1] = in(t->buf, 0);
	if (!target_refuses(t, q, d, 2))
		return false;
	t->buf[0] = 4;
	t->buf[1] = t->buf[3] = 0;
	t->buf[2] = 1;
	for (unsigned i = 0; i < 4; i++)
		d[i] = out(t->buf + i, 1);
	d[4] = in(t->buf + 64, 1);
	d[5] = in(DATA(t), 4096);
	return target_ask(t, q, d, 6) == 1;
}

/* The number of pairs goes up and down while packets are sent on both. */
static bool pairs_up_and_down(struct target *t)
{
	bool good = true;

	if (!control_queue(t))
		return true;
	*HDR(t) = (struct net_header){ 0 };
	for (unsigned i = 0; good && i < 40; i++) {
		struct vdesc d[2] = { out(HDR(t), HEADER), out(DATA(t), 60) };

		good = command(t, 4, 4, 0, (uint16_t)(1 + i % 2)) == 0;
		*HDR(t) = (struct net_header){ 0 };
		good = good && target_ask(t, TX, d, 2) == 0 && target_ask(t, 3, d, 2) == 0;
	}
	return good;
}

const struct attack net_attacks[] = {
	{ "headers that lie about their packet", WORKS, headers_that_lie, 0, false },
	{ "packets of wrong lengths", WORKS, packet_lengths, 0, false },
	{ "buffers too small to receive", WORKS, small_buffers, 0, false },
	{ "a packet over sixteen tiny buffers", EITHER, spread_over_many, 0, false },
	{ "commands that are none", WORKS, commands_that_are_none, 0, false },
	{ "commands without room for an answer", WORKS, commands_without_answer, 0, false },
	{ "pairs of queues up and down", WORKS, pairs_up_and_down, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
