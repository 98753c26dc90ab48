/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio.h - a driver for modern virtio-pci devices (virtio 1.2, 2, 4.1), in two layers.
 *
 * The upper one behaves: open, start, submit, wait.  The lower one writes what it is told into registers, descriptors
 * and rings, so that a hostile payload can break any rule it likes.  Polls or counts interrupts, as the payload wishes.
 * Ring memory and notification registers may be used from ring 3.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "guest.h"

#define VIRTIO_VENDOR 0x1af4
enum { VIRTIO_NET = 1, VIRTIO_BLK = 2, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4, VIRTIO_BALLOON = 5, VIRTIO_VSOCK = 19 };

#define VF_INDIRECT  (1ull << 28)
#define VF_EVENT_IDX (1ull << 29)
#define VF_VERSION_1 (1ull << 32)

#define VS_ACKNOWLEDGE 0x01
#define VS_DRIVER      0x02
#define VS_DRIVER_OK   0x04
#define VS_FEATURES_OK 0x08
#define VS_NEEDS_RESET 0x40
#define VS_FAILED      0x80

#define VD_NEXT     1
#define VD_WRITE    2
#define VD_INDIRECT 4
#define VQ_NO_NOTIFY    1 /* used.flags */
#define VQ_NO_INTERRUPT 1 /* avail.flags */
#define VIRTIO_NO_VECTOR 0xffff

/* Common configuration: offsets (virtio 1.2, 4.1.4.3). */
enum {
	VC_DFSELECT = 0, VC_DF = 4, VC_GFSELECT = 8, VC_GF = 12, VC_MSIX = 16, VC_NUMQ = 18, VC_STATUS = 20, VC_GENERATION = 21,
	VC_Q_SELECT = 22, VC_Q_SIZE = 24, VC_Q_MSIX = 26, VC_Q_ENABLE = 28, VC_Q_NOFF = 30, VC_Q_DESC = 32, VC_Q_AVAIL = 40,
	VC_Q_USED = 48,
};

struct vdesc { uint64_t addr; uint32_t len; uint16_t flags, next; };
struct vused { uint32_t id, len; };
struct vavail { uint16_t flags, idx, ring[]; };
struct vusedring { uint16_t flags, idx; struct vused e[]; };

struct vqueue {
	volatile struct vdesc *desc;
	volatile struct vavail *avail;
	volatile struct vusedring *used;
	uint16_t size, index;
	uint64_t notify;             /* address of its notification register */
	uint16_t free_head, n_free;  /* free descriptors, chained through next */
	uint16_t last_used;
	uint16_t avail_idx;          /* the driver's copy: the ring's may be lied about */
};

#define VIRTIO_MAX_Q 8
struct vdev {
	struct pci_dev pci;
	uint64_t common, isr, config, notify;
	uint32_t config_len, notify_mul;
	uint64_t offered, features;
	struct vqueue q[VIRTIO_MAX_Q];
};

/* ---- upper layer ---- */

/* Finds the NTH device of this kind and its register windows.  The device is reset.  False: there is none. */
bool virtio_open(struct vdev *v, unsigned kind, unsigned nth);
/* Reset to FEATURES_OK, taking those of WANT that are offered, and VERSION_1.  MSI-X, if it has that, is on, all entries masked. */
bool virtio_start(struct vdev *v, uint64_t want);
/* One queue of at most SIZE entries, on MSI-X entry VECTOR (or VIRTIO_NO_VECTOR).  After virtio_start(). */
bool virtio_queue(struct vdev *v, unsigned q, uint16_t size, uint16_t vector);
void virtio_ready(struct vdev *v);   /* DRIVER_OK */

struct vbuf { volatile void *addr; uint32_t len; bool write; };
/* Offers a chain of N buffers without notifying; its head, or -1 when descriptors have run out. */
int vq_add(struct vqueue *q, const struct vbuf *buf, unsigned n);
void vq_kick(struct vqueue *q);      /* notifies, unless the device asked not to be */
/* Takes the next used entry and frees its chain.  False: none. */
bool vq_get(struct vqueue *q, uint32_t *head, uint32_t *len);
/* Polls for it, about LIMIT_MS at most. */
bool vq_wait(struct vqueue *q, uint32_t *head, uint32_t *len, unsigned limit_ms);
/* vq_add, vq_kick, vq_wait: the bytes the device wrote, or -1. */
long vq_do(struct vqueue *q, const struct vbuf *buf, unsigned n);

/* ---- lower layer ---- */

uint8_t virtio_status(const struct vdev *v);
void virtio_set_status(const struct vdev *v, uint8_t s);
bool virtio_reset(const struct vdev *v);              /* writes 0, waits for 0 */
uint64_t virtio_offered(const struct vdev *v);
void virtio_accept(const struct vdev *v, uint64_t features);
/* Writes a queue's registers as told and enables it; takes no memory, checks nothing. */
void virtio_queue_raw(struct vdev *v, unsigned q, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used);
void vq_desc(struct vqueue *q, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next);
void vq_offer(struct vqueue *q, uint16_t head);       /* the next avail entry, published */
void vq_ring_bell(const struct vqueue *q);            /* notifies in any case */

#endif
