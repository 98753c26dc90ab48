/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_blk.c - virtio-blk behind virtio_pci, on disk_raw, with an entropy device beside it.
 *
 * The first byte chooses: read-only or not, and tame or not.  Tame: a correct driver on a failing host; every answer,
 * every byte of guest memory and of the image is checked.  Else: any guest at all.  A device that broke, or every one if
 * the input says so, is brought back by a reset; and the other device has not noticed.
 */
#include <malloc.h>
#include "disk.h"
#include "fuzz_guest.h"
#include "virtio_blk.h"
#include "virtio_rng.h"

const char fuzz_name[] = "blk";

#define SECTORS    16
#define IMAGE_SIZE (SECTORS * 512)
#define QUEUE      0
#define TABLES     (FUZZ_HIGH + 0xc00) /* tame: indirect tables, by turns */
#define DATA       (FUZZ_LOW + 0x2000)  /* tame: where buffers come from */
#define DATA_END   (FUZZ_LOW + FUZZ_LOW_SIZE)

enum { T_IN, T_OUT, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };

static struct fuzz_guest g;
static struct virtio_blk blk;
static struct virtio_rng rng;
static struct disk *disk;
static uint8_t image[IMAGE_SIZE], model[IMAGE_SIZE];
static struct fuzz_world worlds[2]; /* writable, read-only */

static struct {
	uint64_t brk;
	unsigned tables;
} tame;

static void build(bool ro)
{
	const struct virtio_blk_opts opts = { .serial = "serial", .queues = 1 };
	struct fuzz_world *w = &worlds[ro];

	fuzz_guest_init(&g);
	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		image[i] = (uint8_t)(i ^ (i >> 9) * 7);
	g.fh.file = image;
	g.fh.file_len = g.fh.file_size = IMAGE_SIZE;
	FUZZ_ASSERT(!disk_raw_open(&disk, &g.fh.h, "image", ro ? DISK_RO : 0, NULL));
	FUZZ_ASSERT(!virtio_blk_init(&blk, "disk 0", disk, &opts, &g.mem, &g.loop, &g.log, NULL));
	fuzz_add(&g, &blk.dev);
	virtio_rng_init(&rng, "rng", &g.mem, &g.loop, &g.log);
	fuzz_add(&g, &rng.dev);
	g.fh.file_ro = ro;
	fuzz_keep(w, &blk, sizeof(blk));
	fuzz_keep(w, &rng, sizeof(rng));
	fuzz_keep(w, &disk, sizeof(disk));
	fuzz_keep(w, disk, malloc_usable_size(disk));
	fuzz_keep(w, image, sizeof(image));
	fuzz_keep_guest(w, &g);
}

/* ---- tame --------------------------------------------------------------------------------------------------------- */

static uint64_t take_memory(uint32_t len)
{
	uint64_t at = tame.brk;

	if (at + len >= DATA_END) /* an empty buffer has an address too */
		at = DATA;
	tame.brk = at + len;
	return at;
}

/* Cuts LEN bytes at ADDR into segments as the input says; returns how many, at most MAX. */
static unsigned cut(struct fuzz_seg *s, unsigned max, uint64_t addr, uint32_t len, bool in)
{
	unsigned n = 0;

	while (len) {
		uint32_t part = 1 + fuzz_u8(&g.in) * 8u;

		part = n + 1 == max ? len : MIN(len, part);
		s[n++] = (struct fuzz_seg){ addr, part, in };
		addr += part;
		len -= part;
	}
	return n;
}

