/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtq.c - requests in order, and a table of what drivers must not do: each line breaks the queue, once, for good, and
 * harms nothing.
 */
#include <sys/mman.h>
#include "test_virtq.h"

START_TEST(one_request)
{
	static struct fix f;
	struct td_seg s[3];
	uint32_t len;
	int head;

	setup(&f, 4, false, false);
	s[0] = td_out(&f.t, "hello", 5);
	s[1] = td_out(&f.t, "!", 1);
	s[2] = td_in(&f.t, 7);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	head = td_offer(&f.t, &f.r, s, 3);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	ck_assert_int_eq(f.req.head, head);
	ck_assert_uint_eq(f.req.n_out, 2);
	ck_assert_uint_eq(f.req.n_in, 1);
	ck_assert_uint_eq(f.req.out_len, 6);
	ck_assert_uint_eq(f.req.in_len, 7);
	ck_assert_ptr_eq(f.req.iov[1].iov_base, td_ptr(&f.t, s[1].addr));
	ck_assert_ptr_eq(f.req.iov[2].iov_base, td_ptr(&f.t, s[2].addr));
	ck_assert_int_eq(td_take_used(&f.t, &f.r, &len), -1);
	ck_assert(!vq_should_signal(&f.vq)); /* nothing was pushed */
	vq_push(&f.vq, f.req.head, 7);
	ck_assert(vq_should_signal(&f.vq));
	ck_assert(!vq_should_signal(&f.vq));
	ck_assert_int_eq(td_take_used(&f.t, &f.r, &len), head);
	ck_assert_uint_eq(len, 7);
	vq_push(&f.vq, f.req.head, 7); /* twice, or one never taken: nothing happens */
	vq_push(&f.vq, 3, 7);
	vq_push(&f.vq, 4, 7);
	vq_push(&f.vq, 0xffff, 7);
	vq_push(&f.vq, VIRTQ_MAX_SIZE, 7);
	ck_assert_int_eq(td_take_used(&f.t, &f.r, &len), -1);
	ck_assert_uint_eq(f.vq.popped, 1);
	ck_assert_uint_eq(f.vq.pushed, 1);
	ck_assert_uint_eq(faults, 0);
	teardown(&f);
}
END_TEST

