/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_acpi.c - finds the tables as an operating system does, from the RSDP on, and reads back what went in. */
#include <errno.h>
#include <string.h>
#include "acpi.h"
#include "bits.h"
#include "test.h"

#define AREA 0xe0000
#define AREA_SIZE 0x20000

static uint8_t ram[MIB(1)];
static struct gmem mem;

static const struct acpi_desc typical = {
	.cpus = 2,
	.lapic_addr = 0xfee00000,
	.ioapic_addr = 0xfec00000,
	.ioapic_id = 5,
	.ioapic_gsi_base = 0,
	.ecam_base = 0xe0000000,
	.bus_last = 3,
	.pci_mem32 = { 0xc0000000, 0x10000000 },
	.pci_mem64 = { GIB(512), GIB(64) },
	.uart_port = 0x3f8,
	.uart_gsi = 4,
	.sleep_control = 0x600,
	.sleep_status = 0x601,
	.s5_type = 5,
	.reset_port = 0xcf9,
	.reset_value = 6,
	.ged_gsi = 9,
	.pvpanic_port = 0x505,
};

static void setup_ram(void)
{
	memset(ram, 0xee, sizeof(ram));
	memset(&mem, 0, sizeof(mem));
	ck_assert_int_eq(gmem_add(&mem, GPA(0), sizeof(ram), ram, NULL), 0);
}

static void sums_to_zero(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	ck_assert_uint_eq(sum, 0);
}

static const uint8_t *table_at(uint64_t addr)
{
	const uint8_t *p = ram + addr;
	uint32_t len = load_le32(p + 4);

	ck_assert(addr >= AREA && addr < AREA + AREA_SIZE && len <= AREA + AREA_SIZE - addr);
	ck_assert_uint_eq(addr % 16, 0);
	sums_to_zero(p, len);
	return p;
}

/* The table with that signature, NULL without. */
static const uint8_t *find(const char *signature)
{
	const uint8_t *rsdp = ram + AREA, *xsdt;

	ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
	ck_assert_uint_eq(rsdp[15], 2);
	sums_to_zero(rsdp, 20);
	sums_to_zero(rsdp, 36);
	ck_assert_mem_eq(rsdp + 33, "\0\0\0", 3);
	xsdt = table_at(load_le64(rsdp + 24));
	ck_assert_mem_eq(xsdt, "XSDT", 4);
	for (uint32_t at = 36; at < load_le32(xsdt + 4); at += 8) {
		const uint8_t *t = table_at(load_le64(xsdt + at));

		if (!memcmp(t, signature, 4))
			return t;
	}
	return NULL;
}

static void build(const struct acpi_desc *d)
{
	struct gpa rsdp;

	setup_ram();
	ck_assert_int_eq(acpi_build(d, &mem, GPA(AREA), AREA_SIZE, &rsdp, NULL), 0);
	ck_assert_uint_eq(rsdp.addr, AREA);
	ck_assert_uint_eq(ram[AREA - 1], 0xee);
}

static const uint8_t *dsdt(void)
{
	const uint8_t *t = table_at(load_le64(find("FACP") + 140));

	ck_assert_mem_eq(t, "DSDT", 4);
	return t;
}

static bool holds(const uint8_t *t, const void *what, size_t len)
{
	return memmem(t, load_le32(t + 4), what, len) != NULL;
}

START_TEST(fadt)
{
	const uint8_t *t;

	build(&typical);
	t = find("FACP");
	ck_assert_uint_eq(load_le32(t + 4), 276);
	ck_assert_uint_eq(t[8], 6);
	ck_assert_uint_eq(load_le32(t + 40), load_le64(t + 140));
	ck_assert_uint_eq(load_le16(t + 109), 0x24);		/* no VGA, no CMOS clock, no 8042 */
	ck_assert_uint_eq(load_le32(t + 112) >> 20 & 1, 1);	/* hardware-reduced */
	ck_assert_uint_eq(load_le32(t + 112) >> 10 & 1, 1);	/* reset register */
	ck_assert_mem_eq(t + 116, "\x01\x08\x00\x01\xf9\x0c\0\0\0\0\0\0\x06", 13);
	ck_assert_mem_eq(t + 244, "\x01\x08\x00\x01\x00\x06\0\0\0\0\0\0", 12);
	ck_assert_mem_eq(t + 256, "\x01\x08\x00\x01\x01\x06\0\0\0\0\0\0", 12);
}
END_TEST

