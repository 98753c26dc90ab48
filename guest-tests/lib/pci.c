/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pci.c - configuration space through ECAM, BARs, capabilities, MSI-X (PCI 3.0, chapter 6).
 */
#include "guest.h"

#define CFG_COMMAND 0x04
#define CFG_STATUS  0x06
#define CFG_BAR0    0x10
#define CFG_CAPS    0x34
#define CAP_MSIX    0x11

uint64_t pci_cfg_addr(unsigned bus, unsigned devfn)
{
	if (!acpi.ecam || bus < acpi.bus_first || bus > acpi.bus_last)
		return 0;
	return acpi.ecam + ((uint64_t)bus << 20 | (uint64_t)devfn << 12);
}

bool pci_find(struct pci_dev *d, uint16_t vendor, uint16_t device, unsigned nth)
{
	for (unsigned dev = 0; dev < 32; dev++) {
		uint64_t cfg = pci_cfg_addr(0, dev << 3);
		uint32_t id = cfg ? mmio_r32(cfg) : ~0u;

		if (id == ~0u || (vendor != 0xffff && (uint16_t)id != vendor) || (device != 0xffff && id >> 16 != device))
			continue;
		if (nth--)
			continue;
		memset(d, 0, sizeof(*d));
		d->cfg = cfg;
		d->devfn = dev << 3;
		d->vendor = (uint16_t)id;
		d->device = (uint16_t)(id >> 16);
		return true;
	}
	return false;
}

uint64_t pci_bar(const struct pci_dev *d, unsigned bar, uint64_t *size)
{
	uint64_t a = d->cfg + CFG_BAR0 + bar * 4;
	uint32_t lo = mmio_r32(a), hi = 0, mask_lo, mask_hi = ~0u;
	bool is64 = (lo & 7) == 4;

	if (lo & 1)
		return 0;
	mmio_w32(a, ~0u);
	mask_lo = mmio_r32(a);
	mmio_w32(a, lo);
	if (is64) {
		hi = mmio_r32(a + 4);
		mmio_w32(a + 4, ~0u);
		mask_hi = mmio_r32(a + 4);
		mmio_w32(a + 4, hi);
	}
	if (!(mask_lo & ~0xfu) && !(is64 && mask_hi))
		return 0;
	if (size)
		*size = ~((uint64_t)mask_hi << 32 | (mask_lo & ~0xfu)) + 1;
	return (uint64_t)hi << 32 | (lo & ~0xfu);
}

unsigned pci_cap(const struct pci_dev *d, uint8_t id, unsigned after)
{
	unsigned off;

	if (!(mmio_r16(d->cfg + CFG_STATUS) & 0x10))
		return 0;
	off = mmio_r8(d->cfg + (after ? after + 1 : CFG_CAPS)) & ~3u;
	for (unsigned guard = 0; off >= 0x40 && guard < 48; guard++) {
		if (mmio_r8(d->cfg + off) == id)
			return off;
		off = mmio_r8(d->cfg + off + 1) & ~3u;
	}
	return 0;
}

void pci_enable(const struct pci_dev *d)
{
	mmio_w16(d->cfg + CFG_COMMAND, mmio_r16(d->cfg + CFG_COMMAND) | 0x406);
}

/* ---- MSI-X --------------------------------------------------------------------------------------------------------- */

static uint64_t msix_part(const struct pci_dev *d, unsigned off)
{
	uint32_t v = mmio_r32(d->cfg + d->msix_cap + off);
	uint64_t size = 0, bar = pci_bar(d, v & 7, &size);

	if (!bar)
		return 0;
	map_phys(bar, size);
	return bar + (v & ~7u);
}

bool msix_init(struct pci_dev *d)
{
	uint16_t ctl;

	d->msix_cap = pci_cap(d, CAP_MSIX, 0);
	if (!d->msix_cap)
		return false;
	ctl = mmio_r16(d->cfg + d->msix_cap + 2);
	d->msix_n = (ctl & 0x7ffu) + 1;
	d->msix_table = msix_part(d, 4);
	d->msix_pba = msix_part(d, 8);
	if (!d->msix_table || !d->msix_pba)
		return false;
	pci_enable(d);
	for (unsigned i = 0; i < d->msix_n; i++)
		msix_mask(d, i, true);
	mmio_w16(d->cfg + d->msix_cap + 2, (uint16_t)((ctl & ~0x4000) | 0x8000));
	return true;
}

void msix_entry(const struct pci_dev *d, unsigned n, unsigned vec, uint32_t apic_id)
{
	uint64_t e = d->msix_table + n * 16;

	mmio_w32(e, 0xfee00000 | (apic_id & 0xff) << 12 | (apic_id >> 8 & 0x7f) << 5);
	mmio_w32(e + 4, 0);
	mmio_w32(e + 8, vec);
	mmio_w32(e + 12, 0);
}

void msix_mask(const struct pci_dev *d, unsigned n, bool masked)
{
	mmio_w32(d->msix_table + n * 16 + 12, masked);
}

void msix_function_mask(const struct pci_dev *d, bool masked)
{
	uint64_t a = d->cfg + d->msix_cap + 2;
	uint16_t ctl = mmio_r16(a);

	mmio_w16(a, (uint16_t)(masked ? ctl | 0x4000 : ctl & ~0x4000));
}

bool msix_pending(const struct pci_dev *d, unsigned n)
{
	return mmio_r64(d->msix_pba + n / 64 * 8) >> (n & 63) & 1;
}
