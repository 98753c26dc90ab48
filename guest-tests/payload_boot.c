/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_boot.c - what the guest is told at its entry, and the ACPI tables it finds.
 * Arguments: way=1|2 (which entry), mem=MiB, cpus=N.
 */
#include "guest.h"

static void check_memory(void)
{
	uint64_t total = 0;
	bool good = true;

	for (unsigned i = 0; i < boot_info.n_ranges; i++) {
		uint64_t first = boot_info.range[i].addr, last = first + boot_info.range[i].len - 8;

		total += boot_info.range[i].len;
		map_phys(first, boot_info.range[i].len);
		if (i == 0)
			continue; /* conventional memory, where boot data lies */
		for (uint64_t a = last; a > boot_info.ram_end - 4096 && a > last - 64; a -= 8) {
			mmio_w64(a, a ^ 0x5a5a);
			good = good && mmio_r64(a) == (a ^ 0x5a5a);
		}
	}
	total >>= 20;
	/* The hole at 640 KiB is all that is missing. */
	report(total == boot_arg_num("mem", 0) || total + 1 == boot_arg_num("mem", 0), "memory map tells of %lu MiB in %u ranges",
	       total, boot_info.n_ranges);
	report(good, "the end of each range is RAM");
	for (unsigned i = 0; i < boot_info.n_ranges; i++)
		for (unsigned k = 0; k < i; k++)
			good = good && (boot_info.range[i].addr >= boot_info.range[k].addr + boot_info.range[k].len ||
					boot_info.range[k].addr >= boot_info.range[i].addr + boot_info.range[i].len);
	report(good, "no two ranges overlap");
}

static void check_acpi(void)
{
	const uint8_t *fadt = (const uint8_t *)acpi.fadt;
	uint32_t flags;

	if (!report(acpi.xsdt && acpi.fadt && acpi.madt && acpi.mcfg && acpi.dsdt, "XSDT, FADT, MADT, MCFG and DSDT are there"))
		return;
	report(!acpi.bad_sum, "every table's checksum is right");
	memcpy(&flags, fadt + 112, 4);
	report(flags >> 20 & 1, "hardware-reduced ACPI");
	report(flags >> 10 & 1, "reset register supported");
	report(acpi.sleep_ctl.addr && acpi.reset.addr, "sleep control at %#lx, reset at %#lx", acpi.sleep_ctl.addr,
	       acpi.reset.addr);
	report(acpi.n_cpus == boot_arg_num("cpus", 1), "MADT lists %u CPUs", acpi.n_cpus);
	report(acpi.apic_id[0] == cpu_apic_id(), "the boot CPU is the first");
	report(acpi.ioapic_addr == 0xfec00000 && acpi.ioapic_gsi == 0, "I/O APIC at %#lx", acpi.ioapic_addr);
	report(acpi.ecam && acpi.bus_first == 0, "ECAM at %#lx, buses %u to %u", acpi.ecam, acpi.bus_first, acpi.bus_last);
	report(acpi.ged_gsi != ~0u, "the generic event device has GSI %d", (int)acpi.ged_gsi);
	report(acpi_gsi_of("\x41\xd0\x05\x01") == 4, "COM1 (PNP0501) has GSI 4");
}

void guest_main(void)
{
	char want[64] = "";
	uint32_t r[4];

	report(boot_info.way == boot_arg_num("way", 0), "entered by way %d", boot_info.way);
	report(boot_arg("text", want, sizeof(want)) && !strcmp(want, "a,b$c'd"), "the command line arrives as it was given");
	report(boot_info.rsdp == 0xe0000, "told where the RSDP is");
	cpuid(1, 0, r);
	report(r[2] >> 31 & 1, "CPUID tells of a hypervisor");
	report(r[2] >> 21 & 1, "CPUID tells of x2APIC");
	cpuid(0x40000000, 0, r);
	report(r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d, "CPUID has KVM's signature");
	check_memory();
	check_acpi();
}
