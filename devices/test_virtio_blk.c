/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_blk.c - every request comes back with the right status, however the driver lays it out and whatever it asks
 * for; and what the device says of itself.  Many at a time: test_virtio_blk_many.c.
 */
#include "test_blk.h"

START_TEST(read_write)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	uint8_t buf[1536];
	struct td_seg in = td_in(&r->t, sizeof(buf)), out;
	uint32_t len;

	r->indirect = _i;
	ck_assert_uint_eq(request(r, T_IN, 3, &in, &len), OK);
	ck_assert_uint_eq(len, sizeof(buf) + 1);
	ck_assert_mem_eq(td_ptr(&r->t, in.addr), r->disk.data + 3 * 512, sizeof(buf));
	memset(buf, 0x5a, sizeof(buf));
	out = td_out(&r->t, buf, sizeof(buf));
	ck_assert_uint_eq(request(r, T_OUT, SECTORS - 3, &out, &len), OK);
	ck_assert_uint_eq(len, 1);
	ck_assert_mem_eq(r->disk.data + SIZE - sizeof(buf), buf, sizeof(buf));
	ck_assert_uint_eq(request(r, T_FLUSH, 0, NULL, &len), OK);
	ck_assert_uint_eq(r->disk.flushes, 1);
	ck_assert_uint_gt(r->t.queue_irqs[0], 0);
	rig_free(r);
}
END_TEST

/* Field boundaries and segment boundaries have nothing to do with each other (virtio 1.2, 2.7.4.1). */
START_TEST(any_layout)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct header h = { T_OUT, 0, 8 };
	uint8_t all[16 + 1024];
	uint32_t len;

	memset(all, 0x77, sizeof(all));
	memcpy(all, &h, 16);
	for (unsigned cut = 1; cut < sizeof(all); cut += cut < 20 ? 1 : 501) {
		struct td_seg s[] = { td_out(&r->t, all, cut), td_out(&r->t, "", 0),
				      td_out(&r->t, all + cut, (uint32_t)sizeof(all) - cut), td_in(&r->t, 1) };

		memset(r->disk.data + 8 * 512, 0, 1024);
		ck_assert_uint_eq(submit(r, s, 4, &len), OK);
		ck_assert_mem_eq(r->disk.data + 8 * 512, all + 16, 1024);
	}

	/* Data and status in one segment, and the status alone behind an odd cut. */
	h.type = T_IN;
	for (unsigned cut = 1; cut <= 513; cut += 256) {
		struct td_seg s[] = { td_out(&r->t, &h, 16), td_in(&r->t, 513 - cut), td_in(&r->t, cut) };

		ck_assert_uint_eq(submit(r, s, 3, &len), OK);
		ck_assert_uint_eq(len, 513);
		ck_assert_mem_eq(td_ptr(&r->t, s[1].addr), r->disk.data + 8 * 512, s[1].len);
		ck_assert_mem_eq(td_ptr(&r->t, s[2].addr), r->disk.data + 8 * 512 + s[1].len, s[2].len - 1);
	}
	rig_free(r);
}
END_TEST

START_TEST(beyond_the_end)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
		uint8_t status;
	} c[] = {
		{ SECTORS - 1, 512, OK },
		{ SECTORS - 2, 1024, OK },
		{ SECTORS - 1, 1024, IOERR },
		{ SECTORS, 512, IOERR },
		{ SECTORS, 0, OK },
		{ SECTORS + 1, 0, IOERR },
		{ 1ull << 55, 512, IOERR },         /* the byte offset wraps to 0 */
		{ (1ull << 55) - 1, 512, IOERR },   /* its end does */
		{ (1ull << 54) + 1, 512, IOERR },   /* negative as off_t */
		{ ~0ull, 512, IOERR },
		{ 0, 511, IOERR },
		{ 0, 513, IOERR },
		{ 0, 1, IOERR },
	};
	struct rig *r = rig_new(false, ALL_FEATURES);
	uint8_t zeroes[2048] = { 0 }, before[512];
	uint32_t len;

	memcpy(before, r->disk.data, sizeof(before));
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
		struct td_seg in = td_in(&r->t, c[i].len), out = td_out(&r->t, zeroes, c[i].len);

		ck_assert_uint_eq(request(r, T_IN, c[i].sector, &in, &len), c[i].status);
		ck_assert_uint_eq(len, c[i].status == OK || !c[i].len ? c[i].len + 1 : 0);
		ck_assert_uint_eq(request(r, T_OUT, c[i].sector, &out, &len), c[i].status);
	}
	ck_assert_mem_eq(r->disk.data, before, sizeof(before));
	rig_free(r);
}
END_TEST

