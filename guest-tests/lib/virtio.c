/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio.c - the driver of virtio.h: capability scan, negotiation, split queues.  One CPU uses a queue at a time.
 */
#include "virtio.h"

#define CAP_VENDOR 9
enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE };

static uint64_t cap_addr(const struct vdev *v, unsigned cap)
{
	uint64_t size = 0, bar = pci_bar(&v->pci, mmio_r8(v->pci.cfg + cap + 4), &size);

	if (!bar)
		return 0;
	map_phys(bar, size);
	return bar + mmio_r32(v->pci.cfg + cap + 8);
}

bool virtio_open(struct vdev *v, unsigned kind, unsigned nth)
{
	memset(v, 0, sizeof(*v));
	if (!pci_find(&v->pci, VIRTIO_VENDOR, (uint16_t)(0x1040 + kind), nth))
		return false;
	pci_enable(&v->pci);
	for (unsigned cap = pci_cap(&v->pci, CAP_VENDOR, 0); cap; cap = pci_cap(&v->pci, CAP_VENDOR, cap)) {
		switch (mmio_r8(v->pci.cfg + cap + 3)) {
		case CFG_COMMON:
			v->common = cap_addr(v, cap);
			break;
		case CFG_NOTIFY:
			v->notify = cap_addr(v, cap);
			v->notify_mul = mmio_r32(v->pci.cfg + cap + 16);
			break;
		case CFG_ISR:
			v->isr = cap_addr(v, cap);
			break;
		case CFG_DEVICE:
			v->config = cap_addr(v, cap);
			v->config_len = mmio_r32(v->pci.cfg + cap + 12);
			break;
		}
	}
	return v->common && v->notify && v->isr && virtio_reset(v);
}

uint8_t virtio_status(const struct vdev *v)
{
	return mmio_r8(v->common + VC_STATUS);
}

void virtio_set_status(const struct vdev *v, uint8_t s)
{
	mmio_w8(v->common + VC_STATUS, s);
}

bool virtio_reset(const struct vdev *v)
{
	virtio_set_status(v, 0);
	for (uint64_t end = deadline_ms(1000); virtio_status(v);)
		if (expired(end))
			return false;
	return true;
}

uint64_t virtio_offered(const struct vdev *v)
{
	uint64_t f;

	mmio_w32(v->common + VC_DFSELECT, 0);
	f = mmio_r32(v->common + VC_DF);
	mmio_w32(v->common + VC_DFSELECT, 1);
	return f | (uint64_t)mmio_r32(v->common + VC_DF) << 32;
}

void virtio_accept(const struct vdev *v, uint64_t features)
{
	mmio_w32(v->common + VC_GFSELECT, 0);
	mmio_w32(v->common + VC_GF, (uint32_t)features);
	mmio_w32(v->common + VC_GFSELECT, 1);
	mmio_w32(v->common + VC_GF, (uint32_t)(features >> 32));
}

