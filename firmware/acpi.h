/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi.h - the ACPI tables of the machine: RSDP, XSDT, FADT, MADT, MCFG, DSDT.
 *
 * Hardware-reduced ACPI 6: no SCI, no PM timer, no 8042, no CMOS clock, no VGA.  Power-off and reset go through the
 * generic registers of the FADT, the power button comes through a generic event device.  The machine describes itself
 * in struct acpi_desc; the tables are written into guest RAM once, before the first vCPU runs, and never again.
 */
#ifndef TVMM_FIRMWARE_ACPI_H
#define TVMM_FIRMWARE_ACPI_H

#include <stdint.h>
#include "error.h"
#include "gmem.h"

struct acpi_window {
	uint64_t base, size; /* size 0: there is none */
};

struct acpi_desc {
	unsigned cpus;
	const uint32_t *apic_ids; /* CPUS of them, x2APIC ids; NULL: 0, 1, 2 ... */
	uint32_t lapic_addr;
	uint32_t ioapic_addr, ioapic_gsi_base;
	uint8_t ioapic_id;

	/* PCI segment 0, one root bridge.  No interrupt pins: there is no _PRT. */
	uint64_t ecam_base; /* of bus 0, as MCFG wants it; 0: there is no PCI at all */
	uint8_t bus_first, bus_last;
	struct acpi_window pci_mem32, pci_mem64;

	uint16_t uart_port; /* 8 ports, COM1; 0: none */
	uint32_t uart_gsi;

	/* Byte-wide I/O ports.  To power off, the guest writes S5_TYPE << 2 | 1 << 5 to sleep_control. */
	uint16_t sleep_control, sleep_status;
	uint8_t s5_type; /* 0 to 7 */
	uint16_t reset_port;
	uint8_t reset_value;

	uint32_t ged_gsi;      /* edge, active high: a pulse is a press of the power button; 0: neither exists */
	uint16_t pvpanic_port; /* 0: none */
};

/*
 * Writes all tables into [area, area + size), which the memory map keeps from being RAM.  The RSDP is the first: AREA
 * is a multiple of 16, below 4 GiB, and in 0xe0000-0xfffff where guests that are not told search for it.  An area that
 * ends at 1 MiB also gets code at the reset vector, 0xffff0, that writes the reset register; Linux reboots through it.
 * -EINVAL: that is not so, or not RAM, D contradicts itself, or there are more CPUs than the area has room for.
 */
int acpi_build(const struct acpi_desc *d, const struct gmem *mem, struct gpa area, uint64_t size, struct gpa *rsdp,
	       struct tvmm_error *err);

#endif
