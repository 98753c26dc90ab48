/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_pci.c - what a driver finds before it starts the device: capabilities, and each register by each width.
 */
#include "test_virtio_pci.h"

/* ---- discovery ---------------------------------------------------------------------------------------------------- */

START_TEST(discovery)
{
	static const struct {
		unsigned type, cap_len, offset, length;
	} caps[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, 16, VIRTIO_PCI_COMMON_OFF, 0x3c },
		{ VIRTIO_PCI_CAP_NOTIFY_CFG, 20, VIRTIO_PCI_NOTIFY_OFF, 2 * VIRTIO_PCI_NOTIFY_MUL },
		{ VIRTIO_PCI_CAP_ISR_CFG, 16, VIRTIO_PCI_ISR_OFF, 1 },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, 16, VIRTIO_PCI_DEVICE_OFF, 12 },
	};
	static struct fix x;
	unsigned at;

	setup(&x, &null_class, 12);
	ck_assert_uint_eq(cfg(&x, PCI_VENDOR_ID, 4), 0x10421af4);
	ck_assert_uint_eq(cfg(&x, PCI_CLASS_REVISION, 4), 0x01080201);
	ck_assert_uint_ge(cfg(&x, PCI_SUBSYSTEM_ID, 2), 0x40);
	ck_assert_uint_eq(cfg(&x, PCI_BASE_ADDRESS_0, 4), (uint32_t)BAR_ADDR | 4);
	ck_assert_uint_eq(cfg(&x, PCI_BASE_ADDRESS_1, 4), BAR_ADDR >> 32);
	for (unsigned i = 0; i < ARRAY_SIZE(caps); i++) {
		at = find_cap(&x, PCI_CAP_ID_VNDR, caps[i].type);
		ck_assert_uint_ne(at, 0);
		ck_assert_uint_eq(cfg(&x, at + VIRTIO_PCI_CAP_LEN, 1), caps[i].cap_len);
		ck_assert_uint_eq(cfg(&x, at + VIRTIO_PCI_CAP_BAR, 1), 0);
		ck_assert_uint_eq(cfg(&x, at + VIRTIO_PCI_CAP_OFFSET, 4), caps[i].offset);
		ck_assert_uint_eq(cfg(&x, at + VIRTIO_PCI_CAP_LENGTH, 4), caps[i].length);
	}
	at = find_cap(&x, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);
	ck_assert_uint_eq(cfg(&x, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4), VIRTIO_PCI_NOTIFY_MUL);
	at = find_cap(&x, PCI_CAP_ID_MSIX, 0);
	ck_assert_uint_eq(cfg(&x, at + PCI_MSIX_FLAGS, 2), 2); /* three vectors */
	ck_assert_uint_eq(cfg(&x, at + PCI_MSIX_TABLE, 4), VIRTIO_PCI_MSIX_OFF);
	ck_assert_uint_eq(cfg(&x, at + PCI_MSIX_PBA, 4), VIRTIO_PCI_PBA_OFF);
	teardown(&x);

	setup(&x, &sync_class, 0);
	ck_assert_uint_eq(find_cap(&x, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_DEVICE_CFG), 0);
	ck_assert_uint_eq(x.vp.n_bells, 0);
	teardown(&x);
}
END_TEST

START_TEST(slots)
{
	static struct fix x;
	struct virtio_pci other = { 0 };
	struct tvmm_error err = { 0 };

	setup(&x, &null_class, 12);
	ck_assert_int_eq(virtio_pci_init(&other, &x.n.dev, &x.pci, SLOT, 0, &x.sink, &err), -EBUSY);
	ck_assert_uint_eq(err.code, TVMM_E_CONFIG);
	ck_assert_int_eq(virtio_pci_init(&other, &x.n.dev, &x.pci, PCI_MAX_FUNCS, 0, &x.sink, &err), -EBUSY);
	virtio_pci_fini(&other);
	ck_assert_ptr_eq(x.pci.func[SLOT], &x.vp.func);
	teardown(&x);
}
END_TEST

/* ---- registers ---------------------------------------------------------------------------------------------------- */

/* Every register of common configuration: its width, what it reads after reset, and after all ones were written. */
static const struct reg {
	unsigned off, size;
	uint64_t reset, ones;
} regs[] = {
	{ 0x00, 4, 0, 0xffffffff },       /* device_feature_select */
	{ 0x04, 4, 1 << 28 | 1 << 29 | 1 << 3, 0 }, /* device_feature: of the window that was just chosen */
	{ 0x08, 4, 0, 0xffffffff },       /* driver_feature_select */
	{ 0x0c, 4, 0, 0 },                /* driver_feature: likewise */
	{ 0x10, 2, 0xffff, 0xffff },      /* config_msix_vector */
	{ 0x12, 2, 2, 2 },                /* num_queues */
	{ 0x15, 1, 0, 0 },                /* config_generation */
	{ 0x18, 2, 16, 16 },              /* queue_size */
	{ 0x1a, 2, 0xffff, 0xffff },      /* queue_msix_vector */
	{ 0x1c, 2, 0, 0 },                /* queue_enable */
	{ 0x1e, 2, 0, 0 },                /* queue_notify_off */
	{ 0x20, 4, 0, 0xffffffff }, { 0x24, 4, 0, 0xffffffff }, /* queue_desc */
	{ 0x28, 4, 0, 0xffffffff }, { 0x2c, 4, 0, 0xffffffff }, /* queue_driver */
	{ 0x30, 4, 0, 0xffffffff }, { 0x34, 4, 0, 0xffffffff }, /* queue_device */
	{ 0x38, 2, 0, 0 },                /* queue_notify_data */
	{ 0x3a, 2, 0, 0 },                /* queue_reset */
	{ 0x16, 2, 0, 0xffff },           /* queue_select */
	{ 0x14, 1, 0, 0x83 },             /* device_status: FEATURES_OK is refused, 0x70 not the driver's */
};

