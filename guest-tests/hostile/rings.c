/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rings.c - attacks by what stands in the rings: descriptors, indirect tables, heads, indices (virtio 1.2, 2.7).
 */
#include "hostile.h"

/* ---- one damaged descriptor ------------------------------------------------------------------------------------------ */

static void next_is(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k].flags |= VD_NEXT;
	d[k].next = (uint16_t)arg;
}

static void next_self(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	next_is(t, d, n, k, k);
}

static void next_first(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	next_is(t, d, n, n - 1, 0);
}

/* The last of them works only when the access is longer than a byte. */
static void address_is(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k].addr = bad_address(t, (unsigned)arg);
	if (d[k].len < 16)
		d[k].len = 16;
}

static void length_is(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k].len = (uint32_t)arg;
}

static void to_ram_end(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k].len = (uint32_t)(boot_info.ram_end - d[k].addr + arg);
}

static void flags_more(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k].flags |= (uint16_t)arg;
}

static void other_way(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k].flags ^= VD_WRITE;
}

static void out_after_in(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[n - 1].flags |= VD_WRITE | VD_NEXT;
	d[n - 1].next = (uint16_t)n; /* there stands a readable one */
}

/* Descriptor 0 becomes an indirect one, and where it stands in a table, a nested one. */
static void indirect_is(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k] = (struct vdesc){ (uint64_t)t->table, (uint32_t)arg, VD_INDIRECT, 0 };
}

static void indirect_at(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k] = (struct vdesc){ bad_address(t, (unsigned)arg), 32, VD_INDIRECT, 0 };
}

static void indirect_next(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg)
{
	d[k].flags = (uint16_t)(VD_INDIRECT | VD_NEXT | arg);
	d[k].addr = (uint64_t)t->table;
	d[k].len = 32;
	d[k].next = 1;
}

const struct edit edits[] = {
	{ "a chain that links to itself", LATCHES, next_self, 0 },
	{ "a chain that links to its start", LATCHES, next_first, 0 },
	{ "next is one behind the table", LATCHES, next_is, QUEUE_SIZE },
	{ "next is 0x8000", LATCHES, next_is, 0x8000 },
	{ "next is 0xffff", LATCHES, next_is, 0xffff },
	{ "an address behind RAM", LATCHES, address_is, 0 },
	{ "an address across the end of RAM", LATCHES, address_is, 1 },
	{ "DMA at common configuration", LATCHES, address_is, 2 },
	{ "DMA at the notification register", LATCHES, address_is, 3 },
	{ "DMA at the MSI-X table", LATCHES, address_is, 4 },
	{ "DMA at configuration space", LATCHES, address_is, 5 },
	{ "DMA at the I/O APIC", LATCHES, address_is, 6 },
	{ "DMA at the local APICs", LATCHES, address_is, 7 },
	{ "DMA at KVM's pages", LATCHES, address_is, 8 },
	{ "DMA at the hole", LATCHES, address_is, 9 },
	{ "DMA at 4 GiB", LATCHES, address_is, 10 },
	{ "DMA at 2^40", LATCHES, address_is, 11 },
	{ "DMA at 2^52", LATCHES, address_is, 12 },
	{ "DMA at 2^63", LATCHES, address_is, 13 },
	{ "DMA that wraps at 2^64", LATCHES, address_is, 14 },
	{ "DMA at the last byte of all", LATCHES, address_is, 15 },
	{ "length 2^32 - 1", LATCHES, length_is, 0xffffffff },
	{ "length 2^31", LATCHES, length_is, 0x80000000 },
	{ "one byte too long for RAM", LATCHES, to_ram_end, 1 },
	{ "length 0", EITHER, length_is, 0 },
	{ "flags never offered: 8", LATCHES, flags_more, 8 },
	{ "flags never offered: 0x80", LATCHES, flags_more, 0x80 },
	{ "flags never offered: 0xfff8", LATCHES, flags_more, 0xfff8 },
	{ "the other direction", EITHER, other_way, 0 },
	{ "readable after writable", LATCHES, out_after_in, 0 },
	{ "an indirect table of no bytes", LATCHES, indirect_is, 0 },
	{ "an indirect table of 8 bytes", LATCHES, indirect_is, 8 },
	{ "an indirect table of 17 bytes", LATCHES, indirect_is, 17 },
	{ "an indirect table of 2^32 - 16 bytes", LATCHES, indirect_is, 0xfffffff0 },
	{ "an indirect table of 257 entries", LATCHES, indirect_is, 257 * 16 },
	{ "an indirect table behind RAM", LATCHES, indirect_at, 0 },
	{ "an indirect table across the end of RAM", LATCHES, indirect_at, 1 },
	{ "an indirect table in a device window", LATCHES, indirect_at, 4 },
	{ "an indirect table in configuration space", LATCHES, indirect_at, 5 },
	{ "an indirect table in the hole", LATCHES, indirect_at, 9 },
	{ "an indirect table that wraps", LATCHES, indirect_at, 14 },
	{ "indirect with next", LATCHES, indirect_next, 0 },
	{ "indirect with next and write", LATCHES, indirect_next, VD_WRITE },
	{ NULL, EITHER, NULL, 0 },
};

