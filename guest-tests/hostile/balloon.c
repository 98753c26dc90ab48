/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * balloon.c - attacks on the memory balloon (virtio 1.2, 5.5.6): pages that are none, lists of every wrong shape, pages
 * still in use, statistics and hints that make no sense, reports of what is not RAM.
 *
 * What a driver gives away is its own loss, so pages given here are the target's own.
 */
#include "balloon.h"
#include "hostile.h"

enum { INFLATE, DEFLATE, STATS, HINT, REPORT };

#define LIST(t)   ((volatile uint32_t *)((t)->buf + 4096)) /* a page of page numbers */
#define DATA(t)   ((t)->buf + 4 * 4096)                    /* pages to give away */
#define DATA_PAGES 4u

static uint32_t pfn(const volatile void *p)
{
	return (uint32_t)((uint64_t)p / 4096);
}

static struct vdesc out(const volatile void *p, uint32_t len)
{
	return (struct vdesc){ (uint64_t)p, len, 0, 0 };
}

static struct vdesc in(const volatile void *p, uint32_t len)
{
	return (struct vdesc){ (uint64_t)p, len, VD_WRITE, 0 };
}

static long ask(struct target *t, unsigned q, struct vdesc d)
{
	return target_ask(t, q, &d, 1);
}

static bool refuses(struct target *t, unsigned q, struct vdesc d)
{
	return target_refuses(t, q, &d, 1);
}

static uint64_t word(unsigned page, unsigned i)
{
	return (page * 512 + i) * 0x9e3779b97f4a7c15ull + 1;
}

static void fill(struct target *t)
{
	for (unsigned p = 0; p < DATA_PAGES; p++)
		for (unsigned i = 0; i < 512; i += 73)
			((volatile uint64_t *)(DATA(t) + p * 4096))[i] = word(p, i);
}

/* Are the pages as fill() left them, or (ZERO) empty, each word for itself? */
static bool holds(struct target *t, bool filled, bool zero)
{
	for (unsigned p = 0; p < DATA_PAGES; p++)
		for (unsigned i = 0; i < 512; i += 73) {
			uint64_t v = ((volatile uint64_t *)(DATA(t) + p * 4096))[i];

			if (!(filled && v == word(p, i)) && !(zero && v == 0))
				return false;
		}
	return true;
}

static uint32_t list_data(struct target *t)
{
	for (unsigned i = 0; i < DATA_PAGES; i++)
		LIST(t)[i] = pfn(DATA(t)) + i;
	return DATA_PAGES * 4;
}

/* ---- lists of pages ------------------------------------------------------------------------------------------------ */

static bool pages_of_nobody(struct target *t)
{
	const uint32_t bad[] = { (uint32_t)(boot_info.ram_end / 4096), (uint32_t)(t->v.common / 4096), (uint32_t)(t->v.notify / 4096),
				 (uint32_t)(t->v.pci.msix_table / 4096), (uint32_t)(t->v.pci.cfg / 4096), 0xfec00, 0xfee00, 0xfffbc,
				 0xd0000, 0x100000, 0x7fffffff, 0x80000000, 0xfffffffe, ~0u };
	bool good = true;

	for (unsigned i = 0; good && i < ARRAY_SIZE(bad); i++)
		for (unsigned q = INFLATE; good && q <= DEFLATE; q++) {
			LIST(t)[0] = bad[i];
			good = refuses(t, q, out(LIST(t), 4));
			/* And as the last of many that are in order. */
			for (unsigned k = 0; k < 255; k++)
				LIST(t)[k] = pfn(DATA(t)) + k % DATA_PAGES;
			LIST(t)[255] = bad[i];
			good = good && refuses(t, q, out(LIST(t), 1024));
		}
	return good;
}

static bool the_same_page(struct target *t)
{
	bool good = true;

	for (unsigned i = 0; i < 1024; i++)
		LIST(t)[i] = pfn(DATA(t));
	for (unsigned i = 0; good && i < 8; i++)
		good = ask(t, i & 1 ? DEFLATE : INFLATE, out(LIST(t), 4096)) == 0 &&
		       ask(t, i & 2 ? DEFLATE : INFLATE, out(LIST(t), 4096)) == 0;
	return good;
}

/* Its own rings, and the list itself.  What the device makes of an empty ring is another matter. */
static bool own_rings(struct target *t)
{
	unsigned n = 0;

	for (unsigned q = 0; q < t->n_queues; q++)
		for (unsigned page = 0; page < 3; page++)
			LIST(t)[n++] = pfn(t->ring[q]) + page;
	LIST(t)[n++] = pfn(LIST(t));
	ask(t, INFLATE, out(LIST(t), n * 4));
	ask(t, DEFLATE, out(LIST(t), n * 4));
	return true;
}

