/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_segs.c - fields that span segments, empty segments, and what must not move when there is too little. */
#include "segs.h"
#include <string.h>
#include "bits.h"
#include "test.h"

static uint8_t mem[64];

/* A request of six readable bytes 0..5 in four segments, two of them empty, and five writable in two. */
static void make(struct virtq_req *r)
{
	for (unsigned i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)i;
	*r = (struct virtq_req){ .n_out = 4, .n_in = 3, .out_len = 6, .in_len = 5 };
	r->iov[0] = (struct iovec){ mem, 0 };
	r->iov[1] = (struct iovec){ mem, 1 };
	r->iov[2] = (struct iovec){ mem + 1, 0 };
	r->iov[3] = (struct iovec){ mem + 1, 5 };
	r->iov[4] = (struct iovec){ mem + 32, 2 };
	r->iov[5] = (struct iovec){ mem + 40, 3 };
	r->iov[6] = (struct iovec){ mem + 50, 0 };
}

START_TEST(take)
{
	struct virtq_req r;
	struct segs s;
	uint8_t b[8] = { 0 };

	make(&r);
	s = segs_out(&r);
	ck_assert_uint_eq(s.left, 6);
	ck_assert(segs_take(&s, b, 0));
	ck_assert(!segs_take(&s, b, 7));
	ck_assert_uint_eq(s.left, 6);
	ck_assert(segs_take(&s, b, 3));
	ck_assert_mem_eq(b, ((uint8_t[]){ 0, 1, 2, 0 }), 4);
	ck_assert_uint_eq(s.left, 3);
	ck_assert_uint_eq(s.n, 1); /* what remains can go to readv() as it is */
	ck_assert_uint_eq(s.iov->iov_len, 3);
	ck_assert_ptr_eq(s.iov->iov_base, mem + 3);
	ck_assert(segs_take(&s, b, 3));
	ck_assert_mem_eq(b, ((uint8_t[]){ 3, 4, 5 }), 3);
	ck_assert_uint_eq(s.left, 0);
	ck_assert_uint_eq(s.n, 0); /* nor any segment */
	ck_assert(!segs_take(&s, b, 1));
	ck_assert(segs_take(&s, b, 0));
}
END_TEST

START_TEST(put)
{
	struct virtq_req r;
	struct segs s;

	make(&r);
	s = segs_in(&r);
	ck_assert_uint_eq(s.left, 5);
	ck_assert(!segs_put(&s, "abcdef", 6));
	ck_assert_uint_eq(mem[32], 32);
	ck_assert(segs_put(&s, "abc", 3));
	ck_assert_mem_eq(mem + 32, ((uint8_t[]){ 'a', 'b', 34 }), 3);
	ck_assert_mem_eq(mem + 40, ((uint8_t[]){ 'c', 41 }), 2);
	ck_assert(segs_put(&s, "de", 2));
	ck_assert_mem_eq(mem + 40, ((uint8_t[]){ 'c', 'd', 'e', 43 }), 4);
	ck_assert_uint_eq(s.left, 0);
	ck_assert(!segs_put(&s, "f", 1));
}
END_TEST

START_TEST(skip)
{
	struct virtq_req r;
	struct segs s;
	uint8_t b;

	make(&r);
	s = segs_out(&r);
	ck_assert_uint_eq(segs_skip(&s, 0), 0);
	ck_assert_uint_eq(segs_skip(&s, 2), 2);
	ck_assert(segs_take(&s, &b, 1));
	ck_assert_uint_eq(b, 2);
	ck_assert_uint_eq(segs_skip(&s, SIZE_MAX), 3);
	ck_assert_uint_eq(s.left, 0);
	ck_assert_uint_eq(segs_skip(&s, 1), 0);
}
END_TEST