bool virtio_start(struct vdev *v, uint64_t want)
{
	if (!virtio_reset(v) || (!msix_init(&v->pci) && v->pci.msix_cap))
		return false;
	virtio_set_status(v, VS_ACKNOWLEDGE);
	virtio_set_status(v, VS_ACKNOWLEDGE | VS_DRIVER);
	v->offered = virtio_offered(v);
	v->features = v->offered & (want | VF_VERSION_1);
	virtio_accept(v, v->features);
	virtio_set_status(v, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
	return virtio_status(v) & VS_FEATURES_OK;
}

void virtio_queue_raw(struct vdev *v, unsigned q, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	mmio_w16(v->common + VC_Q_SELECT, (uint16_t)q);
	mmio_w16(v->common + VC_Q_SIZE, size);
	mmio_w32(v->common + VC_Q_DESC, (uint32_t)desc);
	mmio_w32(v->common + VC_Q_DESC + 4, (uint32_t)(desc >> 32));
	mmio_w32(v->common + VC_Q_AVAIL, (uint32_t)avail);
	mmio_w32(v->common + VC_Q_AVAIL + 4, (uint32_t)(avail >> 32));
	mmio_w32(v->common + VC_Q_USED, (uint32_t)used);
	mmio_w32(v->common + VC_Q_USED + 4, (uint32_t)(used >> 32));
	mmio_w16(v->common + VC_Q_ENABLE, 1);
}

bool virtio_queue(struct vdev *v, unsigned index, uint16_t size, uint16_t vector)
{
	struct vqueue *q = &v->q[index];
	uint16_t max;
	uint8_t *mem;

	mmio_w16(v->common + VC_Q_SELECT, (uint16_t)index);
	max = mmio_r16(v->common + VC_Q_SIZE);
	if (!max || size > 256)
		return false;
	/* 256 descriptors fill a page; the two rings have one each. */
	mem = page_alloc(3);
	memset(q, 0, sizeof(*q));
	q->desc = (volatile void *)mem;
	q->avail = (volatile void *)(mem + 4096);
	q->used = (volatile void *)(mem + 8192);
	q->size = size < max ? size : max;
	q->index = (uint16_t)index;
	q->notify = v->notify + (uint64_t)mmio_r16(v->common + VC_Q_NOFF) * v->notify_mul;
	q->n_free = q->size;
	for (uint16_t i = 0; i < q->size; i++)
		q->desc[i].next = (uint16_t)(i + 1);
	mmio_w16(v->common + VC_Q_MSIX, vector);
	if (mmio_r16(v->common + VC_Q_MSIX) != vector)
		return false;
	virtio_queue_raw(v, index, q->size, (uint64_t)mem, (uint64_t)mem + 4096, (uint64_t)mem + 8192);
	return mmio_r16(v->common + VC_Q_ENABLE) == 1;
}

void virtio_ready(struct vdev *v)
{
	virtio_set_status(v, virtio_status(v) | VS_DRIVER_OK);
}

void vq_desc(struct vqueue *q, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	q->desc[i].addr = addr;
	q->desc[i].len = len;
	q->desc[i].flags = flags;
	q->desc[i].next = next;
}

void vq_offer(struct vqueue *q, uint16_t head)
{
	q->avail->ring[q->avail_idx & (q->size - 1)] = head;
	barrier(); /* x86 keeps stores in order */
	q->avail->idx = ++q->avail_idx;
}

void vq_ring_bell(const struct vqueue *q)
{
	mmio_w16(q->notify, q->index);
}

int vq_add(struct vqueue *q, const struct vbuf *buf, unsigned n)
{
	uint16_t head = q->free_head, i = head;

	if (n == 0 || n > q->n_free)
		return -1;
	for (unsigned k = 0; k < n; k++) {
		uint16_t next = q->desc[i].next;

		vq_desc(q, i, (uint64_t)buf[k].addr, buf[k].len,
			(uint16_t)((buf[k].write ? VD_WRITE : 0) | (k + 1 < n ? VD_NEXT : 0)), next);
		i = next;
	}
	q->free_head = i;
	q->n_free = (uint16_t)(q->n_free - n);
	vq_offer(q, head);
	return head;
}

void vq_kick(struct vqueue *q)
{
	full_fence(); /* idx is out before the flag is read: the device does the reverse */
	if (!(q->used->flags & VQ_NO_NOTIFY))
		vq_ring_bell(q);
}

bool vq_get(struct vqueue *q, uint32_t *head, uint32_t *len)
{
	volatile struct vused *u = &q->used->e[q->last_used & (q->size - 1)];
	uint16_t i, n = 1;

	if (q->used->idx == q->last_used)
		return false;
	barrier();
	*head = u->id;
	*len = u->len;
	q->last_used++;
	if (*head >= q->size)
		return true; /* the caller sees that it is wrong */
	for (i = (uint16_t)*head; q->desc[i].flags & VD_NEXT && n < q->size; n++)
		i = q->desc[i].next;
	q->desc[i].next = q->free_head;
	q->free_head = (uint16_t)*head;
	q->n_free = (uint16_t)(q->n_free + n);
	return true;
}

bool vq_wait(struct vqueue *q, uint32_t *head, uint32_t *len, unsigned limit_ms)
{
	for (uint64_t end = deadline_ms(limit_ms); !vq_get(q, head, len);) {
		if (expired(end))
			return false;
		cpu_relax();
	}
	return true;
}

long vq_do(struct vqueue *q, const struct vbuf *buf, unsigned n)
{
	uint32_t head, len;
	int want = vq_add(q, buf, n);

	if (want < 0)
		return -1;
	vq_kick(q);
	if (!vq_wait(q, &head, &len, 5000) || head != (uint32_t)want)
		return -1;
	return len;
}
