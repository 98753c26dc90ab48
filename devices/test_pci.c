/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pci.c - configuration space as a guest finds it, by the window and by the page behind it: header, capabilities,
 * BAR sizing, and every offset with every size and bytes at random.
 */
#include "pci.h"
#include <linux/pci_regs.h>
#include "test_driver.h"

#define DEV  5u
#define BASE ((uint64_t)DEV << 15)

struct fix {
	uint8_t *pages;
	struct pci pci;
	struct pci_func f;
	unsigned written, last_off, last_size;
};

static void on_written(struct pci_func *f, unsigned off, unsigned size)
{
	struct fix *x = container_of(f, struct fix, f);

	x->written++;
	x->last_off = off;
	x->last_size = size;
}

static void setup(struct fix *x)
{
	memset(x, 0, sizeof(*x));
	x->pages = aligned_alloc(4096, PCI_MAX_FUNCS * PCI_CFG_SIZE);
	pci_init(&x->pci, x->pages);
	pci_func_init(&x->pci, &x->f, DEV, "thing", 0x1af4, 0x1042, 0x010802, 7, 0x1af5, 0x0042);
	pci_bar_set(&x->f, 0, 0x8c0008000, 0x8000, true);
	pci_bar_set(&x->f, 2, 0xe0100000, 0x1000, false);
	ck_assert_uint_eq(pci_cap_add(&x->f, PCI_CAP_ID_VNDR, "\x05""abc", 4), 0x40);
	ck_assert_uint_eq(pci_cap_add(&x->f, PCI_CAP_ID_MSIX, "0123456789", 10), 0x48);
	x->f.wmask[0x4b] = 0xc0;
	x->f.cfg_written = on_written;
}

static void teardown(struct fix *x)
{
	pci_fini(&x->pci);
	free(x->pages);
}

static uint64_t rd(struct fix *x, uint64_t off, unsigned size)
{
	uint64_t v = pci_ecam_ops.read(&x->pci, off, size);

	return size == 8 ? v : v & (BIT_ULL(8 * size) - 1);
}

static void wr(struct fix *x, uint64_t off, unsigned size, uint64_t val)
{
	pci_ecam_ops.write(&x->pci, off, size, val);
}

