/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ranges.c - attacks on a disk by discard and write-zeroes (virtio 1.2, 5.2.6.2): how many ranges, how long, where, with
 * which flags, split over which descriptors; on the victim, and on disk 2, which is read-only.
 *
 * A request that asks for something wrong does nothing at all, also where its first ranges are in order.
 */
#include "hostile.h"

enum { T_OUT = 1, T_FLUSH = 4, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
#define MAX_RANGES 16         /* of a discard; write-zeroes has one (configuration space) */
#define MAX_DISCARD 0x400000u /* sectors of a range */
#define MAX_ZEROES  0x10000u

struct range { uint64_t sector; uint32_t num, flags; };

#define RANGES(t) ((volatile struct range *)((t)->buf + 4096))
#define DATA(t)   ((volatile uint32_t *)((t)->buf + 8192)) /* of 64 sectors, at SCRATCH */
#define SECTORS 32u
#define SCRATCH 1024u         /* the disk's part that is written here */

static uint64_t sectors(struct target *t)
{
	return mmio_r64(t->v.config);
}

static uint32_t word(uint32_t sector, uint32_t salt)
{
	return sector * 2654435761u + salt;
}

static bool write_scratch(struct target *t, uint32_t salt)
{
	for (uint32_t s = 0; s < SECTORS; s++)
		for (uint32_t i = 0; i < 128; i += 127)
			DATA(t)[s * 128 + i] = word(s, salt + i);
	return blk_do(t, T_OUT, SCRATCH, DATA(t), SECTORS * 512, true) == S_OK;
}

/* Is all as write_scratch() left it, but for sectors [FROM, TO), which are empty (or, MAYBE, as they were)? */
static bool scratch_is(struct target *t, uint32_t salt, uint32_t from, uint32_t to, bool maybe)
{
	if (blk_do(t, 0, SCRATCH, DATA(t), SECTORS * 512, false) != S_OK)
		return false;
	for (uint32_t s = 0; s < SECTORS; s++)
		for (uint32_t i = 0; i < 128; i += 127) {
			uint32_t v = DATA(t)[s * 128 + i];
			bool inside = s >= from && s < to, as_was = v == word(s, salt + i);

			if (inside ? v && !(maybe && as_was) : !as_was)
				return false;
		}
	return true;
}

static int ask(struct target *t, uint32_t type, unsigned n)
{
	return blk_do(t, type, 0, RANGES(t), n * 16, true);
}

static int ask_one(struct target *t, uint32_t type, uint64_t sector, uint32_t num, uint32_t flags)
{
	RANGES(t)[0] = (struct range){ sector, num, flags };
	return ask(t, type, 1);
}

/* A host whose file system has no holes says that it does not support discarding. */
static bool fine(int status, uint32_t type)
{
	return status == S_OK || (type == T_DISCARD && status == S_UNSUPP);
}

static bool how_many(struct target *t)
{
	static const unsigned few[] = { 1, 2, 15, 16 }, many[] = { 17, 18, 64, 256 };
	bool good = write_scratch(t, 1);

	for (unsigned i = 0; i < 256; i++)
		RANGES(t)[i] = (struct range){ SCRATCH + 8, 8, 0 };
	for (unsigned i = 0; good && i < ARRAY_SIZE(few); i++)
		good = fine(ask(t, T_DISCARD, few[i]), T_DISCARD) && (few[i] == 1) == (ask(t, T_ZEROES, few[i]) == S_OK);
	good = good && write_scratch(t, 2);
	for (unsigned i = 0; i < 256; i++)
		RANGES(t)[i] = (struct range){ SCRATCH + 8, 8, 0 };
	for (unsigned i = 0; good && i < ARRAY_SIZE(many); i++)
		good = ask(t, T_DISCARD, many[i]) == S_IOERR && ask(t, T_ZEROES, many[i]) == S_IOERR;
	return good && ask(t, T_ZEROES, 0) == S_IOERR && ask(t, T_DISCARD, 0) == S_IOERR && scratch_is(t, 2, 0, 0, false);
}

static bool how_long(struct target *t)
{
	static const uint64_t at[] = { 0, 1, 1ull << 32, (1ull << 54) - 1, 1ull << 54, (1ull << 55) - 1, 1ull << 55, 1ull << 63, ~0ull - 8,
				       ~0ull };
	static const uint32_t num[] = { 1, 8, 0x7fffffff, 0x80000000, 0xfffffff8, ~0u };
	uint64_t end = sectors(t);
	bool good = write_scratch(t, 3);

	for (uint32_t type = T_DISCARD; type <= T_ZEROES; type += T_ZEROES - T_DISCARD) {
		uint32_t most = type == T_ZEROES ? MAX_ZEROES : MAX_DISCARD;

		for (unsigned i = 0; good && i < ARRAY_SIZE(at); i++)
			for (unsigned k = 0; good && k < ARRAY_SIZE(num); k++)
				good = (i < 2 && k < 2) || ask_one(t, type, at[i], num[k], 0) == S_IOERR;
		good = good && ask_one(t, type, 0, most + 1, 0) == S_IOERR && ask_one(t, type, end, 1, 0) == S_IOERR &&
		       ask_one(t, type, end - 1, 2, 0) == S_IOERR && ask_one(t, type, end + 1, 0, 0) == S_IOERR &&
		       ask_one(t, type, end - 1, most, 0) == S_IOERR;
		/* Of nothing, up to the very end. */
		good = good && ask_one(t, type, end, 0, 0) != S_UNSUPP && fine(ask_one(t, type, end - 1, 1, 0), type);
	}
	return good && scratch_is(t, 3, 0, 0, false);
}

static bool which_flags(struct target *t)
{
	bool good = write_scratch(t, 4);

	for (unsigned bit = 0; good && bit < 32; bit++)
		good = ask_one(t, T_DISCARD, SCRATCH, 8, 1u << bit) == S_UNSUPP &&
		       (!bit || ask_one(t, T_ZEROES, SCRATCH, 8, 1u << bit) == S_UNSUPP);
	good = good && ask_one(t, T_ZEROES, SCRATCH, 8, ~0u) == S_UNSUPP && scratch_is(t, 4, 0, 0, false);
	return good && ask_one(t, T_ZEROES, SCRATCH, 8, 1) == S_OK && scratch_is(t, 4, 0, 8, false);
}

/* Sectors that are no block of the host's: exactly those, and none beside them. */
static bool out_of_step(struct target *t)
{
	bool good = true;

	for (uint32_t from = 1; good && from < 18; from += 5)
		for (uint32_t n = 1; good && n < 12; n += 5) {
			good = write_scratch(t, from) && ask_one(t, T_ZEROES, SCRATCH + from, n, from & 1) == S_OK &&
			       scratch_is(t, from, from, from + n, false);
			good = good && write_scratch(t, from) && fine(ask_one(t, T_DISCARD, SCRATCH + from, n, 0), T_DISCARD) &&
			       scratch_is(t, from, from, from + n, true);
		}
	return good;
}

/* The last of them is wrong: none is done. */
static bool last_is_wrong(struct target *t)
{
	const struct range wrong[] = { { sectors(t), 1, 0 }, { ~0ull, 8, 0 }, { 0, MAX_DISCARD + 1, 0 }, { SCRATCH, 8, 1 }, { SCRATCH, 8, 1u << 31 } };
	bool good = write_scratch(t, 5);

	for (unsigned i = 0; good && i < ARRAY_SIZE(wrong); i++) {
		for (unsigned k = 0; k < MAX_RANGES; k++)
			RANGES(t)[k] = (struct range){ SCRATCH + k, 1, 0 };
		RANGES(t)[MAX_RANGES - 1] = wrong[i];
		good = ask(t, T_DISCARD, MAX_RANGES) == (i < 3 ? S_IOERR : S_UNSUPP);
	}
	return good && scratch_is(t, 5, 0, 0, false);
}

/* Header and range in pieces of LEN bytes, of any length that fits the ring's indirect table. */
static int ask_torn(struct target *t, uint32_t type, uint32_t len, uint32_t range_len)
{
	volatile uint32_t *h = (volatile uint32_t *)t->buf;
	struct vqueue *q = target_queue(t);
	uint16_t before = q->used->idx;
	unsigned n = 0;

	h[0] = type;
	h[1] = h[2] = h[3] = 0;
	*(volatile struct range *)(h + 4) = (struct range){ SCRATCH + 8, 8, 0 };
	t->buf[64] = 0xee;
	for (uint32_t off = 0; off < 16 + range_len; off += len, n++)
		t->table[n] = (struct vdesc){ (uint64_t)t->buf + off, len < 16 + range_len - off ? len : 16 + range_len - off, VD_NEXT,
					      (uint16_t)(n + 1) };
	t->table[n++] = (struct vdesc){ (uint64_t)t->buf + 64, 1, VD_WRITE, 0 };
	vq_desc(q, 0, (uint64_t)t->table, n * 16, VD_INDIRECT, 0);
	vq_offer(q, 0);
	vq_ring_bell(q);
	for (uint64_t end = deadline_ms(4000); q->used->idx == before; cpu_relax())
		if (expired(end))
			return -1;
	return t->buf[64];
}

static bool torn_requests(struct target *t)
{
	static const uint32_t len[] = { 1, 2, 3, 5, 7, 11, 15, 17, 31, 32 };
	bool good = true;

	for (unsigned i = 0; good && i < ARRAY_SIZE(len); i++)
		good = write_scratch(t, i) && ask_torn(t, T_ZEROES, len[i], 16) == S_OK && scratch_is(t, i, 8, 16, false);
	good = good && write_scratch(t, 20);
	for (unsigned i = 0; good && i < ARRAY_SIZE(len); i++)
		for (uint32_t type = T_DISCARD; good && type <= T_ZEROES; type += T_ZEROES - T_DISCARD)
			good = ask_torn(t, type, len[i], 15) == S_IOERR && ask_torn(t, type, len[i], 17) == S_IOERR;
	/* To be read from where the device is to write. */
	good = good && blk_do(t, T_ZEROES, 0, RANGES(t), 16, false) == S_IOERR;
	return good && scratch_is(t, 20, 0, 0, false);
}

static bool not_negotiated(struct target *t)
{
	bool good = write_scratch(t, 6);

	target_start_with(t, VF_INDIRECT);
	good = good && ask_one(t, T_DISCARD, SCRATCH, 8, 0) == S_UNSUPP && ask_one(t, T_ZEROES, SCRATCH, 8, 0) == S_UNSUPP;
	target_start(t);
	return good && scratch_is(t, 6, 0, 0, false);
}

/* Sector N of that disk holds what the host half wrote: word I of it is N * 2654435761 + I. */
static bool read_only_disk(struct target *t)
{
	static struct target ro = { .name = "read-only disk", .kind = VIRTIO_BLK, .nth = 2, .n_queues = 1 };
	bool good = true;

	ro.chain = t->chain;
	ro.done = t->done;
	ro.want = t->want;
	if (!ro.buf && !target_open(&ro))
		return true;
	target_start(&ro);
	for (uint32_t sector = 0; good && sector < 16; sector += 8) {
		good = ask_one(&ro, T_DISCARD, sector, 8, 0) != S_OK && ask_one(&ro, T_ZEROES, sector, 8, 0) != S_OK &&
		       ask_one(&ro, T_ZEROES, sector, 8, 1) != S_OK && blk_do(&ro, T_OUT, sector, DATA(&ro), 4096, true) == S_IOERR;
		good = good && blk_do(&ro, 0, sector, DATA(&ro), 4096, false) == S_OK && DATA(&ro)[0] == sector * 2654435761u &&
		       DATA(&ro)[1023] == (sector + 7) * 2654435761u + 127;
	}
	return good && target_recovers(&ro);
}

const struct attack range_attacks[] = {
	{ "too many ranges, and none", WORKS, how_many, 0, false },
	{ "ranges near 2^32 and 2^64, and over the end", WORKS, how_long, 0, false },
	{ "flags that are reserved", WORKS, which_flags, 0, false },
	{ "ranges out of step with blocks", WORKS, out_of_step, 0, false },
	{ "sixteen ranges, the last wrong", WORKS, last_is_wrong, 0, false },
	{ "headers and ranges in pieces", WORKS, torn_requests, 0, false },
	{ "discard and write-zeroes not negotiated", WORKS, not_negotiated, 0, false },
	{ "a read-only disk", WORKS, read_only_disk, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
