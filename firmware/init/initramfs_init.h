/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* initramfs_init.h - our init program as bytes: an ELF executable, put into the library by embed.py. */
#ifndef TVMM_FIRMWARE_INIT_INITRAMFS_INIT_H
#define TVMM_FIRMWARE_INIT_INITRAMFS_INIT_H

extern const unsigned char initramfs_init[];
extern const unsigned initramfs_init_size;

#endif
