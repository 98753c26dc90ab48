/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_kvm_routes.c - eventfds and their messages, with a KVM of the test's own that keeps to the rules of the real one:
 * whatever a guest programs, its table stays within bounds, and an eventfd has the right message or none.
 */
#include "kvm_routes.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include "bits.h"
#include "test.h"

#define VM_FD 9

/* ck_assert() writes a file at each call that holds. */
#define MUST(x) \
	do { \
		if (!(x)) \
			ck_abort_msg("%s", #x); \
	} while (0)

static struct {
	struct kvm_irq_routing_entry entry[KVM_ROUTES_MAX]; /* by gsi; type 0: none */
	int irqfd[512];                                     /* by eventfd: the gsi, -1 none */
	unsigned tables, irqfds;                            /* calls of each */
	unsigned fail_at;                                   /* this call of either kind, from 1 */
} kvm;

static struct kvm_routes r;

static int set_table(const struct kvm_irq_routing *t)
{
	struct kvm_irq_routing_entry next[KVM_ROUTES_MAX] = { 0 };

	MUST(t->nr <= KVM_ROUTES_MAX);
	MUST(t->flags == 0);
	for (unsigned i = 0; i < t->nr; i++) {
		const struct kvm_irq_routing_entry *e = &t->entries[i];

		MUST(e->gsi < KVM_ROUTES_MAX);
		MUST(e->type == KVM_IRQ_ROUTING_MSI);
		MUST(e->flags == 0);
		MUST(next[e->gsi].type == 0);
		if (e->u.msi.address_hi & 0xff)
			return -EINVAL;
		next[e->gsi] = *e;
	}
	memcpy(kvm.entry, next, sizeof(next));
	return 0;
}

static int set_irqfd(const struct kvm_irqfd *i)
{
	bool off = i->flags & KVM_IRQFD_FLAG_DEASSIGN;

	MUST(i->fd < ARRAY_SIZE(kvm.irqfd));
	MUST(i->gsi < KVM_ROUTES_MAX);
	if (off) {
		MUST(kvm.irqfd[i->fd] == (int)i->gsi);
		kvm.irqfd[i->fd] = -1;
		return 0;
	}
	MUST(kvm.irqfd[i->fd] == -1); /* EBUSY */
	MUST(kvm.entry[i->gsi].type == KVM_IRQ_ROUTING_MSI); /* or what it raises is lost */
	kvm.irqfd[i->fd] = (int)i->gsi;
	return 0;
}

static int fake_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	bool table = req == KVM_SET_GSI_ROUTING, add;

	MUST(fd == VM_FD);
	MUST(table || req == KVM_IRQFD);
	kvm.tables += table;
	kvm.irqfds += !table;
	add = table || !(((const struct kvm_irqfd *)arg)->flags & KVM_IRQFD_FLAG_DEASSIGN);
	if (add && kvm.fail_at && !--kvm.fail_at)
		return -ENOMEM;
	return table ? set_table((const void *)arg) : set_irqfd((const void *)arg);
}

static const struct host host = { .ioctl = fake_ioctl };

static void begin(void)
{
	memset(&kvm, 0, sizeof(kvm));
	for (unsigned i = 0; i < ARRAY_SIZE(kvm.irqfd); i++)
		kvm.irqfd[i] = -1;
	kvm_routes_init(&r, &host, VM_FD);
}

static bool sends(int fd, uint64_t addr, uint32_t data)
{
	const struct kvm_irq_routing_entry *e = &kvm.entry[kvm.irqfd[fd] < 0 ? 0 : kvm.irqfd[fd]];

	return kvm.irqfd[fd] >= 0 && e->type == KVM_IRQ_ROUTING_MSI && e->u.msi.data == data &&
	       ((uint64_t)e->u.msi.address_hi << 32 | e->u.msi.address_lo) == addr;
}

