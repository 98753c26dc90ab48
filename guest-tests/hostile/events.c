/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * events.c - attacks by the two event words (virtio 1.2, 2.7.7.2, 2.7.10): when the driver wants an interrupt, and when the
 * device wants to be notified.  Whatever stood in them before, a driver that behaves afterwards misses nothing; and
 * no garbage is worth more than one interrupt for each request.
 */
#include "hostile.h"

#define VEC (VEC_FIRST + 7)

static volatile uint16_t *used_event(struct target *t)
{
	return &target_queue(t)->avail->ring[QUEUE_SIZE];
}

static volatile uint16_t *avail_event(struct target *t)
{
	return (volatile uint16_t *)&target_queue(t)->used->e[QUEUE_SIZE];
}

/* A new life with EVENT_IDX, begun by BEGIN, and interrupts of the attacked queue to this CPU; in two steps. */
static void begin(struct target *t, void (*begin_fn)(struct target *t))
{
	uint64_t had = t->v.features;

	t->v.features |= t->v.offered & VF_EVENT_IDX;
	begin_fn(t);
	t->v.features = had;
}

static void ready(struct target *t)
{
	mmio_w16(t->v.common + VC_Q_SELECT, (uint16_t)t->q);
	mmio_w16(t->v.common + VC_Q_MSIX, 0);
	msix_entry(&t->v.pci, 0, VEC, cpu_apic_id());
	virtio_ready(&t->v);
}

static void start(struct target *t)
{
	begin(t, target_begin);
	ready(t);
}

/* The driver that behaves: wants to hear of the next request, and does. */
static bool hears(struct target *t)
{
	unsigned n = irq_count[VEC];

	*used_event(t) = target_queue(t)->used->idx;
	full_fence();
	return target_request(t) && irq_wait(VEC, n + 1, 4000);
}

/* And notifies only when it is asked to, in the manner of the specification. */
static bool polite_request(struct target *t)
{
	struct vqueue *q = target_queue(t);
	uint16_t before = q->used->idx, old = q->avail_idx;
	struct vdesc d[MAX_CHAIN];

	offer_direct(t, d, t->chain(t, d));
	full_fence();
	if ((uint16_t)(q->avail_idx - *avail_event(t) - 1) < (uint16_t)(q->avail_idx - old))
		vq_ring_bell(q);
	for (uint64_t end = deadline_ms(4000); q->used->idx == before; cpu_relax())
		if (expired(end))
			return false;
	return t->done(t, q->used->e[before & (QUEUE_SIZE - 1)].len);
}

/* The device asks for the next notification when it has gone to rest. */
static bool rests(struct target *t)
{
	for (uint64_t end = deadline_ms(4000); *avail_event(t) != target_queue(t)->avail_idx; cpu_relax())
		if (expired(end))
			return false;
	return true;
}

static bool polite(struct target *t)
{
	bool good = true;

	for (unsigned i = 0; good && i < 20; i++)
		good = rests(t) && polite_request(t);
	return good;
}

/* Ends the life that START began: nothing of the old one may interrupt the next attack. */
static bool end(struct target *t, bool good)
{
	irq_on();
	good = virtio_reset(&t->v) && good;
	irq_off();
	return good;
}

/* Three requests while the word stands far off: silence, then one interrupt for the one that was wanted. */
static bool far_off(struct target *t)
{
	static const uint16_t ahead[] = { 0xffff, 0xfffe, 3, 4, QUEUE_SIZE, 0x7fff, 0x8000, 0x8001, 0xfff0 };
	bool good;

	start(t);
	good = hears(t);
	for (unsigned i = 0; good && i < ARRAY_SIZE(ahead); i++) {
		unsigned n = irq_count[VEC];

		*used_event(t) = (uint16_t)(target_queue(t)->used->idx + ahead[i]);
		full_fence();
		irq_on();
		for (unsigned k = 0; good && k < 3; k++)
			good = target_request(t);
		irq_off();
		good = good && hears(t) && irq_count[VEC] == n + 1;
	}
	return end(t, good && polite(t));
}

