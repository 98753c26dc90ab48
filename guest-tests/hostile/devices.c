/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * devices.c - the queues that are attacked, and what an ordinary request to each looks like.
 * Disk 0 is the victim; what lies on it means nothing.  At the other end of the network somebody sends without a pause.
 */
#include "balloon.h"
#include "hostile.h"

struct blk_header { uint32_t type, reserved; uint64_t sector; };

#define BLK_FLUSH        (1ull << 9)
#define BLK_DISCARD      (1ull << 13)
#define BLK_WRITE_ZEROES (1ull << 14)
#define PORTS_MULTIPORT  (1ull << 1)
#define NET_CTRL_VQ      (1ull << 17)
#define NET_MQ           (1ull << 22)
/* Checksums and segments left open, in both directions; buffers that are merged. */
#define NET_OFFLOADS     (0xbb83ull | 7ull << 54)

#define NET_HEADER   12
#define VSOCK_HEADER 44
#define VSOCK_RST    3

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

static bool nothing_written(struct target *t, uint32_t len)
{
	return len == 0;
}

static unsigned tx_chain(struct target *t, struct vdesc *d)
{
	SMALL(t)[0] = '\r';
	d[0] = (struct vdesc){ (uint64_t)SMALL(t), 1, 0, 0 };
	return 1;
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

/* The last page of the buffer is given away, again and again. */
static unsigned balloon_chain(struct target *t, struct vdesc *d)
{
	*(volatile uint32_t *)SMALL(t) = (uint32_t)((uint64_t)t->buf / 4096 + BUF_PAGES - 1);
	d[0] = (struct vdesc){ (uint64_t)SMALL(t), 4, 0, 0 };
	return 1;
}

/* A frame of 60 bytes to all, of a kind that nobody answers. */
static unsigned net_tx_chain(struct target *t, struct vdesc *d)
{
	static const uint8_t frame[14] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 2, 2, 2, 2, 2, 0x88, 0xb5 };
	volatile uint8_t *p = SMALL(t);

	for (unsigned i = 0; i < NET_HEADER; i++)
		p[i] = 0;
	for (unsigned i = 0; i < 14; i++)
		p[64 + i] = frame[i];
	d[0] = (struct vdesc){ (uint64_t)p, NET_HEADER, VD_NEXT, 1 };
	d[1] = (struct vdesc){ (uint64_t)p + 64, 60, 0, 0 };
	return 2;
}

static unsigned net_rx_chain(struct target *t, struct vdesc *d)
{
	d[0] = (struct vdesc){ (uint64_t)DATA(t), 2048, VD_WRITE, 0 };
	return 1;
}

static bool net_rx_done(struct target *t, uint32_t len)
{
	return len >= NET_HEADER + 14 && len <= 2048;
}

/* Port 0 is closed, which it may be already. */
static unsigned control_chain(struct target *t, struct vdesc *d)
{
	volatile uint16_t *m = (volatile uint16_t *)SMALL(t);

	m[0] = m[1] = m[3] = 0;
	m[2] = 6; /* PORT_OPEN */
	d[0] = (struct vdesc){ (uint64_t)m, 8, 0, 0 };
	return 1;
}

/* A reset of a connection that does not exist: nothing comes of it. */
static unsigned vsock_chain(struct target *t, struct vdesc *d)
{
	volatile uint8_t *p = SMALL(t);

	for (unsigned i = 0; i < VSOCK_HEADER; i++)
		p[i] = 0;
	p[0] = 3;  /* from the guest's own address */
	p[8] = 2;  /* to the host */
	p[28] = 1; /* a stream */
	p[30] = VSOCK_RST;
	d[0] = (struct vdesc){ (uint64_t)p, VSOCK_HEADER, 0, 0 };
	return 1;
}

#define BLK_WANTS BLK_FLUSH | BLK_DISCARD | BLK_WRITE_ZEROES
#define NET_WANTS NET_CTRL_VQ | NET_MQ | NET_OFFLOADS

struct target targets[N_TARGETS] = {
	[T_RNG] = { .name = "rng", .kind = VIRTIO_RNG, .n_queues = 1, .chain = rng_chain, .done = rng_done },
	[T_BLK] = { .name = "blk", .kind = VIRTIO_BLK, .n_queues = 1, .want = BLK_WANTS, .chain = blk_chain, .done = blk_done,
		    .own = { blk_attacks, range_attacks } },
	[T_TX] = { .name = "console tx", .kind = VIRTIO_CONSOLE, .q = 1, .n_queues = 2, .chain = tx_chain, .done = nothing_written },
	[T_RX] = { .name = "console rx", .kind = VIRTIO_CONSOLE, .q = 0, .n_queues = 2, .chain = rx_chain, .done = rx_done },
	[T_BALLOON] = { .name = "balloon", .kind = VIRTIO_BALLOON, .n_queues = 5, .want = BF_STATS | BF_HINT | BF_REPORTING,
			.chain = balloon_chain, .done = nothing_written, .own = { balloon_attacks } },
	[T_NET_TX] = { .name = "net tx", .kind = VIRTIO_NET, .q = 1, .n_queues = 5, .want = NET_WANTS, .chain = net_tx_chain,
		       .done = nothing_written, .optional = true, .own = { net_attacks } },
	[T_NET_RX] = { .name = "net rx", .kind = VIRTIO_NET, .q = 0, .n_queues = 5, .want = NET_WANTS, .chain = net_rx_chain,
		       .done = net_rx_done, .optional = true },
	[T_CONTROL] = { .name = "ports", .kind = VIRTIO_CONSOLE, .nth = 1, .q = 3, .n_queues = 6, .want = PORTS_MULTIPORT,
			.chain = control_chain, .done = nothing_written, .optional = true, .own = { control_attacks } },
	[T_VSOCK] = { .name = "vsock", .kind = VIRTIO_VSOCK, .q = 1, .n_queues = 3, .chain = vsock_chain, .done = nothing_written,
		      .optional = true, .own = { vsock_attacks } },
};

bool targets_open(void)
{
	for (unsigned i = 0; i < N_TARGETS; i++) {
		struct target *t = &targets[i];

		t->want |= VF_INDIRECT;
		t->missing = !target_open(t);
		if (t->missing && !t->optional)
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