START_TEST(header)
{
	static struct fix x;

	setup(&x);
	ck_assert_uint_eq(rd(&x, BASE + PCI_VENDOR_ID, 4), 0x10421af4);
	ck_assert_uint_eq(rd(&x, BASE + PCI_VENDOR_ID, 8), 0x0010000010421af4);
	ck_assert_uint_eq(rd(&x, BASE + PCI_DEVICE_ID, 2), 0x1042);
	ck_assert_uint_eq(rd(&x, BASE + PCI_CLASS_REVISION, 4), 0x01080207);
	ck_assert_uint_eq(rd(&x, BASE + PCI_HEADER_TYPE, 1), 0);
	ck_assert_uint_eq(rd(&x, BASE + PCI_SUBSYSTEM_VENDOR_ID, 4), 0x00421af5);
	ck_assert_uint_eq(rd(&x, BASE + PCI_INTERRUPT_PIN, 1), 0);
	ck_assert_uint_eq(rd(&x, BASE + PCI_BASE_ADDRESS_0, 4), 0xc0008004);
	ck_assert_uint_eq(rd(&x, BASE + PCI_BASE_ADDRESS_1, 4), 8);
	ck_assert_uint_eq(rd(&x, BASE + PCI_BASE_ADDRESS_2, 4), 0xe0100000);
	ck_assert_uint_eq(rd(&x, BASE + PCI_BASE_ADDRESS_3, 4), 0);
	ck_assert(rd(&x, BASE + PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	ck_assert_uint_eq(rd(&x, BASE + PCI_CAPABILITY_LIST, 1), 0x40);
	ck_assert_uint_eq(rd(&x, BASE + 0x40, 4), 'a' << 24 | 0x05 << 16 | 0x48 << 8 | PCI_CAP_ID_VNDR);
	ck_assert_uint_eq(rd(&x, BASE + 0x48, 2), 0 << 8 | PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(rd(&x, BASE + 0x4a, 8), 0x3736353433323130);
	ck_assert_uint_eq(rd(&x, BASE + 0x100, 4), 0); /* no extended capabilities */
	teardown(&x);
}
END_TEST

START_TEST(absent)
{
	static struct fix x;
	static const unsigned sizes[] = { 1, 2, 4, 8 };

	setup(&x);
	for (unsigned devfn = 0; devfn < 256; devfn++) {
		if (devfn == DEV << 3)
			continue;
		for (unsigned i = 0; i < 4; i++) {
			wr(&x, ((uint64_t)devfn << 12) + 4, sizes[i], 0);
			TD_ASSERT(pci_ecam_ops.read(&x.pci, (uint64_t)devfn << 12, sizes[i]) == UINT64_MAX);
			TD_ASSERT(pci_ecam_ops.read(&x.pci, ((uint64_t)devfn << 12) + 0xff7, sizes[i]) == UINT64_MAX);
		}
	}
	for (unsigned i = 0; i < PCI_MAX_FUNCS * PCI_CFG_SIZE; i++)
		TD_ASSERT(i / PCI_CFG_SIZE == DEV || x.pages[i] == 0xff);
	/* Across the edge of the page, into a function that is not there, or out of one. */
	ck_assert_uint_eq(rd(&x, BASE + 0xffd, 4), 0xffffffff);
	ck_assert_uint_eq(rd(&x, BASE - 2, 4), 0xffffffff);
	ck_assert_uint_eq(rd(&x, BASE + 0xffc, 4), 0);
	wr(&x, BASE - 1, 8, 0);
	ck_assert_uint_eq(x.written, 0);
	teardown(&x);
}
END_TEST

START_TEST(bar_sizing)
{
	static struct fix x;
	const uint64_t b0 = BASE + PCI_BASE_ADDRESS_0, b1 = b0 + 4, b2 = b0 + 8, b3 = b0 + 12;

	setup(&x);
	wr(&x, b0, 4, 0xffffffff);
	wr(&x, b1, 4, 0xffffffff);
	ck_assert_uint_eq(rd(&x, b0, 4), 0xffff8004);
	ck_assert_uint_eq(rd(&x, b1, 4), 0xffffffff);
	ck_assert_mem_eq(x.f.cfg + PCI_BASE_ADDRESS_0, "\x04\x80\xff\xff\xff\xff\xff\xff", 8);
	wr(&x, b0, 4, 0xc0008004);
	ck_assert_uint_eq(rd(&x, b0, 4), 0xc0008004);
	wr(&x, b1, 4, 8);
	ck_assert_uint_eq(rd(&x, b1, 4), 8);
	wr(&x, b0, 8, UINT64_MAX); /* both at once */
	ck_assert_uint_eq(rd(&x, b0, 8), 0xffffffffffff8004);
	wr(&x, b0, 8, 0x123456789abcdef0); /* a move is refused */
	ck_assert_uint_eq(rd(&x, b0, 8), 0x8c0008004);
	wr(&x, b0, 4, 0xfffffff0); /* the flags do not count */
	ck_assert_uint_eq(rd(&x, b0, 4), 0xffff8004);
	wr(&x, b0, 4, 0);
	ck_assert_uint_eq(rd(&x, b0, 4), 0xc0008004);
	wr(&x, b0 + 1, 1, 0xff);
	wr(&x, b0 + 2, 2, 0);
	wr(&x, b0 + 3, 4, 0x11223344); /* unaligned, the end of one and the start of the next */
	ck_assert_uint_eq(rd(&x, b0, 8), 0x8c0008004);
	wr(&x, b2, 4, 0xffffffff);
	ck_assert_uint_eq(rd(&x, b2, 4), 0xfffff000);
	wr(&x, b2, 4, 0xe0200000);
	ck_assert_uint_eq(rd(&x, b2, 4), 0xe0100000);
	wr(&x, b3, 4, 0xffffffff); /* not there */
	ck_assert_uint_eq(rd(&x, b3, 4), 0);
	wr(&x, BASE + PCI_ROM_ADDRESS, 4, 0xffffffff);
	ck_assert_uint_eq(rd(&x, BASE + PCI_ROM_ADDRESS, 4), 0);
	teardown(&x);
}
END_TEST

START_TEST(writable_bits)
{
	static struct fix x;

	setup(&x);
	wr(&x, BASE + PCI_COMMAND, 4, 0xffffffff); /* with the status register, whose bits stay */
	ck_assert_uint_eq(rd(&x, BASE + PCI_COMMAND, 4), (uint32_t)PCI_STATUS_CAP_LIST << 16 | 0x0406);
	ck_assert_uint_eq(x.written, 1);
	wr(&x, BASE + PCI_COMMAND, 1, 0);
	ck_assert_uint_eq(rd(&x, BASE + PCI_COMMAND, 2), 0x0400);
	wr(&x, BASE + PCI_INTERRUPT_LINE, 2, 0xabcd);
	ck_assert_uint_eq(rd(&x, BASE + PCI_INTERRUPT_LINE, 2), 0x00cd);
	wr(&x, BASE + 0x4a, 2, 0xffff);
	ck_assert_uint_eq(rd(&x, BASE + 0x4a, 2), 0xf130);
	ck_assert_uint_eq(x.last_off, 0x4a);
	ck_assert_uint_eq(x.last_size, 2);
	wr(&x, BASE + 0x49, 4, 0); /* unaligned, over the border of two doublewords */
	ck_assert_uint_eq(rd(&x, BASE + 0x4a, 2), 0x3130);
	wr(&x, BASE + 0x100, 4, 0xffffffff);
	wr(&x, BASE + 0xfe, 4, 0xffffffff);
	ck_assert_uint_eq(rd(&x, BASE + 0xfc, 8), 0);
	teardown(&x);
}
END_TEST

/* Whatever is written wherever, read-only bits stay, and the page reads as the window does. */
START_TEST(sweep)
{
	static struct fix x;
	static uint8_t was[PCI_CFG_SIZE];
	uint32_t seed = 1;

	setup(&x);
	memcpy(was, x.f.cfg, sizeof(was));
	for (unsigned off = 0; off < PCI_CFG_SIZE; off++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			uint64_t page = 0;

			seed = seed * 1103515245 + 12345;
			wr(&x, BASE + off, size, seed % 3 ? (uint64_t)seed << 32 | seed : UINT64_MAX);
			if (off + size > PCI_CFG_SIZE)
				continue;
			memcpy(&page, x.f.cfg + off, size);
			TD_ASSERT(rd(&x, BASE + off, size) == page);
		}
	for (unsigned off = 0; off < PCI_CFG_SIZE; off++)
		if (off < PCI_BASE_ADDRESS_0 || off >= PCI_BASE_ADDRESS_0 + 12)
			TD_ASSERT(((x.f.cfg[off] ^ was[off]) & (off < 256 ? ~x.f.wmask[off] : 0xff)) == 0);
	for (unsigned i = 0; i < PCI_MAX_FUNCS * PCI_CFG_SIZE; i++)
		TD_ASSERT(i / PCI_CFG_SIZE == DEV || x.pages[i] == 0xff);
	teardown(&x);
}
END_TEST

/* A guest's vCPU that reads the page while another sizes the BAR sees the address or the mask, and nothing between. */
static void *read_page(void *arg)
{
	struct fix *x = arg;
	const uint32_t *bar = (const uint32_t *)(const void *)(x->f.cfg + PCI_BASE_ADDRESS_0);
	const uint8_t *vendor = x->f.cfg;

	while (!__atomic_load_n(&x->last_size, __ATOMIC_RELAXED)) {
		uint32_t v = __atomic_load_n(bar, __ATOMIC_RELAXED);

		TD_ASSERT(v == 0xc0008004 || v == 0xffff8004);
		TD_ASSERT(*vendor == 0xf4);
	}
	return NULL;
}

START_TEST(no_garbage_between)
{
	static struct fix x;
	pthread_t th;

	setup(&x);
	x.f.cfg_written = NULL;
	pthread_create(&th, NULL, read_page, &x);
	for (unsigned i = 0; i < 100000; i++)
		wr(&x, BASE + PCI_BASE_ADDRESS_0, 4, i & 1 ? 0xc0008000 : 0xffffffff);
	__atomic_store_n(&x.last_size, 1, __ATOMIC_RELAXED);
	pthread_join(th, NULL);
	teardown(&x);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { header, absent, bar_sizing, writable_bits, sweep, no_garbage_between, NULL };

	return test_main("pci", tests);
}
