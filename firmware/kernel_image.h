/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel_image.h - what kernel.c, kernel_bzimage.c, kernel_elf.c and kernel_other.c share.  Nobody else includes it.
 */
#ifndef TVMM_FIRMWARE_KERNEL_IMAGE_H
#define TVMM_FIRMWARE_KERNEL_IMAGE_H

#include "kernel.h"

#define IMAGE_HEAD 4096

/* An image while it is looked at.  HEAD holds its first bytes, zeros behind them where the file is shorter. */
struct image {
	const struct host *host;
	int fd;
	const char *name;
	uint64_t size;
	uint8_t head[IMAGE_HEAD];
};

/* "MESSAGE: NAME", nothing that the system said. */
#define image_refuse(img, err, ...) err_set(err, TVMM_E_KERNEL, 0, (img)->name, __VA_ARGS__)

/* LEN bytes at OFF into BUF.  A range outside the file is refused, as WHAT of a damaged image. */
int image_read(const struct image *img, void *buf, uint64_t len, uint64_t off, const char *what,
	       struct tvmm_error *err);

bool bzimage_match(const struct image *img);
int bzimage_probe(struct kernel *k, const struct image *img, struct tvmm_error *err);

bool elf_match(const struct image *img);
int elf_probe(struct kernel *k, const struct image *img, struct tvmm_error *err);

/* Refuses, saying what the file is, as far as its first bytes tell. */
int other_refuse(const struct image *img, struct tvmm_error *err);

#endif