START_TEST(unpop)
{
	static struct fix f;
	struct td_seg s;
	int a, b;

	setup(&f, 4, false, false);
	s = td_in(&f.t, 1);
	a = td_offer(&f.t, &f.r, &s, 1);
	b = td_offer(&f.t, &f.r, &s, 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	vq_unpop(&f.vq, &f.req);
	vq_push(&f.vq, (uint16_t)a, 0); /* not taken any more */
	ck_assert_int_eq(td_take_used(&f.t, &f.r, NULL), -1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_int_eq(f.req.head, a);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_int_eq(f.req.head, b);
	ck_assert_uint_eq(f.vq.popped, 2);
	teardown(&f);
}
END_TEST

START_TEST(indirect)
{
	static struct fix f;
	static struct td_seg s[VIRTQ_MAX_SEGS];
	struct vring_desc *d;

	setup(&f, 4, false, true);
	for (unsigned i = 0; i < VIRTQ_MAX_SEGS; i++) {
		s[i] = td_in(&f.t, 3);
		s[i].in = i >= 10;
	}
	/* As many as there may be, in a queue that is shorter. */
	ck_assert_int_ge(td_offer_indirect(&f.t, &f.r, s, VIRTQ_MAX_SEGS), 0);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_uint_eq(f.req.n_out, 10);
	ck_assert_uint_eq(f.req.n_in, VIRTQ_MAX_SEGS - 10);
	ck_assert_uint_eq(f.req.in_len, 3 * (VIRTQ_MAX_SEGS - 10));

	/* A plain descriptor before the table; the table's own WRITE flag means nothing, and it lies unaligned. */
	d = td_desc(&f.t, &f.r);
	s[0] = td_out(&f.t, "12345", 5);
	s[1].addr = td_alloc(&f.t, 33, 16);
	s[1].addr.addr++;
	d[2] = td_make_desc(&s[0], true, 3);
	d[3] = (struct vring_desc){ .addr = s[1].addr.addr, .len = 32, .next = 77,
				    .flags = VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE };
	struct vring_desc table[2] = { td_make_desc(&s[0], true, 1), td_make_desc(&s[20], false, 0) };
	memcpy(td_ptr(&f.t, s[1].addr), table, sizeof(table));
	td_publish(&f.t, &f.r, 2);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_uint_eq(f.req.n_out, 2);
	ck_assert_uint_eq(f.req.n_in, 1);
	ck_assert_uint_eq(f.req.out_len, 10);
	teardown(&f);
}
END_TEST

/* ---- what drivers must not do ------------------------------------------------------------------------------------- */

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

static const struct bad {
	const char *name;
	bool no_indirect;       /* the feature was not negotiated */
	uint16_t head, ahead;   /* ahead 0: one */
	struct vring_desc d[4], table[4];
} bad_rings[] = {
	{ "head outside", .head = 4 },
	{ "head far outside", .head = 0xffff },
	{ "index too far ahead", .ahead = 5, .d = { { BUF, 1, 0, 0 } } },
	{ "index behind", .ahead = 0xffff, .d = { { BUF, 1, 0, 0 } } },
	{ "index half way round", .ahead = 0x8000, .d = { { BUF, 1, 0, 0 } } },
	{ "next outside", .d = { { BUF, 1, N, 4 } } },
	{ "next far outside", .d = { { BUF, 1, N, 0xffff } } },
	{ "loop of one", .d = { { BUF, 1, N, 0 } } },
	{ "loop of two", .d = { { BUF, 1, N, 1 }, { BUF, 1, N, 0 } } },
	{ "loop of all", .d = { { BUF, 1, N, 1 }, { BUF, 1, N, 2 }, { BUF, 1, N, 3 }, { BUF, 1, N, 0 } } },
	{ "loop of writables", .d = { { BUF, 1, N | W, 1 }, { BUF, 1, N | W, 0 } } },
	{ "loop of nothing", .d = { { BUF, 0, N, 0 } } },
	{ "address 0", .d = { { 0, 1, 0, 0 } } },
	{ "address below RAM", .d = { { TD_BASE - 1, 1, 0, 0 } } },
	{ "starts below RAM", .d = { { TD_BASE - 1, 2, W, 0 } } },
	{ "address behind RAM", .d = { { END, 1, 0, 0 } } },
	{ "ends behind RAM", .d = { { END - 1, 2, W, 0 } } },
	{ "longest from the start", .d = { { TD_BASE, 0xffffffff, W, 0 } } },
	{ "wraps", .d = { { UINT64_MAX, 2, 0, 0 } } },
	{ "wraps into RAM", .d = { { UINT64_MAX - 0xfffffffe + TD_BASE, 0xffffffff, 0, 0 } } },
	{ "nothing outside RAM", .d = { { END, 0, 0, 0 } } },
	{ "second one outside", .d = { { BUF, 1, N, 1 }, { END, 1, W, 0 } } },
	{ "readable after writable", .d = { { BUF, 1, N | W, 1 }, { BUF, 1, 0, 0 } } },
	{ "empty readable after writable", .d = { { BUF, 1, N | W, 1 }, { BUF, 0, 0, 0 } } },
	{ "readable after empty writable", .d = { { BUF, 0, N | W, 1 }, { BUF, 1, 0, 0 } } },
	{ "flag 3", .d = { { BUF, 1, 8, 0 } } },
	{ "flag 15", .d = { { BUF, 1, 0x8000, 0 } } },
	{ "indirect unasked", .no_indirect = true, .d = { { TABLE, 16, I, 0 } }, .table = { { BUF, 1, 0, 0 } } },
	{ "indirect with next", .d = { { TABLE, 16, I | N, 1 }, { BUF, 1, 0, 0 } }, .table = { { BUF, 1, 0, 0 } } },
	{ "indirect, length 0", .d = { { TABLE, 0, I, 0 } }, .table = { { BUF, 1, 0, 0 } } },
	{ "indirect, length 15", .d = { { TABLE, 15, I, 0 } }, .table = { { BUF, 1, 0, 0 } } },
	{ "indirect, length 17", .d = { { TABLE, 17, I, 0 } }, .table = { { BUF, 1, 0, 0 } } },
	{ "indirect, too long", .d = { { TABLE, 16 * (VIRTQ_MAX_SEGS + 1), I, 0 } }, .table = { { BUF, 1, 0, 0 } } },
	{ "indirect, longest", .d = { { TABLE, 0xfffffff0, I, 0 } }, .table = { { BUF, 1, 0, 0 } } },
	{ "indirect outside RAM", .d = { { END, 16, I, 0 } } },
	{ "indirect ends behind RAM", .d = { { END - 16, 32, I, 0 } } },
	{ "indirect wraps", .d = { { UINT64_MAX - 15, 32, I, 0 } } },
	{ "nested", .d = { { TABLE, 32, I, 0 } }, .table = { { TABLE + 16, 16, I, 0 }, { BUF, 1, 0, 0 } } },
	{ "nested in itself", .d = { { TABLE, 16, I, 0 } }, .table = { { TABLE, 16, I, 0 } } },
	{ "nested second", .d = { { TABLE, 32, I, 0 } }, .table = { { BUF, 1, N, 1 }, { TABLE, 16, I, 0 } } },
	{ "next outside the table", .d = { { TABLE, 32, I, 0 } }, .table = { { BUF, 1, N, 2 }, { BUF, 1, 0, 0 } } },
	{ "next right behind the table", .d = { { TABLE, 32, I, 0 } }, .table = { { BUF, 1, N, 2 }, { BUF, 1, 0, 0 }, { BUF, 1, 0, 0 } } },
	{ "loop in the table", .d = { { TABLE, 32, I, 0 } }, .table = { { BUF, 1, N, 1 }, { BUF, 1, N, 0 } } },
	{ "table: outside RAM", .d = { { TABLE, 16, I, 0 } }, .table = { { END, 1, 0, 0 } } },
	{ "table: flag 4", .d = { { TABLE, 16, I, 0 } }, .table = { { BUF, 1, 0x10, 0 } } },
	{ "table: readable after the ring's writable", .d = { { BUF, 1, N | W, 1 }, { TABLE, 16, I, 0 } },
	  .table = { { BUF, 1, 0, 0 } } },
};

#undef N
#undef W
#undef I

START_TEST(bad_ring)
{
	const struct bad *b = &bad_rings[_i];
	static struct fix f;
	struct td_seg s;

	setup(&f, 4, false, !b->no_indirect);
	memcpy(td_desc(&f.t, &f.r), b->d, sizeof(b->d));
	memcpy(td_ptr(&f.t, GPA(TABLE)), b->table, sizeof(b->table));
	td_publish(&f.t, &f.r, b->head);
	if (b->ahead)
		td_avail(&f.t, &f.r)->idx = b->ahead;

	ck_assert_msg(vq_pop(&f.vq, &f.req) == -EPROTO, "%s", b->name);
	ck_assert_uint_eq(faults, 1);
	ck_assert_uint_gt(strlen(fault_text), 0);
	if (!strncmp(b->name, "loop", 4)) /* and was seen to be one at the end of its table */
		ck_assert_ptr_nonnull(strstr(fault_text, "loops"));
	if (!strncmp(b->name, "head", 4)) /* and was not looked up among those in flight */
		ck_assert_ptr_nonnull(strstr(fault_text, "outside a table"));
	/* Latched: also when the ring is mended.  No work, no complaint, no interrupt. */
	td_avail(&f.t, &f.r)->idx = 0;
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), -EPROTO);
	vq_push(&f.vq, 0, 1);
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, 0);
	ck_assert(!vq_should_signal(&f.vq));
	ck_assert(!vq_notify_on(&f.vq));
	ck_assert_uint_eq(faults, 1);

	/* A reset mends the queue. */
	vq_reset(&f.vq);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), -EPROTO);
	ck_assert_uint_eq(faults, 1);
	td_ring_init(&f.t, &f.r, 4);
	activate(&f, false, true);
	s = td_in(&f.t, 1);
	td_offer(&f.t, &f.r, &s, 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	teardown(&f);
}
END_TEST