START_TEST(failures)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct td_seg in = td_in(&r->t, 512), out = td_out(&r->t, "", 1), out512;
	uint8_t sector[512] = { 0 };
	uint32_t len;

	out512 = td_out(&r->t, sector, 512);
	r->disk.fail = -EIO;
	ck_assert_uint_eq(request(r, T_IN, 0, &in, &len), IOERR);
	ck_assert_uint_eq(len, 0); /* there is no data to trust */
	r->disk.fail = -ENOSPC;
	ck_assert_uint_eq(request(r, T_OUT, 0, &out512, &len), IOERR);
	r->disk.fail = -EIO;
	ck_assert_uint_eq(request(r, T_FLUSH, 0, NULL, &len), IOERR);
	ck_assert_uint_eq(request(r, T_IN, 0, &in, &len), OK);

	/* What is not known is answered too: old SCSI, secure erase (not offered), nonsense. */
	for (unsigned i = 0; i < 40; i++) {
		uint32_t type = i < 32 ? i : 0x80000000u << (i - 32);

		if (type == T_IN || type == T_OUT || type == T_FLUSH || type == T_GET_ID || type == T_DISCARD || type == T_ZEROES)
			continue;
		ck_assert_uint_eq(request(r, type, 0, &in, &len), UNSUPP);
		ck_assert_uint_eq(request(r, type, 0, &out, &len), UNSUPP);
	}

	/* A header that is too short, or all missing. */
	for (unsigned n = 0; n < 16; n++) {
		struct td_seg s[] = { td_out(&r->t, sector, n), td_in(&r->t, 1) };

		ck_assert_uint_eq(submit(r, s, 2, &len), IOERR);
	}
	ck_assert_uint_eq(submit(r, &in, 1, &len), IOERR);
	ck_assert_uint_eq(r->disk.disk.errors, 3); /* only what the host failed */
	rig_free(r);
}
END_TEST

START_TEST(no_room_for_status)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct header h = { T_FLUSH, 0, 0 };
	struct td_seg s = td_out(&r->t, &h, sizeof(h)), in;
	uint32_t len;

	td_offer(&r->t, &r->t.ring[0], &s, 1);
	td_kick(&r->t, 0);
	ck_assert(virtio_status(&r->blk.dev) & VIRTIO_S_NEEDS_RESET);
	ck_assert_uint_eq(r->t.config_irqs, 1);
	ck_assert_uint_eq(r->t.log.guest_faults, 1);
	td_kick(&r->t, 0); /* broken: nothing happens any more */
	ck_assert_uint_eq(r->disk.flushes, 0);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[0], &len), -1);
	/* A reset heals it. */
	td_start(&r->t, &r->blk.dev, ALL_FEATURES);
	in = td_in(&r->t, 512);
	ck_assert_uint_eq(request(r, T_IN, 0, &in, &len), OK);
	rig_free(r);
}
END_TEST

START_TEST(read_only)
{
	struct rig *r = rig_new(true, (ALL_FEATURES & ~ZERO_FEATURES) | BIT_ULL(5));
	uint8_t zeroes[512] = { 0 };
	struct td_seg in = td_in(&r->t, 512), out = td_out(&r->t, zeroes, 512);
	uint32_t len;

	ck_assert(virtio_features(&r->blk.dev, 0) & BIT(5));
	ck_assert_uint_eq(request(r, T_OUT, 0, &out, &len), IOERR);
	ck_assert_uint_eq(r->disk.writes, 0);
	ck_assert_uint_eq(request(r, T_IN, 0, &in, &len), OK);
	ck_assert_uint_eq(request(r, T_FLUSH, 0, NULL, &len), OK);
	rig_free(r);
}
END_TEST

/* Who did not take VIRTIO_BLK_F_FLUSH has no way to flush: each write is safe when it is done. */
START_TEST(write_through)
{
	struct rig *r = rig_new(false, 0);
	uint8_t zeroes[512] = { 0 };
	struct td_seg out = td_out(&r->t, zeroes, 512);
	uint32_t len;

	ck_assert_uint_eq(request(r, T_OUT, 0, &out, &len), OK);
	ck_assert_uint_eq(r->disk.flushes, 1);
	rig_free(r);
	r = rig_new(false, BIT_ULL(9));
	out = td_out(&r->t, zeroes, 512);
	ck_assert_uint_eq(request(r, T_OUT, 0, &out, &len), OK);
	ck_assert_uint_eq(r->disk.flushes, 0);
	rig_free(r);
}
END_TEST

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

