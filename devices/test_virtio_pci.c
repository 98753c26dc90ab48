/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_pci.c - a driver that knows nothing but the BAR and configuration space; each register by each width, and
 * everything everywhere at random.
 */
#include "virtio_pci.h"
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include "test_driver.h"

#define SLOT 3u
#define BAR_ADDR 0x8c0000000ull
#define OK (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK)
#define NOTHING UINT64_MAX
#define CALL_FD(q) (200 + (int)(q)) /* what stands for queue Q's call, while the device is active */

/* A device that gives every request back, with nothing written. */
struct null_dev {
	struct virtio_dev dev;
	struct virtq_req req;
	_Atomic unsigned served, activated, reset;
};

struct fix {
	struct td t;
	struct null_dev n;
	struct virtio_pci vp;
	struct pci pci;
	uint8_t *pages;
	struct msi_sink sink;
	_Atomic unsigned sent[8]; /* by data */
	_Atomic int routed[2];    /* what the host sends for each call, -1: nothing */
};

static void null_activate(struct virtio_dev *dev)
{
	container_of(dev, struct null_dev, dev)->activated++;
	for (unsigned q = 0; q < 2; q++)
		TD_ASSERT(!dev->transport->queue_call(dev, q, CALL_FD(q)));
}

static void null_reset(struct virtio_dev *dev)
{
	container_of(dev, struct null_dev, dev)->reset++;
	for (unsigned q = 0; q < 2; q++)
		TD_ASSERT(!dev->transport->queue_call(dev, q, -1));
}

static void null_notify(struct virtio_dev *dev, unsigned q)
{
	struct null_dev *n = container_of(dev, struct null_dev, dev);
	struct virtq *vq = &dev->queue[q].vq;

	do {
		while (vq_pop(vq, &n->req) == 1) {
			vq_push(vq, n->req.head, 0);
			n->served++;
		}
	} while (vq_notify_on(vq));
	virtio_signal(dev, q);
}

static void null_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	TD_ASSERT(off + len <= 12);
	memcpy(buf, &"0123456789ab"[off], len);
}

static const struct virtio_class null_class = {
	.name = "virtio-null",
	.device_id = 2,
	.pci_class = 0x010802,
	.activate = null_activate,
	.reset = null_reset,
	.notify = null_notify,
	.config_read = null_config_read,
};

static const struct virtio_class sync_class = {
	.name = "virtio-null",
	.device_id = 4,
	.pci_class = 0xff0000,
	.sync_notify = true,
	.activate = null_activate,
	.reset = null_reset,
	.notify = null_notify,
	.config_read = null_config_read,
};

static void on_signal(struct msi_sink *s, uint64_t addr, uint32_t data)
{
	struct fix *x = container_of(s, struct fix, sink);

	if (data < ARRAY_SIZE(x->sent)) /* the random sweep programs anything */
		x->sent[data]++;
}

static int on_route(struct msi_sink *s, int fd, uint64_t addr, uint32_t data)
{
	container_of(s, struct fix, sink)->routed[fd - CALL_FD(0)] = (int)(data & 0xffff);
	return 0;
}

static void on_unroute(struct msi_sink *s, int fd)
{
	container_of(s, struct fix, sink)->routed[fd - CALL_FD(0)] = -1;
}

static void setup(struct fix *x, const struct virtio_class *cls, unsigned config_len)
{
	memset(x, 0, sizeof(*x));
	td_init(&x->t);
	x->sink = (struct msi_sink){ .signal = on_signal, .route = on_route, .unroute = on_unroute };
	x->routed[0] = x->routed[1] = -1;
	x->pages = aligned_alloc(4096, PCI_MAX_FUNCS * PCI_CFG_SIZE);
	pci_init(&x->pci, x->pages);
	virtio_init(&x->n.dev, cls, "null 0", 2, 16, config_len, BIT_ULL(3), &x->t.mem, &x->t.loop, &x->t.log);
	ck_assert_int_eq(virtio_pci_init(&x->vp, &x->n.dev, &x->pci, SLOT, BAR_ADDR, &x->sink, NULL), 0);
}

static void teardown(struct fix *x)
{
	evloop_stop(&x->t.loop);
	virtio_pci_fini(&x->vp);
	virtio_pci_fini(&x->vp);
	ck_assert_ptr_null(x->pci.func[SLOT]);
	virtio_fini(&x->n.dev);
	ck_assert_uint_eq(x->n.activated, x->n.reset);
	ck_assert(x->routed[0] == -1 && x->routed[1] == -1);
	pci_fini(&x->pci);
	free(x->pages);
	td_fini(&x->t);
}

static uint64_t rd(struct fix *x, uint64_t off, unsigned size)
{
	return virtio_pci_ops.read(&x->vp, off, size);
}

static void wr(struct fix *x, uint64_t off, unsigned size, uint64_t val)
{
	virtio_pci_ops.write(&x->vp, off, size, val);
}

