/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bootparams.h - what the kernel is told at its entry: the memory map, the command line, the initrd, the RSDP.
 *
 * For KERNEL_LINUX_64 that is the zero page (struct boot_params), for KERNEL_PVH struct hvm_start_info with its lists;
 * the machine sees one call.  All addresses are the caller's.  Called while the machine is built.
 */
#ifndef TVMM_FIRMWARE_BOOTPARAMS_H
#define TVMM_FIRMWARE_BOOTPARAMS_H

#include <stddef.h>
#include <stdint.h>
#include "cmdline.h"
#include "error.h"
#include "gmem.h"
#include "initrd.h"
#include "kernel.h"

/* E820 types; PVH uses the same numbers. */
enum boot_mem_type { BOOT_MEM_RAM = 1, BOOT_MEM_RESERVED = 2, BOOT_MEM_ACPI = 3 };

struct boot_mem {
	uint64_t base, size;
	enum boot_mem_type type;
};

#define BOOT_MAP_MAX 32

struct boot_map {
	unsigned n;
	struct boot_mem mem[BOOT_MAP_MAX]; /* sorted, disjoint, neighbours of one type joined */
};

/*
 * The memory map: all of MEM is RAM, except what one of the N ranges in KEEP says otherwise (those may also lie outside
 * RAM).  KEEP's ranges do not overlap each other.  On a PC it holds at least
 *	{ 0x9fc00, 0x60400, BOOT_MEM_RESERVED }
 *		the old BIOS data area, the VGA hole, and the ROM area with the ACPI tables and the reset code
 *	{ ecam base, ecam size, BOOT_MEM_RESERVED }
 *		or Linux distrusts the MCFG table
 *
 * -EINVAL: a range is empty, wraps or overlaps another, or there are more than BOOT_MAP_MAX.
 */
int boot_map_build(struct boot_map *map, const struct gmem *mem, const struct boot_mem *keep, unsigned n,
		   struct tvmm_error *err);

#define BOOT_INFO_SIZE 8192 /* bytes at boot_desc.info */
#define BOOT_SEED_MAX  64

struct boot_desc {
	const struct kernel *kernel; /* loaded */
	const struct boot_map *map;
	const struct cmdline *cmdline;
	struct initrd initrd;  /* size 0: none */
	struct gpa rsdp;       /* 0: none */
	struct gpa info;       /* BOOT_INFO_SIZE bytes below 1 MiB, page aligned; becomes RSI (or EBX) at the entry */
	struct gpa cmdline_at; /* CMDLINE_CAPACITY bytes below 4 GiB */
	const void *seed;      /* random bytes for the guest's generator (Linux 6.1 and later); NULL: none */
	size_t seed_len;       /* at most BOOT_SEED_MAX */
};

/* Writes the command line and the structure.  -EINVAL: the kernel takes no command line that long, or an address
 * is not RAM. */
int boot_info_write(const struct boot_desc *d, const struct gmem *mem, struct tvmm_error *err);

#endif
