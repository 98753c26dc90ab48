/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq.c - the split virtqueue (virtio 1.2, 2.7).
 *
 * Owns all access to ring memory.  Called by the queue's owner thread only (virtq.h).  It refuses whatever the
 * specification forbids a driver: the queue breaks, says so once, and does nothing more until it is reset.
 *
 *   desc   size x { addr 8, len 4, flags 2, next 2 }            driver writes
 *   avail  flags 2, idx 2, size x head 2, used_event 2          driver writes
 *   used   flags 2, idx 2, size x { id 4, len 4 }, avail_event 2   device writes
 *
 * Both idx count for ever, modulo 2^16; an entry's place is idx modulo size.  next_avail chases avail.idx, and
 * used.idx follows next_used.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include "bits.h"
#include "virtq.h"

_Static_assert(sizeof(struct vring_desc) == 16, "virtio 1.2, 2.7.5");

#define RING_FLAGS 0u
#define RING_IDX   2u
#define RING_ENTRY 4u
#define DESC_LEN(size)  (16u * (size))
#define AVAIL_LEN(size) (6u + 2u * (size))
#define USED_LEN(size)  (6u + 8u * (size))

/* Ring words, each loaded or stored whole, once.  vq_activate() has checked their alignment. */
static uint16_t load16(const uint8_t *p, int order)
{
	return le16toh(__atomic_load_n((const uint16_t *)(const void *)p, order));
}

static void store16(uint8_t *p, uint16_t v, int order)
{
	__atomic_store_n((uint16_t *)(void *)p, htole16(v), order);
}

static void store32(uint8_t *p, uint32_t v)
{
	__atomic_store_n((uint32_t *)(void *)p, htole32(v), __ATOMIC_RELAXED);
}

/* Acquire: pairs with the driver's publishing of idx; entries and descriptors are read after the index that offers them. */
static uint16_t load_avail_idx(const struct virtq *q)
{
	return load16(q->avail + RING_IDX, __ATOMIC_ACQUIRE);
}

/* An indirect table may lie anywhere, so this is a copy of bytes and no aligned load. */
static struct vring_desc load_desc(const uint8_t *table, unsigned i)
{
	struct vring_desc d;

	memcpy(&d, table + sizeof(d) * i, sizeof(d));
	/* Or the compiler could read a field from the table again instead of from the copy that was checked. */
	__asm__ volatile("" : "+m"(d));
	return (struct vring_desc){ .addr = le64toh(d.addr), .len = le32toh(d.len), .flags = le16toh(d.flags),
				    .next = le16toh(d.next) };
}

