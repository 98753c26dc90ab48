/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi.c - finds and reads the tables that describe the machine (ACPI 6.4, chapter 5), and the I/O APIC that the MADT
 * names.  AML is not interpreted: one pattern is looked for in the DSDT, the interrupt of a device with a given id.
 */
#include "guest.h"

struct acpi_info acpi;

static uint8_t sum(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *b++);
	return s;
}

static uint64_t rd64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static uint32_t rd32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static const struct acpi_sdt *checked(uint64_t addr)
{
	const struct acpi_sdt *t = addr ? map_phys(addr, 65536) : NULL;

	if (t && sum(t, t->len))
		acpi.bad_sum = true;
	return t;
}

const struct acpi_sdt *acpi_table(const char *sig)
{
	unsigned width = acpi.xsdt && acpi.xsdt->sig[0] == 'R' ? 4 : 8; /* an RSDT, of an old machine */
	unsigned n = acpi.xsdt ? (acpi.xsdt->len - sizeof(struct acpi_sdt)) / width : 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = (const uint8_t *)(acpi.xsdt + 1) + i * width;
		const struct acpi_sdt *t = checked(width == 8 ? rd64(p) : rd32(p));

		if (t && !strncmp(t->sig, sig, 4))
			return t;
	}
	return NULL;
}

static void read_fadt(const uint8_t *f)
{
	acpi.dsdt = checked(f[8] >= 2 && rd64(f + 140) ? rd64(f + 140) : rd32(f + 40));
	if (((const struct acpi_sdt *)f)->len < 268)
		return;
	memcpy(&acpi.reset, f + 116, sizeof(acpi.reset));
	acpi.reset_value = f[128];
	memcpy(&acpi.sleep_ctl, f + 244, sizeof(acpi.sleep_ctl));
	memcpy(&acpi.sleep_sts, f + 256, sizeof(acpi.sleep_sts));
}

/* The first element of the package \_S5: a byte, zero or one.  Another pattern match. */
static uint8_t find_s5(void)
{
	const uint8_t *p = (const uint8_t *)acpi.dsdt;

	for (uint32_t i = 36; acpi.dsdt && i + 8 < acpi.dsdt->len; i++)
		if (!memcmp(p + i, "_S5_\x12", 5))
			return p[i + 7] == 0x0a ? p[i + 8] : p[i + 7];
	return 5;
}

static void add_cpu(uint32_t id, uint32_t flags)
{
	if ((flags & 1) && acpi.n_cpus < GUEST_MAX_CPUS)
		acpi.apic_id[acpi.n_cpus++] = id;
}

static void read_madt(const struct acpi_sdt *madt)
{
	const uint8_t *p = (const uint8_t *)madt, *end = p + madt->len;

	acpi.lapic_addr = rd32(p + 36);
	for (p += 44; p + 2 <= end && p[1] >= 2; p += p[1]) {
		if (p[0] == 0) {
			add_cpu(p[3], rd32(p + 4));
		} else if (p[0] == 9) {
			add_cpu(rd32(p + 4), rd32(p + 8));
		} else if (p[0] == 1) {
			acpi.ioapic_addr = rd32(p + 4);
			acpi.ioapic_gsi = rd32(p + 8);
		}
	}
}

/* The RSDP lies where boot told, or on a 16-byte border of the BIOS area. */
static const uint8_t *find_rsdp(void)
{
	if (boot_info.rsdp)
		return map_phys(boot_info.rsdp, 4096);
	for (uint64_t a = 0xe0000; a < 0x100000; a += 16)
		if (!memcmp((const void *)a, "RSD PTR ", 8) && !sum((const void *)a, 20))
			return (const uint8_t *)a;
	return NULL;
}

void acpi_init(void)
{
	const uint8_t *rsdp = find_rsdp();

	acpi.ged_gsi = ~0u;
	if (!rsdp || memcmp(rsdp, "RSD PTR ", 8))
		return;
	acpi.bad_sum = sum(rsdp, 20) || (rsdp[15] >= 2 && sum(rsdp, rd32(rsdp + 20)));
	acpi.xsdt = checked(rsdp[15] >= 2 ? rd64(rsdp + 24) : rd32(rsdp + 16));
	acpi.fadt = acpi_table("FACP");
	acpi.madt = acpi_table("APIC");
	acpi.mcfg = acpi_table("MCFG");
	if (acpi.fadt)
		read_fadt((const uint8_t *)acpi.fadt);
	if (acpi.madt)
		read_madt(acpi.madt);
	if (acpi.mcfg && acpi.mcfg->len >= 60) {
		const uint8_t *m = (const uint8_t *)acpi.mcfg;

		acpi.ecam = rd64(m + 44);
		acpi.bus_first = m[54];
		acpi.bus_last = m[55];
		map_phys(acpi.ecam, (uint64_t)(acpi.bus_last - acpi.bus_first + 1) << 20);
	}
	acpi.s5_type = find_s5();
	acpi.ged_gsi = acpi_gsi_of("ACPI0013");
}

/*
 * Looks for the id, as a string or as a compressed EISA id, then for the next interrupt resource: an extended interrupt
 * descriptor (0x89, length 6, one interrupt) or an IRQ descriptor (0x22, 0x23).  A pattern match, not AML.
 */
uint32_t acpi_gsi_of(const char *hid)
{
	const uint8_t *p = (const uint8_t *)acpi.dsdt;
	size_t n = strlen(hid), len = acpi.dsdt ? acpi.dsdt->len : 0;
	bool seen = false;

	for (size_t i = 36; i + n < len; i++) {
		if (!memcmp(p + i, hid, n)) {
			seen = true;
		} else if (seen && i + 9 <= len && p[i] == 0x89 && p[i + 1] == 6 && p[i + 2] == 0 &&
			   p[i + 4] == 1) {
			return rd32(p + i + 5);
		} else if (seen && (p[i] == 0x22 || p[i] == 0x23) && i + 3 <= len) {
			uint16_t mask = (uint16_t)(p[i + 1] | p[i + 2] << 8);

			if (mask && !(mask & (mask - 1)))
				return (uint32_t)__builtin_ctz(mask);
		}
	}
	return ~0u;
}

void gas_write(const struct acpi_gas *g, uint8_t v)
{
	if (g->space == 1) {
		outb((uint16_t)g->addr, v);
	} else {
		map_phys(g->addr, 1);
		mmio_w8(g->addr, v);
	}
}

/* ---- I/O APIC (82093AA): index at 0, data at 0x10 ------------------------------------------------------------------ */

static void ioapic_write(unsigned reg, uint32_t v)
{
	mmio_w32(acpi.ioapic_addr, reg);
	mmio_w32(acpi.ioapic_addr + 0x10, v);
}

bool ioapic_route(uint32_t gsi, unsigned vec, bool level)
{
	uint32_t pin = gsi - acpi.ioapic_gsi;

	if (!acpi.ioapic_addr || pin > 23)
		return false;
	ioapic_write(0x11 + 2 * pin, cpu_apic_id() << 24);
	ioapic_write(0x10 + 2 * pin, vec | (level ? 1u << 15 : 0));
	return true;
}

void ioapic_mask(uint32_t gsi)
{
	ioapic_write(0x10 + 2 * (gsi - acpi.ioapic_gsi), 1u << 16);
}