START_TEST(madt)
{
	static const uint32_t ids[] = { 0, 254, 255, 70000 };
	struct acpi_desc d = typical;
	const uint8_t *t;

	build(&d);
	t = find("APIC");
	ck_assert_uint_eq(load_le32(t + 36), 0xfee00000);
	ck_assert_uint_eq(load_le32(t + 40), 0);
	ck_assert_mem_eq(
		t + 44, "\x00\x08\x00\x00\x01\0\0\0\x00\x08\x01\x01\x01\0\0\0\x01\x0c\x05\x00\0\0\xc0\xfe\0\0\0\0", 28);
	ck_assert_uint_eq(load_le32(t + 4), 44 + 28);

	d.cpus = ARRAY_SIZE(ids);
	d.apic_ids = ids;
	build(&d);
	t = find("APIC");
	ck_assert_mem_eq(t + 52, "\x00\x08\x01\xfe\x01\0\0\0\x09\x10\0\0\xff\0\0\0\x01\0\0\0\x02\0\0\0", 24);
	ck_assert_uint_eq(load_le32(t + 76 + 4), 70000);
	ck_assert_uint_eq(load_le32(t + 4), 44 + 2 * 8 + 2 * 16 + 12);
}
END_TEST

START_TEST(mcfg)
{
	const uint8_t *t;

	build(&typical);
	t = find("MCFG");
	ck_assert_uint_eq(load_le32(t + 4), 60);
	ck_assert_uint_eq(load_le64(t + 44), 0xe0000000);
	ck_assert_mem_eq(t + 52, "\0\0\0\x03\0\0\0\0", 8);
}
END_TEST

START_TEST(devices)
{
	const uint8_t *t;

	build(&typical);
	t = dsdt();
	ck_assert(holds(t, "\x41\xd0\x0a\x08", 4));	/* PNP0A08 */
	ck_assert(holds(t, "\x41\xd0\x0a\x03", 4));
	ck_assert(holds(t, "\x41\xd0\x0c\x02", 4));	/* PNP0C02 */
	ck_assert(holds(t, "\x41\xd0\x05\x01", 4));	/* PNP0501 */
	ck_assert(holds(t, "\x41\xd0\x0c\x0c", 4));	/* PNP0C0C */
	ck_assert(holds(t, "ACPI0013", 9));
	ck_assert(holds(t, "QEMU0001", 9));
	ck_assert(holds(t, "_DSM", 4));
	ck_assert(holds(t, "\x14\x08_OSC\x04\xa4\x6b", 9)); /* returns what it was asked */
	ck_assert(holds(t, "\x08\\_S5_\x12\x08\x04\x0a\x05\x0a\x05\x00\x00", 15));
	/* The configuration space of four buses, kept for the bridge. */
	ck_assert(holds(t, "\x00\x00\x00\xe0\0\0\0\0\xff\xff\x3f\xe0\0\0\0\0", 16));
}
END_TEST

/* cli; mov dx, 0xcf9; mov al, 6; out dx, al; hlt; jmp to the hlt: only at the end of the first MiB. */
START_TEST(reset_code)
{
	struct acpi_desc d = typical;
	struct gpa rsdp;

	build(&d);
	ck_assert_mem_eq(ram + 0xffff0, "\xfa\xba\xf9\x0c\xb0\x06\xee\xf4\xeb\xfd\xee", 11);
	ck_assert_uint_eq(ram[0xfffef], 0xee);
	setup_ram();
	ck_assert_int_eq(acpi_build(&d, &mem, GPA(AREA), AREA_SIZE - 16, &rsdp, NULL), 0);
	ck_assert_uint_eq(ram[0xffff0], 0xee);
	d.reset_port = 0;
	build(&d);
	ck_assert_uint_eq(ram[0xffff0], 0xee);
}
END_TEST

