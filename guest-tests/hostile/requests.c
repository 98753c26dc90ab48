/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * requests.c - attacks by well-formed requests to the block device that ask for the wrong thing (virtio 1.2, 5.2.6).
 * Each gets a status, and the device goes on.
 */
#include "hostile.h"

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

static uint64_t sectors(struct target *t)
{
	return mmio_r64(t->v.config);
}

static bool sector_arithmetic(struct target *t)
{
	const uint64_t n = sectors(t), bad[] = { n, n - 1, n + 1, 1ull << 32, (1ull << 55) - 1, 1ull << 55, (1ull << 55) + 1,
						 1ull << 63, ~0ull, ~0ull - 1, (1ull << 54) };
	volatile uint8_t *data = t->buf + 4096;
	bool good = true;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		for (uint32_t type = T_IN; type <= T_OUT; type++)
			good = good && blk_do(t, type, bad[i], data, 1024, type == T_OUT) == S_IOERR;
	return good;
}

static bool odd_lengths(struct target *t)
{
	static const uint32_t len[] = { 1, 511, 513, 1000, 4095 };
	bool good = true;

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++)
		for (uint32_t type = T_IN; type <= T_OUT; type++)
			good = good && blk_do(t, type, 0, t->buf + 4096, len[i], type == T_OUT) == S_IOERR;
	return good;
}

static bool unknown_types(struct target *t)
{
	bool good = true;

	for (unsigned i = 0; i < 64; i++) {
		uint32_t type = i < 32 ? 1u << i : i;
		int st;

		if (type <= T_OUT || type == T_FLUSH || type == T_GET_ID || (type > T_GET_ID && type < 32))
			continue;
		st = blk_do(t, type, 0, t->buf + 4096, 512, i & 1);
		good = good && st == S_UNSUPP;
	}
	return good && blk_do(t, ~0u, 0, t->buf + 4096, 512, true) == S_UNSUPP;
}

/* A read without room, a write of nothing, data the wrong way round. */
static bool wrong_way(struct target *t)
{
	int a = blk_do(t, T_OUT, 0, t->buf + 4096, 512, false), b = blk_do(t, T_IN, 0, t->buf + 4096, 512, true),
	    c = blk_do(t, T_IN, 0, NULL, 0, false), d = blk_do(t, T_OUT, ~0ull, NULL, 0, true);

	return a >= S_OK && a <= S_UNSUPP && b >= S_OK && b <= S_UNSUPP && c >= S_OK && c <= S_UNSUPP && d >= S_OK && d <= S_UNSUPP;
}

static bool id_lengths(struct target *t)
{
	bool good = true;

	for (uint32_t len = 0; len < 64; len++) {
		volatile uint8_t *p = t->buf + 4096;
		int st;

		for (unsigned i = 0; i < 70; i++)
			p[i] = 0x77;
		st = blk_do(t, T_GET_ID, 0, p, len, false);
		good = good && st >= S_OK && st <= S_UNSUPP;
		for (unsigned i = len < 20 ? len : 20; i < 70; i++)
			good = good && (p[i] == 0x77 || (i < len && !p[i])); /* nothing behind the 20 bytes, or the buffer */
	}
	return good;
}

/* Segments of discard and write-zeroes: none may reach behind the disk, wrap, or have unknown flags. */
static bool bad_segments(struct target *t)
{
	static const struct { uint64_t sector; uint32_t num, flags; } bad[] = {
		{ ~0ull, 1, 0 }, { ~0ull, ~0u, 0 }, { 1ull << 55, 8, 0 }, { 1ull << 63, 8, 0 }, { 0, ~0u, 0 }, { 1, 0x80000000, 0 },
		{ 0, 8, 2 }, { 0, 8, ~0u },
	};
	volatile uint8_t *p = t->buf + 4096;
	bool good = true;

	for (uint32_t type = T_DISCARD; type <= T_WRITE_ZEROES; type += T_WRITE_ZEROES - T_DISCARD) {
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
			*(volatile uint64_t *)p = bad[i].sector;
			*(volatile uint32_t *)(p + 8) = bad[i].num;
			*(volatile uint32_t *)(p + 12) = bad[i].flags;
			int st = blk_do(t, type, 0, p, 16, true);
			good = good && (st == S_IOERR || st == S_UNSUPP);
		}
		for (uint32_t len = 1; len < 16; len += 7) {
			int st = blk_do(t, type, 0, p, len, true);
			good = good && (st == S_IOERR || st == S_UNSUPP);
		}
	}
	return good;
}

/* A header of single bytes; one of 15; none. */
static bool split_header(struct target *t)
{
	struct vqueue *q = target_queue(t);

	for (unsigned n = 0; n <= 14; n++) {
		uint16_t before = q->used->idx;

		*(volatile uint32_t *)t->buf = T_FLUSH;
		t->buf[64] = 0xee;
		for (unsigned i = 0; i < n; i++)
			vq_desc(q, (uint16_t)i, (uint64_t)t->buf + i, 1, VD_NEXT, (uint16_t)(i + 1));
		vq_desc(q, (uint16_t)n, (uint64_t)t->buf + 64, 1, VD_WRITE, 0);
		vq_offer(q, 0);
		vq_ring_bell(q);
		for (uint64_t end = deadline_ms(10000); q->used->idx == before; cpu_relax())
			if (expired(end))
				return false;
		if (t->buf[64] != S_IOERR)
			return false;
	}
	return true;
}

static bool no_status(struct target *t)
{
	struct vqueue *q = target_queue(t);

	*(volatile uint32_t *)t->buf = T_FLUSH;
	vq_desc(q, 0, (uint64_t)t->buf, 16, 0, 0);
	vq_offer(q, 0);
	vq_ring_bell(q);
	return true;
}

/* A great read, and its reset before it can be done. */
static bool reset_great_reads(struct target *t)
{
	for (unsigned i = 0; i < 10; i++) {
		struct vqueue *q = target_queue(t);
		volatile uint32_t *h = (volatile uint32_t *)t->buf;

		h[0] = T_IN;
		h[2] = h[3] = 0;
		t->table[0] = (struct vdesc){ (uint64_t)t->buf, 16, VD_NEXT, 1 };
		for (uint16_t k = 1; k < 240; k++)
			t->table[k] = (struct vdesc){ (uint64_t)t->buf + 4096, 4096, VD_NEXT | VD_WRITE, (uint16_t)(k + 1) };
		t->table[240] = (struct vdesc){ (uint64_t)t->buf + 64, 1, VD_WRITE, 0 };
		vq_desc(q, 0, (uint64_t)t->table, 241 * 16, VD_INDIRECT, 0);
		for (unsigned k = 0; k < 8; k++)
			vq_offer(q, 0);
		vq_ring_bell(q);
		virtio_set_status(&t->v, 0);
		if (virtio_status(&t->v))
			return false;
		target_start(t);
	}
	return true;
}

const struct attack blk_attacks[] = {
	{ "sectors behind the end, and those that wrap", WORKS, sector_arithmetic, 0, false },
	{ "lengths that are no sectors", WORKS, odd_lengths, 0, false },
	{ "request types that are none", WORKS, unknown_types, 0, false },
	{ "data the wrong way round", WORKS, wrong_way, 0, false },
	{ "an id of every length", WORKS, id_lengths, 0, false },
	{ "discard and write-zeroes out of range", WORKS, bad_segments, 0, false },
	{ "headers of too few bytes", WORKS, split_header, 0, false },
	{ "a request without room for a status", LATCHES, no_status, 0, false },
	{ "great reads, reset at once", WORKS, reset_great_reads, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
