/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_x86_insn.c - names of instructions that stop stock kernels, and no reading past what is there. */
#include "x86_insn.h"
#include "bits.h"
#include "test.h"

static const struct {
	const char *name;
	uint8_t len, b[8];
} cases[] = {
	{ "CMPXCHG16B", 4, { 0x48, 0x0f, 0xc7, 0x0e } },
	{ "CMPXCHG16B", 5, { 0xf0, 0x49, 0x0f, 0xc7, 0x08 } },
	{ "CMPXCHG8B", 3, { 0x0f, 0xc7, 0x0e } },
	{ "XRSTOR64", 4, { 0x48, 0x0f, 0xae, 0x2f } },
	{ "XRSTOR", 3, { 0x0f, 0xae, 0x2f } },
	{ "FXSAVE64", 4, { 0x48, 0x0f, 0xae, 0x07 } },
	{ "XSAVES", 4, { 0x48, 0x0f, 0xc7, 0x2f } },
	{ "RDRAND", 3, { 0x0f, 0xc7, 0xf0 } },
	{ "SHLX", 5, { 0xc4, 0xe2, 0xf9, 0xf7, 0xc0 } },
	{ "SARX", 5, { 0xc4, 0xe2, 0xfa, 0xf7, 0xc0 } },
	{ "ANDN", 5, { 0xc4, 0xe2, 0x78, 0xf2, 0xc0 } },
	{ "RORX", 6, { 0xc4, 0xe3, 0xfb, 0xf0, 0xc0, 0x20 } },
	{ "an AVX instruction", 4, { 0xc5, 0xf8, 0x77, 0 } },
	{ "an SSE instruction", 3, { 0x0f, 0x28, 0xc1 } },
	{ "an SSE instruction", 4, { 0x66, 0x0f, 0x6f, 0x07 } },
	{ "POPCNT", 5, { 0xf3, 0x48, 0x0f, 0xb8, 0xc0 } },
	{ "an AVX-512 instruction", 6, { 0x62, 0xf1, 0x7c, 0x48, 0x28, 0xc1 } },
	{ "an x87 instruction", 2, { 0xdb, 0xe3 } },
	{ "INT3", 2, { 0xcc, 0x90 } },
	{ "INT n", 2, { 0xcd, 0x80 } },
	{ "STAC", 3, { 0x0f, 0x01, 0xcb } },
	{ "CLZERO", 3, { 0x0f, 0x01, 0xfc } },
	{ "INVPCID", 6, { 0x66, 0x0f, 0x38, 0x82, 0x04, 0x24 } },
	{ "ADCX", 6, { 0x66, 0x48, 0x0f, 0x38, 0xf6, 0xc2 } },
	{ "MOVBE", 5, { 0x0f, 0x38, 0xf0, 0x04, 0x24 } },
	{ "CRC32", 5, { 0xf2, 0x0f, 0x38, 0xf1, 0xc2 } },
	{ "a direct store (MOVDIRI, MOVDIR64B)", 4, { 0x0f, 0x38, 0xf9, 0x00 } },
	{ "CLWB", 4, { 0x66, 0x0f, 0xae, 0x30 } },
	{ "CLFLUSHOPT", 4, { 0x66, 0x0f, 0xae, 0x38 } },
	{ "XSAVEOPT64", 4, { 0x48, 0x0f, 0xae, 0x31 } },
	{ "XSETBV", 3, { 0x0f, 0x01, 0xd1 } },
	{ NULL, 1, { 0x90 } },
	{ NULL, 0, { 0 } },
};

START_TEST(names)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = x86_insn_name(cases[i].b, cases[i].len);

		if (cases[i].name)
			ck_assert_pstr_eq(got, cases[i].name);
		else
			ck_assert_ptr_null(got);
	}
}
END_TEST

/* Every instruction cut short, in a block of just that size, under AddressSanitizer. */
START_TEST(truncated)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t n = 0; n <= cases[i].len; n++) {
			uint8_t *p = malloc(n ? n : 1);

			memcpy(p, cases[i].b, n);
			x86_insn_name(p, n);
			free(p);
		}
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			uint8_t two[2] = { (uint8_t)a, (uint8_t)b };

			x86_insn_name(two, 2);
			x86_insn_name((uint8_t[]){ 0x0f, (uint8_t)a, (uint8_t)b }, 3);
		}
}
END_TEST

int main(void)
{
	return test_main("x86_insn", (const TTest *const[]){ names, truncated, NULL });
}