/* The edges of what is allowed: the mirror of the table above. */
START_TEST(good_edges)
{
	static struct fix f;
	struct td_seg s[4];

	setup(&f, 4, false, false);
	for (unsigned i = 0; i < 4; i++)
		s[i] = (struct td_seg){ .addr = GPA(END - 1), .len = i == 1 ? 0 : 1, .in = i == 3 };
	s[0] = (struct td_seg){ .addr = GPA(TD_BASE), .len = TD_RAM };
	td_offer(&f.t, &f.r, s, 4); /* every descriptor; all of RAM, its last byte, an empty one */
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_uint_eq(f.req.out_len, TD_RAM + 1);
	ck_assert_uint_eq(f.req.n_out, 3);
	vq_push(&f.vq, f.req.head, 1);
	ck_assert_int_ge(td_take_used(&f.t, &f.r, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_ge(td_offer(&f.t, &f.r, s, 1), 0); /* the ring is full */
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	teardown(&f);
}
END_TEST

START_TEST(head_in_flight_twice)
{
	static struct fix f;
	struct td_seg s;
	int head;

	setup(&f, 4, false, false);
	s = td_in(&f.t, 1);
	head = td_offer(&f.t, &f.r, &s, 1);
	td_publish(&f.t, &f.r, (uint16_t)head);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), -EPROTO);
	ck_assert_uint_eq(faults, 1);
	vq_push(&f.vq, (uint16_t)head, 0); /* late, for a queue that is broken */
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, 0);
	teardown(&f);
}
END_TEST

