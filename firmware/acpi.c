/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi.c - see acpi.h.  The fixed tables; the DSDT is acpi_dsdt.c's.
 *
 *	area	RSDP | XSDT | DSDT, FADT, MADT, MCFG, each on a multiple of 16 | ... | reset code at 0xffff0
 *
 * Why so few: Linux takes the CPUs from the MADT, the power registers from the FADT and the rest from the DSDT.  There
 * is no FACS (hardware-reduced machines need none), and no processor objects (no power states to describe).
 */
#include "acpi.h"

#include <assert.h>
#include <string.h>
#include "acpi_dsdt.h"
#include "aml.h"
#include "bits.h"

#define RSDP_SIZE	36
#define HEADER_SIZE	36
#define XSDT_AT		64
#define XSDT_MAX_TABLES 8
#define FIRST_TABLE_AT	(XSDT_AT + HEADER_SIZE + XSDT_MAX_TABLES * 8 + 12)
#define TABLE_ALIGN	16
#define RESET_CODE_SIZE 16

static_assert(FIRST_TABLE_AT % TABLE_ALIGN == 0, "the first table is aligned as the others are");

/* FADT flags (ACPI 6.4, table 5.10) and IA-PC boot flags (table 5.11) */
#define FADT_WBINVD		     BIT(0)
#define FADT_PROC_C1		     BIT(2)
#define FADT_PWR_BUTTON		     BIT(4) /* no fixed-hardware power button */
#define FADT_SLP_BUTTON		     BIT(5)
#define FADT_RESET_REG_SUP	     BIT(10)
#define FADT_HW_REDUCED		     BIT(20)
#define BOOT_VGA_NOT_PRESENT	     BIT(2)
#define BOOT_NO_CMOS_RTC	     BIT(5)
#define PM_PROFILE_ENTERPRISE_SERVER 4

/* The tables under construction, in guest RAM. */
struct tables {
	struct aml a;
	uint64_t base; /* guest address of a.buf */
	unsigned n;
	uint64_t entry[XSDT_MAX_TABLES];
};

static void zeros(struct aml *a, size_t n)
{
	while (n--)
		aml_u8(a, 0);
}

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

/* The common header (5.2.6); the length and the checksum come with table_end(). */
static size_t table_begin(struct aml *a, const char *signature, uint8_t revision)
{
	size_t at;

	zeros(a, align_up(a->len, TABLE_ALIGN) - a->len);
	at = a->len;
	aml_bytes(a, signature, 4);
	aml_u32(a, 0);
	aml_u8(a, revision);
	aml_u8(a, 0);
	aml_bytes(a, "TNYVMM", 6);
	aml_bytes(a, "TINYVMM ", 8);
	aml_u32(a, 1);
	aml_bytes(a, "TVMM", 4);
	aml_u32(a, 1);
	return at;
}

static void table_end(struct aml *a, size_t at)
{
	if (a->full)
		return;
	store_le32(a->buf + at + 4, (uint32_t)(a->len - at));
	a->buf[at + 9] = checksum(a->buf + at, a->len - at);
}

static void add_to_xsdt(struct tables *t, size_t at)
{
	table_end(&t->a, at);
	t->entry[t->n++] = t->base + at;
}

/* A generic address structure for one byte-wide port; port 0 stands for no register. */
static void put_port(struct aml *a, uint16_t port)
{
	if (!port) {
		zeros(a, 12);
		return;
	}
	aml_u8(a, 1); /* system I/O */
	aml_u8(a, 8);
	aml_u8(a, 0);
	aml_u8(a, 1); /* byte access */
	aml_u64(a, port);
}

static void put_fadt(struct tables *t, const struct acpi_desc *d, uint64_t dsdt)
{
	struct aml *a = &t->a;
	size_t at = table_begin(a, "FACP", 6);

	aml_u32(a, 0); /* no FACS */
	aml_u32(a, (uint32_t)dsdt);
	aml_u8(a, 0);
	aml_u8(a, PM_PROFILE_ENTERPRISE_SERVER);
	zeros(a, 109 - 46); /* SCI to CENTURY: none of it in a hardware-reduced machine */
	aml_u16(a, BOOT_VGA_NOT_PRESENT | BOOT_NO_CMOS_RTC);
	aml_u8(a, 0);
	aml_u32(a, FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_HW_REDUCED |
			   (d->reset_port ? FADT_RESET_REG_SUP : 0));
	put_port(a, d->reset_port);
	aml_u8(a, d->reset_value);
	aml_u16(a, 0);
	aml_u8(a, 4); /* of 6.4 */
	aml_u64(a, 0);
	aml_u64(a, dsdt);
	zeros(a, 244 - 148); /* extended PM and GPE blocks */
	put_port(a, d->sleep_control);
	put_port(a, d->sleep_status);
	aml_bytes(a, "TINYVMM", 8);
	add_to_xsdt(t, at);
}

static void put_cpu(struct aml *a, uint32_t uid, uint32_t apic_id)
{
	if (apic_id < 0xff && uid <= 0xff) {
		aml_u8(a, 0); /* processor local APIC */
		aml_u8(a, 8);
		aml_u8(a, (uint8_t)uid);
		aml_u8(a, (uint8_t)apic_id);
		aml_u32(a, 1); /* enabled */
		return;
	}
	aml_u8(a, 9); /* processor local x2APIC */
	aml_u8(a, 16);
	aml_u16(a, 0);
	aml_u32(a, apic_id);
	aml_u32(a, 1);
	aml_u32(a, uid);
}