/* tag[0]: type; tag[1]: sector; tag[2]: data address.  seg[] has all of them; the last one ends with the status. */
static void tame_request(void)
{
	static const uint8_t types[] = { T_IN, T_OUT, T_IN, T_OUT, T_FLUSH, T_GET_ID, T_DISCARD, T_WRITE_ZEROES, 99 };
	struct fuzz_ring *r = &g.ring[QUEUE];
	uint32_t type = types[fuzz_below(&g.in, ARRAY_SIZE(types))], len = fuzz_below(&g.in, 5) * 512, in_len = 1;
	uint64_t sector = fuzz_u8(&g.in) == 255 ? fuzz_value(&g.in) : fuzz_below(&g.in, SECTORS + 2), at, data;
	struct fuzz_seg s[FUZZ_CHAIN_MAX];
	bool indirect = fuzz_u8(&g.in) & 1;
	struct fuzz_req *req;
	unsigned n;

	if (type == T_GET_ID)
		len = 20;
	if (type == T_DISCARD || type == T_WRITE_ZEROES)
		len = 16;
	/* The header and what the device reads, then what it writes and the status: each in one piece, cut anywhere. */
	at = take_memory(16 + len);
	data = at + 16;
	store_le32(fuzz_ptr(&g, at, 4), type);
	store_le64(fuzz_ptr(&g, at + 8, 8), sector);
	if (type == T_IN || type == T_GET_ID)
		in_len += len;
	else
		memset(fuzz_ptr(&g, data, len), fuzz_u8(&g.in), len);
	if (type == T_DISCARD || type == T_WRITE_ZEROES) {
		store_le64(fuzz_ptr(&g, data, 8), sector);
		store_le32(fuzz_ptr(&g, data + 8, 4), fuzz_below(&g.in, 6));
		store_le32(fuzz_ptr(&g, data + 12, 4), fuzz_u8(&g.in) & 1);
	}
	n = cut(s, 4, at, in_len > 1 ? 16 : 16 + len, false);
	at = take_memory(in_len);
	if (in_len > 1)
		data = at;
	memset(fuzz_ptr(&g, at, in_len), 0xee, in_len);
	n += cut(s + n, 4, at, in_len, true);
	req = fuzz_offer(&g, r, s, n, indirect ? TABLES + 128 * (tame.tables++ % 8) : 0);
	req->tag[0] = type | (uint64_t)len << 32;
	req->tag[1] = sector;
	req->tag[2] = data;
}

static void tame_answer(const struct fuzz_req *req, uint32_t written)
{
	const struct fuzz_seg *last = &req->seg[req->n - 1];
	uint8_t status = *fuzz_ptr(&g, last->addr + last->len - 1, 1);
	uint32_t type = (uint32_t)req->tag[0], len = (uint32_t)(req->tag[0] >> 32);
	uint64_t off = req->tag[1] * 512, in_len = 0;
	bool inside = req->tag[1] <= SECTORS && off + len <= IMAGE_SIZE;
	const uint8_t *data = fuzz_ptr(&g, req->tag[2], len);

	for (unsigned i = 0; i < req->n; i++)
		in_len += req->seg[i].in ? req->seg[i].len : 0;
	FUZZ_ASSERT(status <= 2);
	FUZZ_ASSERT(written <= in_len);
	FUZZ_ASSERT(status || written == in_len); /* all is well: then all was written, the status last */
	FUZZ_ASSERT((status == 2) == (type == 99) || type == T_DISCARD || type == T_WRITE_ZEROES);
	if (type == T_IN && !status) {
		FUZZ_ASSERT(inside);
		FUZZ_ASSERT(!memcmp(data, image + off, len));
	}
	if (type == T_OUT) {
		FUZZ_ASSERT(status || (inside && !g.fh.file_ro));
		if (inside && status) /* may be half done */
			memcpy(model + off, image + off, len);
		else if (!status)
			memcpy(model + off, data, len);
	}
	if (type == T_DISCARD || type == T_WRITE_ZEROES) {
		FUZZ_ASSERT(status || !g.fh.file_ro);
		if (off < IMAGE_SIZE)
			memcpy(model + off, image + off, MIN(512u * load_le32(data + 8), IMAGE_SIZE - off));
	}
	if (type == T_GET_ID && !status)
		FUZZ_ASSERT(!memcmp(data, "serial\0\0", 8));
}

/*
 * Lets the device work on what is offered.  Requests are worked on one after the other, so that what a later one does to
 * the image is not there yet when an earlier one is looked at: one is offered at a time, but for those that do not count.
 */
static void tame_run(void)
{
	struct fuzz_ring *r = &g.ring[QUEUE];
	struct fuzz_req *req;
	uint32_t written;

	fuzz_memory_mark(&g);
	fuzz_kick(&g, 0, QUEUE);
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS);
	while ((req = fuzz_used(&g, r, &written))) {
		tame_answer(req, written);
		for (unsigned i = 0; i < req->n; i++)
			if (req->seg[i].in)
				fuzz_may_write(&g, req->seg[i].addr, req->seg[i].len);
	}
	fuzz_may_write_ring(&g, r);
	fuzz_memory_same(&g);
	FUZZ_ASSERT(r->used_seen == r->avail_idx);
	FUZZ_ASSERT(!(blk.dev.status & VIRTIO_S_NEEDS_RESET));
}