static bool wrong_lengths(struct target *t)
{
	static const uint32_t odd[] = { 1, 2, 3, 5, 7, 1023, 4095 };
	static const uint32_t far[] = { 4097 * 4, 8192 * 4, 1 << 20, 32 << 20 };
	struct vdesc d[16];
	bool good = true;

	for (unsigned q = INFLATE; q <= DEFLATE; q++) {
		good = good && ask(t, q, out(LIST(t), 0)) == 0;
		for (unsigned i = 0; good && i < ARRAY_SIZE(odd); i++)
			good = refuses(t, q, out(LIST(t), odd[i]));
		/* More pages than a list may have: refused before the first is looked at. */
		for (unsigned i = 0; good && i < ARRAY_SIZE(far); i++)
			good = refuses(t, q, out((void *)0x100000, far[i]));
		for (unsigned i = 0; i < 16; i++)
			d[i] = out(LIST(t), 4096);
		good = good && target_refuses(t, q, d, 16);
		good = good && refuses(t, q, in(LIST(t), 4));
		d[0] = out(LIST(t), 4);
		d[1] = in(DATA(t), 4);
		good = good && target_refuses(t, q, d, 2);
	}
	return good;
}

/* A list in pieces of single bytes. */
static bool torn_list(struct target *t)
{
	struct vdesc d[16];

	list_data(t);
	for (unsigned i = 0; i < 16; i++)
		d[i] = out((volatile uint8_t *)LIST(t) + i, 1);
	return target_ask(t, INFLATE, d, 16) == 0 && target_ask(t, DEFLATE, d, 16) == 0;
}

/* ---- a driver that lies -------------------------------------------------------------------------------------------- */

/* Given, and used all the same: it gets empty pages once, and then keeps what it writes. */
static bool keeps_using(struct target *t)
{
	uint32_t len = list_data(t);
	bool good = true;

	for (unsigned i = 0; good && i < 20; i++) {
		fill(t);
		good = ask(t, INFLATE, out(LIST(t), len)) == 0 && holds(t, i > 0, true); /* given twice is given once */
		fill(t);
		good = good && holds(t, true, false);
	}
	good = good && ask(t, DEFLATE, out(LIST(t), len)) == 0 && holds(t, true, false);
	return good;
}

/* Where the device may discard when it likes, a lying driver may lose what it writes, until the page is taken back. */
static bool keeps_using_late(struct target *t)
{
	uint32_t len = list_data(t);
	bool good = true;

	target_start_with(t, t->v.features | BF_MUST_TELL_HOST);
	for (unsigned i = 0; good && i < 5; i++) {
		good = ask(t, INFLATE, out(LIST(t), len)) == 0;
		for (uint64_t end = deadline_ms(20); good && !expired(end);) {
			fill(t);
			good = holds(t, true, true);
		}
		good = good && ask(t, DEFLATE, out(LIST(t), len)) == 0;
		fill(t);
		for (uint64_t end = deadline_ms(20); good && !expired(end);)
			good = holds(t, true, false);
	}
	return good;
}

static bool takes_what_it_never_gave(struct target *t)
{
	uint32_t len = list_data(t);
	bool good = true;

	fill(t);
	for (unsigned i = 0; good && i < 50; i++)
		good = ask(t, DEFLATE, out(LIST(t), len)) == 0;
	mmio_w32(t->v.config + BC_ACTUAL, ~0u);
	mmio_w32(t->v.config + BC_ACTUAL, (uint32_t)rnd());
	mmio_w32(t->v.config + BC_NUM_PAGES, ~0u);
	return good && holds(t, true, false) && mmio_r32(t->v.config + BC_NUM_PAGES) != ~0u;
}

/* ---- statistics ---------------------------------------------------------------------------------------------------- */

static bool statistics(struct target *t)
{
	static const uint32_t len[] = { 10, 0, 1, 9, 11, 100, 639, 650, 4096, 16384 };
	struct vqueue *q = &t->v.q[STATS];
	volatile uint8_t *p = t->buf;

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		for (unsigned k = 0; k < 1024; k++)
			p[4096 + k] = (uint8_t)(k % 10 < 2 ? (k % 10 ? 0 : rnd() % 20) : rnd());
		vq_desc(q, (uint16_t)i, (uint64_t)p + 4096, len[i], 0, 0);
		vq_offer(q, (uint16_t)i);
		vq_ring_bell(q);
		/* The device keeps the latest and gives the one before it back. */
		if (q->used->idx != i || virtio_status(&t->v) & VS_NEEDS_RESET)
			return false;
	}
	return true;
}

static bool statistics_unset(struct target *t)
{
	unsigned n = t->n_queues;

	t->n_queues = 2;
	target_start(t);
	t->n_queues = n;
	for (unsigned q = STATS; q <= REPORT; q++)
		for (unsigned i = 0; i < 100; i++)
			mmio_w16(t->v.q[q].notify, (uint16_t)q);
	return true;
}