START_TEST(discard_and_zeroes)
{
	static const struct {
		uint32_t type;
		struct range r;
		uint8_t status;
	} cases[] = {
		{ T_ZEROES, { 8, 4, 0 }, OK },
		{ T_ZEROES, { 8, 4, 1 }, OK },
		{ T_ZEROES, { 8, 4, 2 }, UNSUPP },
		{ T_ZEROES, { SECTORS - 4, 4, 1 }, OK },
		{ T_ZEROES, { SECTORS - 4, 5, 1 }, IOERR },
		{ T_ZEROES, { 0, (1 << 16) + 1, 0 }, IOERR },
		{ T_ZEROES, { UINT64_MAX / 512, 4, 0 }, IOERR },
		{ T_ZEROES, { UINT64_MAX, 1, 0 }, IOERR },
		{ T_ZEROES, { 3, 0, 0 }, OK },
		{ T_DISCARD, { 8, 4, 0 }, OK },
		{ T_DISCARD, { 8, 4, 1 }, UNSUPP },
		{ T_DISCARD, { 0, UINT32_MAX, 0 }, IOERR },
		{ T_DISCARD, { SECTORS, 1, 0 }, IOERR },
	};
	struct rig *r = rig_new(false, ALL_FEATURES);
	uint32_t len;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct td_seg out = td_out(&r->t, &cases[i].r, sizeof(cases[i].r));
		unsigned before = r->disk.zeroes;

		ck_assert_uint_eq(request(r, cases[i].type, 0, &out, &len), cases[i].status);
		ck_assert_uint_eq(len, 1);
		ck_assert_uint_eq(r->disk.zeroes - before, cases[i].status == OK && cases[i].r.sectors);
	}
	for (unsigned i = 8 * 512; i < 12 * 512; i++)
		ck_assert_uint_eq(r->disk.data[i], 0);
	ck_assert_uint_eq(r->disk.data[12 * 512], (uint8_t)12);
	rig_free(r);
}
END_TEST

/* Several ranges in a discard, one in write zeroes; half a range is none; a read-only disk takes neither. */
START_TEST(ranges)
{
	struct range many[17];
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct td_seg out;
	uint32_t len;

	for (unsigned i = 0; i < 17; i++)
		many[i] = (struct range){ 2 * i, 1, 0 };
	out = td_out(&r->t, many, 16 * sizeof(many[0]));
	ck_assert_uint_eq(request(r, T_DISCARD, 0, &out, &len), OK);
	ck_assert_uint_eq(r->disk.discards, 16);
	out = td_out(&r->t, many, 17 * sizeof(many[0]));
	ck_assert_uint_eq(request(r, T_DISCARD, 0, &out, &len), IOERR);
	out = td_out(&r->t, many, 2 * sizeof(many[0]));
	ck_assert_uint_eq(request(r, T_ZEROES, 0, &out, &len), IOERR);
	out = td_out(&r->t, many, 24);
	ck_assert_uint_eq(request(r, T_DISCARD, 0, &out, &len), IOERR);
	ck_assert_uint_eq(request(r, T_DISCARD, 0, NULL, &len), IOERR);
	ck_assert_uint_eq(r->disk.discards, 16);
	out = td_out(&r->t, many, sizeof(many[0]));
	r->disk.fail = -EOPNOTSUPP;
	ck_assert_uint_eq(request(r, T_DISCARD, 0, &out, &len), UNSUPP);
	r->disk.fail = -ENOSPC;
	ck_assert_uint_eq(request(r, T_ZEROES, 0, &out, &len), IOERR);
	rig_free(r);

	r = rig_new(false, VIRTIO_F_EVENT_IDX); /* not negotiated: not known */
	out = td_out(&r->t, many, sizeof(many[0]));
	ck_assert_uint_eq(request(r, T_ZEROES, 0, &out, &len), UNSUPP);
	rig_free(r);
	r = rig_new(true, BIT_ULL(9));
	ck_assert_uint_eq(virtio_features(&r->blk.dev, 0) & (BIT(13) | BIT(14)), 0);
	rig_free(r);
}
END_TEST