static bool is_register(unsigned off, unsigned size)
{
	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
		if (regs[i].off == off && regs[i].size == size)
			return true;
	return size == 8 && (off == 0x20 || off == 0x28 || off == 0x30);
}

START_TEST(common_registers)
{
	static struct fix x;

	setup(&x, &null_class, 12);
	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
		ck_assert_msg(rd(&x, regs[i].off, regs[i].size) == regs[i].reset, "register %#x", regs[i].off);
	/* Other widths and places: nothing there, and nothing happens. */
	for (unsigned off = 0; off < 0x1000; off++)
		for (unsigned size = 1; size <= 8; size *= 2)
			if (!is_register(off, size)) {
				wr(&x, off, size, NOTHING);
				TD_ASSERT(rd(&x, off, size) == NOTHING);
			}
	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
		ck_assert_msg(rd(&x, regs[i].off, regs[i].size) == regs[i].reset, "register %#x", regs[i].off);
	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
		wr(&x, regs[i].off, regs[i].size, NOTHING);
		ck_assert_msg(rd(&x, regs[i].off, regs[i].size) == regs[i].ones, "register %#x", regs[i].off);
	}
	wr(&x, 0x14, 1, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
		ck_assert_msg(rd(&x, regs[i].off, regs[i].size) == regs[i].reset, "register %#x", regs[i].off);
	teardown(&x);
}
END_TEST

START_TEST(feature_windows)
{
	static struct fix x;

	setup(&x, &null_class, 12);
	wr(&x, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_DF, 4), 1);
	wr(&x, VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_DF, 4), 0);
	for (unsigned s = 0; s < 4; s++) {
		wr(&x, VIRTIO_PCI_COMMON_GFSELECT, 4, s);
		wr(&x, VIRTIO_PCI_COMMON_GF, 4, s + 1);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_GF, 4), s < 2 ? s + 1 : 0);
	}
	ck_assert_uint_eq(x.n.dev.driver_features, 2ull << 32 | 1);
	teardown(&x);
}
END_TEST

START_TEST(queue_registers)
{
	static struct fix x;

	setup(&x, &null_class, 12);
	for (unsigned q = 0; q < 2; q++) {
		wr(&x, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_NOFF, 2), q);
		wr(&x, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4 << q);
		wr(&x, VIRTIO_PCI_COMMON_Q_SIZE, 2, 3);
		wr(&x, VIRTIO_PCI_COMMON_Q_SIZE, 2, 32);
		wr(&x, VIRTIO_PCI_COMMON_Q_SIZE, 2, 0);
		for (unsigned v = 0; v < 0x10000; v++) {
			wr(&x, VIRTIO_PCI_COMMON_Q_MSIX, 2, v);
			TD_ASSERT(rd(&x, VIRTIO_PCI_COMMON_Q_MSIX, 2) == (v < 3 ? v : 0xffff));
			wr(&x, VIRTIO_PCI_COMMON_MSIX, 2, v);
			TD_ASSERT(rd(&x, VIRTIO_PCI_COMMON_MSIX, 2) == (v < 3 ? v : 0xffff));
		}
		wr(&x, VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0x11110000 + q);
		wr(&x, VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0x22220000 + q);
		wr(&x, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, 0x4444000033330000 + q);
		wr(&x, VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0x55550000 + q);
	}
	for (unsigned q = 0; q < 2; q++) {
		wr(&x, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_SIZE, 2), 4 << q);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0x2222000011110000 + q * 0x100000001);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_AVAILLO, 4), 0x33330000 + q);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_AVAILHI, 4), 0x44440000);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_USEDLO, 8), (0x55550000ull + q) << 32);
		wr(&x, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
		wr(&x, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		wr(&x, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		wr(&x, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
		for (unsigned off = VIRTIO_PCI_COMMON_Q_DESCLO; off < 0x38; off += 4)
			wr(&x, off, 4, 0); /* too late */
		wr(&x, VIRTIO_PCI_COMMON_Q_SIZE, 2, 2);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_SIZE, 2), 4 << q);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0x22220000 + q);
	}
	for (unsigned q = 2; q < 0x10000; q += 0x3331) { /* queues that are not there */
		wr(&x, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
		for (unsigned off = 0x18; off < 0x3c; off += 2) {
			unsigned size = off < 0x20 || off >= 0x38 ? 2 : 4;

			if (size == 4 && off % 4)
				continue;
			wr(&x, off, size, 1);
			TD_ASSERT(rd(&x, off, size) == (off == VIRTIO_PCI_COMMON_Q_MSIX ? 0xffff : 0));
		}
	}
	teardown(&x);
}
END_TEST

START_TEST(device_config)
{
	static struct fix x;

	setup(&x, &null_class, 12);
	for (unsigned off = 0; off < 0x1000; off++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			uint64_t v = rd(&x, VIRTIO_PCI_DEVICE_OFF + off, size), want = 0;

			wr(&x, VIRTIO_PCI_DEVICE_OFF + off, size, 0);
			for (unsigned i = 0; i < size && off + i < 12; i++)
				want |= (uint64_t)(uint8_t)"0123456789ab"[off + i] << 8 * i;
			TD_ASSERT(v == (off + size > 0x1000 ? NOTHING : want));
		}
	teardown(&x);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { discovery, slots, common_registers, feature_windows,
				       queue_registers, device_config, NULL };

	return test_main("virtio_pci", tests);
}
