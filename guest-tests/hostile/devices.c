/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * devices.c - the four queues that are attacked, and what an ordinary request to each looks like.
 * Disk 0 is the victim; what lies on it means nothing.
 */
#include "hostile.h"

struct blk_header { uint32_t type, reserved; uint64_t sector; };

#define BLK_FLUSH        (1ull << 9) /* bits that nobody else offers */
#define BLK_DISCARD      (1ull << 13)
#define BLK_WRITE_ZEROES (1ull << 14)

/* Page 0 of a target's buffer holds small fields, the rest is data. */
#define SMALL(t) ((t)->buf)
#define DATA(t)  ((t)->buf + 4096)

static unsigned rng_chain(struct target *t, struct vdesc *d)
{
	d[0] = (struct vdesc){ (uint64_t)DATA(t), 64, VD_WRITE, 0 };
	return 1;
}

static bool rng_done(struct target *t, uint32_t len)
{
	return len > 0 && len <= 64;
}

static unsigned blk_chain(struct target *t, struct vdesc *d)
{
	volatile struct blk_header *h = (volatile void *)SMALL(t);

	h->type = 0;
	h->sector = 3;
	SMALL(t)[64] = 0xee;
	d[0] = (struct vdesc){ (uint64_t)h, 16, VD_NEXT, 1 };
	d[1] = (struct vdesc){ (uint64_t)DATA(t), 512, VD_NEXT | VD_WRITE, 2 };
	d[2] = (struct vdesc){ (uint64_t)SMALL(t) + 64, 1, VD_WRITE, 0 };
	return 3;
}

static bool blk_done(struct target *t, uint32_t len)
{
	return len == 513 && SMALL(t)[64] == 0;
}

static unsigned tx_chain(struct target *t, struct vdesc *d)
{
	SMALL(t)[0] = '\r';
	d[0] = (struct vdesc){ (uint64_t)SMALL(t), 1, 0, 0 };
	return 1;
}

static bool tx_done(struct target *t, uint32_t len)
{
	return len == 0;
}

/* The host half has typed enough for every request. */
static unsigned rx_chain(struct target *t, struct vdesc *d)
{
	d[0] = (struct vdesc){ (uint64_t)DATA(t), 4, VD_WRITE, 0 };
	return 1;
}

static bool rx_done(struct target *t, uint32_t len)
{
	return len > 0 && len <= 4;
}

struct target targets[N_TARGETS] = {
	[T_RNG] = { .name = "rng", .kind = VIRTIO_RNG, .n_queues = 1, .chain = rng_chain, .done = rng_done },
	[T_BLK] = { .name = "blk", .kind = VIRTIO_BLK, .n_queues = 1, .chain = blk_chain, .done = blk_done },
	[T_TX] = { .name = "console tx", .kind = VIRTIO_CONSOLE, .q = 1, .n_queues = 2, .chain = tx_chain, .done = tx_done },
	[T_RX] = { .name = "console rx", .kind = VIRTIO_CONSOLE, .q = 0, .n_queues = 2, .chain = rx_chain, .done = rx_done },
};

bool targets_open(void)
{
	for (unsigned i = 0; i < N_TARGETS; i++) {
		targets[i].want = VF_INDIRECT | BLK_FLUSH | BLK_DISCARD | BLK_WRITE_ZEROES;
		if (!target_open(&targets[i]))
			return false;
	}
	return true;
}

int blk_do(struct target *t, uint32_t type, uint64_t sector, volatile void *data, uint32_t len, bool write)
{
	volatile struct blk_header *h = (volatile void *)SMALL(t);
	struct vqueue *q = target_queue(t);
	uint16_t before = q->used->idx;
	struct vdesc d[3] = { { (uint64_t)h, 16, VD_NEXT, 1 },
			      { (uint64_t)data, len, (uint16_t)(VD_NEXT | (write ? 0 : VD_WRITE)), 2 },
			      { (uint64_t)SMALL(t) + 64, 1, VD_WRITE, 0 } };

	h->type = type;
	h->sector = sector;
	SMALL(t)[64] = 0xee;
	if (!len)
		d[0].next = 2;
	offer_direct(t, d, 3);
	vq_ring_bell(q);
	for (uint64_t end = deadline_ms(10000); q->used->idx == before; cpu_relax())
		if (expired(end) || virtio_status(&t->v) & VS_NEEDS_RESET)
			return -1;
	return SMALL(t)[64];
}
