/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi_dump.c - writes the ACPI tables of a typical machine into files, for tools/check-acpi.sh to hand to iasl.
 * A test's helper, never installed: acpi-dump DIR.
 */
#include <stdio.h>
#include <stdlib.h>
#include "acpi.h"
#include "bits.h"

#define AREA 0xe0000
#define AREA_SIZE 0x20000

static int put_file(const char *dir, const char *name, const void *data, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f)) {
		perror(path);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int put_table(const char *dir, const uint8_t *area, uint64_t addr)
{
	const uint8_t *p = area + (addr - AREA);
	char name[5] = "";

	memcpy(name, p, 4);
	return put_file(dir, name, p, load_le32(p + 4));
}

int main(int argc, char **argv)
{
	static const uint32_t apic_ids[] = { 0, 1, 2, 254, 255, 1000 };
	static const struct acpi_desc desc = {
		.cpus = ARRAY_SIZE(apic_ids), .apic_ids = apic_ids, .lapic_addr = 0xfee00000,
		.ioapic_addr = 0xfec00000, .ioapic_id = 0,
		.ecam_base = 0xe0000000, .bus_first = 0, .bus_last = 0,
		.pci_mem32 = { 0xc0000000, 0x10000000 }, .pci_mem64 = { GIB(512), GIB(256) },
		.uart_port = 0x3f8, .uart_gsi = 4, .sleep_control = 0x600, .sleep_status = 0x601, .s5_type = 5,
		.reset_port = 0xcf9, .reset_value = 6, .ged_gsi = 9, .pvpanic_port = 0x505,
	};
	static uint8_t area[AREA_SIZE];
	struct gmem mem = { 0 };
	const uint8_t *xsdt, *fadt;
	struct tvmm_error err;
	struct gpa rsdp;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: acpi-dump DIR\n");
		return EXIT_FAILURE;
	}
	if (gmem_add(&mem, GPA(AREA), AREA_SIZE, area, &err) < 0 ||
	    acpi_build(&desc, &mem, GPA(AREA), AREA_SIZE, &rsdp, &err) < 0) {
		fprintf(stderr, "acpi-dump: %s: %s\n", err.message, err.object);
		return EXIT_FAILURE;
	}
	xsdt = area + (load_le64(area + 24) - AREA);
	ret = put_table(argv[1], area, load_le64(area + 24));
	for (uint32_t at = 36; at < load_le32(xsdt + 4); at += 8)
		ret |= put_table(argv[1], area, load_le64(xsdt + at));
	fadt = area + (load_le64(xsdt + 36) - AREA);
	return ret | put_table(argv[1], area, load_le64(fadt + 140));
}
