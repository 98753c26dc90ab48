/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86_layout.h - the guest's physical memory map and port map, as one table.  Everything the guest sees has its place
 * here; the ACPI tables, the e820 map and the buses are all built from it.
 *
 *	0x0000_0000  RAM: boot data, see below
 *	0x0009_fc00  end of conventional memory
 *	0x000e_0000  ACPI tables (reserved in e820)
 *	0x0010_0000  RAM: kernel, initrd
 *	0xc000_0000  end of low RAM at the latest; PCI memory window (BARs)
 *	0xe000_0000  ECAM, bus 0
 *	0xfec0_0000  I/O APIC        0xfee0_0000  local APICs
 *	0xfffb_c000  KVM's own pages (VMX without unrestricted guest)
 *	0x1_0000_0000  the rest of RAM
 */
#ifndef TVMM_X86_LAYOUT_H
#define TVMM_X86_LAYOUT_H

/* Boot data, in conventional memory.  The kernel reads it before it allocates anything. */
#define LAYOUT_GDT        0x00000500
#define LAYOUT_BOOT_INFO  0x00006000 /* struct boot_params, or hvm_start_info and its lists: 8 KiB (bootparams.h) */
#define LAYOUT_PAGETABLES 0x00009000 /* PML4, PDPT, four page directories: 4 GiB mapped 1:1; six pages */
#define LAYOUT_CMDLINE    0x00020000
#define LAYOUT_CONVENTIONAL_END 0x0009fc00
#define LAYOUT_ACPI       0x000e0000 /* RSDP first, so that a scan finds it too */
#define LAYOUT_ACPI_SIZE  0x00020000
#define LAYOUT_HIGH_MEMORY 0x00100000

#define LAYOUT_LOW_RAM_END 0xc0000000ull
#define LAYOUT_HIGH_RAM    0x100000000ull

#define LAYOUT_PCI_WINDOW      0xc0000000ull
#define LAYOUT_PCI_WINDOW_SIZE 0x20000000ull
#define LAYOUT_ECAM            0xe0000000ull
#define LAYOUT_ECAM_SIZE       0x00100000ull /* one bus */
#define LAYOUT_IOAPIC          0xfec00000ull
#define LAYOUT_LAPIC           0xfee00000ull
#define LAYOUT_KVM_IDENTITY    0xfffbc000ull
#define LAYOUT_KVM_TSS         0xfffbd000ull

/* Ports. */
#define LAYOUT_COM1         0x3f8
#define LAYOUT_PVPANIC      0x505 /* where QEMU's ISA device stands, for drivers that look there */
#define LAYOUT_POWER        0x600 /* acpi_power.h: sleep control, sleep status, reset */

/* Global system interrupts: I/O APIC pins. */
#define LAYOUT_GED_GSI  3
#define LAYOUT_COM1_GSI 4

#endif