static bool statistics_elsewhere(struct target *t)
{
	bool good = true;
	uint64_t a;

	for (unsigned i = 0; good && (a = bad_address(t, i)); i++)
		good = refuses(t, STATS, out((void *)a, 20));
	return good;
}

/* ---- hints and reports --------------------------------------------------------------------------------------------- */

/* Nobody asked for hints: whatever the words say, what is hinted stays as it is. */
static bool hints_unasked(struct target *t)
{
	const uint32_t id[] = { 0, 1, 2, 0x80000000, 0x80000001, 0x7fffffff, ~0u, mmio_r32(t->v.config + BC_CMD_ID) };
	struct vdesc d[2];
	bool good = true;

	fill(t);
	for (unsigned i = 0; good && i < ARRAY_SIZE(id); i++) {
		LIST(t)[0] = id[i];
		for (uint32_t len = 0; good && len <= 5; len++)
			good = ask(t, HINT, out(LIST(t), len)) == 0;
		good = good && ask(t, HINT, out(LIST(t), 4)) == 0 && ask(t, HINT, in(DATA(t), DATA_PAGES * 4096)) == 0;
		d[0] = out(LIST(t), 4);
		d[1] = in(DATA(t), DATA_PAGES * 4096);
		good = good && target_ask(t, HINT, d, 2) == 0;
	}
	return good && holds(t, true, false);
}

static bool reports(struct target *t)
{
	struct vdesc d[3] = { out(DATA(t), 4096), in(DATA(t) + 1, 4096), in(DATA(t) + 8191, 4094) };
	bool good;

	/* The readable part, and what is no whole page, stay. */
	fill(t);
	good = target_ask(t, REPORT, d, 3) == 0 && holds(t, true, false);
	good = good && ask(t, REPORT, in(DATA(t), 0)) == 0 && ask(t, REPORT, out(DATA(t), 4096)) == 0 && holds(t, true, false);
	good = good && ask(t, REPORT, in(DATA(t), DATA_PAGES * 4096)) == 0 && holds(t, false, true);
	fill(t);
	return good && holds(t, true, false);
}

static bool blocks_of_nobody(struct target *t)
{
	struct vdesc d[3] = { in(DATA(t), 4096), in(DATA(t) + 4096, 4096) };
	bool good = true;
	uint64_t a;

	for (unsigned i = 0; good && (a = bad_address(t, i)); i++)
		for (unsigned q = HINT; good && q <= REPORT; q++) {
			good = refuses(t, q, in((void *)a, 4096));
			d[2] = in((void *)a, 1 << 21);
			good = good && target_refuses(t, q, d, 3);
		}
	return good;
}

/* The rings that tell of the report lie in what is reported. */
static bool reports_own_rings(struct target *t)
{
	struct vdesc d[2] = { in(t->ring[REPORT], 3 * 4096), in(t->ring[INFLATE], 3 * 4096) };

	target_ask(t, REPORT, d, 2);
	target_ask(t, REPORT, d, 2);
	return true;
}

/* Poison, changed again and again, and the memory that is given meanwhile. */
static bool poisons(struct target *t)
{
	bool good = true;

	target_start_with(t, t->v.features | BF_POISON);
	for (unsigned i = 0; good && i < 20; i++) {
		mmio_w32(t->v.config + BC_POISON, (uint32_t)rnd() | 1);
		fill(t);
		good = ask(t, REPORT, in(DATA(t), DATA_PAGES * 4096)) == 0 && holds(t, true, false);
	}
	return good;
}

const struct attack balloon_attacks[] = {
	{ "pages behind RAM and in device windows", WORKS, pages_of_nobody, 0, false },
	{ "the same page a thousand times", WORKS, the_same_page, 0, false },
	{ "the pages of its own rings", EITHER, own_rings, 0, false },
	{ "lists of wrong lengths, and too long ones", WORKS, wrong_lengths, 0, false },
	{ "a list in single bytes", WORKS, torn_list, 0, false },
	{ "pages given and used all the same", WORKS, keeps_using, 0, false },
	{ "pages given late and used all the same", WORKS, keeps_using_late, 0, false },
	{ "pages taken that were never given", WORKS, takes_what_it_never_gave, 0, false },
	{ "statistics that make no sense", WORKS, statistics, 0, false },
	{ "queues negotiated and not set up", WORKS, statistics_unset, 0, false },
	{ "statistics outside RAM", WORKS, statistics_elsewhere, 0, false },
	{ "hints that nobody asked for", WORKS, hints_unasked, 0, false },
	{ "reports of parts of pages", WORKS, reports, 0, false },
	{ "hints and reports of what is no RAM", WORKS, blocks_of_nobody, 0, false },
	{ "a report of its own rings", EITHER, reports_own_rings, 0, false },
	{ "poison that changes", WORKS, poisons, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
