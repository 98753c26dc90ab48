/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_pci.c - configuration space as a guest that enumerates finds it.
 * Argument: reads=N, that many more configuration reads (t_pci.c counts what they cost).
 */
#include "guest.h"

#define CMD 4

static struct {
	uint64_t addr, size;
} seen[64];
static unsigned n_seen;

static void check_bar(const struct pci_dev *d, unsigned b, uint64_t addr, uint64_t size)
{
	uint64_t reg = d->cfg + 0x10 + b * 4;
	uint32_t lo = mmio_r32(reg);
	bool clash = false;

	report(size >= 16 && !(size & (size - 1)) && !(addr & (size - 1)), "%x BAR %u: %#lx bytes at %#lx, aligned", d->devfn >> 3,
	       b, size, addr);
	for (unsigned i = 0; i < n_seen; i++)
		clash = clash || (addr < seen[i].addr + seen[i].size && seen[i].addr < addr + size);
	report(!clash, "%x BAR %u: overlaps no other", d->devfn >> 3, b);
	if (n_seen < ARRAY_SIZE(seen)) {
		seen[n_seen].addr = addr;
		seen[n_seen++].size = size;
	}
	mmio_w32(reg, lo + (uint32_t)size * 2);
	report(mmio_r32(reg) == lo, "%x BAR %u: stays where it is", d->devfn >> 3, b);
	mmio_w32(reg, lo);
}

static void check_caps(const struct pci_dev *d)
{
	unsigned n = 0, off = mmio_r8(d->cfg + 0x34);
	bool good = true;

	if (!(mmio_r16(d->cfg + 6) & 0x10))
		return;
	for (; off && n < 48; n++) {
		good = good && off >= 0x40 && !(off & 3);
		off = mmio_r8(d->cfg + off + 1);
	}
	report(good && off == 0 && n > 0, "%x: capability list of %u ends", d->devfn >> 3, n);
}

static void check_widths(const struct pci_dev *d)
{
	bool good = true;

	for (unsigned off = 0; off < 64; off += 4) {
		uint32_t l = mmio_r32(d->cfg + off);

		for (unsigned i = 0; i < 4; i++)
			good = good && mmio_r8(d->cfg + off + i) == (uint8_t)(l >> 8 * i);
		for (unsigned i = 0; i < 4; i += 2)
			good = good && mmio_r16(d->cfg + off + i) == (uint16_t)(l >> 8 * i);
	}
	report(good, "%x: reads of 1, 2 and 4 bytes agree", d->devfn >> 3);
}

static void check_writes(const struct pci_dev *d)
{
	uint32_t id = mmio_r32(d->cfg), class = mmio_r32(d->cfg + 8);
	uint16_t cmd = mmio_r16(d->cfg + CMD);

	mmio_w32(d->cfg, 0);
	mmio_w32(d->cfg + 8, 0);
	mmio_w8(d->cfg + 14, 0x80);
	report(mmio_r32(d->cfg) == id && mmio_r32(d->cfg + 8) == class && mmio_r8(d->cfg + 14) == 0, "%x: ids are read-only",
	       d->devfn >> 3);
	mmio_w16(d->cfg + CMD, (uint16_t)(cmd | 6));
	report(mmio_r16(d->cfg + CMD) == (cmd | 6), "%x: memory space and bus master can be set", d->devfn >> 3);
	mmio_w16(d->cfg + CMD, cmd);
	report(mmio_r16(d->cfg + CMD) == cmd, "%x: and cleared", d->devfn >> 3);
}

static uint64_t read_much(void *arg)
{
	struct pci_dev *d = arg;
	uint64_t sum = 0;

	for (unsigned long n = boot_arg_num("reads", 0); n; n--)
		sum += mmio_r32(d->cfg + n % 64 * 4);
	return sum;
}

void guest_main(void)
{
	struct pci_dev d;
	unsigned n = 0, bars = 0;

	for (; pci_find(&d, 0xffff, 0xffff, n); n++) {
		diag("device %x: %x:%x class %x", d.devfn >> 3, d.vendor, d.device, mmio_r32(d.cfg + 8) >> 8);
		report(mmio_r8(d.cfg + 14) == 0, "%x: plain header, one function", d.devfn >> 3);
		report(mmio_r32(pci_cfg_addr(0, d.devfn | 1)) == ~0u, "%x: no function 1", d.devfn >> 3);
		check_widths(&d);
		check_writes(&d);
		check_caps(&d);
		for (unsigned b = 0; b < 6; b++) {
			uint64_t size = 0, a = pci_bar(&d, b, &size);

			if (!a)
				continue;
			bars++;
			check_bar(&d, b, a, size);
			b += (mmio_r32(d.cfg + 0x10 + b * 4) & 4) != 0;
		}
	}
	report(n >= 2 && bars >= 1, "%u functions, %u BARs", n, bars);
	report(pci_find(&d, 0xffff, 0xffff, 0) && d.devfn == 0 && mmio_r32(d.cfg + 8) >> 16 == 0x0600, "00.0 is a host bridge");
	report(mmio_r32(pci_cfg_addr(0, 31 << 3)) == ~0u, "an empty slot reads as all ones");
	report(mmio_r8(pci_cfg_addr(0, 31 << 3) + 3) == 0xff, "in any size");
	mmio_w32(pci_cfg_addr(0, 31 << 3), 0);
	report(mmio_r32(pci_cfg_addr(0, 31 << 3)) == ~0u, "and takes no writes");
	/* From ring 0, where every instruction is seen by KVM, and from ring 3. */
	if (pci_find(&d, 0x1af4, 0xffff, 0)) {
		read_much(&d);
		ring3(read_much, &d);
	}
}
