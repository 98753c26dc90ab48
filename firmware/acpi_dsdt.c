/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi_dsdt.c - the devices of the machine in AML: what a guest cannot find by probing a bus.
 *
 * Everything stands under \_SB.  A device without _STA is present and working, so none has one.  Called by acpi.c while
 * the machine is built.
 */
#include "acpi_dsdt.h"

#include "bits.h"

#define POWER_BUTTON   "\\_SB_.PWRB"
#define BUTTON_PRESSED 0x80

/* PCI Firmware Specification 3.3, 4.6: E5C937D0-3553-4D7A-9117-EA4D19C3434D, in the byte order of ToUUID(). */
static const uint8_t pci_dsm_guid[16] = { 0xd0, 0x37, 0xc9, 0xe5, 0x53, 0x35, 0x7a, 0x4d,
					  0x91, 0x17, 0xea, 0x4d, 0x19, 0xc3, 0x43, 0x4d };
#define DSM_PRESERVE_BOOT_CONFIG 5

static void hid(struct aml *a, const char *id)
{
	aml_name(a, "_HID");
	aml_eisa_id(a, id);
}

static void name_int(struct aml *a, const char *name, uint64_t v)
{
	aml_name(a, name);
	aml_int(a, v);
}

static void return_byte_buffer(struct aml *a, uint8_t v)
{
	size_t m;

	aml_return(a);
	m = aml_buffer(a);
	aml_u8(a, v);
	aml_buffer_end(a, m);
}

/* Answers one question: keep the resources as you found them.  Function 0 lists the functions there are. */
static void put_pci_dsm(struct aml *a)
{
	size_t method = aml_method(a, "_DSM", 4, false), guid, function;

	guid = aml_if(a);
	aml_equal(a);
	aml_arg(a, 0);
	size_t b = aml_buffer(a);

	aml_bytes(a, pci_dsm_guid, sizeof(pci_dsm_guid));
	aml_buffer_end(a, b);

	function = aml_if(a);
	aml_equal(a);
	aml_arg(a, 2);
	aml_int(a, 0);
	return_byte_buffer(a, BIT(0) | BIT(DSM_PRESERVE_BOOT_CONFIG));
	aml_end(a, function);

	function = aml_if(a);
	aml_equal(a);
	aml_arg(a, 2);
	aml_int(a, DSM_PRESERVE_BOOT_CONFIG);
	aml_return(a);
	aml_int(a, 0);
	aml_end(a, function);

	aml_end(a, guid);
	return_byte_buffer(a, 0);
	aml_end(a, method);
}

/* Whatever part of PCI Express the guest asks to control is its own: the answer is the question.  Nothing here uses
 * what is granted, but without _OSC Linux says at length that the platform keeps control. */
static void put_pci_osc(struct aml *a)
{
	size_t method = aml_method(a, "_OSC", 4, false);

	aml_return(a);
	aml_arg(a, 3);
	aml_end(a, method);
}

/* The root bridge.  It has no _PRT: no function has an interrupt pin. */
static void put_pci(struct aml *a, const struct acpi_desc *d)
{
	size_t dev = aml_device(a, "PCI0"), crs;

	hid(a, "PNP0A08");
	aml_name(a, "_CID");
	aml_eisa_id(a, "PNP0A03");
	name_int(a, "_SEG", 0);
	name_int(a, "_BBN", d->bus_first);
	name_int(a, "_UID", 0);
	crs = aml_crs(a);
	aml_res_bus(a, d->bus_first, d->bus_last);
	if (d->pci_mem32.size)
		aml_res_mem32(a, (uint32_t)d->pci_mem32.base, (uint32_t)d->pci_mem32.size, true);
	if (d->pci_mem64.size)
		aml_res_mem64(a, d->pci_mem64.base, d->pci_mem64.size, true);
	aml_crs_end(a, crs);
	put_pci_osc(a);
	put_pci_dsm(a);
	aml_end(a, dev);
}

/* Linux uses the window of the MCFG table only when a motherboard device claims it. */
static void put_ecam(struct aml *a, const struct acpi_desc *d)
{
	uint64_t first = d->ecam_base + MIB((uint64_t)d->bus_first);
	uint64_t size = MIB((uint64_t)d->bus_last - d->bus_first + 1);
	size_t dev = aml_device(a, "ECAM"), crs;

	hid(a, "PNP0C02");
	name_int(a, "_UID", 0);
	crs = aml_crs(a);
	aml_res_mem64(a, first, size, false);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

static void put_uart(struct aml *a, const struct acpi_desc *d)
{
	size_t dev = aml_device(a, "COM1"), crs;

	hid(a, "PNP0501");
	name_int(a, "_UID", 1);
	crs = aml_crs(a);
	aml_res_io(a, d->uart_port, 8);
	aml_res_irq(a, d->uart_gsi);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

/* The power button, and the event device whose interrupt presses it. */
static void put_power_button(struct aml *a, const struct acpi_desc *d)
{
	size_t dev, m;

	dev = aml_device(a, "PWRB");
	hid(a, "PNP0C0C");
	name_int(a, "_UID", 0);
	aml_end(a, dev);

	dev = aml_device(a, "GED_");
	aml_name(a, "_HID");
	aml_string(a, "ACPI0013");
	name_int(a, "_UID", 0);
	m = aml_crs(a);
	aml_res_irq(a, d->ged_gsi);
	aml_crs_end(a, m);
	m = aml_method(a, "_EVT", 1, true);
	aml_notify(a, POWER_BUTTON, BUTTON_PRESSED);
	aml_end(a, m);
	aml_end(a, dev);
}

static void put_pvpanic(struct aml *a, const struct acpi_desc *d)
{
	size_t dev = aml_device(a, "PEVT"), crs;

	aml_name(a, "_HID");
	aml_string(a, "QEMU0001");
	crs = aml_crs(a);
	aml_res_io(a, d->pvpanic_port, 1);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

/* \_S5: the value for SLP_TYP of the sleep control register; the second element is for a PM1b that does not exist. */
static void put_s5(struct aml *a, const struct acpi_desc *d)
{
	size_t pkg;

	aml_name(a, "\\_S5_");
	pkg = aml_package(a, 4);
	aml_int(a, d->s5_type);
	aml_int(a, d->s5_type);
	aml_int(a, 0);
	aml_int(a, 0);
	aml_end(a, pkg);
}

void acpi_dsdt_body(struct aml *a, const struct acpi_desc *d)
{
	size_t sb = aml_scope(a, "\\_SB_");

	if (d->ecam_base) {
		put_pci(a, d);
		put_ecam(a, d);
	}
	if (d->uart_port)
		put_uart(a, d);
	if (d->ged_gsi)
		put_power_button(a, d);
	if (d->pvpanic_port)
		put_pvpanic(a, d);
	aml_end(a, sb);
	if (d->sleep_control)
		put_s5(a, d);
}