/* Each head of the largest queue is told from all others. */
START_TEST(every_head)
{
	static struct fix f;
	struct td_seg s;

	setup(&f, VIRTQ_MAX_SIZE, false, false);
	s = td_in(&f.t, 1);
	for (unsigned i = 0; i < VIRTQ_MAX_SIZE; i++)
		td_desc(&f.t, &f.r)[i] = td_make_desc(&s, false, 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < VIRTQ_MAX_SIZE; i++)
			td_publish(&f.t, &f.r, (uint16_t)i);
		for (unsigned i = 0; i < VIRTQ_MAX_SIZE; i++) {
			TD_ASSERT(vq_pop(&f.vq, &f.req) == 1);
			TD_ASSERT(f.req.head == i);
			vq_push(&f.vq, VIRTQ_MAX_SIZE, 1); /* no head, though the counters behind the bits look like one in flight */
			vq_push(&f.vq, VIRTQ_MAX_SIZE + 1, 1);
			TD_ASSERT(f.vq.pushed == round * VIRTQ_MAX_SIZE);
		}
		for (unsigned i = VIRTQ_MAX_SIZE; i--;) {
			unsigned at = f.vq.next_used % VIRTQ_MAX_SIZE;

			vq_push(&f.vq, (uint16_t)i, i);
			vq_push(&f.vq, (uint16_t)i, i); /* once */
			TD_ASSERT(td_used(&f.t, &f.r)->ring[at].id == i);
			TD_ASSERT(td_used(&f.t, &f.r)->ring[at].len == i);
		}
		TD_ASSERT(f.vq.pushed == (round + 1) * VIRTQ_MAX_SIZE);
	}
	for (unsigned i = 0; i < VIRTQ_MAX_SIZE; i++) {
		unsigned other = (i + 1) % VIRTQ_MAX_SIZE;

		td_ring_init(&f.t, &f.r, VIRTQ_MAX_SIZE);
		td_desc(&f.t, &f.r)[i] = td_desc(&f.t, &f.r)[other] = td_make_desc(&s, false, 0);
		activate(&f, false, false);
		faults = 0;
		td_publish(&f.t, &f.r, (uint16_t)i);
		td_publish(&f.t, &f.r, (uint16_t)other);
		td_publish(&f.t, &f.r, (uint16_t)i);
		TD_ASSERT(vq_pop(&f.vq, &f.req) == 1);
		vq_unpop(&f.vq, &f.req);
		TD_ASSERT(vq_pop(&f.vq, &f.req) == 1);
		TD_ASSERT(vq_pop(&f.vq, &f.req) == 1);
		TD_ASSERT(vq_pop(&f.vq, &f.req) == -EPROTO);
		TD_ASSERT(faults == 1);
	}
	teardown(&f);
}
END_TEST

