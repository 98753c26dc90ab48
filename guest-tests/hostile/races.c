/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * races.c - attacks with a second CPU, which changes what the device is just looking at.
 *
 * The flipper writes two or more values into the same words for ever, each of them in its place harmless or invalid;
 * what the device makes of a mixture may latch it, and then it is reset and the race goes on.  Nothing outside the
 * target's own pages may change, and in the end the device must work.
 */
#include "hostile.h"

#define ROUNDS 60

struct flip { volatile void *at; unsigned size; uint64_t value[4]; };

static struct flip flips[12];
static unsigned n_flips;

static void add(volatile void *at, unsigned size, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	flips[n_flips++] = (struct flip){ at, size, { a, b, c, d } };
}

static void flip_all(void *arg)
{
	for (unsigned turn = 0; !helper_stopping(); turn++) {
		for (unsigned i = 0; i < n_flips; i++) {
			uint64_t v = flips[i].value[(turn >> (i & 1)) & 3];

			switch (flips[i].size) {
			case 2:
				*(volatile uint16_t *)flips[i].at = (uint16_t)v;
				break;
			case 4:
				*(volatile uint32_t *)flips[i].at = (uint32_t)v;
				break;
			default:
				*(volatile uint64_t *)flips[i].at = v;
				break;
			}
		}
	}
}

/* Requests under the flipper's hands; OFFER puts one into the ring. */
static bool race(struct target *t, void (*offer)(struct target *t))
{
	if (!helper_there)
		return true;
	helper_start(flip_all, NULL);
	for (unsigned i = 0; i < ROUNDS; i++) {
		offer(t);
		for (unsigned k = 0; k < 4; k++)
			vq_ring_bell(target_queue(t));
		if (virtio_status(&t->v) & VS_NEEDS_RESET) {
			/* The helper writes to the ring meanwhile: so be it. */
			target_start(t);
		}
	}
	helper_stop();
	n_flips = 0;
	return virtio_reset(&t->v);
}

static void offer_ordinary(struct target *t)
{
	struct vdesc d[MAX_CHAIN];

	offer_direct(t, d, t->chain(t, d));
}

static void offer_table(struct target *t)
{
	struct vdesc d[MAX_CHAIN];

	offer_indirect(t, d, t->chain(t, d));
}

static void offer_nothing(struct target *t)
{
}

static void flip_desc(struct target *t, volatile struct vdesc *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		add(&d[i].addr, 8, (uint64_t)t->buf + 4096, bad_address(t, 0), (uint64_t)t->buf + 8192, bad_address(t, 14));
		add(&d[i].len, 4, 1, 0xffffffff, 512, 1024);
		add(&d[i].flags, 2, VD_NEXT, VD_WRITE, VD_NEXT | VD_WRITE, VD_INDIRECT);
		add(&d[i].next, 2, 1, 0xffff, 2, QUEUE_SIZE);
	}
}

static bool race_descriptors(struct target *t)
{
	flip_desc(t, target_queue(t)->desc, 3);
	return race(t, offer_ordinary);
}

static bool race_lengths(struct target *t)
{
	for (unsigned i = 0; i < 3; i++)
		add(&target_queue(t)->desc[i].len, 4, 1, 1024, 512, 16);
	return race(t, offer_ordinary);
}

static bool race_table(struct target *t)
{
	flip_desc(t, t->table, 3);
	return race(t, offer_table);
}

static bool race_table_place(struct target *t)
{
	volatile struct vdesc *d = target_queue(t)->desc;

	add(&d->addr, 8, (uint64_t)t->table, boot_info.ram_end - 16, (uint64_t)t->table + 16, bad_address(t, 4));
	add(&d->len, 4, 16, 48, 257 * 16, 0xfffffff0);
	return race(t, offer_table);
}

static bool race_heads(struct target *t)
{
	for (unsigned i = 0; i < 8; i++)
		add(&target_queue(t)->avail->ring[i], 2, 0, QUEUE_SIZE, 0, 0xffff);
	return race(t, offer_ordinary);
}

static bool race_index(struct target *t)
{
	add(&target_queue(t)->avail->idx, 2, 1, QUEUE_SIZE, 0xffff, 0x8000);
	add(&target_queue(t)->avail->flags, 2, 0, 1, 0xffff, 0);
	return race(t, offer_nothing);
}

