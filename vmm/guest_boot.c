/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest_boot.c - what a guest finds in its memory when it begins: kernel, initrd, ACPI tables, boot parameters, and the state
 * of the CPU that enters the kernel.
 *
 * The bytes are firmware/'s work, the places x86_layout.h's; here is which of the machine's properties they tell.
 */
#include "guest_boot.h"

#include "acpi.h"
#include "bits.h"
#include "x86_cpu.h"
#include "x86_layout.h"

static int load_images(struct machine *m, struct tvmm_error *err)
{
	struct initrd_piece piece[CONFIG_INITRDS_MAX + 1];
	unsigned n = 0;
	struct initrd_room room;
	int ret = kernel_probe(&m->kernel, m->host, m->kernel_fd, m->kernel_path, err);

	if (!ret)
		ret = kernel_load(&m->kernel, &m->mem, GPA(LAYOUT_HIGH_MEMORY), m->host, m->kernel_fd, m->kernel_path, err);
	if (ret)
		return ret;
	for (unsigned i = 0; i < m->n_initrds; i++)
		piece[n++] = (struct initrd_piece){ .name = m->initrd_path[i], .fd = m->initrd_fd[i] };
	if (m->initramfs.len)
		piece[n++] = (struct initrd_piece){ .name = "our initramfs", .data = m->initramfs.data, .len = m->initramfs.len, .fd = -1 };
	room.floor = m->kernel.end;
	room.limit = MIN(m->kernel.initrd_max + 1, m->mem.region[0].base + m->mem.region[0].size);
	return initrd_load(&m->initrd, &m->mem, &room, m->host, piece, n, err);
}

static int write_acpi(struct machine *m, struct gpa *rsdp, struct tvmm_error *err)
{
	const struct acpi_desc d = {
		.cpus = m->n_cpus,
		.lapic_addr = LAYOUT_LAPIC,
		.ioapic_addr = LAYOUT_IOAPIC,
		.ecam_base = LAYOUT_ECAM,
		.pci_mem32 = { LAYOUT_PCI_WINDOW, LAYOUT_PCI_WINDOW_SIZE },
		.uart_port = LAYOUT_COM1,
		.uart_gsi = LAYOUT_COM1_GSI,
		.sleep_control = LAYOUT_POWER + ACPI_POWER_SLEEP_CONTROL,
		.sleep_status = LAYOUT_POWER + ACPI_POWER_SLEEP_STATUS,
		.s5_type = ACPI_POWER_S5_TYPE,
		.reset_port = LAYOUT_POWER + ACPI_POWER_RESET,
		.reset_value = ACPI_POWER_RESET_VALUE,
		.ged_gsi = LAYOUT_GED_GSI,
		.pvpanic_port = LAYOUT_PVPANIC,
	};

	return acpi_build(&d, &m->mem, GPA(LAYOUT_ACPI), LAYOUT_ACPI_SIZE, rsdp, err);
}

static int write_boot_info(struct machine *m, struct tvmm_error *err)
{
	static const struct boot_mem keep[] = {
		{ LAYOUT_CONVENTIONAL_END, LAYOUT_HIGH_MEMORY - LAYOUT_CONVENTIONAL_END, BOOT_MEM_RESERVED },
		{ LAYOUT_ECAM, LAYOUT_ECAM_SIZE, BOOT_MEM_RESERVED },
	};
	uint8_t seed[32];
	struct boot_desc d = {
		.kernel = &m->kernel, .map = &m->map, .cmdline = &m->cmdline, .initrd = m->initrd,
		.info = GPA(LAYOUT_BOOT_INFO), .cmdline_at = GPA(LAYOUT_CMDLINE),
	};
	int ret = write_acpi(m, &d.rsdp, err);

	if (!ret)
		ret = boot_map_build(&m->map, &m->mem, keep, ARRAY_SIZE(keep), err);
	if (ret)
		return ret;
	if (m->host->getrandom(m->host, seed, sizeof(seed)) == sizeof(seed)) {
		d.seed = seed;
		d.seed_len = sizeof(seed);
	}
	return boot_info_write(&d, &m->mem, err);
}

int guest_boot(struct machine *m, struct tvmm_error *err)
{
	struct x86_entry entry = { .info = GPA(LAYOUT_BOOT_INFO) };
	int ret = load_images(m, err);

	if (!ret)
		ret = write_boot_info(m, err);
	if (ret)
		return ret;
	entry.long_mode = m->kernel.protocol == KERNEL_LINUX_64;
	entry.ip = m->kernel.entry;
	return x86_cpu_set_entry(m->host, m->vcpu[0].fd, &m->mem, &entry, err);
}
