/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_aml.c - encodings against bytes worked out from the specification, lengths at each boundary, full buffers. */
#include <string.h>
#include "aml.h"
#include "bits.h"
#include "test.h"

#define IS(a, bytes) is((a), bytes, sizeof(bytes) - 1)

static void is(const struct aml *a, const char *bytes, size_t len)
{
	ck_assert(!a->full);
	ck_assert_uint_eq(a->len, len);
	ck_assert_mem_eq(a->buf, bytes, len);
}

static struct aml fresh(void)
{
	static uint8_t buf[0x300000];

	return (struct aml){ .buf = buf, .cap = sizeof(buf) };
}

START_TEST(integers)
{
	static const struct {
		uint64_t v;
		const char *bytes;
		size_t len;
	} t[] = {
		{ 0, "\x00", 1 },
		{ 1, "\x01", 1 },
		{ 2, "\x0a\x02", 2 },
		{ 0xff, "\x0a\xff", 2 },
		{ 0x100, "\x0b\x00\x01", 3 },
		{ 0xffff, "\x0b\xff\xff", 3 },
		{ 0x10000, "\x0c\x00\x00\x01\x00", 5 },
		{ 0xffffffff, "\x0c\xff\xff\xff\xff", 5 },
		{ 0x100000000, "\x0e\x00\x00\x00\x00\x01\x00\x00\x00", 9 },
		{ UINT64_MAX, "\x0e\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct aml a = fresh();

		aml_int(&a, t[i].v);
		is(&a, t[i].bytes, t[i].len);
	}
}
END_TEST

START_TEST(names)
{
	struct aml a = fresh();

	aml_path(&a, "_HID");
	IS(&a, "_HID");
	a = fresh();
	aml_path(&a, "\\_SB");
	IS(&a, "\\_SB_");
	a = fresh();
	aml_path(&a, "\\_SB_.PWRB");
	IS(&a, "\\\x2e_SB_PWRB");
	a = fresh();
	aml_path(&a, "A.B.CD");
	IS(&a, "\x2f\x03"
	       "A___B___CD__");
	a = fresh();
	aml_eisa_id(&a, "PNP0A08");
	IS(&a, "\x0c\x41\xd0\x0a\x08");
	a = fresh();
	aml_string(&a, "ACPI0013");
	IS(&a, "\x0d"
	       "ACPI0013\0");
}
END_TEST

START_TEST(blocks)
{
	struct aml a = fresh();
	size_t scope = aml_scope(&a, "\\_SB_"), dev = aml_device(&a, "DEV_"), m = aml_method(&a, "_EVT", 1, true);

	aml_notify(&a, "DEV_", 0x80);
	aml_end(&a, m);
	aml_end(&a, dev);
	aml_end(&a, scope);
	IS(&a, "\x10\x1b\\_SB_"
	       "\x5b\x82\x13"
	       "DEV_"
	       "\x14\x0d_EVT\x09"
	       "\x86"
	       "DEV_"
	       "\x0a\x80");

	a = fresh();
	m = aml_buffer(&a);
	aml_bytes(&a, "xyz", 3);
	aml_buffer_end(&a, m);
	IS(&a, "\x11\x06\x0a\x03xyz");

	a = fresh();
	m = aml_package(&a, 2);
	aml_int(&a, 5);
	aml_int(&a, 0);
	aml_end(&a, m);
	IS(&a, "\x12\x05\x02\x0a\x05\x00");
}
END_TEST

/* PkgLength counts itself: at each content size around the boundaries, read it back as an interpreter would. */
START_TEST(lengths)
{
	static const size_t sizes[] = { 0,     1,     57,      58,	59,	 0xff8,	  0xff9,
					0xffa, 0xffb, 0xffff6, 0xffff7, 0xffff8, 0xffff9, 0x200000 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct aml a = fresh();
		size_t m = aml_scope(&a, "ABCD"), more, len;

		for (size_t n = 0; n < sizes[i]; n++)
			aml_u8(&a, (uint8_t)(n * 3));
		aml_end(&a, m);
		ck_assert(!a.full);
		more = a.buf[1] >> 6;
		len = more ? a.buf[1] & 0xf : a.buf[1] & 0x3f;
		for (size_t n = 0; n < more; n++)
			len |= (size_t)a.buf[2 + n] << (4 + 8 * n);
		ck_assert_uint_eq(len, a.len - 1);
		ck_assert_uint_eq(len, 1 + more + 4 + sizes[i]);
		ck_assert_uint_eq(more, len < 0x40 ? 0 : len < 0x1000 ? 1 : len < 0x100000 ? 2 : 3);
		ck_assert_mem_eq(a.buf + 2 + more, "ABCD", 4);
		for (size_t n = 0; n < sizes[i]; n += 509)
			ck_assert_uint_eq(a.buf[2 + more + 4 + n], (uint8_t)(n * 3));
	}
}
END_TEST

START_TEST(resources)
{
	struct aml a = fresh();
	size_t m = aml_crs(&a);

	aml_res_io(&a, 0x3f8, 8);
	aml_res_irq(&a, 4);
	aml_crs_end(&a, m);
	IS(&a, "\x08_CRS\x11\x16\x0a\x13"
	       "\x47\x01\xf8\x03\xf8\x03\x01\x08"
	       "\x89\x06\x00\x03\x01\x04\x00\x00\x00"
	       "\x79\x00");

	a = fresh();
	aml_res_bus(&a, 0, 255);
	IS(&a, "\x88\x0d\x00\x02\x0c\x00\x00\x00\x00\x00\xff\x00\x00\x00\x00\x01");
	a = fresh();
	aml_res_mem32(&a, 0xc0000000, 0x10000000, true);
	IS(&a,
	   "\x87\x17\x00\x00\x0c\x01\x00\x00\x00\x00\x00\x00\x00\xc0\xff\xff\xff\xcf\x00\x00\x00\x00\x00\x00\x00\x10");
	a = fresh();
	aml_res_mem64(&a, 0x8000000000, 0x4000000000, false);
	IS(&a, "\x8a\x2b\x00\x00\x0d\x01"
	       "\0\0\0\0\0\0\0\0"
	       "\0\0\0\0\x80\0\0\0"
	       "\xff\xff\xff\xff\xbf\0\0\0"
	       "\0\0\0\0\0\0\0\0"
	       "\0\0\0\0\x40\0\0\0");
}
END_TEST

/* The same text into buffers of every smaller size: full, and not a byte outside. */
START_TEST(full)
{
	size_t need = 0;

	for (size_t cap = 0; cap < 200; cap++) {
		uint8_t *buf = malloc(cap ? cap : 1);
		struct aml a = { .buf = buf, .cap = cap };
		size_t dev = aml_device(&a, "DEV_"), m;

		aml_name(&a, "_HID");
		aml_string(&a, "ACPI0013");
		m = aml_crs(&a);
		aml_res_mem64(&a, 0, 1, true);
		aml_res_io(&a, 1, 1);
		aml_crs_end(&a, m);
		m = aml_method(&a, "_EVT", 1, true);
		aml_notify(&a, "\\_SB_.PWRB", 0x80);
		aml_end(&a, m);
		aml_end(&a, dev);
		if (!a.full && !need)
			need = cap;
		ck_assert_int_eq(a.full, !need);
		ck_assert_uint_le(a.len, cap);
		if (!a.full)
			ck_assert_uint_eq(a.len, need);
		free(buf);
	}
	ck_assert_uint_gt(need, 100);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { integers, names, blocks, lengths, resources, full, NULL };

	return test_main("aml", tests);
}