/* ---- whole tables ------------------------------------------------------------------------------------------------------ */

/* A linked indirect table of N entries, each LEN bytes at one place, in the direction of the ordinary request. */
static bool long_table(struct target *t, unsigned n, uint64_t addr, uint32_t len, unsigned told)
{
	struct vdesc first[MAX_CHAIN];
	uint16_t way;

	t->chain(t, first);
	way = first[0].flags & VD_WRITE;
	for (unsigned i = 0; i < n; i++)
		t->table[i] = (struct vdesc){ addr, len, (uint16_t)(way | (i + 1 < n ? VD_NEXT : 0)), (uint16_t)(i + 1) };
	vq_desc(target_queue(t), 0, (uint64_t)t->table, told * 16, VD_INDIRECT, 0);
	vq_offer(target_queue(t), 0);
	vq_ring_bell(target_queue(t));
	return true;
}

static bool too_many_entries(struct target *t)
{
	return long_table(t, 257, (uint64_t)t->buf, 1, 257);
}

static bool more_than_4_gib(struct target *t)
{
	return long_table(t, 256, 0, (uint32_t)boot_info.ram_end, 256);
}

static bool just_enough_entries(struct target *t)
{
	return long_table(t, 256, (uint64_t)t->buf + 128, 1, 256);
}

static bool empty_entries(struct target *t)
{
	return long_table(t, 256, (uint64_t)t->buf, 0, 256);
}

static bool links_out_of_table(struct target *t)
{
	return long_table(t, 20, (uint64_t)t->buf, 1, 19);
}

static bool odd_table(struct target *t)
{
	struct vdesc d[MAX_CHAIN];
	unsigned n = t->chain(t, d);

	memcpy((uint8_t *)t->table + 1, d, n * 16);
	vq_desc(target_queue(t), 0, (uint64_t)t->table + 1, n * 16, VD_INDIRECT, 0);
	vq_offer(target_queue(t), 0);
	vq_ring_bell(target_queue(t));
	return true;
}

/* The device writes over what it is reading: rings and tables are memory like any other. */
static bool writes_over(struct target *t, uint64_t addr, uint32_t len, bool indirect)
{
	struct vdesc d[MAX_CHAIN];
	unsigned n = t->chain(t, d);

	for (unsigned k = 0; k < n; k++)
		if (d[k].flags & VD_WRITE) {
			d[k].addr = addr;
			d[k].len = len;
			break;
		}
	if (indirect)
		offer_indirect(t, d, n);
	else
		offer_direct(t, d, n);
	for (unsigned i = 0; i < 4; i++)
		vq_offer(target_queue(t), 0);
	vq_ring_bell(target_queue(t));
	return true;
}

static bool over_table(struct target *t)
{
	return writes_over(t, (uint64_t)t->table, 512, true);
}

static bool over_descriptors(struct target *t)
{
	return writes_over(t, (uint64_t)t->ring[t->q], 512, false);
}

static bool over_avail(struct target *t)
{
	return writes_over(t, (uint64_t)t->ring[t->q] + 4096, 512, false);
}

static bool over_used(struct target *t)
{
	return writes_over(t, (uint64_t)t->ring[t->q] + 8192, 512, false);
}

/* INDIRECT is a feature: without it the flag is an error. */
static bool not_negotiated(struct target *t)
{
	struct vdesc d[MAX_CHAIN];
	uint64_t had = t->v.features;

	t->v.features &= ~VF_INDIRECT;
	target_start(t);
	t->v.features = had;
	offer_indirect(t, d, t->chain(t, d));
	vq_ring_bell(target_queue(t));
	return true;
}

/* ---- heads and indices ---------------------------------------------------------------------------------------------------- */

static bool offer_head(struct target *t, uint16_t head)
{
	struct vdesc d[MAX_CHAIN];

	offer_direct(t, d, t->chain(t, d));
	target_queue(t)->avail->ring[0] = head;
	vq_ring_bell(target_queue(t));
	return true;
}

static bool head_is_size(struct target *t)
{
	target_queue(t)->avail->ring[0] = QUEUE_SIZE; /* before the index is out: the device may look at once */
	target_queue(t)->avail->idx = 1;
	vq_ring_bell(target_queue(t));
	return true;
}

static bool head_is_last(struct target *t)
{
	target_queue(t)->avail->ring[0] = 0xffff;
	target_queue(t)->avail->idx = 1;
	vq_ring_bell(target_queue(t));
	return true;
}

static bool index_ahead(struct target *t)
{
	target_queue(t)->avail->idx = QUEUE_SIZE + 1;
	vq_ring_bell(target_queue(t));
	return true;
}

