/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pci_msix.c - messages sent, held back behind either mask and sent later; the table by every width; calls that the
 * host answers by itself, while nothing holds their vectors back.
 */
#include "pci.h"
#include <errno.h>
#include <linux/pci_regs.h>
#include "test_driver.h"

#define N    3u
#define BASE (1ull << 15)

struct fix {
	uint8_t *pages;
	struct pci pci;
	struct pci_func f;
	struct pci_msix m;
	struct msi_sink sink;
	unsigned sent;
	uint64_t addr;
	uint32_t data;
	/* The host: what it sends at a signal of FD i, and whether such a signal waits for a reader. */
	struct {
		bool on, unread;
		uint64_t addr;
		uint32_t data;
	} fd[4];
	unsigned routed, unrouted; /* calls of each */
	int refuse;
	unsigned sent_by_host;
};

static void on_signal(struct msi_sink *s, uint64_t addr, uint32_t data)
{
	struct fix *x = container_of(s, struct fix, sink);

	x->sent++;
	x->addr = addr;
	x->data = data;
}

static int on_route(struct msi_sink *s, int fd, uint64_t addr, uint32_t data)
{
	struct fix *x = container_of(s, struct fix, sink);

	x->routed++;
	x->fd[fd].on = !x->refuse;
	if (x->refuse)
		return x->refuse;
	x->fd[fd].addr = addr;
	x->fd[fd].data = data;
	if (x->fd[fd].unread) /* what nobody has read, KVM sends, and leaves to the reader as well */
		x->sent_by_host++;
	return 0;
}

static void on_unroute(struct msi_sink *s, int fd)
{
	struct fix *x = container_of(s, struct fix, sink);

	x->unrouted++;
	x->fd[fd].on = false;
}

/* A worker signals FD. */
static void worker(struct fix *x, int fd)
{
	if (x->fd[fd].on)
		x->sent_by_host++;
	else
		x->fd[fd].unread = true;
}

/* The loop reads FD, which belongs to vector V. */
static void reader(struct fix *x, int fd, unsigned v)
{
	if (x->fd[fd].unread)
		pci_msix_signal(&x->m, v);
	x->fd[fd].unread = false;
}

static void on_written(struct pci_func *f, unsigned off, unsigned size)
{
	pci_msix_cfg_written(&container_of(f, struct fix, f)->m, off, size);
}

/* Bits 15 and 14 of message control, by a write of the upper byte, the word, or the doubleword. */
static void control(struct fix *x, unsigned bits)
{
	pci_ecam_ops.write(&x->pci, BASE + x->m.cap + 2, 2, bits);
}

static void program(struct fix *x, unsigned v, bool masked)
{
	pci_msix_table_write(&x->m, 16 * v, 4, 0xfee00000 + 0x1000 * v);
	pci_msix_table_write(&x->m, 16 * v + 4, 4, v);
	pci_msix_table_write(&x->m, 16 * v + 8, 4, 0x4000 + v);
	pci_msix_table_write(&x->m, 16 * v + 12, 4, masked);
}

static void setup(struct fix *x)
{
	memset(x, 0, sizeof(*x));
	x->pages = aligned_alloc(4096, PCI_MAX_FUNCS * PCI_CFG_SIZE);
	x->sink = (struct msi_sink){ .signal = on_signal, .route = on_route, .unroute = on_unroute };
	pci_init(&x->pci, x->pages);
	pci_func_init(&x->pci, &x->f, 1, "thing", 0x1af4, 0x1042, 0x010802, 1, 0x1af4, 0x0042);
	pci_msix_init(&x->m, &x->f, &x->sink, N, 0, 0x4000, 0x5000);
	x->f.cfg_written = on_written;
	for (unsigned v = 0; v < N; v++)
		program(x, v, false);
}

static void teardown(struct fix *x)
{
	pci_msix_fini(&x->m);
	pci_fini(&x->pci);
	free(x->pages);
}

START_TEST(capability)
{
	static struct fix x;

	setup(&x);
	ck_assert_uint_eq(x.m.cap, 0x40);
	ck_assert_uint_eq(pci_ecam_ops.read(&x.pci, BASE + 0x40, 4), (N - 1) << 16 | PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(pci_ecam_ops.read(&x.pci, BASE + 0x44, 4), 0x4000);
	ck_assert_uint_eq(pci_ecam_ops.read(&x.pci, BASE + 0x48, 4), 0x5000);
	control(&x, 0xffff);
	ck_assert_uint_eq(pci_ecam_ops.read(&x.pci, BASE + 0x42, 2), 0xc000 | (N - 1));
	teardown(&x);
}
END_TEST

START_TEST(signals)
{
	static struct fix x;

	setup(&x);
	pci_msix_signal(&x.m, 1); /* not enabled: lost, as on hardware, and not remembered */
	ck_assert_uint_eq(x.sent, 0);
	control(&x, PCI_MSIX_FLAGS_ENABLE);
	ck_assert_uint_eq(x.sent, 0);
	for (unsigned v = 0; v < N; v++) {
		pci_msix_signal(&x.m, v);
		ck_assert_uint_eq(x.sent, v + 1);
		ck_assert_uint_eq(x.addr, (uint64_t)v << 32 | (0xfee00000 + 0x1000 * v));
		ck_assert_uint_eq(x.data, 0x4000 + v);
	}
	pci_msix_signal(&x.m, N);
	pci_msix_signal(&x.m, 63);
	pci_msix_signal(&x.m, 64);
	pci_msix_signal(&x.m, 0xffff);
	pci_msix_signal(&x.m, UINT32_MAX);
	ck_assert_uint_eq(x.sent, N);
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 0, 8), 0);
	control(&x, 0);
	pci_msix_signal(&x.m, 0);
	ck_assert_uint_eq(x.sent, N);
	teardown(&x);
}
END_TEST