START_TEST(what_is_not_there)
{
	struct acpi_desc d = { .cpus = 1, .lapic_addr = 1, .ioapic_addr = 2 };
	const uint8_t *t;

	build(&d);
	ck_assert_ptr_null(find("MCFG"));
	t = dsdt();
	ck_assert(!holds(t, "PCI0", 4));
	ck_assert(!holds(t, "ECAM", 4));
	ck_assert(!holds(t, "COM1", 4));
	ck_assert(!holds(t, "PWRB", 4));
	ck_assert(!holds(t, "QEMU", 4));
	ck_assert(!holds(t, "_S5_", 4));
	t = find("FACP");
	ck_assert_uint_eq(load_le32(t + 112) >> 10 & 1, 0);
	ck_assert_mem_eq(t + 116, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
}
END_TEST

START_TEST(contradictions)
{
	static const struct {
		size_t off, size;
		uint64_t v;
		const char *message;
	} t[] = {
#define F(field, v, message) { offsetof(struct acpi_desc, field), sizeof(typical.field), v, message }
		F(cpus, 0, "no CPU"),
		F(s5_type, 8, "S5"),
		F(sleep_status, 0, "one sleep register"),
		F(sleep_control, 0, "one sleep register"),
		F(pci_mem32.base, GIB(4), "32-bit"),
		F(pci_mem32.base, 0xf0000001, "32-bit"),
		F(pci_mem32.size, UINT64_MAX, "32-bit"),
		F(pci_mem64.base, UINT64_MAX, "64-bit"),
		F(bus_first, 4, "configuration window"),
		F(ecam_base, 0xe0000001, "configuration window"),
		F(ecam_base, UINT64_MAX - MIB(1) + 1, "configuration window"),
#undef F
	};

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct acpi_desc d = typical;
		struct tvmm_error e;
		struct gpa rsdp;

		setup_ram();
		memcpy((uint8_t *)&d + t[i].off, &t[i].v, t[i].size);
		ck_assert_int_eq(acpi_build(&d, &mem, GPA(AREA), AREA_SIZE, &rsdp, &e), -EINVAL);
		ck_assert_msg(strstr(e.message, t[i].message) != NULL, "row %u: %s", i, e.message);
	}
}
END_TEST

/* Areas that are too small by any amount are refused, and nothing behind them is written. */
START_TEST(room)
{
	static const uint64_t bad[] = { AREA + 8, MIB(1), GIB(4), UINT64_MAX - 15 };
	struct tvmm_error e;
	struct gpa rsdp;
	uint64_t size;

	setup_ram();
	for (size = 0; size < AREA_SIZE; size += 4) {
		memset(ram + AREA, 0xee, AREA_SIZE);
		if (acpi_build(&typical, &mem, GPA(AREA), size, &rsdp, &e) == 0)
			break;
		ck_assert_uint_eq(ram[AREA + size], 0xee);
	}
	ck_assert_uint_gt(size, 1000);
	ck_assert_uint_lt(size, 2000);
	ck_assert_uint_eq(ram[AREA + size], 0xee);
	find("FACP");
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(acpi_build(&typical, &mem, GPA(bad[i]), AREA_SIZE, &rsdp, &e), -EINVAL);
}
END_TEST

START_TEST(many_cpus)
{
	struct acpi_desc d = typical;
	struct tvmm_error e;
	struct gpa rsdp;

	d.cpus = 4096;
	build(&d);
	ck_assert_uint_eq(load_le32(find("APIC") + 4), 44 + 255 * 8 + (4096 - 255) * 16 + 12);
	d.cpus = UINT32_MAX;
	setup_ram();
	ck_assert_int_eq(acpi_build(&d, &mem, GPA(AREA), AREA_SIZE, &rsdp, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "4294967295 CPUs do not fit"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { fadt,	      madt, mcfg,      devices, reset_code, what_is_not_there,
					      contradictions, room, many_cpus, NULL };

	return test_main("acpi", tests);
}