static void tame_setup(void)
{
	uint8_t b = fuzz_u8(&g.in);

	fuzz_setup(&g, 0, b & 1 ? UINT64_MAX : ~VIRTIO_F_EVENT_IDX, (uint16_t)(b & 2 ? 8 : 32));
	if (b & 4)
		fuzz_msix_on(&g, 0);
	tame.brk = DATA;
}

static void tame_program(void)
{
	memcpy(model, image, sizeof(model));
	tame.tables = 0;
	tame_setup();
	while (fuzz_more(&g.in)) {
		switch (fuzz_u8(&g.in) & 7) {
		case 0:
			fuzz_plan_fault(&g);
			break;
		case 1:
			g.fh.max_io = fuzz_u8(&g.in) * 4u;
			break;
		case 2:
			tame_setup();
			break;
		default:
			tame_request();
			tame_run();
			break;
		}
	}
	FUZZ_ASSERT(!memcmp(model, image, sizeof(model)));
}

/* ---- wild --------------------------------------------------------------------------------------------------------- */

/* A request with a header that means something, in buffers that may mean nothing. */
static void wild_request(void)
{
	struct fuzz_ring *r = &g.ring[QUEUE];
	uint64_t at = fuzz_gpa(&g.in);
	struct fuzz_seg s[FUZZ_CHAIN_MAX] = { { at, 16, false } };
	unsigned n = 1 + fuzz_below(&g.in, 4);

	fuzz_poke(&g, at, fuzz_u8(&g.in) & 15, 4);
	fuzz_poke(&g, at + 8, fuzz_value(&g.in), 8);
	for (unsigned i = 1; i < n; i++) {
		uint8_t b = fuzz_u8(&g.in);

		s[i] = (struct fuzz_seg){ fuzz_gpa(&g.in), b & 2 ? (b >> 2) * 64u : b >> 2, b & 1 };
	}
	if (r->size)
		fuzz_offer(&g, r, s, n, 0);
}

static void wild_program(void)
{
	while (fuzz_more(&g.in)) {
		switch (g.in.p[0] & 15) {
		case 7:
			g.in.p++;
			wild_request();
			break;
		case 15:
			if (g.in.p[0] & 0x10) { /* the image shrinks, and grows again */
				g.in.p++;
				g.fh.file_len = fuzz_u16(&g.in) % (IMAGE_SIZE + 1);
				break;
			}
			__attribute__((fallthrough));
		default:
			fuzz_op(&g);
			break;
		}
	}
	fuzz_pump(&g.fh, FUZZ_STEPS);
	fuzz_check(&g, true);
}

/* Whatever came before: reset, one read, one answer. */
static void still_works(unsigned dev)
{
	struct fuzz_ring *r = &g.ring[0];
	struct fuzz_seg s[3] = { { DATA, 16, false }, { DATA + 512, 512, true }, { DATA + 1024, 1, true } };
	struct fuzz_req *req;
	uint32_t len;

	fuzz_calm(&g);
	g.fh.file_len = IMAGE_SIZE;
	fuzz_setup(&g, dev, UINT64_MAX, 16);
	memset(fuzz_ptr(&g, DATA, 16), 0, 16);
	req = fuzz_offer(&g, r, dev ? s + 1 : s, dev ? 1 : 3, 0);
	fuzz_kick(&g, dev, 0);
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS);
	FUZZ_ASSERT(fuzz_used(&g, r, &len) == req);
	FUZZ_ASSERT(len == (dev ? 512 : 513));
	if (dev)
		FUZZ_ASSERT(*fuzz_ptr(&g, DATA + 512, 1) == 0x5a);
	else
		FUZZ_ASSERT(!*fuzz_ptr(&g, DATA + 1024, 1) && !memcmp(fuzz_ptr(&g, DATA + 512, 512), image, 512));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_guest_now = NULL;
	for (unsigned i = 0; i < 2 && !worlds[1].n; i++)
		build(i);
	fuzz_begin(&g, &worlds[how & 1], &in);
	if (how & 2)
		tame_program();
	else
		wild_program();
	if (how & 4 || blk.dev.status & VIRTIO_S_NEEDS_RESET) {
		still_works(0);
		still_works(1);
	}
	FUZZ_ASSERT(!g.fh.file_ro || !memcmp(image, worlds[1].kept[4].copy, sizeof(image)));
	return 0;
}
