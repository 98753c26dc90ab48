/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_x86_cpu.c - the topology that CPUID tells: every count from 1 to 255, every vCPU. */
#include "x86_cpu.h"
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "test.h"

static const struct kvm_cpuid_entry2 host_leaves[] = {
	{ .function = 0, .eax = 0x10 },
	{ .function = 1, .ebx = 0x33100800, .ecx = 0x7ffafbff, .edx = 0xbfebfbff },
	{ .function = 4, .index = 0, .eax = 0x1c004121 },
	{ .function = 4, .index = 3, .eax = 0x1c3fc163 },
	{ .function = 0xb, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
	{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x703f },
	{ .function = 0x8000001d, .index = 3, .eax = 0x0003c163 },
	{ .function = 0x8000001e, .eax = 77, .ebx = 0x0102, .ecx = 1 },
};

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid2 *t, uint32_t function, uint32_t index)
{
	for (unsigned i = 0; i < t->nent; i++)
		if (t->entries[i].function == function && t->entries[i].index == index)
			return &t->entries[i];
	return NULL;
}

START_TEST(topology)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + X86_CPUID_MAX * sizeof(t->entries[0]));

	for (unsigned n = 1; n <= 255; n++) {
		memcpy(t->entries, host_leaves, sizeof(host_leaves));
		t->nent = ARRAY_SIZE(host_leaves);
		x86_cpuid_add_topology(t);
		for (unsigned i = 0; i < n; i++) {
			const struct kvm_cpuid_entry2 *b1, *c3;

			x86_cpuid_for(t, i, n);
			ck_assert_uint_eq(leaf(t, 1, 0)->ebx >> 24, i);
			ck_assert_uint_eq(leaf(t, 1, 0)->ebx >> 16 & 0xff, n);
			ck_assert_uint_eq(leaf(t, 1, 0)->ebx & 0xffff, 0x0800);
			ck_assert_uint_eq(leaf(t, 0xb, 0)->edx, i);
			ck_assert_uint_eq(leaf(t, 0xb, 0)->ecx >> 8, 1);
			b1 = leaf(t, 0xb, 1);
			ck_assert_ptr_nonnull(b1);
			ck_assert_uint_eq(b1->ecx, 0x201);
			ck_assert_uint_eq(b1->ebx, n);
			ck_assert_uint_ge(1u << b1->eax, n); /* all ids fit below the package's */
			ck_assert(b1->eax == 0 || 1u << (b1->eax - 1) < n);
			ck_assert_uint_eq(leaf(t, 0xb, 2)->ebx, 0);
			c3 = leaf(t, 4, 3);
			ck_assert_uint_ge((c3->eax >> 14 & 0xfff) + 1, n);
			ck_assert_uint_eq(leaf(t, 4, 0)->eax >> 14 & 0xfff, 0);
			ck_assert_uint_eq((leaf(t, 0x80000008, 0)->ecx & 0xff) + 1, n);
			ck_assert_uint_eq(leaf(t, 0x8000001e, 0)->eax, i);
		}
	}
	free(t);
}
END_TEST

/* A host without leaf 0xb: it is made, and announced. */
START_TEST(no_leaf_b)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + X86_CPUID_MAX * sizeof(t->entries[0]));

	t->nent = 1;
	t->entries[0] = (struct kvm_cpuid_entry2){ .function = 0, .eax = 4 };
	x86_cpuid_add_topology(t);
	x86_cpuid_for(t, 3, 5);
	ck_assert_uint_eq(leaf(t, 0, 0)->eax, 0xb);
	ck_assert_uint_eq(leaf(t, 0xb, 1)->edx, 3);
	ck_assert_uint_eq(leaf(t, 0xb, 1)->eax, 3);
	t->nent = X86_CPUID_MAX; /* a full list stays within its bounds */
	memset(t->entries, 0, X86_CPUID_MAX * sizeof(t->entries[0]));
	x86_cpuid_add_topology(t);
	x86_cpuid_for(t, 0, 1);
	ck_assert_uint_eq(t->nent, X86_CPUID_MAX);
	free(t);
}
END_TEST

static int offer(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	static const struct kvm_cpuid_entry2 all[] = {
		{ .function = 0, .eax = 0x1c, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65 },
		{ .function = 1, .ecx = 0x5fafbff7 | 1 << 5, .edx = 0x178bfbff },
		{ .function = 7, .ebx = 0xf1bf03ab, .ecx = 0x5f46, .edx = 0x110 },
		{ .function = 7, .index = 1, .eax = 0x1c30 },
		{ .function = 0xb, .index = 0, .ebx = 1 },
		{ .function = 0xd, .index = 0, .eax = 0xe7, .ebx = 0x980 },
		{ .function = 0xd, .index = 1, .eax = 7, .ebx = 0x240 },
		{ .function = 0x40000001, .eax = 0x0100fefb, .edx = 1 },
		{ .function = 0x80000001, .ecx = 0x4003f7 },
		{ .function = 0x80000008, .ebx = 0x50020005, .ecx = 0x7001 },
		{ .function = 0x8000000a, .eax = 1, .ebx = 16, .edx = 0xbb },
	};
	struct kvm_cpuid2 *t = (struct kvm_cpuid2 *)arg;

	memcpy(t->entries, all, sizeof(all));
	t->nent = ARRAY_SIZE(all);
	return 0;
}

