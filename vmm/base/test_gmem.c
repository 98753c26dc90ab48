/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_gmem.c - every boundary of guest memory: last byte, one past, nothing, wrap, the gap below 4 GiB. */
#include "bits.h"
#include "gmem.h"
#include "test.h"

static uint8_t low[0x10000], high[0x8000];

static void two_regions(struct gmem *m)
{
	memset(m, 0, sizeof(*m));
	ck_assert_int_eq(gmem_add(m, GPA(GIB(4)), sizeof(high), high, NULL), 0);
	ck_assert_int_eq(gmem_add(m, GPA(0), sizeof(low), low, NULL), 0);
}

START_TEST(boundaries)
{
	struct gmem m;

	two_regions(&m);
	ck_assert_ptr_eq(gmem_range(&m, GPA(0), 1), low);
	ck_assert_ptr_eq(gmem_range(&m, GPA(0), sizeof(low)), low);
	ck_assert_ptr_null(gmem_range(&m, GPA(0), sizeof(low) + 1));
	ck_assert_ptr_eq(gmem_range(&m, GPA(0xffff), 1), low + 0xffff);
	ck_assert_ptr_null(gmem_range(&m, GPA(0xffff), 2));
	ck_assert_ptr_null(gmem_range(&m, GPA(0x10000), 0));
	ck_assert_ptr_eq(gmem_range(&m, GPA(0xffff), 0), low + 0xffff);
	ck_assert_ptr_null(gmem_range(&m, GPA(GIB(4) - 1), 1));
	ck_assert_ptr_null(gmem_range(&m, GPA(GIB(4) - 1), 2));
	ck_assert_ptr_eq(gmem_range(&m, GPA(GIB(4)), sizeof(high)), high);
	ck_assert_ptr_null(gmem_range(&m, GPA(GIB(4) + sizeof(high)), 1));
}
END_TEST

/* Lengths and addresses near every power of two, against a model that cannot overflow. */
START_TEST(model)
{
	static const uint64_t v[] = { 0, 1, 2, 0xfff, 0x1000, 0xffff, 0x10000, 0x10001, UINT32_MAX - 1, UINT32_MAX,
				      GIB(4), GIB(4) + 1, GIB(4) + 0x7fff, GIB(4) + 0x8000, INT64_MAX, 1ull << 63,
				      UINT64_MAX - 0xffff, UINT64_MAX - 1, UINT64_MAX };
	struct gmem m;

	two_regions(&m);
	for (unsigned a = 0; a < ARRAY_SIZE(v); a++)
		for (unsigned l = 0; l < ARRAY_SIZE(v); l++) {
			__extension__ unsigned __int128 first = v[a], end = first + v[l];
			uint8_t *want = NULL;

			if (first < sizeof(low) && end <= sizeof(low))
				want = low + v[a];
			else if (first >= GIB(4) && first < GIB(4) + sizeof(high) && end <= GIB(4) + sizeof(high))
				want = high + (v[a] - GIB(4));
			ck_assert_ptr_eq(gmem_range(&m, GPA(v[a]), v[l]), want);
		}
}
END_TEST

START_TEST(copies)
{
	struct gmem m;
	uint8_t b[4] = { 1, 2, 3, 4 }, c[4] = { 0 };
	uint64_t len = 100;

	two_regions(&m);
	ck_assert(gmem_write(&m, GPA(0xfffc), b, 4));
	ck_assert(!gmem_write(&m, GPA(0xfffd), b, 4));
	ck_assert(gmem_read(&m, GPA(0xfffc), c, 4));
	ck_assert_mem_eq(b, c, 4);
	ck_assert(!gmem_read(&m, GPA(0xfffd), c, 4));
	ck_assert_ptr_eq(gmem_range_some(&m, GPA(0xfff0), &len), low + 0xfff0);
	ck_assert_uint_eq(len, 16);
	ck_assert_ptr_null(gmem_range_some(&m, GPA(0x10000), &len));
	len = 3;
	ck_assert_ptr_eq(gmem_range_some(&m, GPA(GIB(4) + 0x7ff0), &len), high + 0x7ff0);
	ck_assert_uint_eq(len, 3);
	len = 17;
	ck_assert_ptr_eq(gmem_range_some(&m, GPA(GIB(4) + 0x7ff0), &len), high + 0x7ff0);
	ck_assert_uint_eq(len, 16);
	ck_assert_uint_eq(gmem_size(&m), sizeof(low) + sizeof(high));
}
END_TEST

START_TEST(refusals)
{
	struct gmem m;
	struct tvmm_error e;

	two_regions(&m);
	ck_assert_int_eq(gmem_add(&m, GPA(0xffff), 1, low, &e), -EINVAL);
	ck_assert_int_eq(gmem_add(&m, GPA(GIB(4) - 1), 2, low, &e), -EINVAL);
	ck_assert_int_eq(gmem_add(&m, GPA(GIB(4) + 0x7fff), 1, low, &e), -EINVAL);
	ck_assert_int_eq(gmem_add(&m, GPA(GIB(4)), 1, low, &e), -EINVAL);
	ck_assert_int_eq(gmem_add(&m, GPA(GIB(8)), 0, low, &e), -EINVAL);
	ck_assert_int_eq(gmem_add(&m, GPA(UINT64_MAX), 2, low, &e), -EINVAL);
	ck_assert_int_eq(gmem_add(&m, GPA(0x10000), 1, low, &e), 0);
	ck_assert_int_eq(gmem_add(&m, GPA(GIB(8)), 1, low, &e), 0);
	ck_assert_int_eq(gmem_add(&m, GPA(GIB(9)), 1, low, &e), -ENOSPC);
	gmem_freeze(&m);
	ck_assert_int_eq(gmem_add(&m, GPA(GIB(10)), 1, low, &e), -EINVAL);
}
END_TEST

/* As many as there may be, one against the other; what lies behind the table is no region. */
START_TEST(full_table)
{
	struct {
		struct gmem m;
		struct gmem_region trap;
	} t = { .trap = { .base = MIB(1), .size = 0x1000, .host = low } };

	for (unsigned i = GMEM_MAX_REGIONS; i--;)
		ck_assert_int_eq(gmem_add(&t.m, GPA(0x1000 * i), 0x1000, high + 0x1000 * i, NULL), 0);
	ck_assert_uint_eq(t.m.n, GMEM_MAX_REGIONS);
	for (unsigned i = 0; i < GMEM_MAX_REGIONS; i++) {
		ck_assert_ptr_eq(gmem_range(&t.m, GPA(0x1000 * i + 5), 0xffb), high + 0x1000 * i + 5);
		ck_assert_ptr_null(gmem_range(&t.m, GPA(0x1000 * i + 5), 0xffc)); /* never across two */
	}
	ck_assert_ptr_null(gmem_range(&t.m, GPA(MIB(1)), 1));
	ck_assert_uint_eq(gmem_size(&t.m), 0x1000 * GMEM_MAX_REGIONS);
}
END_TEST

int main(void)
{
	return test_main("gmem", (const TTest *const[]){ boundaries, model, copies, refusals, full_table, NULL });
}