/* Told once; what a device still has in hand then counts for nothing, and a queue that nobody listens to breaks too. */
START_TEST(broken_is_broken)
{
	static struct fix f;
	struct td_seg s;
	uint32_t len;

	setup(&f, 4, false, false);
	s = td_in(&f.t, 8);
	td_offer(&f.t, &f.r, &s, 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_int_eq(vq_break(&f.vq, "first"), -EPROTO);
	ck_assert_int_eq(vq_break(&f.vq, "second"), -EPROTO);
	ck_assert_uint_eq(faults, 1);
	ck_assert_str_eq(fault_text, "first");
	vq_unpop(&f.vq, &f.req);
	vq_push(&f.vq, f.req.head, 8);
	ck_assert(!vq_should_signal(&f.vq));
	ck_assert(!vq_notify_on(&f.vq));
	ck_assert_int_eq(td_take_used(&f.t, &f.r, &len), -1);
	ck_assert_uint_eq(f.vq.pushed, 0);
	ck_assert_uint_eq(td_used(&f.t, &f.r)->ring[0].len, 0); /* nor was it written ahead */
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), -EPROTO);
	ck_assert_uint_eq(f.vq.popped, 1);

	vq_reset(&f.vq);
	vq_unpop(&f.vq, &f.req); /* of a request from before the reset */
	ck_assert_uint_eq(f.vq.popped, 0);
	ck_assert_uint_eq(f.vq.next_avail, 0);

	f.vq.fault = NULL;
	activate(&f, false, false);
	ck_assert_int_eq(vq_break(&f.vq, "unheard"), -EPROTO);
	ck_assert(f.vq.broken);
	ck_assert_uint_eq(faults, 1);
	teardown(&f);
}
END_TEST

/* What was filled in and not yet published when the queue broke stays unpublished. */
START_TEST(broken_before_publish)
{
	static struct fix f;
	struct td_seg s;

	setup(&f, 4, false, false);
	s = td_in(&f.t, 8);
	td_offer(&f.t, &f.r, &s, 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	vq_fill(&f.vq, f.req.head, 8);
	vq_break(&f.vq, "now");
	vq_publish(&f.vq);
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, 0);
	ck_assert(!vq_should_signal(&f.vq));

	vq_reset(&f.vq);
	vq_publish(&f.vq);
	ck_assert(!vq_should_signal(&f.vq));
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, 0);
	teardown(&f);
}
END_TEST

/* A table before the end of the ring's chain shares its bound. */
START_TEST(bound_is_shared)
{
	static struct fix f;
	struct vring_desc *d;
	struct td_seg s;

	setup(&f, 4, false, true);
	s = td_in(&f.t, 1);
	for (unsigned n = 0; n < VIRTQ_MAX_SEGS; n++)
		((struct vring_desc *)td_ptr(&f.t, GPA(TABLE)))[n] =
			td_make_desc(&s, n < VIRTQ_MAX_SEGS - 1, (uint16_t)(n + 1));
	d = td_desc(&f.t, &f.r);
	d[0] = td_make_desc(&s, true, 1);
	d[1] = (struct vring_desc){ .addr = TABLE, .len = 16 * VIRTQ_MAX_SEGS, .flags = VRING_DESC_F_INDIRECT };
	td_publish(&f.t, &f.r, 1);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	td_publish(&f.t, &f.r, 0);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), -EPROTO);
	teardown(&f);
}
END_TEST

/* 2^32 bytes and more, out of RAM that is offered again and again. */
START_TEST(too_long_in_total)
{
	static struct fix f;
	struct gmem mem = { 0 };
	uint64_t size = MIB(64);
	struct virtq_layout l;
	struct td_seg s[65];
	const char *why;
	void *big = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	setup(&f, 128, false, false);
	ck_assert_ptr_ne(big, MAP_FAILED);
	ck_assert_int_eq(gmem_add(&mem, GPA(TD_BASE), TD_RAM, f.t.ram, NULL), 0);
	ck_assert_int_eq(gmem_add(&mem, GPA(GIB(4)), size, big, NULL), 0);
	l = td_layout(&f.r);
	ck_assert_int_eq(vq_activate(&f.vq, &mem, &l, false, false, &why), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(s); i++)
		s[i] = (struct td_seg){ .addr = GPA(GIB(4)), .len = MIB(64) };
	s[63].len--;
	td_offer(&f.t, &f.r, s, 64);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_uint_eq(f.req.out_len, UINT32_MAX);
	s[63].len++;
	td_offer(&f.t, &f.r, s, 64);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), -EPROTO);
	munmap(big, size);
	teardown(&f);
}
END_TEST

