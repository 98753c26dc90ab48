/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * setup.c - attacks on the way into and out of work: status bits, features, queue layout, reset at every point
 * (virtio 1.2, 2.1, 2.7, 3.1).
 */
#include "hostile.h"

#define ALL_OK (VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK | VS_DRIVER_OK)

/* ---- layout ---------------------------------------------------------------------------------------------------------------- */

/* Sets up the attacked queue with these areas, and says DRIVER_OK: the device must latch. */
static bool latches_with(struct target *t, uint64_t desc, uint64_t avail, uint64_t used)
{
	target_negotiate(t);
	target_queue_raw(t, t->q, QUEUE_SIZE, desc, avail, used);
	virtio_ready(&t->v);
	/* It answers within the register write. */
	if (!(virtio_status(&t->v) & VS_NEEDS_RESET))
		return false;
	t->latched++;
	vq_ring_bell(target_queue(t));
	return true;
}

static bool areas_outside(struct target *t)
{
	uint64_t r = (uint64_t)t->ring[t->q], a;

	for (unsigned i = 0; (a = bad_address(t, i)); i++) {
		a &= ~15ull;
		if (a == ((boot_info.ram_end - 1) & ~15ull))
			a = boot_info.ram_end - 64; /* the table would cross the end */
		if (!latches_with(t, a, r + 4096, r + 8192) || !latches_with(t, r, a == boot_info.ram_end - 64 ? a + 32 : a, r + 8192) ||
		    !latches_with(t, r, r + 4096, a))
			return false;
	}
	return true;
}

static bool areas_unaligned(struct target *t)
{
	uint64_t r = (uint64_t)t->ring[t->q];

	return latches_with(t, r + 8, r + 4096, r + 8192) && latches_with(t, r + 1, r + 4096, r + 8192) &&
	       latches_with(t, r, r + 4097, r + 8192) && latches_with(t, r, r + 4096, r + 8194);
}

static bool areas_overlap(struct target *t)
{
	uint64_t r = (uint64_t)t->ring[t->q];

	return latches_with(t, r, r, r + 8192) && latches_with(t, r, r + 4096, r + 4096) && latches_with(t, r, r + 4096, r) &&
	       latches_with(t, r, r + 16 * QUEUE_SIZE - 2, r + 8192) && latches_with(t, 0, 0, 0);
}

static bool sizes_refused(struct target *t)
{
	static const uint16_t bad[] = { 0, 3, 17, 255, 257, 512, 0x8000, 0xffff };
	uint64_t c = t->v.common;

	virtio_reset(&t->v);
	virtio_set_status(&t->v, VS_ACKNOWLEDGE | VS_DRIVER);
	mmio_w16(c + VC_Q_SELECT, (uint16_t)t->q);
	mmio_w16(c + VC_Q_SIZE, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		mmio_w16(c + VC_Q_SIZE, bad[i]);
		if (mmio_r16(c + VC_Q_SIZE) != 4)
			return false;
	}
	target_start(t);
	return true;
}

/* A queue that runs keeps what it was set up with, whatever is written to its registers. */
static bool live_layout(struct target *t)
{
	static const uint8_t reg[] = { VC_Q_DESC, VC_Q_DESC + 4, VC_Q_AVAIL, VC_Q_AVAIL + 4, VC_Q_USED, VC_Q_USED + 4 };
	uint64_t c = t->v.common;

	mmio_w16(c + VC_Q_SELECT, (uint16_t)t->q);
	for (unsigned i = 0; i < ARRAY_SIZE(reg); i++) {
		uint32_t was = mmio_r32(c + reg[i]);

		mmio_w32(c + reg[i], (uint32_t)rnd());
		if (mmio_r32(c + reg[i]) != was || !target_request(t))
			return false;
	}
	for (unsigned size = 1; size <= 0x8000; size *= 2) {
		mmio_w16(c + VC_Q_SIZE, (uint16_t)size);
		if (mmio_r16(c + VC_Q_SIZE) != QUEUE_SIZE)
			return false;
	}
	mmio_w16(c + VC_Q_SIZE, 0);
	mmio_w16(c + VC_Q_ENABLE, 0);
	mmio_w16(c + VC_Q_ENABLE, 1);
	mmio_w16(c + VC_Q_ENABLE, 0xffff);
	return mmio_r16(c + VC_Q_ENABLE) == 1 && mmio_r16(c + VC_Q_SIZE) == QUEUE_SIZE && target_request(t);
}