START_TEST(get_id)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct td_seg in = td_in(&r->t, 20), shorter = td_in(&r->t, 6), longer = td_in(&r->t, 64);
	uint32_t len;

	ck_assert_uint_eq(request(r, T_GET_ID, 0, &in, &len), OK);
	ck_assert_uint_eq(len, 21);
	ck_assert_mem_eq(td_ptr(&r->t, in.addr), "serial-number\0\0\0\0\0\0\0", 20);
	ck_assert_uint_eq(request(r, T_GET_ID, 0, &shorter, &len), OK);
	ck_assert_mem_eq(td_ptr(&r->t, shorter.addr), "serial", 6);
	ck_assert_uint_eq(request(r, T_GET_ID, 0, &longer, &len), OK);
	ck_assert_uint_eq(len, 20);
	rig_free(r);
}
END_TEST

START_TEST(configuration)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	uint8_t c[64];

	memset(c, 0xff, sizeof(c));
	virtio_config_read(&r->blk.dev, 0, c, sizeof(c));
	ck_assert_uint_eq(load_le64(c), SECTORS);
	ck_assert_uint_eq(load_le32(c + 12), VIRTQ_MAX_SEGS - 2);
	ck_assert_uint_eq(load_le32(c + 20), 512);
	ck_assert_uint_eq(c[24], 3); /* physical blocks of 4 KiB */
	for (unsigned i = 25; i < 36; i++)
		ck_assert_uint_eq(c[i], 0);
	ck_assert_uint_eq(load_le32(c + 36), 1 << 22); /* discard: sectors, ranges, alignment */
	ck_assert_uint_eq(load_le32(c + 40), 16);
	ck_assert_uint_eq(load_le32(c + 44), 8);
	ck_assert_uint_eq(load_le32(c + 48), 1 << 16); /* write zeroes: sectors, ranges, may unmap */
	ck_assert_uint_eq(load_le32(c + 52), 1);
	ck_assert_uint_eq(c[56], 1);
	for (unsigned i = 57; i < sizeof(c); i++)
		ck_assert_uint_eq(c[i], 0);
	for (unsigned off = 0; off < 40; off++) { /* any part of it */
		uint8_t part[4];

		virtio_config_read(&r->blk.dev, off, part, 4);
		ck_assert_mem_eq(part, c + off, 4);
	}
	r->disk.disk.block_size = 4096;
	virtio_config_read(&r->blk.dev, 20, c, 5);
	ck_assert_uint_eq(load_le32(c), 4096);
	ck_assert_uint_eq(c[4], 0);
	rig_free(r);
}
END_TEST

/* The driver is told of a new size once it has come, and sectors beyond it are refused at once. */
START_TEST(resized)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct td_seg in = td_in(&r->t, 512);
	uint32_t generation = virtio_generation(&r->blk.dev), len;
	uint8_t c[8];

	ck_assert_uint_eq(request(r, T_IN, SECTORS - 1, &in, &len), OK);
	r->disk.disk.size = SIZE / 2;
	virtio_config_read(&r->blk.dev, 0, c, 8);
	ck_assert_uint_eq(load_le64(c), SECTORS); /* not before the device was told */
	ck_assert_uint_eq(r->t.config_irqs, 0);
	virtio_blk_resized(&r->blk);
	virtio_config_read(&r->blk.dev, 0, c, 8);
	ck_assert_uint_eq(load_le64(c), SECTORS / 2);
	ck_assert_uint_eq(r->t.config_irqs, 1);
	ck_assert_uint_ne(virtio_generation(&r->blk.dev), generation);
	ck_assert_uint_eq(request(r, T_IN, SECTORS - 1, &in, &len), IOERR);
	ck_assert_uint_eq(request(r, T_IN, SECTORS / 2 - 1, &in, &len), OK);
	virtio_blk_resized(&r->blk); /* no change, no interrupt */
	ck_assert_uint_eq(r->t.config_irqs, 1);
	r->disk.disk.size = SIZE;
	virtio_blk_resized(&r->blk);
	ck_assert_uint_eq(r->t.config_irqs, 2);
	ck_assert_uint_eq(request(r, T_IN, SECTORS - 1, &in, &len), OK);
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_blk");
	TCase *tc = tcase_create("virtio_blk");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, read_write, 0, 2);
	tcase_add_test(tc, any_layout);
	tcase_add_test(tc, beyond_the_end);
	tcase_add_test(tc, failures);
	tcase_add_test(tc, no_room_for_status);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, write_through);
	tcase_add_test(tc, discard_and_zeroes);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, get_id);
	tcase_add_test(tc, configuration);
	tcase_add_test(tc, resized);
	suite_add_tcase(s, tc);
	return test_run(s);
}
