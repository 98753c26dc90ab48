/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_balloon.c - virtio-balloon behind virtio_pci: any guest, while targets, trims and statistics are asked for.
 *
 * What is handed to the reclaimer is within limits and, where it is memory, inside RAM.  What was given and taken is kept
 * by the one who reclaims, as in life, so a page that is no RAM is refused by it.  A reset forgets everything.
 */
#include "fuzz_guest.h"
#include "virtio_balloon.h"

const char fuzz_name[] = "balloon";

static struct fuzz_guest g;
static struct virtio_balloon balloon;
static struct gmem_reclaim reclaim;
static struct fuzz_world worlds[2]; /* without and with reporting */
static uint64_t given[(FUZZ_LOW_SIZE + FUZZ_HIGH_SIZE) / 4096];

/* Which of our few pages it is; -1: no RAM. */
static int page_of(uint32_t pfn)
{
	const uint8_t *p = fuzz_ptr(&g, (uint64_t)pfn << 12, 4096);

	return p ? (int)((fuzz_shadow(&g, p) - g.shadow) / 4096) : -1;
}

static bool give(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n, bool now)
{
	FUZZ_ASSERT(n && n <= ARRAY_SIZE(balloon.pfn));
	fuzz_mutate(&g);
	for (unsigned i = 0; i < n; i++) {
		if (page_of(pfn[i]) < 0)
			return false;
		given[page_of(pfn[i])]++;
	}
	return true;
}

static bool take(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n)
{
	FUZZ_ASSERT(n && n <= ARRAY_SIZE(balloon.pfn));
	fuzz_mutate(&g);
	for (unsigned i = 0; i < n; i++)
		if (page_of(pfn[i]) < 0)
			return false;
	return true;
}

static uint64_t drop(struct gmem_reclaim *r, const struct iovec *iov, unsigned n)
{
	uint64_t sum = 0;

	FUZZ_ASSERT(n <= VIRTQ_MAX_SEGS);
	for (; n; n--, iov++) {
		uint8_t *p = iov->iov_base;

		FUZZ_ASSERT(p >= g.low && p < g.low + FUZZ_LOW_SIZE ? iov->iov_len <= (size_t)(g.low + FUZZ_LOW_SIZE - p) :
			    p >= g.high && iov->iov_len <= (size_t)(g.high + FUZZ_HIGH_SIZE - p));
		/* One page is enough to show what becomes of a guest that drops its own rings. */
		if (iov->iov_len >= 4096 && (uintptr_t)p % 4096 == 0)
			memset(p, 0, 4096);
		sum += iov->iov_len;
	}
	return sum;
}

static void forget(struct gmem_reclaim *r)
{
	memset(given, 0, sizeof(given));
}

static void look(struct gmem_reclaim *r)
{
}

/* Any guess will do: here, by the guest's own memory. */
static bool filled(struct gmem_reclaim *r, const struct iovec *piece)
{
	return *(const uint8_t *)piece->iov_base & 1;
}

static const struct gmem_reclaim_ops reclaim_ops = { give, take, drop, forget, look, filled };

static void build(bool reporting)
{
	struct fuzz_world *w = &worlds[reporting];

	fuzz_guest_init(&g);
	reclaim.ops = &reclaim_ops;
	FUZZ_ASSERT(!virtio_balloon_init(&balloon, "balloon", &g.mem, &g.loop, &g.log, &reclaim, reporting, NULL));
	fuzz_add(&g, &balloon.dev);
	fuzz_keep(w, &balloon, sizeof(balloon));
	fuzz_keep_guest(w, &g);
}

/* A list of page numbers, or of statistics, in one buffer of queue Q. */
static void offer_list(unsigned q, unsigned n)
{
	struct fuzz_ring *r = &g.ring[q];
	struct fuzz_seg s = { fuzz_gpa(&g.in), 0, fuzz_u8(&g.in) & 1 };

	for (unsigned i = 0; i < n; i++) {
		uint8_t b = fuzz_u8(&g.in);
		uint32_t pfn = b & 1 ? (uint32_t)fuzz_value(&g.in) : (b & 2 ? FUZZ_HIGH : FUZZ_LOW) / 4096 + (b >> 2 & 7);

		if (q == BALLOON_Q_STATS) {
			fuzz_poke(&g, s.addr + s.len, b >> 3, 2);
			fuzz_poke(&g, s.addr + s.len + 2, fuzz_value(&g.in), 8);
			s.len += 10;
		} else {
			fuzz_poke(&g, s.addr + s.len, pfn, 4);
			s.len += 4;
		}
	}
	if (r->size)
		fuzz_offer(&g, r, &s, 1, 0);
}

static void op(void)
{
	uint8_t b = g.in.p[0];

	if ((b & 15) != 15) {
		fuzz_op(&g);
		return;
	}
	g.in.p++;
	switch (b >> 4) {
	case 0:
	case 1:
	case 2:
	case 3:
		offer_list(b >> 4 & 3, 1 + fuzz_below(&g.in, 16));
		break;
	case 4:
		virtio_balloon_set(&balloon, fuzz_value(&g.in) * 4096);
		break;
	case 5:
		virtio_balloon_trim(&balloon);
		break;
	case 6:
		virtio_balloon_ask_stats(&balloon);
		break;
	default:
		fuzz_pump(&g.fh, FUZZ_STEPS);
		break;
	}
}

static void still_works(void)
{
	struct fuzz_ring *r = &g.ring[BALLOON_Q_INFLATE];
	uint64_t pages = FUZZ_LOW + 0x2000;
	struct fuzz_req *req;
	uint32_t len;

	fuzz_calm(&g);
	fuzz_setup(&g, 0, UINT64_MAX, 16);
	memset(given, 0, sizeof(given));
	fuzz_poke(&g, pages, FUZZ_HIGH / 4096, 4);
	req = fuzz_offer(&g, r, &(struct fuzz_seg){ pages, 4, false }, 1, 0);
	fuzz_kick(&g, 0, BALLOON_Q_INFLATE);
	FUZZ_ASSERT(fuzz_used(&g, r, &len) == req); /* when the notification returns, it is done */
	FUZZ_ASSERT(given[page_of(FUZZ_HIGH / 4096)] == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);
	struct balloon_state state;

	fuzz_guest_now = NULL;
	for (unsigned i = 0; i < 2 && !worlds[1].n; i++)
		build(i);
	memset(given, 0, sizeof(given));
	fuzz_begin(&g, &worlds[how & 1], &in);
	while (fuzz_more(&g.in))
		op();
	fuzz_pump(&g.fh, FUZZ_STEPS);
	fuzz_check(&g, false);
	virtio_balloon_state(&balloon, &state);
	FUZZ_ASSERT(!state.driver || !(balloon.dev.status & VIRTIO_S_NEEDS_RESET));
	if (how & 2 || balloon.dev.status & VIRTIO_S_NEEDS_RESET)
		still_works();
	return 0;
}