static bool live_features(struct target *t)
{
	for (unsigned select = 0; select < 4; select++) {
		uint32_t was;

		mmio_w32(t->v.common + VC_GFSELECT, select);
		was = mmio_r32(t->v.common + VC_GF);
		mmio_w32(t->v.common + VC_GF, ~was);
		if (mmio_r32(t->v.common + VC_GF) != was)
			return false;
	}
	return true;
}

static bool queues_that_are_not(struct target *t)
{
	uint64_t c = t->v.common;
	bool good = true;

	for (unsigned q = mmio_r16(c + VC_NUMQ); q < 0x10000; q = q < 40 ? q + 1 : q * 2 - 1) {
		mmio_w16(c + VC_Q_SELECT, (uint16_t)q);
		good = good && mmio_r16(c + VC_Q_SIZE) == 0;
		mmio_w16(c + VC_Q_SIZE, 16);
		mmio_w16(c + VC_Q_MSIX, 0);
		mmio_w32(c + VC_Q_DESC, 0x1000);
		mmio_w32(c + VC_Q_USED, 0x3000);
		mmio_w16(c + VC_Q_ENABLE, 1);
		good = good && mmio_r16(c + VC_Q_SIZE) == 0 && mmio_r16(c + VC_Q_ENABLE) == 0;
	}
	return good;
}

/* ---- features and status ------------------------------------------------------------------------------------------------ */