static bool garbage(struct target *t)
{
	unsigned n, requests = 0;
	bool good;

	start(t);
	n = irq_count[VEC];
	irq_on();
	good = true;
	for (unsigned i = 0; good && i < 60; i++, requests++) {
		*used_event(t) = (uint16_t)rnd();
		*avail_event(t) = (uint16_t)rnd();
		target_queue(t)->used->flags = (uint16_t)rnd();
		good = target_request(t);
	}
	irq_off();
	good = good && irq_count[VEC] - n <= requests && hears(t);
	return end(t, good && polite(t));
}

/* The device's own word, overwritten while it rests and while it works: one notification sets it right. */
static bool avail_event_lies(struct target *t)
{
	static const uint16_t off[] = { 0, 1, 0xffff, 2, 0x7fff, 0x8000, QUEUE_SIZE };
	bool good = true;

	start(t);
	for (unsigned i = 0; good && i < ARRAY_SIZE(off); i++) {
		*avail_event(t) = (uint16_t)(target_queue(t)->avail_idx + off[i]);
		good = target_request(t) && polite(t);
	}
	return end(t, good && hears(t));
}

static void flip_words(void *arg)
{
	struct target *t = arg;
	volatile uint16_t *u = used_event(t), *a = avail_event(t), *flags = &target_queue(t)->avail->flags;
	uint16_t v = 0;

	while (!helper_stopping()) {
		v = (uint16_t)(v * 25173 + 13849);
		*u = v;
		*a = (uint16_t)~v;
		*flags = v & 1;
		*u = target_queue(t)->used->idx;
	}
	*flags = 0;
}

static bool changes_while_live(struct target *t)
{
	unsigned n, requests = 0;
	bool good = true;

	if (!helper_there)
		return true;
	start(t);
	n = irq_count[VEC];
	helper_start(flip_words, t);
	irq_on();
	for (; good && requests < 60; requests++)
		good = target_request(t);
	irq_off();
	helper_stop();
	good = good && irq_count[VEC] - n <= requests && hears(t);
	return end(t, good && polite(t));
}

/* Once round the indices and further, a whole ring at a time: each batch wants one interrupt, for its last request. */
static bool all_the_way_round(struct target *t)
{
	struct vqueue *q = target_queue(t);
	uint64_t r = (uint64_t)t->ring[t->q];
	volatile uint16_t *wants;
	struct vdesc d[MAX_CHAIN];
	unsigned n = irq_count[VEC], longest;
	bool good;

	begin(t, target_negotiate);
	mmio_w16(t->v.common + VC_Q_SELECT, (uint16_t)t->q);
	longest = mmio_r16(t->v.common + VC_Q_SIZE);
	target_queue_raw(t, t->q, (uint16_t)longest, r, r + 4096, r + 8192);
	ready(t);
	t->chain(t, d);
	for (unsigned i = 0; i < longest; i++) {
		vq_desc(q, (uint16_t)i, d[0].addr, d[0].len, d[0].flags, 0);
		q->avail->ring[i] = (uint16_t)i;
	}
	wants = &q->avail->ring[longest];
	good = longest >= QUEUE_SIZE;
	for (unsigned batch = 1; good && batch <= 0x10000 / longest + 4; batch++) {
		*wants = (uint16_t)(q->avail_idx + longest - 1);
		q->avail_idx = (uint16_t)(q->avail_idx + longest);
		q->avail->idx = q->avail_idx;
		vq_ring_bell(q);
		good = irq_wait(VEC, n + batch, 4000) && irq_count[VEC] == n + batch && q->used->idx == q->avail_idx;
	}
	start(t);
	return end(t, good && hears(t) && polite(t));
}

const struct attack event_attacks[] = {
	{ "used_event far ahead and behind", EITHER, far_off, 0, false },
	{ "both event words full of garbage", EITHER, garbage, 0, false },
	{ "avail_event overwritten", EITHER, avail_event_lies, 0, false },
	{ "event words change under the device", EITHER, changes_while_live, 0, false },
	{ "indices all the way round", EITHER, all_the_way_round, 1 << VIRTIO_RNG, false },
	{ NULL, EITHER, NULL, 0, false },
};