START_TEST(vector_mask)
{
	static struct fix x;

	setup(&x);
	control(&x, PCI_MSIX_FLAGS_ENABLE);
	pci_msix_table_write(&x.m, 16 + 12, 4, 0xffffffff);
	ck_assert_uint_eq(pci_msix_table_read(&x.m, 16 + 12, 4), 1);
	for (unsigned i = 0; i < 3; i++)
		pci_msix_signal(&x.m, 1);
	pci_msix_signal(&x.m, 0);
	ck_assert_uint_eq(x.sent, 1); /* that of vector 0 */
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 0, 8), 2);
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 0, 4), 2);
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 4, 4), 0);
	pci_msix_table_write(&x.m, 16, 8, 0xfee77000); /* moved while masked, as the guest does to change affinity */
	ck_assert_uint_eq(x.sent, 1);
	pci_msix_table_write(&x.m, 16 + 8, 8, 0x99); /* data and unmask in one */
	ck_assert_uint_eq(x.sent, 2); /* once, however often it was signalled */
	ck_assert_uint_eq(x.addr, 0xfee77000);
	ck_assert_uint_eq(x.data, 0x99);
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 0, 8), 0);
	pci_msix_table_write(&x.m, 16 + 12, 4, 0);
	ck_assert_uint_eq(x.sent, 2);
	teardown(&x);
}
END_TEST

START_TEST(function_mask)
{
	static struct fix x;

	setup(&x);
	control(&x, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	program(&x, 2, true);
	for (unsigned v = 0; v < N; v++)
		pci_msix_signal(&x.m, v);
	ck_assert_uint_eq(x.sent, 0);
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 0, 8), 7);
	pci_msix_table_write(&x.m, 12, 4, 0); /* unmasked already; the function's mask still holds */
	ck_assert_uint_eq(x.sent, 0);
	pci_ecam_ops.write(&x.pci, BASE + x.m.cap + 3, 1, PCI_MSIX_FLAGS_ENABLE >> 8);
	ck_assert_uint_eq(x.sent, 2);
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 0, 8), 4);
	pci_ecam_ops.write(&x.pci, BASE + x.m.cap + 4, 8, UINT64_MAX); /* beside message control */
	pci_ecam_ops.write(&x.pci, BASE + x.m.cap - 4, 4, 0);
	ck_assert_uint_eq(x.sent, 2);
	pci_msix_table_write(&x.m, 2 * 16 + 12, 4, 0);
	ck_assert_uint_eq(x.sent, 3);
	teardown(&x);
}
END_TEST

START_TEST(sweep)
{
	static struct fix x;

	setup(&x);
	control(&x, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned off = 0; off < 0x1000; off++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			bool ok = size >= 4 && off % size == 0;

			TD_ASSERT((pci_msix_table_read(&x.m, off, size) != UINT64_MAX) == (ok && off < 16 * N));
			TD_ASSERT((pci_msix_pba_read(&x.m, off, size) != UINT64_MAX) == (ok && off < 8));
			if (!ok || off >= 16 * N) /* must change nothing */
				pci_msix_table_write(&x.m, off, size, UINT64_MAX);
		}
	for (unsigned v = 0; v < N; v++) {
		ck_assert_uint_eq(pci_msix_table_read(&x.m, 16 * v, 8), (uint64_t)v << 32 | (0xfee00000 + 0x1000 * v));
		ck_assert_uint_eq(pci_msix_table_read(&x.m, 16 * v, 4), 0xfee00000 + 0x1000 * v);
		ck_assert_uint_eq(pci_msix_table_read(&x.m, 16 * v + 4, 4), v);
		ck_assert_uint_eq(pci_msix_table_read(&x.m, 16 * v + 8, 8), 0x4000 + v);
	}
	pci_msix_table_write(&x.m, 0, 4, 0xffffffff); /* the low two bits are not there */
	ck_assert_uint_eq(pci_msix_table_read(&x.m, 0, 4), 0xfffffffc);
	ck_assert_uint_eq(x.sent, 0);
	teardown(&x);
}
END_TEST

