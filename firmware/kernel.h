/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.h - a kernel image: what it is, whether it can be booted, and its bytes in guest RAM.
 *
 * Two images are known: a Linux bzImage (boot protocol 2.12 or later with a 64-bit entry), and an ELF64 executable for
 * x86-64 (vmlinux, or anything with a PVH entry).  Anything else is refused by name: "this is a gzip file".  The file
 * is not trusted: each header field is checked against the file's size or guest RAM before it is used.  Called while
 * the machine is built, on the builder's thread.  The image goes from the file straight into guest RAM.
 */
#ifndef TVMM_FIRMWARE_KERNEL_H
#define TVMM_FIRMWARE_KERNEL_H

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stdint.h>
#include "error.h"
#include "gmem.h"
#include "host.h"

/* What the CPU looks like at the entry, and which structure describes the machine to it. */
enum kernel_protocol {
	KERNEL_LINUX_64, /* long mode, identity paging of the first 4 GiB at least, RSI = struct boot_params */
	KERNEL_PVH,	 /* 32-bit protected mode, paging off, EBX = struct hvm_start_info */
};

enum kernel_format { KERNEL_BZIMAGE, KERNEL_ELF };

#define KERNEL_MAX_SEGMENTS 16
#define KERNEL_RELEASE_MAX  64

/* One piece of the file and its place: FILE_SIZE bytes from FILE_OFF, then zeros up to SIZE. */
struct kernel_segment {
	uint64_t file_off, file_size;
	uint64_t addr, size; /* guest physical; addr is final once kernel_load() has returned */
};

struct kernel {
	enum kernel_format format;
	/* The protocol to use and its entry.  An ELF image with a PVH note has both entries; PVH is chosen, for that is
	 * the one such an image promises. */
	enum kernel_protocol protocol;
	struct gpa entry; /* final once kernel_load() has returned */

	uint64_t start, end; /* guest memory the kernel needs for itself, uncompressed and with its bss: [start, end) */
	uint64_t cmdline_max;		  /* bytes of command line it accepts, the terminating NUL not counted */
	uint64_t initrd_max;		  /* the highest address that a byte of the initrd may have */
	char release[KERNEL_RELEASE_MAX]; /* "6.1.0-56-cloud-amd64"; empty when the image does not say */

	struct setup_header setup; /* for the zero page; made up for an ELF image */

	/* The rest belongs to kernel.c. */
	unsigned n_segments;
	struct kernel_segment segment[KERNEL_MAX_SEGMENTS]; /* sorted by addr, disjoint */
	bool relocatable;
	uint64_t align;
};

/*
 * Reads the headers of the image in FD and checks all that can be known without guest RAM.  NAME (a path) is for
 * messages.  *K is filled on success only.  -EINVAL: not an image that can be booted; or what reading the file said.
 */
int kernel_probe(struct kernel *k, const struct host *host, int fd, const char *name, struct tvmm_error *err);

/*
 * Chooses the place, at or above FLOOR, and reads the image there.  MEM is fresh: bytes that are not in the file (bss)
 * are zero already and stay untouched, so they cost no memory.  Sets entry, start and end.  -EINVAL: guest RAM is too
 * small, the message names both sizes.
 */
int kernel_load(struct kernel *k, const struct gmem *mem, struct gpa floor, const struct host *host, int fd,
		const char *name, struct tvmm_error *err);

#endif
