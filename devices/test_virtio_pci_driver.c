/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_pci_driver.c - a whole driver that knows nothing but the BAR and configuration space, the interrupts that it
 * gets, and two that access everything everywhere at random.
 */
#include "test_virtio_pci.h"

#define OK (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK)

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
	Suite *s = suite_create("virtio_pci_driver");
	TCase *tc = tcase_create("virtio_pci_driver");

	tcase_add_loop_test(tc, driver, 0, 2);
	tcase_add_test(tc, config_interrupt);
	tcase_add_test(tc, calls);
	tcase_add_loop_test(tc, monkeys, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
