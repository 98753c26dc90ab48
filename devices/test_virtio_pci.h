/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_pci.h - for the tests of the PCI transport: a device that gives every request back, plugged into a bus of its
 * own, and what a driver reaches it by: the BAR and configuration space.
 */
#ifndef TVMM_DEVICES_TEST_VIRTIO_PCI_H
#define TVMM_DEVICES_TEST_VIRTIO_PCI_H

#include "virtio_pci.h"
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include "test_driver.h"

#define SLOT 3u
#define BAR_ADDR 0x8c0000000ull
#define NOTHING UINT64_MAX /* what is read where no register is */
#define CALL_FD(q) (200 + (int)(q)) /* what stands for queue Q's call, while the device is active */

/* A device that gives every request back, with nothing written. */
struct null_dev {
	struct virtio_dev dev;
	struct virtq_req req;
	_Atomic unsigned served, activated, reset;
};

struct fix {
	struct td t;
	struct null_dev n;
	struct virtio_pci vp;
	struct pci pci;
	uint8_t *pages;
	struct msi_sink sink;
	_Atomic unsigned sent[8]; /* by data */
	_Atomic int routed[2];    /* what the host sends for each call, -1: nothing */
};

static inline void null_activate(struct virtio_dev *dev)
{
	container_of(dev, struct null_dev, dev)->activated++;
	for (unsigned q = 0; q < 2; q++)
		TD_ASSERT(!dev->transport->queue_call(dev, q, CALL_FD(q)));
}

static inline void null_reset(struct virtio_dev *dev)
{
	container_of(dev, struct null_dev, dev)->reset++;
	for (unsigned q = 0; q < 2; q++)
		TD_ASSERT(!dev->transport->queue_call(dev, q, -1));
}

static inline void null_notify(struct virtio_dev *dev, unsigned q)
{
	struct null_dev *n = container_of(dev, struct null_dev, dev);
	struct virtq *vq = &dev->queue[q].vq;

	do {
		while (vq_pop(vq, &n->req) == 1) {
			vq_push(vq, n->req.head, 0);
			n->served++;
		}
	} while (vq_notify_on(vq));
	virtio_signal(dev, q);
}

static inline void null_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	TD_ASSERT(off + len <= 12);
	memcpy(buf, &"0123456789ab"[off], len);
}

static const struct virtio_class null_class = {
	.name = "virtio-null",
	.device_id = 2,
	.pci_class = 0x010802,
	.activate = null_activate,
	.reset = null_reset,
	.notify = null_notify,
	.config_read = null_config_read,
};

static const struct virtio_class sync_class = {
	.name = "virtio-null",
	.device_id = 4,
	.pci_class = 0xff0000,
	.sync_notify = true,
	.activate = null_activate,
	.reset = null_reset,
	.notify = null_notify,
	.config_read = null_config_read,
};

static inline void on_signal(struct msi_sink *s, uint64_t addr, uint32_t data)
{
	struct fix *x = container_of(s, struct fix, sink);

	if (data < ARRAY_SIZE(x->sent)) /* the random sweep programs anything */
		x->sent[data]++;
}

static inline int on_route(struct msi_sink *s, int fd, uint64_t addr, uint32_t data)
{
	container_of(s, struct fix, sink)->routed[fd - CALL_FD(0)] = (int)(data & 0xffff);
	return 0;
}

static inline void on_unroute(struct msi_sink *s, int fd)
{
	container_of(s, struct fix, sink)->routed[fd - CALL_FD(0)] = -1;
}

static inline void setup(struct fix *x, const struct virtio_class *cls, unsigned config_len)
{
	memset(x, 0, sizeof(*x));
	td_init(&x->t);
	x->sink = (struct msi_sink){ .signal = on_signal, .route = on_route, .unroute = on_unroute };
	x->routed[0] = x->routed[1] = -1;
	x->pages = aligned_alloc(4096, PCI_MAX_FUNCS * PCI_CFG_SIZE);
	pci_init(&x->pci, x->pages);
	virtio_init(&x->n.dev, cls, "null 0", 2, 16, config_len, BIT_ULL(3), &x->t.mem, &x->t.loop, &x->t.log);
	ck_assert_int_eq(virtio_pci_init(&x->vp, &x->n.dev, &x->pci, SLOT, BAR_ADDR, &x->sink, NULL), 0);
}

static inline void teardown(struct fix *x)
{
	evloop_stop(&x->t.loop);
	virtio_pci_fini(&x->vp);
	virtio_pci_fini(&x->vp);
	ck_assert_ptr_null(x->pci.func[SLOT]);
	virtio_fini(&x->n.dev);
	ck_assert_uint_eq(x->n.activated, x->n.reset);
	ck_assert(x->routed[0] == -1 && x->routed[1] == -1);
	pci_fini(&x->pci);
	free(x->pages);
	td_fini(&x->t);
}

static inline uint64_t rd(struct fix *x, uint64_t off, unsigned size)
{
	return virtio_pci_ops.read(&x->vp, off, size);
}

static inline void wr(struct fix *x, uint64_t off, unsigned size, uint64_t val)
{
	virtio_pci_ops.write(&x->vp, off, size, val);
}

static inline uint64_t cfg(struct fix *x, unsigned off, unsigned size)
{
	uint64_t v = pci_ecam_ops.read(&x->pci, ((uint64_t)SLOT << 15) + off, size);

	return v & (BIT_ULL(8 * size) - 1);
}

/* The capability of this type, as a driver looks for it; 0 if there is none.  The list must end. */
static inline unsigned find_cap(struct fix *x, unsigned id, unsigned type)
{
	unsigned at = (unsigned)cfg(x, PCI_CAPABILITY_LIST, 1);

	for (unsigned n = 0; at; n++, at = (unsigned)cfg(x, at + 1, 1)) {
		ck_assert_uint_lt(n, 16);
		ck_assert_uint_eq(at % 4, 0);
		ck_assert_uint_ge(at, 0x40);
		if (cfg(x, at, 1) == id && (id != PCI_CAP_ID_VNDR || cfg(x, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type))
			return at;
	}
	return 0;
}

#endif
