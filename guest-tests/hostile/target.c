/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * target.c - a device under attack: setting it up by hand, asking whether it works, and running one attack.
 * The attacking CPU calls all of it; the helper CPU runs helper functions alone.
 */
#include "hostile.h"

#define GUARD 0xa5

static uint64_t state = 88172645463325252ull;

void rnd_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15ull + 88172645463325252ull;
}

uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

uint64_t rnd_message(void)
{
	/* Delivery mode 0, vectors 0x40 to 0x7f: nobody listens there.  An INIT to ourselves would prove nothing. */
	return (rnd() & ~0x0000078000000780ull) | 0x0000004000000040ull;
}

/* ---- set-up --------------------------------------------------------------------------------------------------------- */

struct vqueue *target_queue(struct target *t)
{
	return &t->v.q[t->q];
}

static void fill(volatile uint8_t *p, uint8_t byte, size_t n)
{
	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(byte) : "memory");
}

bool target_open(struct target *t)
{
	if (!virtio_open(&t->v, t->kind, t->nth) || !virtio_start(&t->v, t->want))
		return false;
	t->bar = pci_bar(&t->v.pci, 0, NULL);
	for (unsigned q = 0; q < t->n_queues; q++)
		t->ring[q] = page_alloc(3);
	t->buf = (volatile uint8_t *)page_alloc(BUF_PAGES + 2) + 4096;
	fill(t->buf - 4096, GUARD, 4096);
	fill(t->buf + BUF_PAGES * 4096, GUARD, 4096);
	fill(t->buf, '\r', BUF_PAGES * 4096); /* what a console prints of it does not disturb */
	t->table = page_alloc(TABLE_PAGES);
	return true;
}

void target_queue_raw(struct target *t, unsigned index, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct vqueue *q = &t->v.q[index];
	uint8_t *r = t->ring[index];

	fill(r, 0, 512);
	fill(r + 4096, 0, 256);
	fill(r + 8192, 0, 512);
	*q = (struct vqueue){ .desc = (volatile void *)r, .avail = (volatile void *)(r + 4096), .used = (volatile void *)(r + 8192),
			      .size = QUEUE_SIZE, .index = (uint16_t)index,
			      .notify = t->v.notify + (uint64_t)index * t->v.notify_mul };
	virtio_queue_raw(&t->v, index, size, desc, avail, used);
}

static void set_up_queue(struct target *t, unsigned q)
{
	uint64_t r = (uint64_t)t->ring[q];

	target_queue_raw(t, q, QUEUE_SIZE, r, r + 4096, r + 8192);
}

void target_negotiate(struct target *t)
{
	virtio_reset(&t->v);
	/* An attack may have left garbage behind: MSI-X is on, and all messages are masked. */
	if (t->v.pci.msix_cap)
		mmio_w16(t->v.pci.cfg + t->v.pci.msix_cap + 2, 0x8000);
	for (unsigned i = 0; i < t->v.pci.msix_n; i++)
		msix_mask(&t->v.pci, i, true);
	virtio_set_status(&t->v, VS_ACKNOWLEDGE);
	virtio_set_status(&t->v, VS_ACKNOWLEDGE | VS_DRIVER);
	virtio_accept(&t->v, t->v.features);
	virtio_set_status(&t->v, VS_ACKNOWLEDGE | VS_DRIVER | VS_FEATURES_OK);
}

void target_begin(struct target *t)
{
	target_negotiate(t);
	for (unsigned q = 0; q < t->n_queues; q++)
		set_up_queue(t, q);
}

void target_start(struct target *t)
{
	target_begin(t);
	virtio_ready(&t->v);
}

void target_start_with(struct target *t, uint64_t features)
{
	uint64_t had = t->v.features;

	t->v.features = t->v.offered & (features | VF_VERSION_1);
	target_start(t);
	t->v.features = had;
}

/* ---- does it work? -------------------------------------------------------------------------------------------------- */

bool target_latched(struct target *t)
{
	for (uint64_t end = deadline_ms(4000); !(virtio_status(&t->v) & VS_NEEDS_RESET);)
		if (expired(end))
			return false;
	t->latched++;
	return true;
}

void offer_direct(struct target *t, const struct vdesc *d, unsigned n)
{
	struct vqueue *q = target_queue(t);

	for (unsigned i = 0; i < n; i++)
		vq_desc(q, (uint16_t)i, d[i].addr, d[i].len, d[i].flags, d[i].next);
	vq_offer(q, 0);
}

void offer_indirect(struct target *t, const struct vdesc *d, unsigned n)
{
	struct vqueue *q = target_queue(t);

	for (unsigned i = 0; i < n; i++)
		t->table[i] = d[i];
	vq_desc(q, 0, (uint64_t)t->table, n * 16, VD_INDIRECT, 0);
	vq_offer(q, 0);
}

long target_ask(struct target *t, unsigned q, const struct vdesc *d, unsigned n)
{
	struct vqueue *vq = &t->v.q[q];
	uint16_t before = vq->used->idx;

	for (unsigned i = 0; i < n; i++)
		vq_desc(vq, (uint16_t)i, d[i].addr, d[i].len, (uint16_t)(d[i].flags | (i + 1 < n ? VD_NEXT : 0)), (uint16_t)(i + 1));
	vq_offer(vq, 0);
	vq_ring_bell(vq);
	for (uint64_t end = deadline_ms(4000); vq->used->idx == before; cpu_relax()) {
		if (virtio_status(&t->v) & VS_NEEDS_RESET)
			return LATCHED;
		if (expired(end))
			return SILENT;
	}
	return vq->used->e[before & (QUEUE_SIZE - 1)].len;
}