START_TEST(calls)
{
	static struct fix x;

	setup(&x);
	ck_assert_int_eq(pci_msix_call_fd(&x.m, PCI_MSIX_CALLS, 1), -ENOTSUP);
	pci_msix_call_vector(&x.m, PCI_MSIX_CALLS, 1);
	ck_assert_int_eq(pci_msix_call_fd(&x.m, 0, 1), 0);
	ck_assert_int_eq(pci_msix_call_fd(&x.m, 1, 2), 0);
	pci_msix_call_vector(&x.m, 0, 2);
	ck_assert(!x.fd[1].on); /* MSI-X is off */
	control(&x, PCI_MSIX_FLAGS_ENABLE);
	ck_assert(x.fd[1].on && !x.fd[2].on); /* the other has no vector */
	ck_assert_uint_eq(x.fd[1].addr, 2ull << 32 | 0xfee02000);
	ck_assert_uint_eq(x.fd[1].data, 0x4002);
	pci_msix_table_write(&x.m, 2 * 16 + 8, 4, 0x77); /* a new message without a mask, which drivers should not write */
	ck_assert_uint_eq(x.fd[1].data, 0x77);
	pci_msix_call_vector(&x.m, 1, 2); /* two calls may share a vector */
	ck_assert(x.fd[1].on && x.fd[2].on);
	pci_msix_table_write(&x.m, 2 * 16 + 12, 4, 1);
	ck_assert(!x.fd[1].on && !x.fd[2].on);
	ck_assert_uint_eq(x.unrouted, 2);
	worker(&x, 1);
	reader(&x, 1, 2);
	ck_assert_uint_eq(x.sent, 0);
	ck_assert_uint_eq(pci_msix_pba_read(&x.m, 0, 8), 4);
	pci_msix_table_write(&x.m, 2 * 16 + 8, 8, 0x88); /* data and unmask in one */
	ck_assert_uint_eq(x.sent, 1);
	ck_assert_uint_eq(x.data, 0x88);
	ck_assert(x.fd[1].on && x.fd[2].on && x.fd[1].data == 0x88);
	pci_msix_call_vector(&x.m, 1, 0xffff);
	ck_assert(x.fd[1].on && !x.fd[2].on);
	control(&x, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	ck_assert(!x.fd[1].on);
	control(&x, PCI_MSIX_FLAGS_ENABLE);
	ck_assert(x.fd[1].on);
	x.refuse = -EINVAL;
	program(&x, 2, false);
	ck_assert(!x.fd[1].on);
	worker(&x, 1); /* then as if the host never did it */
	reader(&x, 1, 2);
	ck_assert_uint_eq(x.sent, 2);
	x.refuse = 0;
	program(&x, 2, false);
	ck_assert(x.fd[1].on);
	ck_assert_int_eq(pci_msix_call_fd(&x.m, 0, 3), 0); /* another in its place */
	ck_assert(!x.fd[1].on && x.fd[3].on);
	ck_assert_int_eq(pci_msix_call_fd(&x.m, 0, -1), 0);
	ck_assert(!x.fd[3].on);
	x.routed = x.unrouted = 0;
	program(&x, 2, true);
	program(&x, 2, false);
	control(&x, 0);
	ck_assert_uint_eq(x.routed + x.unrouted, 0);
	x.sink.route = NULL; /* a host that cannot */
	ck_assert_int_eq(pci_msix_call_fd(&x.m, 0, 1), -ENOTSUP);
	control(&x, PCI_MSIX_FLAGS_ENABLE);
	teardown(&x);
}
END_TEST

/* Masks, messages, workers and the loop in any order: while a mask holds nothing is sent, and after it nothing is lost. */
START_TEST(calls_at_random)
{
	static struct fix x;
	bool owed = false;
	uint32_t rnd = 1;

	setup(&x);
	control(&x, PCI_MSIX_FLAGS_ENABLE);
	pci_msix_call_vector(&x.m, 0, 1);
	ck_assert_int_eq(pci_msix_call_fd(&x.m, 0, 1), 0);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned before = x.sent + x.sent_by_host;
		bool open;

		rnd = rnd * 1664525 + 1013904223;
		switch (rnd >> 29) {
		case 0:
			control(&x, PCI_MSIX_FLAGS_ENABLE | (rnd >> 20 & 1 ? PCI_MSIX_FLAGS_MASKALL : 0));
			break;
		case 1:
		case 2:
			pci_msix_table_write(&x.m, 16 + 12, 4, rnd >> 20 & 1);
			break;
		case 3:
			pci_msix_table_write(&x.m, 16 + 8, 4, rnd >> 20 & 3);
			break;
		case 4:
			x.refuse = rnd >> 20 & 7 ? 0 : -ENOSPC;
			break;
		case 5:
			worker(&x, 1);
			owed = true;
			break;
		default:
			reader(&x, 1, 1);
			break;
		}
		open = !x.m.masked && !(x.m.entry[1].ctrl & 1);
		TD_ASSERT(open || x.sent + x.sent_by_host == before);
		TD_ASSERT(open || !x.fd[1].on);
		TD_ASSERT(!x.fd[1].on || x.fd[1].data == x.m.entry[1].data);
		if (x.sent + x.sent_by_host != before)
			owed = false;
		TD_ASSERT(!owed || x.fd[1].unread || (!open && x.m.pending & 2));
	}
	teardown(&x);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { capability, signals, vector_mask, function_mask, sweep, calls, calls_at_random, NULL };

	return test_main("pci_msix", tests);
}