static bool race_used(struct target *t)
{
	add(&target_queue(t)->used->idx, 2, 1, 0xffff, 0x8000, 7);
	add(&target_queue(t)->used->flags, 2, 0, 1, 0xffff, 0);
	add(&target_queue(t)->used->e[0].id, 4, 0, 0xffffffff, 16, 1);
	return race(t, offer_ordinary);
}

/* The header of a block request: type and sector. */
static bool race_header(struct target *t)
{
	add(t->buf, 4, 0, 1, 0xffff, 4);
	add(t->buf + 8, 8, 0, ~0ull, 8191, 1ull << 55);
	return race(t, offer_ordinary);
}

/* ---- registers from two sides ---------------------------------------------------------------------------------------------- */

static void reset_for_ever(void *arg)
{
	struct target *t = arg;

	for (unsigned i = 0; !helper_stopping(); i++)
		virtio_set_status(&t->v, i % 3 ? 0xf : 0);
}

static void configure_for_ever(void *arg)
{
	struct target *t = arg;
	uint64_t c = t->v.common, r = (uint64_t)t->ring[t->q];

	for (unsigned i = 0; !helper_stopping(); i++) {
		mmio_w16(c + VC_Q_SELECT, (uint16_t)(i % 3 ? t->q : i));
		mmio_w16(c + VC_Q_SIZE, (uint16_t)(1u << i % 9));
		mmio_w32(c + VC_Q_DESC, i % 2 ? (uint32_t)r : 0xfec00000);
		mmio_w32(c + VC_Q_USED, i % 2 ? (uint32_t)r + 8192 : 0xe0000000);
		mmio_w16(c + VC_Q_ENABLE, (uint16_t)(i % 2));
		mmio_w16(c + VC_Q_MSIX, (uint16_t)(i % 5));
		mmio_w16(c + VC_MSIX, (uint16_t)(i % 5));
	}
}

static void bells_for_ever(void *arg)
{
	struct target *t = arg;

	while (!helper_stopping())
		vq_ring_bell(target_queue(t));
}

static void msix_for_ever(void *arg)
{
	struct target *t = arg;

	for (unsigned i = 0; !helper_stopping(); i++) {
		mmio_w32(t->v.pci.msix_table, 0xfee55000 + (i << 2 & 0xffc));
		mmio_w32(t->v.pci.msix_table + 8, 0x41);
		msix_mask(&t->v.pci, 0, i & 1);
		msix_function_mask(&t->v.pci, i & 2);
	}
}

static bool against(struct target *t, void (*fn)(void *arg), bool set_up)
{
	if (!helper_there)
		return true;
	helper_start(fn, t);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (set_up)
			target_start(t);
		offer_ordinary(t);
		vq_ring_bell(target_queue(t));
	}
	helper_stop();
	return virtio_reset(&t->v);
}

static bool reset_meanwhile(struct target *t)
{
	return against(t, reset_for_ever, true);
}

static bool configure_meanwhile(struct target *t)
{
	return against(t, configure_for_ever, true);
}

static bool bells_meanwhile(struct target *t)
{
	return against(t, bells_for_ever, true);
}

static bool msix_meanwhile(struct target *t)
{
	mmio_w16(t->v.common + VC_Q_SELECT, (uint16_t)t->q);
	mmio_w16(t->v.common + VC_Q_MSIX, 0);
	return against(t, msix_for_ever, false);
}

const struct attack race_attacks[] = {
	{ "descriptors change under the device", EITHER, race_descriptors, 0, false },
	{ "lengths change under the device", EITHER, race_lengths, 0, false },
	{ "an indirect table changes under the device", EITHER, race_table, 0, false },
	{ "an indirect table moves under the device", EITHER, race_table_place, 0, false },
	{ "heads change under the device", EITHER, race_heads, 0, false },
	{ "the avail index changes under the device", EITHER, race_index, 0, false },
	{ "the used ring changes under the device", EITHER, race_used, 0, false },
	{ "a request header changes under the device", EITHER, race_header, 1 << VIRTIO_BLK, false },
	{ "reset by another CPU during I/O", EITHER, reset_meanwhile, 0, false },
	{ "configuration by another CPU during I/O", EITHER, configure_meanwhile, 0, false },
	{ "notifications by another CPU during resets", EITHER, bells_meanwhile, 0, false },
	{ "MSI-X masks by another CPU during I/O", EITHER, msix_meanwhile, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
