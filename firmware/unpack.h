/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unpack.h - unpack a compressed kernel module with the system's own xz, zstd or gzip.
 *
 * Only kernels before 5.17, or built without CONFIG_MODULE_DECOMPRESS, need it, and three decompressors of our own
 * would be more code than the rest of firmware/.  The tool is found in PATH and run directly, never by a shell; it
 * sees the file as its standard input, nothing else.  Optional: whoever builds an initramfs may pass no unpacker, and
 * then no process is ever made.  Called while the machine is built, on the builder's thread.
 */
#ifndef TVMM_FIRMWARE_UNPACK_H
#define TVMM_FIRMWARE_UNPACK_H

#include <stddef.h>

/*
 * Unpacks all of the file FD by TOOL ("xz", "zstd", "gzip") into *OUT (LEN bytes, the caller's to free).  -ENOENT:
 * there is no such tool; -EFBIG: more than MAX bytes; -EIO: the tool failed or its output is empty.
 */
typedef int (*unpack_fn)(const char *tool, int fd, size_t max, void **out, size_t *len);

int unpack_with_tool(const char *tool, int fd, size_t max, void **out, size_t *len);

#endif