static uint64_t cfg(struct fix *x, unsigned off, unsigned size)
{
	uint64_t v = pci_ecam_ops.read(&x->pci, ((uint64_t)SLOT << 15) + off, size);

	return v & (BIT_ULL(8 * size) - 1);
}

/* ---- discovery ---------------------------------------------------------------------------------------------------- */

/* The capability of this type, as a driver looks for it; 0 if there is none.  The list must end. */
static unsigned find_cap(struct fix *x, unsigned id, unsigned type)
{
	unsigned at = (unsigned)cfg(x, PCI_CAPABILITY_LIST, 1);

	for (unsigned n = 0; at; n++, at = (unsigned)cfg(x, at + 1, 1)) {
		ck_assert_uint_lt(n, 16);
		ck_assert_uint_eq(at % 4, 0);
		ck_assert_uint_ge(at, 0x40);
		if (cfg(x, at, 1) == id && (id != PCI_CAP_ID_VNDR || cfg(x, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type))
			return at;
	}
	return 0;
}

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

/* ---- a whole driver ----------------------------------------------------------------------------------------------- */

static void enable_msix(struct fix *x)
{
	for (unsigned v = 0; v < 3; v++) {
		wr(x, VIRTIO_PCI_MSIX_OFF + 16 * v, 8, 0xfee00000);
		wr(x, VIRTIO_PCI_MSIX_OFF + 16 * v + 8, 8, v); /* data; unmasked */
	}
	pci_ecam_ops.write(&x->pci, ((uint64_t)SLOT << 15) + find_cap(x, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS, 2,
			   PCI_MSIX_FLAGS_ENABLE);
}

static void start(struct fix *x)
{
	wr(x, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	ck_assert_uint_eq(rd(x, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	wr(x, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	wr(x, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	wr(x, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(x, VIRTIO_PCI_COMMON_GF, 4, 1);
	wr(x, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	ck_assert_uint_eq(rd(x, VIRTIO_PCI_COMMON_STATUS, 1), 11);
	wr(x, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned q = 0; q < 2; q++) {
		struct td_ring *r = &x->t.ring[q];

		wr(x, VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
		td_ring_init(&x->t, r, 8);
		wr(x, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
		wr(x, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (uint32_t)r->desc.addr);
		wr(x, VIRTIO_PCI_COMMON_Q_DESCHI, 4, r->desc.addr >> 32);
		wr(x, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)r->avail.addr);
		wr(x, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, r->avail.addr >> 32);
		wr(x, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)r->used.addr);
		wr(x, VIRTIO_PCI_COMMON_Q_USEDHI, 4, r->used.addr >> 32);
		wr(x, VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
		wr(x, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	wr(x, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	ck_assert_uint_eq(rd(x, VIRTIO_PCI_COMMON_STATUS, 1), 15);
}

static void request(struct fix *x, unsigned q)
{
	struct td_seg s = td_out(&x->t, "x", 1);
	int head = td_offer(&x->t, &x->t.ring[q], &s, 1), got;

	wr(x, VIRTIO_PCI_NOTIFY_OFF + VIRTIO_PCI_NOTIFY_MUL * q, 2, q);
	while ((got = td_take_used(&x->t, &x->t.ring[q], NULL)) < 0)
		sched_yield(); /* meson's timeout ends a wait in vain */
	ck_assert_int_eq(got, head);
}

static void nothing(void *arg)
{
}

START_TEST(driver)
{
	static struct fix x;

	setup(&x, _i ? &sync_class : &null_class, 12);
	ck_assert_int_eq(evloop_start(&x.t.loop, "loop", NULL), 0);
	enable_msix(&x);
	for (unsigned round = 0; round < 3; round++) {
		start(&x);
		for (unsigned i = 0; i < 10; i++)
			request(&x, i & 1);
		wr(&x, VIRTIO_PCI_NOTIFY_OFF + 2, 2, 0);
		wr(&x, VIRTIO_PCI_NOTIFY_OFF + 8, 2, 0);
		wr(&x, VIRTIO_PCI_NOTIFY_OFF + 0xffc, 4, 0);
		evloop_call(&x.t.loop, nothing, NULL); /* the last interrupt is on its way after the used index */
		ck_assert_uint_eq(x.sent[0], 0);
		ck_assert_uint_eq(x.sent[1], 5 * (round + 1));
		ck_assert_uint_eq(x.sent[2], 5 * (round + 1));
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_ISR_OFF, 2), NOTHING); /* and does not acknowledge */
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_ISR_OFF, 1), 1);
		ck_assert_uint_eq(rd(&x, VIRTIO_PCI_ISR_OFF, 1), 0);
	}
	wr(&x, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	ck_assert_uint_eq(x.n.reset, 3);
	ck_assert_uint_eq(x.n.served, 30);
	wr(&x, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	for (unsigned q = 0; q < 2; q++)
		wr(&x, VIRTIO_PCI_NOTIFY_OFF + 4 * q, 2, q); /* nobody is there */
	evloop_call(&x.t.loop, nothing, NULL);
	ck_assert_uint_eq(x.t.log.guest_faults, 0);
	teardown(&x);
}
END_TEST

START_TEST(config_interrupt)
{
	static struct fix x;

	setup(&x, &null_class, 12);
	enable_msix(&x);
	start(&x);
	pthread_mutex_lock(&x.n.dev.lock);
	virtio_config_changed_locked(&x.n.dev);
	pthread_mutex_unlock(&x.n.dev.lock);
	ck_assert_uint_eq(x.sent[0], 1);
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_ISR_OFF, 1), 2);
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1);
	td_publish(&x.t, &x.t.ring[1], 8); /* a broken ring says so through the same vector */
	virtio_notify(&x.n.dev, 1);
	ck_assert_uint_eq(x.sent[0], 2);
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_STATUS, 1), OK | VIRTIO_S_NEEDS_RESET);
	for (unsigned i = 0; i < 256; i++) {
		pthread_mutex_lock(&x.n.dev.lock);
		virtio_config_changed_locked(&x.n.dev);
		pthread_mutex_unlock(&x.n.dev.lock);
	}
	ck_assert_uint_eq(rd(&x, VIRTIO_PCI_COMMON_CFGGENERATION, 1), 1); /* eight bits of it */
	teardown(&x);
}
END_TEST

/* A worker's calls follow the driver's choice of vectors, and end with the device's work. */
START_TEST(calls)
{
	static struct fix x;

	setup(&x, &null_class, 12);
	start(&x);
	ck_assert_int_eq(x.routed[0], -1); /* MSI-X is off */
	enable_msix(&x);
	ck_assert(x.routed[0] == 1 && x.routed[1] == 2);
	wr(&x, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	wr(&x, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
	ck_assert(x.routed[0] == 1 && x.routed[1] == 0);
	wr(&x, VIRTIO_PCI_MSIX_OFF + 12, 4, 1);
	ck_assert(x.routed[0] == 1 && x.routed[1] == -1);
	wr(&x, VIRTIO_PCI_COMMON_Q_MSIX, 2, 3); /* there is none */
	wr(&x, VIRTIO_PCI_MSIX_OFF + 12, 4, 0);
	ck_assert(x.routed[0] == 1 && x.routed[1] == -1);
	wr(&x, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	start(&x);
	ck_assert(x.routed[0] == 1 && x.routed[1] == 2);
	teardown(&x);
}
END_TEST

/* Two vCPUs that access anything anywhere in any width, while the loop works. */
static void *monkey(void *arg)
{
	struct fix *x = arg;
	uint32_t s = (uint32_t)(uintptr_t)&s | 1;

	for (unsigned i = 0; i < 100000; i++) {
		static const uint32_t hot[] = { 0x14, 0x16, 0x18, 0x1c, 0x20, 0x3000, 0x3004, 0x4000, 0x400c };
		uint64_t off, val;
		unsigned size;

		s ^= s << 13;
		s ^= s >> 17;
		s ^= s << 5;
		size = 1u << (s % 4);
		off = s & 16 ? hot[s / 32 % ARRAY_SIZE(hot)] : s / 32 % (VIRTIO_PCI_BAR_SIZE - 8);
		val = s & 1024 ? s >> 11 & 15 : s;
		if (s & 8192) {
			wr(x, off, size, val);
		} else if (s & 16384) {
			rd(x, off, size);
		} else {
			pci_ecam_ops.write(&x->pci, ((uint64_t)SLOT << 15) + off % 0x100, size, val);
			pci_ecam_ops.read(&x->pci, ((uint64_t)SLOT << 15) + off % 0x1100, size);
		}
		if (s % 64 == 0) { /* now and then somebody does it right */
			wr(x, 0x08, 4, 1);
			wr(x, 0x0c, 4, 1);
			wr(x, 0x14, 1, 15);
		}
	}
	return NULL;
}

START_TEST(monkeys)
{
	static struct fix x;
	pthread_t th[2];

	setup(&x, _i ? &sync_class : &null_class, 12);
	ck_assert_int_eq(evloop_start(&x.t.loop, "loop", NULL), 0);
	enable_msix(&x);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&th[i], NULL, monkey, &x);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	ck_assert_uint_gt(x.n.activated, 0);
	enable_msix(&x);
	start(&x); /* and it is as good as new */
	request(&x, 0);
	request(&x, 1);
	teardown(&x);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio_pci");
	TCase *tc = tcase_create("virtio_pci");

	tcase_add_test(tc, discovery);
	tcase_add_test(tc, slots);
	tcase_add_test(tc, common_registers);
	tcase_add_test(tc, feature_windows);
	tcase_add_test(tc, queue_registers);
	tcase_add_test(tc, device_config);
	tcase_add_loop_test(tc, driver, 0, 2);
	tcase_add_test(tc, config_interrupt);
	tcase_add_test(tc, calls);
	tcase_add_loop_test(tc, monkeys, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