/* What is left of VMX, SVM and KVM's calls, and what the guest learns of its depth. */
START_TEST(views)
{
	const struct host h = { .ioctl = offer };
	struct kvm kvm = { .host = &h };

	for (unsigned i = 0; i < 8; i++) {
		const struct x86_view view = { .nested = i & 1, .less_pv = i & 2 ? 0 : ~0u, .depth = i & 4 ? 3 : 0 };
		const struct kvm_cpuid_entry2 *own;
		struct kvm_cpuid2 *t = NULL;

		ck_assert_int_eq(x86_cpuid_template(&kvm, &view, &t, NULL), 0);
		ck_assert_uint_eq(leaf(t, 1, 0)->ecx >> 5 & 1, view.nested);
		ck_assert_uint_eq(leaf(t, 1, 0)->ecx >> 31, 1);
		ck_assert_uint_eq(leaf(t, 0x80000001, 0)->ecx, view.nested ? 0x4003f7 : 0x4003f3);
		ck_assert_uint_eq(leaf(t, 0x8000000a, 0)->ebx, view.nested ? 16 : 0);
		ck_assert_uint_eq(leaf(t, 0x8000000a, 0)->edx, view.nested ? 0xbb : 0);
		ck_assert_uint_eq(leaf(t, 0x40000001, 0)->eax, view.less_pv ? 0x0100000b : 0x0100fefb);
		own = leaf(t, X86_TINYVMM_LEAF, 0);
		ck_assert(!own == !view.depth);
		ck_assert(!own || (own->eax == 3 && !memcmp(&own->ebx, "tinyvmm", 8)));
		free(t);
	}
}
END_TEST

/* For a KVM that interprets ring 0: nothing that it lacks, all that it has, and no leaf above what leaf 0 tells. */
START_TEST(plain)
{
	const struct host h = { .ioctl = offer };
	struct kvm kvm = { .host = &h };
	const struct x86_view view = { .plain = true, .depth = 2 };
	struct kvm_cpuid2 *t = NULL;

	ck_assert_int_eq(x86_cpuid_template(&kvm, &view, &t, NULL), 0);
	for (unsigned n = 1; n < 3; n++) {
		x86_cpuid_for(t, n - 1, n);
		ck_assert_uint_eq(leaf(t, 0, 0)->eax, 6);
		ck_assert_uint_eq(leaf(t, 0, 0)->ebx, 0x68747541); /* the vendor */
		ck_assert_uint_eq(leaf(t, 1, 0)->ecx, 1u << 31 | 1 << 30 | 1 << 24 | 1 << 21 | 1 << 17);
		ck_assert_uint_eq(leaf(t, 1, 0)->edx & ~(1u << 28), 0x078bfbff);
		for (unsigned i = 0; i < t->nent; i++) {
			const struct kvm_cpuid_entry2 *e = &t->entries[i];

			if (e->function > 6 && e->function < 0x40000000 && e->function != 0xb)
				ck_assert(!e->eax && !e->ebx && !e->ecx && !e->edx);
		}
		ck_assert_uint_eq(leaf(t, 0x80000001, 0)->ecx & ~(1u << 1), 0x400311); /* what views has, less LZCNT, SSE4A, SVM */
		ck_assert_uint_eq(leaf(t, 0x80000008, 0)->ebx, 0x50020000);
		ck_assert_uint_eq(leaf(t, 0x40000001, 0)->eax, 0x0100fefb);
		ck_assert_uint_eq(leaf(t, X86_TINYVMM_LEAF, 0)->eax, 2);
	}
	free(t);
}
END_TEST

/* Nothing but what tells that string instructions are fast. */
START_TEST(plain_strings)
{
	const struct host h = { .ioctl = offer };
	struct kvm kvm = { .host = &h };
	struct x86_view view = { .nested = true };
	struct kvm_cpuid2 *all = NULL, *t = NULL;

	ck_assert_int_eq(x86_cpuid_template(&kvm, &view, &all, NULL), 0);
	ck_assert_uint_eq(leaf(all, 7, 0)->ebx, 0xf1bf03ab);
	ck_assert_uint_eq(leaf(all, 7, 1)->eax, 0x1c30);
	view.plain_strings = true;
	ck_assert_int_eq(x86_cpuid_template(&kvm, &view, &t, NULL), 0);
	ck_assert_uint_eq(leaf(t, 7, 0)->ebx, 0xf1bf01ab);
	ck_assert_uint_eq(leaf(t, 7, 0)->edx, 0x100);
	ck_assert_uint_eq(leaf(t, 7, 1)->eax, 0x30);
	ck_assert_uint_eq(t->nent, all->nent);
	for (unsigned i = 0; i < t->nent; i++)
		ck_assert(t->entries[i].function == 7 || !memcmp(&t->entries[i], &all->entries[i], sizeof(t->entries[i])));
	free(all);
	free(t);
}
END_TEST

int main(void)
{
	return test_main("x86_cpu", (const TTest *const[]){ topology, no_leaf_b, views, plain, plain_strings, NULL });
}
