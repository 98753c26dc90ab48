/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_bus.c - dispatch: every size at every edge of a window, what nobody claims, overlaps. */
#include "bus.h"
#include "bits.h"
#include "test.h"

struct probe {
	uint64_t off, val;
	unsigned size, calls;
};

static uint64_t probe_read(void *dev, uint64_t off, unsigned size)
{
	struct probe *p = dev;

	p->off = off;
	p->size = size;
	p->calls++;
	return 0x1122334455667788;
}

static void probe_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct probe *p = dev;

	p->off = off;
	p->size = size;
	p->val = val;
	p->calls++;
}

static const struct bus_ops probe_ops = { probe_read, probe_write };

START_TEST(dispatch)
{
	struct probe a = { 0 }, b = { 0 };
	struct bus bus = { 0 };

	ck_assert_int_eq(bus_add(&bus, 0x1000, 0x10, &probe_ops, &b, "b", NULL), 0);
	ck_assert_int_eq(bus_add(&bus, 0x100, 8, &probe_ops, &a, "a", NULL), 0);
	bus_freeze(&bus);

	ck_assert_uint_eq(bus_read(&bus, 0x100, 1), 0x88);
	ck_assert_uint_eq(bus_read(&bus, 0x100, 2), 0x7788);
	ck_assert_uint_eq(bus_read(&bus, 0x100, 4), 0x55667788);
	ck_assert_uint_eq(bus_read(&bus, 0x100, 8), 0x1122334455667788);
	ck_assert_uint_eq(a.calls, 4);
	bus_write(&bus, 0x100f, 1, 0xabcd);
	ck_assert_uint_eq(b.val, 0xcd);
	ck_assert_uint_eq(b.off, 0xf);
	ck_assert_uint_eq(b.size, 1);
}
END_TEST

START_TEST(nobody)
{
	struct probe a = { 0 };
	struct bus bus = { 0 };

	ck_assert_uint_eq(bus_read(&bus, 0, 4), UINT32_MAX);
	bus_add(&bus, 0x100, 8, &probe_ops, &a, "a", NULL);
	ck_assert_uint_eq(bus_read(&bus, 0xff, 1), 0xff);
	ck_assert_uint_eq(bus_read(&bus, 0xff, 2), 0xffff);
	ck_assert_uint_eq(bus_read(&bus, 0x108, 8), UINT64_MAX);
	ck_assert_uint_eq(bus_read(&bus, 0x105, 4), UINT32_MAX);
	ck_assert_uint_eq(bus_read(&bus, UINT64_MAX, 8), UINT64_MAX);
	ck_assert_uint_eq(bus_read(&bus, 0x100, 3), 0xffffff);
	ck_assert_uint_eq(bus_read(&bus, 0x100, 16), UINT64_MAX);
	bus_write(&bus, 0x105, 4, 1);
	ck_assert_uint_eq(a.calls, 0);
}
END_TEST

START_TEST(refusals)
{
	struct bus bus = { 0 };
	struct tvmm_error e;
	static const struct bus_ops none = { 0 };

	ck_assert_int_eq(bus_add(&bus, 0x100, 8, &none, NULL, "first", &e), 0);
	ck_assert_uint_eq(bus_read(&bus, 0x100, 1), 0xff);
	bus_write(&bus, 0x100, 1, 0);
	ck_assert_int_eq(bus_add(&bus, 0x107, 8, &none, NULL, "second", &e), -EBUSY);
	ck_assert_str_eq(e.message, "window at 0x107 overlaps that of first at 0x100");
	ck_assert_str_eq(e.object, "second");
	ck_assert_int_eq(bus_add(&bus, 0xf9, 8, &none, NULL, "second", &e), -EBUSY);
	ck_assert_int_eq(bus_add(&bus, 0, 0x1000, &none, NULL, "second", &e), -EBUSY);
	ck_assert_int_eq(bus_add(&bus, 0x108, 0, &none, NULL, "empty", &e), -EINVAL);
	ck_assert_int_eq(bus_add(&bus, UINT64_MAX, 2, &none, NULL, "wraps", &e), -EINVAL);
	ck_assert_int_eq(bus_add(&bus, UINT64_MAX, 1, &none, NULL, "top", &e), 0);
	for (unsigned i = 2; i < BUS_MAX; i++)
		ck_assert_int_eq(bus_add(&bus, 0x1000 + i, 1, &none, NULL, "x", &e), 0);
	ck_assert_int_eq(bus_add(&bus, 0x8000, 1, &none, NULL, "one too many", &e), -ENOSPC);
	bus_freeze(&bus);
	ck_assert_int_eq(bus_add(&bus, 0x9000, 1, &none, NULL, "late", &e), -EINVAL);
}
END_TEST

int main(void)
{
	return test_main("bus", (const TTest *const[]){ dispatch, nobody, refusals, NULL });
}