START_TEST(last_byte)
{
	struct virtq_req r;
	struct segs s;

	make(&r);
	s = segs_in(&r);
	ck_assert_ptr_eq(segs_last_byte(&s), mem + 42);
	ck_assert_uint_eq(s.left, 4);
	ck_assert_ptr_eq(segs_last_byte(&s), mem + 41);
	ck_assert_ptr_eq(segs_last_byte(&s), mem + 40);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(segs_skip(&s, 1), 1); /* from both ends */
	ck_assert_ptr_eq(segs_last_byte(&s), mem + 33);
	ck_assert_ptr_null(segs_last_byte(&s));
	ck_assert_uint_eq(s.left, 0);
}
END_TEST

static size_t bytes(const struct segs *s)
{
	size_t sum = 0;

	for (unsigned i = 0; i < s->n; i++)
		sum += s->iov[i].iov_len;
	return sum;
}

/* Every way to cut twelve bytes in three, read through every pair of fields. */
START_TEST(any_cut)
{
	for (unsigned a = 0; a <= 12; a++)
		for (unsigned b = a; b <= 12; b++)
			for (unsigned first = 0; first <= 12; first++) {
				struct virtq_req r = { .n_out = 3, .out_len = 12 };
				uint8_t got[12];
				struct segs s;

				for (unsigned i = 0; i < 12; i++)
					mem[i] = (uint8_t)i;
				r.iov[0] = (struct iovec){ mem, a };
				r.iov[1] = (struct iovec){ mem + a, b - a };
				r.iov[2] = (struct iovec){ mem + b, 12 - b };
				s = segs_out(&r);
				ck_assert(segs_take(&s, got, first));
				ck_assert(segs_take(&s, got + first, 12 - first));
				ck_assert_mem_eq(got, mem, 12);
				ck_assert_ptr_null(segs_last_byte(&s));

				/* Split off, what is first in front and what remains have all bytes, too, and no more when cut off. */
				struct iovec front[3];
				struct segs head = { .iov = front, .left = first };

				s = segs_out(&r);
				s.iov[0] = (struct iovec){ mem, a };
				s.iov[1] = (struct iovec){ mem + a, b - a };
				s.iov[2] = (struct iovec){ mem + b, 12 - b };
				s.n = 3;
				s.left = 12;
				head.n = segs_split(&s, front, 3, first);
				ck_assert(head.n || !first);
				for (unsigned i = 0; i < head.n; i++)
					ck_assert_uint_gt(front[i].iov_len, 0);
				segs_limit(&s, 5);
				ck_assert_uint_eq(s.left, MIN(5, 12 - first));
				ck_assert_uint_eq(bytes(&s), s.left); /* what readv() would fill */
				ck_assert(segs_take(&head, got, first));
				ck_assert(segs_take(&s, got + first, s.left));
				ck_assert_mem_eq(got, mem, MIN(12, first + 5));
			}
}
END_TEST

START_TEST(split_refuses)
{
	struct virtq_req r;
	struct iovec front[8] = { 0 };
	struct segs s;

	make(&r);
	s = segs_out(&r);
	ck_assert_uint_eq(segs_split(&s, front, 1, s.left + 1), 0);
	ck_assert_uint_eq(segs_split(&s, front, 8, s.left + 1), 0); /* though other bytes lie behind in the request */
	ck_assert_uint_eq(segs_split(&s, front, 1, s.left), 0);     /* it is in more pieces */
	ck_assert_uint_eq(s.left, r.out_len);

	/* Three bytes in three pieces are one too many for two, and neither is touched. */
	for (unsigned i = 0; i < 3; i++)
		r.iov[i] = (struct iovec){ mem + i, 1 };
	r.n_out = r.out_len = 3;
	s = segs_out(&r);
	ck_assert_uint_eq(segs_split(&s, front, 2, 3), 0);
	ck_assert_uint_eq(s.left, 3);
	ck_assert_ptr_null(front[0].iov_base);
	ck_assert_uint_eq(segs_split(&s, front, 3, 3), 3);
	ck_assert_uint_eq(s.left, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { take, put, skip, last_byte, any_cut, split_refuses, NULL };

	return test_main("segs", tests);
}