int vq_break(struct virtq *q, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	if (q->broken)
		return -EPROTO;
	q->broken = true;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (q->fault)
		q->fault(q, why);
	return -EPROTO;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static bool overlap(struct gpa a, uint64_t a_len, struct gpa b, uint64_t b_len)
{
	return a.addr < b.addr + b_len && b.addr < a.addr + a_len;
}

static const char *layout_fault(const struct virtq_layout *l)
{
	if (!is_power_of_2(l->size) || l->size > VIRTQ_MAX_SIZE)
		return "queue size is no power of two, or too big";
	if (l->desc.addr % 16 || l->avail.addr % 2 || l->used.addr % 4)
		return "ring areas are not aligned";
	return NULL;
}

int vq_activate(struct virtq *q, const struct gmem *mem, const struct virtq_layout *l, bool event_idx, bool indirect,
		const char **why)
{
	uint8_t *desc, *avail, *used;

	vq_reset(q);
	*why = layout_fault(l);
	if (*why)
		return -EINVAL;
	desc = gmem_range(mem, l->desc, DESC_LEN(l->size));
	avail = gmem_range(mem, l->avail, AVAIL_LEN(l->size));
	used = gmem_range(mem, l->used, USED_LEN(l->size));
	if (!desc || !avail || !used) {
		*why = "ring areas are not in RAM";
		return -EINVAL;
	}
	/* All three are in RAM, so none of these sums wraps. */
	if (overlap(l->desc, DESC_LEN(l->size), l->avail, AVAIL_LEN(l->size)) ||
	    overlap(l->desc, DESC_LEN(l->size), l->used, USED_LEN(l->size)) ||
	    overlap(l->avail, AVAIL_LEN(l->size), l->used, USED_LEN(l->size))) {
		*why = "ring areas overlap";
		return -EINVAL;
	}
	q->mem = mem;
	q->desc = desc;
	q->avail = avail;
	q->used = used;
	q->size = l->size;
	q->event_idx = event_idx;
	q->indirect = indirect;
	q->signalled_valid = true; /* nothing was pushed yet, and nothing is owed */
	q->live = true;
	return 0;
}

void vq_reset(struct virtq *q)
{
	*q = (struct virtq){ .fault = q->fault };
}

/* ---- taking requests ---------------------------------------------------------------------------------------------- */

/* Adds what descriptor D describes to the request.  NULL, or what is wrong with it. */
static const char *add_segment(const struct virtq *q, struct virtq_req *req, const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	void *buf = gmem_range(q->mem, GPA(d->addr), d->len);

	if (!buf)
		return "lies outside RAM";
	if (!in && req->n_in)
		return "is readable, after a writable one";
	if (req->n_out + req->n_in == VIRTQ_MAX_SEGS)
		return "is one too many";
	if (in ? __builtin_add_overflow(req->in_len, d->len, &req->in_len) :
		 __builtin_add_overflow(req->out_len, d->len, &req->out_len))
		return "makes the request longer than 2^32 bytes";
	req->iov[req->n_out + req->n_in] = (struct iovec){ .iov_base = buf, .iov_len = d->len };
	if (in)
		req->n_in++;
	else
		req->n_out++;
	return NULL;
}

/* What forbids following an indirect descriptor (2.7.5.3.1), or NULL.  Its WRITE flag is to be ignored. */
static const char *indirect_fault(const struct virtq *q, const struct vring_desc *d, bool in_table)
{
	if (!q->indirect)
		return "is indirect, which was not negotiated";
	if (in_table)
		return "is indirect inside an indirect table";
	if (d->flags & VRING_DESC_F_NEXT)
		return "is indirect and has a next";
	if (d->len == 0 || d->len % sizeof(*d) || d->len / sizeof(*d) > VIRTQ_MAX_SEGS)
		return "has an indirect table of a bad length";
	return NULL;
}

/*
 * Follows the chain from REQ->head.  STEPS counts descriptors that carry data; each table can be used up at most once,
 * and both together give at most VIRTQ_MAX_SEGS segments, so whatever the guest links, this ends.
 */
static int walk_chain(struct virtq *q, struct virtq_req *req)
{
	const uint8_t *table = q->desc;
	unsigned n = q->size, limit = q->size, i = req->head;
	bool in_table = false;

	for (unsigned steps = 0;;) {
		struct vring_desc d;
		const char *why;

		if (i >= n || steps == limit)
			return vq_break(q, "chain of head %u loops, or leaves its table of %u at %u", req->head, n, i);
		d = load_desc(table, i);
		if (d.flags & ~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT))
			return vq_break(q, "descriptor %u: flags %#x were never offered", i, d.flags);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			why = indirect_fault(q, &d, in_table);
			table = why ? NULL : gmem_range(q->mem, GPA(d.addr), d.len);
			if (!table)
				return vq_break(q, "descriptor %u %s", i, why ? why : "has a table outside RAM");
			in_table = true;
			n = d.len / sizeof(d);
			limit = steps + n;
			i = 0;
			continue;
		}
		why = add_segment(q, req, &d);
		if (why)
			return vq_break(q, "descriptor %u (address %#llx, length %u) %s", i,
					(unsigned long long)d.addr, d.len, why);
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
		steps++;
	}
}

int vq_pop(struct virtq *q, struct virtq_req *req)
{
	uint16_t ahead, head;

	if (!q->live || q->broken)
		return -EPROTO;
	ahead = (uint16_t)(load_avail_idx(q) - q->next_avail);
	if (ahead == 0)
		return 0;
	if (ahead > q->size)
		return vq_break(q, "avail index runs %u ahead of %u entries", ahead, q->size);
	head = load16(q->avail + RING_ENTRY + 2 * (q->next_avail & (q->size - 1)), __ATOMIC_RELAXED);
	if (head >= q->size)
		return vq_break(q, "head %u is outside a table of %u", head, q->size);
	if (q->inflight[head / 64] & BIT_ULL(head % 64)) /* else it would alias a live request */
		return vq_break(q, "head %u is already in flight", head);

	req->head = head;
	req->n_out = req->n_in = 0;
	req->out_len = req->in_len = 0;
	if (walk_chain(q, req))
		return -EPROTO;
	q->inflight[head / 64] |= BIT_ULL(head % 64);
	q->next_avail++;
	q->popped++;
	return 1;
}

