/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_msix.c - MSI-X delivery, masks and pending bits (PCI 3.0, 6.8.2), with virtio-rng as the source.
 * Argument: cpus=2 for delivery to a second CPU.
 */
#include "virtio.h"

#define VEC_A VEC_FIRST
#define VEC_B (VEC_FIRST + 1)

static struct vdev v;
static volatile uint8_t *buf;

/* One request; true when the device has answered it. */
static bool request(void)
{
	return vq_do(&v.q[0], &(struct vbuf){ buf, 64, true }, 1) > 0;
}

static bool quiet(unsigned vec, unsigned n)
{
	return !irq_wait(vec, n + 1, 20) && irq_count[vec] == n;
}

static void check_delivery(void)
{
	msix_entry(&v.pci, 0, VEC_A, cpu_apic_id());
	report(request() && irq_wait(VEC_A, 1, 2000), "an interrupt is delivered");
	report(quiet(VEC_A, 1), "once");
	bool good = true;
	for (unsigned i = 0; i < 100; i++)
		good = good && request() && irq_wait(VEC_A, 2 + i, 2000);
	report(good && quiet(VEC_A, 101), "a hundred requests, a hundred interrupts (%u)", irq_count[VEC_A]);
}

static void check_entry_mask(void)
{
	unsigned n = irq_count[VEC_A];

	report(!msix_pending(&v.pci, 0), "nothing pending");
	msix_mask(&v.pci, 0, true);
	report(request() && request() && quiet(VEC_A, n), "a masked entry is silent");
	report(msix_pending(&v.pci, 0), "its pending bit is set");
	msix_mask(&v.pci, 0, false);
	report(irq_wait(VEC_A, n + 1, 2000) && quiet(VEC_A, n + 1), "unmasking delivers it, once");
	report(!msix_pending(&v.pci, 0), "and clears the pending bit");
}

static void check_function_mask(void)
{
	unsigned n = irq_count[VEC_A];

	msix_function_mask(&v.pci, true);
	report(request() && quiet(VEC_A, n) && msix_pending(&v.pci, 0), "the function mask holds it back");
	msix_function_mask(&v.pci, false);
	report(irq_wait(VEC_A, n + 1, 2000) && !msix_pending(&v.pci, 0), "and lets it go");
}

static void check_move(void)
{
	unsigned a = irq_count[VEC_A], b = irq_count[VEC_B];

	msix_mask(&v.pci, 0, true);
	request();
	msix_entry(&v.pci, 0, VEC_B, cpu_apic_id());
	report(irq_wait(VEC_B, b + 1, 2000) && quiet(VEC_A, a), "an entry changed while masked delivers the new vector");
	report(request() && irq_wait(VEC_B, b + 2, 2000) && quiet(VEC_A, a), "and goes on so");
}

static void check_vectors(void)
{
	uint16_t got;

	mmio_w16(v.common + VC_Q_SELECT, 0);
	mmio_w16(v.common + VC_Q_MSIX, (uint16_t)v.pci.msix_n);
	got = mmio_r16(v.common + VC_Q_MSIX);
	report(got == VIRTIO_NO_VECTOR, "a vector beyond the table is refused (%#x)", got);
	report(request() && quiet(VEC_B, irq_count[VEC_B]), "a queue without a vector is silent");
	mmio_w16(v.common + VC_MSIX, 1);
	report(mmio_r16(v.common + VC_MSIX) == 1, "the configuration vector can be set");
	mmio_w16(v.common + VC_Q_MSIX, 1);
	msix_entry(&v.pci, 1, VEC_A, cpu_apic_id());
	unsigned a = irq_count[VEC_A];
	report(request() && irq_wait(VEC_A, a + 1, 2000), "another entry works the same");
}

static volatile unsigned ap_apic;
static void on_ap(unsigned vec)
{
	(void)vec;
	ap_apic = cpu_apic_id() + 1;
}

static void ap(unsigned index)
{
	(void)index;
	for (;;)
		sti_hlt();
}

static void check_second_cpu(void)
{
	if (acpi.n_cpus < 2)
		return;
	irq_handler(VEC_B, on_ap);
	report(cpu_start(acpi.apic_id[1], 1, ap), "second CPU up");
	msix_entry(&v.pci, 1, VEC_B, acpi.apic_id[1]);
	request();
	for (uint64_t end = deadline_ms(2000); !ap_apic && !expired(end);)
		cpu_relax();
	report(ap_apic == acpi.apic_id[1] + 1, "an entry can name the second CPU, which was halted");
}

void guest_main(void)
{
	buf = page_alloc(1);
	if (!report(virtio_open(&v, VIRTIO_RNG, 0) && virtio_start(&v, 0) && virtio_queue(&v, 0, 16, 0), "virtio-rng is set up"))
		return;
	virtio_ready(&v);
	report(v.pci.msix_n >= 2, "%u MSI-X entries", v.pci.msix_n);
	check_delivery();
	check_entry_mask();
	check_function_mask();
	check_move();
	check_vectors();
	check_second_cpu();
}