bool target_refuses(struct target *t, unsigned q, const struct vdesc *d, unsigned n)
{
	if (target_ask(t, q, d, n) != LATCHED)
		return false;
	t->latched++;
	target_start(t);
	return true;
}

bool target_request(struct target *t)
{
	struct vqueue *q = target_queue(t);
	uint16_t before = q->used->idx;
	struct vdesc d[MAX_CHAIN];

	offer_direct(t, d, t->chain(t, d));
	vq_ring_bell(q);
	for (uint64_t end = deadline_ms(10000); q->used->idx == before; cpu_relax())
		if (expired(end))
			return false;
	return q->used->idx == (uint16_t)(before + 1) && t->done(t, q->used->e[before & (QUEUE_SIZE - 1)].len);
}

static bool guards_hold(struct target *t)
{
	const volatile uint8_t *below = t->buf - 4096, *above = t->buf + BUF_PAGES * 4096;

	/* The edges next to the buffer: this may run in a slow ring. */
	for (unsigned i = 0; i < 64; i++)
		if (below[4095 - i] != GUARD || above[i] != GUARD)
			return false;
	return true;
}

bool target_recovers(struct target *t)
{
	if (!virtio_reset(&t->v))
		return false;
	target_start(t);
	return target_request(t) && guards_hold(t) && !(virtio_status(&t->v) & VS_NEEDS_RESET);
}

/* ---- one attack ------------------------------------------------------------------------------------------------------ */

/* A broken queue must do nothing: one more offer stays where it is. */
static bool is_dead(struct target *t)
{
	struct vqueue *q = target_queue(t);
	uint16_t before = q->used->idx;

	vq_offer(q, 1);
	vq_ring_bell(q);
	return virtio_reset(&t->v) && q->used->idx == before;
}

static bool settle(struct target *t, enum outcome want, const char **why)
{
	*why = "it did not latch";
	if (want == LATCHES && !target_latched(t))
		return false;
	*why = "a broken queue goes on, or cannot be reset";
	if (want == LATCHES && !is_dead(t))
		return false;
	*why = "it latched, or no longer works";
	if (want == WORKS && (virtio_status(&t->v) & VS_NEEDS_RESET || !target_request(t)))
		return false;
	*why = "it does not recover by a reset";
	return target_recovers(t);
}

bool run_attack(struct target *t, const struct attack *a, const char **why)
{
	target_start(t);
	*why = "what the attack itself looks at";
	return a->fn(t) && settle(t, a->want, why);
}

bool run_edit(struct target *t, const struct edit *e, bool last, bool indirect, const char **why)
{
	struct vdesc d[MAX_CHAIN + 2];
	unsigned n;

	target_start(t);
	n = t->chain(t, d);
	d[n] = (struct vdesc){ (uint64_t)t->buf, 16, 0, 0 };
	e->fn(t, d, n, last ? n - 1 : 0, e->arg);
	if (indirect)
		offer_indirect(t, d, n + 1);
	else
		offer_direct(t, d, n + 1);
	vq_ring_bell(target_queue(t));
	return settle(t, e->want, why);
}

uint64_t bad_address(const struct target *t, unsigned n)
{
	const uint64_t a[] = {
		boot_info.ram_end,     /* the first byte behind RAM */
		boot_info.ram_end - 1, /* the last in it: more than one byte must be wanted */
		t->v.common,           /* device windows: DMA must not become register access */
		t->v.notify,
		t->v.pci.msix_table,
		t->v.pci.cfg,          /* a read-only slot of KVM's, but no RAM */
		0xfec00000,            /* I/O APIC */
		0xfee00000,            /* local APICs */
		0xfffbc000,            /* KVM's own pages */
		0xd0000000,            /* the hole */
		1ull << 32,
		1ull << 40,
		1ull << 52,
		1ull << 63,
		~0ull - 7,             /* address plus length wraps */
		~0ull,
	};

	return n < ARRAY_SIZE(a) ? a[n] : 0;
}

/* ---- the helper CPU -------------------------------------------------------------------------------------------------- */

static struct {
	void (*volatile fn)(void *arg);
	void *volatile arg;
	volatile bool stop;
	uint32_t apic_id;
} helper;
bool helper_there;

static void helper_main(unsigned index)
{
	(void)index;
	for (;;) {
		irq_off();
		if (!helper.fn) {
			sti_hlt();
			continue;
		}
		helper.fn(helper.arg);
		barrier();
		helper.fn = NULL;
	}
}

bool helper_init(unsigned cpu)
{
	if (cpu >= acpi.n_cpus)
		return false;
	helper.apic_id = acpi.apic_id[cpu];
	helper_there = cpu_start(helper.apic_id, cpu, helper_main);
	return helper_there;
}

void helper_start(void (*fn)(void *arg), void *arg)
{
	helper.stop = false;
	helper.arg = arg;
	barrier();
	helper.fn = fn;
	full_fence();
	lapic_ipi(helper.apic_id, 0x4000 | VEC_IPI);
}

bool helper_stopping(void)
{
	return helper.stop;
}

void helper_stop(void)
{
	helper.stop = true;
	while (helper.fn)
		cpu_relax();
}