void vq_unpop(struct virtq *q, struct virtq_req *req)
{
	if (!q->live || q->broken)
		return;
	q->inflight[req->head / 64] &= ~BIT_ULL(req->head % 64);
	q->next_avail--;
	q->popped--;
}

/* ---- giving them back --------------------------------------------------------------------------------------------- */

void vq_fill(struct virtq *q, uint16_t head, uint32_t written)
{
	uint8_t *elem;

	/* A completion that comes after the queue broke or was reset is owed to nobody. */
	if (!q->live || q->broken || head >= q->size || !(q->inflight[head / 64] & BIT_ULL(head % 64)))
		return;
	q->inflight[head / 64] &= ~BIT_ULL(head % 64);
	elem = q->used + RING_ENTRY + 8 * (q->next_used & (q->size - 1));
	store32(elem, head);
	store32(elem + 4, written);
	q->next_used++;
	q->pushed++;
	if (q->next_used == q->signalled)
		q->signalled_valid = false; /* 2^16 pushes without a look: the distance no longer tells */
}

void vq_publish(struct virtq *q)
{
	if (!q->live || q->broken)
		return;
	/* Release: pairs with the driver's read of idx; it sees the element, and the data before it. */
	store16(q->used + RING_IDX, q->next_used, __ATOMIC_RELEASE);
}

void vq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	vq_fill(q, head, written);
	vq_publish(q);
}

bool vq_should_signal(struct virtq *q)
{
	uint16_t old = q->signalled;
	bool valid = q->signalled_valid;

	if (!q->live || q->broken || (valid && old == q->next_used))
		return false;
	q->signalled = q->next_used;
	q->signalled_valid = true;
	/*
	 * The used index must be out before we look whether the driver wants to hear of it.  Pairs with the driver's
	 * barrier between asking for interrupts and looking at the index once more.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->event_idx)
		return !(load16(q->avail + RING_FLAGS, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT);
	return !valid || vring_need_event(load16(q->avail + RING_ENTRY + 2 * q->size, __ATOMIC_RELAXED),
					  q->next_used, old);
}

void vq_notify_off(struct virtq *q)
{
	/* With EVENT_IDX an avail_event left behind does the same, and the flags must stay 0 (2.7.10.1). */
	if (q->live && !q->event_idx)
		store16(q->used + RING_FLAGS, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
}

bool vq_notify_on(struct virtq *q)
{
	if (!q->live || q->broken)
		return false;
	if (q->event_idx)
		store16(q->used + RING_ENTRY + 8 * q->size, q->next_avail, __ATOMIC_RELAXED);
	else
		store16(q->used + RING_FLAGS, 0, __ATOMIC_RELAXED);
	/* Ask first, then look: pairs with the driver's barrier between its index and reading whether to notify. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load_avail_idx(q) != q->next_avail;
}

/* ---- from a worker that is gone ----------------------------------------------------------------------------------- */

bool vq_take_over(struct virtq *q)
{
	uint16_t avail, used, open;
	unsigned look;
	bool known;

	if (!q->live || q->broken)
		return true;
	avail = load_avail_idx(q);
	used = load16(q->used + RING_IDX, __ATOMIC_ACQUIRE);
	open = (uint16_t)(avail - used);
	known = open <= q->size;
	/* Of what was handed back, the driver's ring remembers as much as the requests that are open have not written over. */
	look = known ? MIN(used, (unsigned)q->size - open) : 0;
	for (unsigned i = 1; known && i <= look; i++) {
		unsigned at = (uint16_t)(used - i) & (q->size - 1u);
		uint32_t id;

		memcpy(&id, q->used + RING_ENTRY + 8 * at, sizeof(id));
		known = le32toh(id) == load16(q->avail + RING_ENTRY + 2 * at, __ATOMIC_RELAXED);
	}
	memset(q->inflight, 0, sizeof(q->inflight));
	q->next_used = used;
	q->next_avail = known ? used : avail;
	q->signalled_valid = false; /* when it signalled last is not known */
	return known || open == 0;
}