static bool feature_lies(struct target *t)
{
	uint64_t offered = t->v.offered;
	bool good = true;

	for (unsigned bit = 0; bit <= 64; bit++) {
		uint64_t f = bit < 64 ? (t->v.features | 1ull << bit) & ~(bit == 32 ? 1ull << 32 : 0) : ~0ull;
		bool legal = !(f & ~offered) && f & VF_VERSION_1;

		virtio_reset(&t->v);
		virtio_set_status(&t->v, VS_ACKNOWLEDGE | VS_DRIVER);
		virtio_accept(&t->v, f);
		virtio_set_status(&t->v, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
		good = good && !!(virtio_status(&t->v) & VS_FEATURES_OK) == legal;
		virtio_set_status(&t->v, ALL_OK);
		good = good && (legal || !(virtio_status(&t->v) & VS_DRIVER_OK));
	}
	target_start(t);
	return good;
}

/* The five bits that a driver sets, one after the other, in all orders. */
static bool status_orders(struct target *t)
{
	static const uint8_t bit[5] = { VS_ACKNOWLEDGE, VS_DRIVER, VS_FEATURES_OK, VS_DRIVER_OK, VS_FAILED };
	bool good = true;

	for (unsigned order = 0; order < 3125; order++) {
		unsigned used = 0, k = order;
		uint8_t set = 0, got = 0;

		for (unsigned i = 0; i < 5; i++, k /= 5)
			used |= 1u << k % 5;
		if (used != 31)
			continue;
		virtio_reset(&t->v);
		virtio_accept(&t->v, t->v.features);
		k = order;
		for (unsigned i = 0; i < 5; i++, k /= 5) {
			set |= bit[k % 5];
			virtio_set_status(&t->v, set);
			got = virtio_status(&t->v);
			good = good && !(got & ~set & ~VS_NEEDS_RESET) && (!(got & VS_DRIVER_OK) || got & VS_FEATURES_OK);
		}
	}
	target_start(t);
	return good;
}

static bool status_walk(struct target *t)
{
	bool good = true;

	for (unsigned i = 0; i < 500; i++) {
		uint8_t old = virtio_status(&t->v), set = (uint8_t)rnd(), got;

		if (rnd() % 16 == 0)
			set = 0;
		virtio_set_status(&t->v, set);
		got = virtio_status(&t->v);
		/* Nothing but what stood there or was written; DRIVER_OK rests on FEATURES_OK; bits go by a reset alone. */
		good = good && !(got & ~(old | set | VS_NEEDS_RESET)) && (!(got & VS_DRIVER_OK) || got & VS_FEATURES_OK) &&
		       (set ? (got & old) == old : got == 0);
		if (rnd() % 8 == 0)
			vq_ring_bell(target_queue(t));
	}
	return virtio_reset(&t->v) && good;
}

static bool ready_twice(struct target *t)
{
	for (unsigned i = 0; i < 50; i++)
		virtio_set_status(&t->v, ALL_OK);
	return true;
}

static bool ready_without_queues(struct target *t)
{
	virtio_reset(&t->v);
	virtio_set_status(&t->v, VS_ACKNOWLEDGE | VS_DRIVER);
	virtio_accept(&t->v, t->v.features);
	virtio_set_status(&t->v, ALL_OK & ~VS_DRIVER_OK);
	virtio_ready(&t->v);
	for (unsigned i = 0; i < 10; i++)
		vq_ring_bell(target_queue(t));
	return true;
}

/* ---- reset at every point ------------------------------------------------------------------------------------------------ */

static void offer_many(struct target *t)
{
	struct vqueue *q = target_queue(t);
	struct vdesc d[MAX_CHAIN];

	offer_direct(t, d, t->chain(t, d));
	for (unsigned i = 1; i < QUEUE_SIZE / 2; i++)
		vq_offer(q, 0);
}

static void step(struct target *t, unsigned i)
{
	static const uint8_t status[] = { VS_ACKNOWLEDGE, VS_ACKNOWLEDGE | VS_DRIVER, ALL_OK & ~VS_DRIVER_OK, ALL_OK };
	uint64_t r = (uint64_t)t->ring[t->q];

	switch (i) {
	case 0:
	case 1:
		virtio_set_status(&t->v, status[i]);
		break;
	case 2:
		virtio_accept(&t->v, t->v.features);
		break;
	case 3:
		virtio_set_status(&t->v, status[2]);
		break;
	case 4:
		target_queue_raw(t, t->q, QUEUE_SIZE, r, r + 4096, r + 8192);
		break;
	case 5:
		offer_many(t);
		break;
	case 6:
		vq_ring_bell(target_queue(t)); /* too early */
		break;
	case 7:
		virtio_set_status(&t->v, status[3]);
		break;
	default:
		vq_ring_bell(target_queue(t));
		break;
	}
}

static bool reset_everywhere(struct target *t)
{
	for (unsigned n = 0; n <= 10; n++) {
		virtio_reset(&t->v);
		for (unsigned i = 0; i < n; i++)
			step(t, i);
		virtio_set_status(&t->v, 0);
		if (virtio_status(&t->v))
			return false;
		vq_ring_bell(target_queue(t));
		if (!target_recovers(t))
			return false;
	}
	return true;
}

static bool reset_in_flight(struct target *t)
{
	for (unsigned i = 0; i < 40; i++) {
		uint16_t used;

		offer_many(t);
		vq_ring_bell(target_queue(t));
		virtio_set_status(&t->v, 0);
		used = target_queue(t)->used->idx;
		vq_ring_bell(target_queue(t));
		/* Once the write is over, nothing of the old life comes any more. */
		if (virtio_status(&t->v) || target_queue(t)->used->idx != used)
			return false;
		target_start(t);
	}
	return true;
}

static bool reset_storm(struct target *t)
{
	for (unsigned i = 0; i < 500; i++)
		virtio_set_status(&t->v, 0);
	return virtio_status(&t->v) == 0;
}

const struct attack setup_attacks[] = {
	{ "ring areas outside RAM", EITHER, areas_outside, 0, false },
	{ "ring areas out of alignment", EITHER, areas_unaligned, 0, false },
	{ "ring areas over each other", EITHER, areas_overlap, 0, false },
	{ "queue sizes that are none", WORKS, sizes_refused, 0, false },
	{ "layout registers of a live queue", WORKS, live_layout, 0, false },
	{ "feature registers of a live device", WORKS, live_features, 0, false },
	{ "queues that do not exist", WORKS, queues_that_are_not, 0, false },
	{ "features never offered", WORKS, feature_lies, 0, false },
	{ "status bits in all 120 orders", WORKS, status_orders, 0, true },
	{ "500 random status writes", EITHER, status_walk, 0, false },
	{ "DRIVER_OK fifty times", WORKS, ready_twice, 0, false },
	{ "DRIVER_OK without queues", EITHER, ready_without_queues, 0, false },
	{ "reset at every step", EITHER, reset_everywhere, 0, false },
	{ "reset with requests in flight", WORKS, reset_in_flight, 0, false },
	{ "500 resets", EITHER, reset_storm, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