static bool index_half_way(struct target *t)
{
	target_queue(t)->avail->idx = 0x8000;
	vq_ring_bell(target_queue(t));
	return true;
}

static bool index_back(struct target *t)
{
	target_queue(t)->avail->idx = 0xffff;
	vq_ring_bell(target_queue(t));
	return true;
}

static bool index_after_work(struct target *t)
{
	if (!target_request(t))
		return false;
	target_queue(t)->avail->idx = 0; /* one behind the device */
	vq_ring_bell(target_queue(t));
	return true;
}

static bool same_head(struct target *t)
{
	for (unsigned i = 1; i < QUEUE_SIZE; i++)
		target_queue(t)->avail->ring[i] = 0;
	target_queue(t)->avail->idx = QUEUE_SIZE - 1;
	return offer_head(t, 0);
}

static bool used_scribbled(struct target *t)
{
	volatile uint16_t *w = (volatile uint16_t *)target_queue(t)->used;

	for (unsigned i = 0; i < 2 + QUEUE_SIZE * 4 + 1; i++)
		w[i] = (uint16_t)rnd();
	vq_ring_bell(target_queue(t));
	w[0] = w[1] = 0;
	return true;
}

static bool avail_garbage(struct target *t)
{
	volatile uint16_t *w = (volatile uint16_t *)target_queue(t)->avail;

	for (unsigned i = 2; i < 2 + QUEUE_SIZE + 1; i++)
		w[i] = (uint16_t)rnd();
	w[0] = (uint16_t)rnd();
	w[1] = QUEUE_SIZE;
	vq_ring_bell(target_queue(t));
	return true;
}

/* Descriptors of random bytes; their addresses lie outside RAM, or in the target's own buffer. */
static bool random_descriptors(struct target *t)
{
	struct vqueue *q = target_queue(t);

	for (unsigned i = 0; i < QUEUE_SIZE; i++) {
		uint64_t addr = rnd() % 4 ? (uint64_t)t->buf + rnd() % 4096 : bad_address(t, (unsigned)(rnd() % 16));

		vq_desc(q, (uint16_t)i, addr, (uint32_t)(rnd() % 8 ? rnd() % 1024 : rnd() | 1u << 31), (uint16_t)(rnd() % 4),
			(uint16_t)(rnd() % (QUEUE_SIZE + 1)));
		q->avail->ring[i] = (uint16_t)(rnd() % QUEUE_SIZE);
	}
	q->avail->idx = (uint16_t)(rnd() % (QUEUE_SIZE + 1));
	vq_ring_bell(q);
	return true;
}

static bool bells_without_work(struct target *t)
{
	for (unsigned i = 0; i < 2000; i++)
		vq_ring_bell(target_queue(t));
	return true;
}

static bool bells_on_broken(struct target *t)
{
	if (!index_back(t) || !target_latched(t))
		return false;
	for (unsigned i = 0; i < 2000; i++)
		vq_ring_bell(target_queue(t));
	return true;
}

const struct attack ring_attacks[] = {
	{ "an indirect table of 257 linked entries", LATCHES, too_many_entries, 0, false },
	{ "a request of more than 4 GiB", LATCHES, more_than_4_gib, 0, false },
	{ "a request of 256 pieces", EITHER, just_enough_entries, 0, false },
	{ "a request of 256 empty pieces", EITHER, empty_entries, 0, false },
	{ "a table that links to behind its end", LATCHES, links_out_of_table, 0, false },
	{ "a table at an odd address", EITHER, odd_table, 0, false },
	{ "the device writes over its indirect table", EITHER, over_table, 0, false },
	{ "the device writes over its descriptors", EITHER, over_descriptors, 0, false },
	{ "the device writes over its avail ring", EITHER, over_avail, 0, false },
	{ "the device writes over its used ring", EITHER, over_used, 0, false },
	{ "indirect without the feature", LATCHES, not_negotiated, 0, false },
	{ "a head one behind the table", LATCHES, head_is_size, 0, false },
	{ "head 0xffff", LATCHES, head_is_last, 0, false },
	{ "avail index one too far", LATCHES, index_ahead, 0, false },
	{ "avail index half way round", LATCHES, index_half_way, 0, false },
	{ "avail index -1", LATCHES, index_back, 0, false },
	{ "avail index goes back", LATCHES, index_after_work, 0, false },
	{ "one head offered fifteen times", EITHER, same_head, 0, false },
	{ "a used ring full of garbage", EITHER, used_scribbled, 0, false },
	{ "an avail ring full of garbage", LATCHES, avail_garbage, 0, false },
	{ "random descriptors", EITHER, random_descriptors, 0, false },
	{ "2000 notifications without work", WORKS, bells_without_work, 0, false },
	{ "2000 notifications of a broken queue", LATCHES, bells_on_broken, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