static void put_madt(struct tables *t, const struct acpi_desc *d)
{
	struct aml *a = &t->a;
	size_t at = table_begin(a, "APIC", 5);

	aml_u32(a, d->lapic_addr);
	aml_u32(a, 0); /* no 8259s */
	for (unsigned i = 0; i < d->cpus && !a->full; i++)
		put_cpu(a, i, d->apic_ids ? d->apic_ids[i] : i);
	aml_u8(a, 1); /* I/O APIC */
	aml_u8(a, 12);
	aml_u8(a, d->ioapic_id);
	aml_u8(a, 0);
	aml_u32(a, d->ioapic_addr);
	aml_u32(a, d->ioapic_gsi_base);
	add_to_xsdt(t, at);
}

static void put_mcfg(struct tables *t, const struct acpi_desc *d)
{
	struct aml *a = &t->a;
	size_t at = table_begin(a, "MCFG", 1);

	zeros(a, 8);
	aml_u64(a, d->ecam_base);
	aml_u16(a, 0); /* segment */
	aml_u8(a, d->bus_first);
	aml_u8(a, d->bus_last);
	zeros(a, 4);
	add_to_xsdt(t, at);
}

/* The two tables at the front, when all addresses are known. */
static void put_roots(struct tables *t)
{
	struct aml xsdt = { .buf = t->a.buf + XSDT_AT, .cap = FIRST_TABLE_AT - XSDT_AT };
	struct aml rsdp = { .buf = t->a.buf, .cap = RSDP_SIZE };
	size_t at = table_begin(&xsdt, "XSDT", 1);

	for (unsigned i = 0; i < t->n; i++)
		aml_u64(&xsdt, t->entry[i]);
	table_end(&xsdt, at);

	aml_bytes(&rsdp, "RSD PTR ", 8);
	aml_u8(&rsdp, 0);
	aml_bytes(&rsdp, "TNYVMM", 6);
	aml_u8(&rsdp, 2);
	aml_u32(&rsdp, 0); /* no RSDT */
	aml_u32(&rsdp, RSDP_SIZE);
	aml_u64(&rsdp, t->base + XSDT_AT);
	aml_u32(&rsdp, 0);
	rsdp.buf[8] = checksum(rsdp.buf, 20);
	rsdp.buf[32] = checksum(rsdp.buf, RSDP_SIZE);
}

/*
 * Where a PC's CPU starts, F000:FFF0 in real mode, stands code that writes the reset register.  Linux needs it: on a
 * hardware-reduced machine it wants to reboot through EFI (efi_reboot_required()), and where there is no EFI it jumps
 * here, past the ACPI register and all else.  Without this its reboot would end in a triple fault, or nowhere.
 */
static void put_reset_code(uint8_t *at, const struct acpi_desc *d)
{
	struct aml code = { .buf = at, .cap = RESET_CODE_SIZE };

	aml_u8(&code, 0xfa); /* cli */
	aml_u8(&code, 0xba); /* mov dx, port */
	aml_u16(&code, d->reset_port);
	aml_u8(&code, 0xb0); /* mov al, value */
	aml_u8(&code, d->reset_value);
	aml_u8(&code, 0xee);	/* out dx, al */
	aml_u8(&code, 0xf4);	/* hlt */
	aml_u16(&code, 0xfdeb); /* jmp to the hlt */
}

static bool window_ok(const struct acpi_window *w, uint64_t end)
{
	return !w->size || (w->base < end && w->size <= end - w->base);
}

static const char *contradiction(const struct acpi_desc *d)
{
	if (!d->cpus)
		return "no CPU";
	if (d->s5_type > 7)
		return "the S5 sleep type has more than three bits";
	if (!d->sleep_control != !d->sleep_status)
		return "one sleep register without the other";
	if (!window_ok(&d->pci_mem32, GIB(4)))
		return "the 32-bit PCI window leaves the first 4 GiB";
	if (!window_ok(&d->pci_mem64, UINT64_MAX))
		return "the 64-bit PCI window wraps";
	if (d->ecam_base &&
	    (d->bus_first > d->bus_last || d->ecam_base % MIB(1) || d->ecam_base > UINT64_MAX - MIB(256)))
		return "the PCI configuration window is not one";
	return NULL;
}

int acpi_build(const struct acpi_desc *d, const struct gmem *mem, struct gpa area, uint64_t size, struct gpa *rsdp,
	       struct tvmm_error *err)
{
	struct tables t = { .base = area.addr };
	const char *wrong = contradiction(d);
	size_t dsdt;

	if (wrong)
		return err_set(err, TVMM_E_CONFIG, 0, "ACPI tables", "%s", wrong);
	t.a.buf = gmem_range(mem, area, size);
	if (!t.a.buf || size < FIRST_TABLE_AT || area.addr % TABLE_ALIGN || area.addr >= GIB(4))
		return err_set(err, TVMM_E_CONFIG, 0, "ACPI tables", "no room for them at %#lx", area.addr);
	t.a.cap = size;
	if (d->reset_port && area.addr + size == MIB(1)) {
		t.a.cap -= RESET_CODE_SIZE;
		put_reset_code(t.a.buf + t.a.cap, d);
	}
	zeros(&t.a, FIRST_TABLE_AT);
	dsdt = table_begin(&t.a, "DSDT", 2); /* from 2 on, integers have 64 bits */
	acpi_dsdt_body(&t.a, d);
	table_end(&t.a, dsdt);
	put_fadt(&t, d, t.base + dsdt);
	put_madt(&t, d);
	if (d->ecam_base)
		put_mcfg(&t, d);
	if (t.a.full)
		return err_set(err, TVMM_E_CONFIG, 0, "ACPI tables", "%u CPUs do not fit into %lu bytes", d->cpus,
			       size);
	put_roots(&t);
	*rsdp = area;
	return 0;
}
