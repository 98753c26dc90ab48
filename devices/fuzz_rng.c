/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_rng.c - virtio-rng behind virtio_pci; the simplest class, so what is tried here is the transport and the core:
 * registers, status, queues, notifications, MSI-X.  A second device beside it stays as it is.
 *
 * The first byte chooses: tame (a correct driver on a failing host; every byte of guest memory is checked) or any guest.
 */
#include "fuzz_guest.h"
#include "virtio_rng.h"

const char fuzz_name[] = "rng";

#define DATA     (FUZZ_LOW + 0x2000)
#define DATA_END (FUZZ_LOW + FUZZ_LOW_SIZE)

static struct fuzz_guest g;
static struct virtio_rng rng[2];
static struct fuzz_world world;

static void build(void)
{
	fuzz_guest_init(&g);
	for (unsigned i = 0; i < 2; i++) {
		virtio_rng_init(&rng[i], i ? "rng 1" : "rng 0", &g.mem, &g.loop, &g.log);
		fuzz_add(&g, &rng[i].dev);
	}
	fuzz_keep(&world, rng, sizeof(rng));
	fuzz_keep_guest(&world, &g);
}

static void check_answer(const struct fuzz_req *req, uint32_t written)
{
	uint64_t room = 0, left = written;

	for (unsigned i = 0; i < req->n; i++) {
		const struct fuzz_seg *s = &req->seg[i];
		const uint8_t *p = fuzz_ptr(&g, s->addr, s->len);

		if (!s->in)
			continue;
		room += s->len;
		for (uint32_t b = 0; b < s->len; b++)
			FUZZ_ASSERT(p[b] == (b < left ? 0x5a : 0xee)); /* what is said to be written is, and no more */
		left -= MIN(left, s->len);
		fuzz_may_write(&g, s->addr, s->len);
	}
	FUZZ_ASSERT(written <= room);
}

/* Offers up to a queue full, lets the device work, looks at all. */
static void tame_batch(void)
{
	struct fuzz_ring *r = &g.ring[0];
	unsigned n = 1 + fuzz_below(&g.in, 8), used = 0;
	uint64_t brk = DATA;
	struct fuzz_req *req;
	uint32_t written;

	while (n--) {
		struct fuzz_seg s[2];
		uint8_t b = fuzz_u8(&g.in);
		unsigned k = 1 + (b & 1);

		if (used + k > r->size)
			break;
		used += k;
		for (unsigned i = 0; i < k; i++) {
			s[i] = (struct fuzz_seg){ brk, (uint32_t)fuzz_u8(&g.in) * (b & 4 ? 2 : 1), i || !(b & 2) };
			brk += s[i].len;
			memset(fuzz_ptr(&g, s[i].addr, s[i].len), 0xee, s[i].len);
		}
		fuzz_offer(&g, r, s, k, b & 8 ? FUZZ_HIGH + 64 * used : 0);
	}
	FUZZ_ASSERT(brk <= DATA_END);
	fuzz_memory_mark(&g);
	fuzz_kick(&g, 0, 0);
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS);
	while ((req = fuzz_used(&g, r, &written)))
		check_answer(req, written);
	fuzz_may_write_ring(&g, r);
	fuzz_memory_same(&g);
	FUZZ_ASSERT(r->used_seen == r->avail_idx);
}

static void tame_program(void)
{
	uint8_t b = fuzz_u8(&g.in);

	fuzz_setup(&g, 0, b & 1 ? UINT64_MAX : ~VIRTIO_F_EVENT_IDX, (uint16_t)(2u << (b >> 1 & 3)));
	if (b & 8)
		fuzz_msix_on(&g, 0);
	while (fuzz_more(&g.in)) {
		switch (fuzz_u8(&g.in) & 3) {
		case 0:
			fuzz_plan_fault(&g);
			break;
		case 1:
			g.fh.max_io = fuzz_u8(&g.in);
			break;
		default:
			tame_batch();
			break;
		}
	}
}

/* After a reset, one request; device 1 was left alone. */
static void still_works(unsigned dev)
{
	struct fuzz_seg s = { DATA, 64, true };
	struct fuzz_req *req;
	uint32_t len;

	fuzz_calm(&g);
	fuzz_setup(&g, dev, UINT64_MAX, 16);
	req = fuzz_offer(&g, &g.ring[0], &s, 1, 0);
	fuzz_kick(&g, dev, 0);
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS);
	FUZZ_ASSERT(fuzz_used(&g, &g.ring[0], &len) == req && len == 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_guest_now = NULL;
	if (!world.n)
		build();
	fuzz_begin(&g, &world, &in);
	if (how & 1) {
		tame_program();
	} else {
		while (fuzz_more(&g.in))
			fuzz_op(&g);
		fuzz_pump(&g.fh, FUZZ_STEPS);
	}
	fuzz_check(&g, true);
	if (how & 2 || rng[0].dev.status & VIRTIO_S_NEEDS_RESET) {
		still_works(0);
		still_works(1);
	}
	return 0;
}