START_TEST(bad_layout)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		int ret;
	} tab[] = {
		{ 4, TD_BASE, TD_BASE + 64, TD_BASE + 80, 0 },
		{ 1, TD_BASE, TD_BASE + 16, TD_BASE + 24, 0 },
		{ 256, TD_BASE, TD_BASE + 4096, TD_BASE + 4096 + 520, 0 },
		{ 4, TD_BASE + 16, TD_BASE + 2, TD_BASE + 80, 0 }, /* end to end, the other way round */
		{ 4, END - 64, TD_BASE, TD_BASE + 16, 0 },
		{ 4, TD_BASE, END - 14, TD_BASE + 64, 0 },
		{ 4, TD_BASE, TD_BASE + 64, END - 40, 0 },
		{ 4, TD_BASE, TD_BASE + 0x126, TD_BASE + 0x100, 0 }, /* right behind avail_event */
		{ 0, TD_BASE, TD_BASE + 64, TD_BASE + 80, -EINVAL },
		{ 3, TD_BASE, TD_BASE + 64, TD_BASE + 80, -EINVAL },
		{ 512, TD_BASE, TD_BASE + 0x4000, TD_BASE + 0x8000, -EINVAL },
		{ 0x8000, TD_BASE, TD_BASE + 0x100000, TD_BASE + 0x50000, -EINVAL },
		{ 0xffff, TD_BASE, TD_BASE + 0x100000, TD_BASE + 0x50000, -EINVAL },
		{ 4, TD_BASE + 8, TD_BASE + 0x100, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 0x101, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 0x100, TD_BASE + 0x202, -EINVAL },
		{ 4, END - 48, TD_BASE, TD_BASE + 0x100, -EINVAL },
		{ 4, TD_BASE, END - 12, TD_BASE + 0x100, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 0x100, END - 36, -EINVAL },
		{ 4, 0, TD_BASE + 0x100, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE - 16, TD_BASE + 0x100, TD_BASE + 0x200, -EINVAL },
		{ 4, UINT64_MAX - 15, TD_BASE + 0x100, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE, UINT64_MAX - 1, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 0x100, UINT64_MAX - 3, -EINVAL },
		{ 4, TD_BASE, TD_BASE, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 62, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE + 16, TD_BASE + 4, TD_BASE + 0x200, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 0x200, TD_BASE + 60, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 0x100, TD_BASE + 0x10c, -EINVAL },
		{ 4, TD_BASE, TD_BASE + 0x124, TD_BASE + 0x100, -EINVAL },
	};
	static struct fix f;
	const char *why;

	setup(&f, 4, false, false);
	for (unsigned i = 0; i < ARRAY_SIZE(tab); i++) {
		struct virtq_layout l = { tab[i].size, GPA(tab[i].desc), GPA(tab[i].avail), GPA(tab[i].used) };

		why = NULL;
		ck_assert_msg(vq_activate(&f.vq, &f.t.mem, &l, true, true, &why) == tab[i].ret, "line %u", i);
		ck_assert_int_eq(f.vq.live, !tab[i].ret);
		ck_assert_int_eq(!why, !tab[i].ret);
		ck_assert_int_eq(vq_pop(&f.vq, &f.req), tab[i].ret ? -EPROTO : 0);
	}
	ck_assert_uint_eq(faults, 0);
	teardown(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { one_request, unpop, indirect, good_edges, head_in_flight_twice, every_head,
				       broken_is_broken, broken_before_publish, bound_is_shared, too_long_in_total, bad_layout, NULL };
	Suite *s = suite_create("virtq");
	TCase *tc = tcase_create("virtq");

	for (unsigned i = 0; tests[i]; i++)
		tcase_add_test(tc, tests[i]);
	tcase_add_loop_test(tc, bad_ring, 0, ARRAY_SIZE(bad_rings));
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