START_TEST(one)
{
	begin();
	ck_assert_int_eq(kvm_routes_set(&r, 5, 0x1fee00000, 1), -EINVAL);
	ck_assert_int_eq(kvm.irqfd[5], -1);
	ck_assert_int_eq(kvm_routes_set(&r, 5, 0xfee00000, 0x41), 0);
	ck_assert(sends(5, 0xfee00000, 0x41));
	ck_assert_uint_eq(kvm.tables, 2);
	ck_assert_int_eq(kvm_routes_set(&r, 5, 0xfee00000, 0x41), 0); /* nothing new: no call */
	ck_assert_uint_eq(kvm.tables + kvm.irqfds, 3);
	ck_assert_int_eq(kvm_routes_set(&r, 5, 0x2fee01000, 0x42), -EINVAL); /* nothing rather than the old one */
	ck_assert_int_eq(kvm.irqfd[5], -1);
	ck_assert_int_eq(kvm_routes_set(&r, 5, 0x10000fee01000, 0x42), 0);
	ck_assert(sends(5, 0x10000fee01000, 0x42));
	ck_assert_int_eq(kvm_routes_set(&r, 5, 0xfee02000, 0x43), 0); /* changed in place */
	ck_assert(sends(5, 0xfee02000, 0x43));
	/* A mask and its end, with the same message: the table is left alone. */
	kvm.tables = kvm.irqfds = 0;
	for (unsigned i = 0; i < 10; i++) {
		kvm_routes_drop(&r, 5);
		ck_assert_int_eq(kvm.irqfd[5], -1);
		ck_assert_int_eq(kvm_routes_set(&r, 5, 0xfee02000, 0x43), 0);
		ck_assert(sends(5, 0xfee02000, 0x43));
	}
	ck_assert_uint_eq(kvm.tables, 0);
	ck_assert_uint_eq(kvm.irqfds, 20);
	kvm_routes_drop(&r, 6);
	kvm_routes_drop(&r, -1);
	ck_assert_int_eq(kvm_routes_set(&r, -1, 0, 0), -EBADF);
	ck_assert_uint_eq(kvm.irqfds, 20);
}
END_TEST

START_TEST(as_many_as_there_are)
{
	begin();
	for (int fd = 0; fd < KVM_ROUTES_MAX; fd++)
		ck_assert_int_eq(kvm_routes_set(&r, fd, 0xfee00000, (uint32_t)fd), 0);
	ck_assert_int_eq(kvm_routes_set(&r, KVM_ROUTES_MAX, 0xfee00000, 1), -ENOSPC);
	kvm_routes_drop(&r, 7);
	ck_assert_int_eq(kvm_routes_set(&r, KVM_ROUTES_MAX, 0xfee00000, 1), 0);
	ck_assert(sends(KVM_ROUTES_MAX, 0xfee00000, 1));
	for (int fd = 0; fd < KVM_ROUTES_MAX; fd++)
		ck_assert(fd == 7 || sends(fd, 0xfee00000, (uint32_t)fd));
}
END_TEST

/* Whichever call fails, the message is there or it is not, and the next try finds nothing in its way. */
START_TEST(failures)
{
	for (unsigned at = 1; at <= 4; at++) {
		int ret;

		begin();
		kvm.fail_at = at;
		ret = kvm_routes_set(&r, 3, 0xfee00000, 1); /* calls 1 and 2, if the first succeeds */
		ck_assert_int_eq(ret, at <= 2 ? -ENOMEM : 0);
		ck_assert_int_eq(sends(3, 0xfee00000, 1), !ret);
		ret = kvm_routes_set(&r, 3, 0xfee00000, 2);
		ck_assert_int_eq(ret, at == 3 ? -ENOMEM : 0);
		ck_assert_int_eq(sends(3, 0xfee00000, 2), !ret);
		ck_assert_int_eq(kvm.irqfd[3] >= 0, !ret);
		kvm.fail_at = 0;
		ck_assert_int_eq(kvm_routes_set(&r, 3, 0xfee00000, 3), 0);
		ck_assert(sends(3, 0xfee00000, 3));
	}
}
END_TEST

/* A guest that programs garbage, as fast as it can, on all its vectors. */
START_TEST(garbage)
{
	uint32_t rnd = 1;

	begin();
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t addr;
		int fd, ret;

		rnd = rnd * 1664525 + 1013904223;
		fd = (int)(rnd >> 24) % 200;
		addr = 0xfee00000 + (rnd >> 8 & 0xff000) + ((uint64_t)(rnd >> 20 & 15) << 32);
		if (rnd >> 16 & 3) {
			ret = kvm_routes_set(&r, fd, addr, rnd >> 10 & 0xff);
			MUST(ret == (kvm.irqfd[fd] >= 0 ? 0 : addr >> 32 && ret != -ENOSPC ? -EINVAL : -ENOSPC));
			MUST(sends(fd, addr, rnd >> 10 & 0xff) == !ret);
		} else {
			kvm_routes_drop(&r, fd);
			MUST(kvm.irqfd[fd] == -1);
		}
	}
}
END_TEST

START_TEST(no_vm)
{
	begin();
	ck_assert_int_eq(kvm_routes_set(&r, 3, 0xfee00000, 1), 0);
	kvm_routes_init(&r, &host, -1);
	kvm.tables = kvm.irqfds = 0;
	kvm_routes_drop(&r, 3); /* its VM is gone, and so is its irqfd */
	ck_assert_int_eq(kvm_routes_set(&r, 3, 0xfee00000, 1), -ENODEV);
	ck_assert_uint_eq(kvm.tables + kvm.irqfds, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { one, as_many_as_there_are, failures, garbage, no_vm, NULL };

	return test_main("kvm_routes", tests);
}
