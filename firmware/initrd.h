/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * initrd.h - the initial RAM file system: any number of cpio archives, end to end, in guest RAM.
 *
 * Pieces are files or bytes in memory; each starts on a multiple of four, as the kernel's unpacker wants it.  Files
 * are read straight into guest RAM.  Called while the machine is built, on the builder's thread.  What is inside the
 * archives is not looked at.
 */
#ifndef TVMM_FIRMWARE_INITRD_H
#define TVMM_FIRMWARE_INITRD_H

#include <stdint.h>
#include "error.h"
#include "gmem.h"
#include "host.h"

struct initrd_piece {
	const char *name; /* for messages: a path, or what the bytes are */
	const void *data; /* NULL: the piece is the file FD, from its start to its end */
	uint64_t len;	  /* of DATA; not looked at for a file */
	int fd;		  /* a regular file; borrowed */
};

/* Where it may lie: bytes in [floor, limit), in one piece of RAM.  FLOOR is the kernel's end. */
struct initrd_room {
	uint64_t floor;
	uint64_t limit; /* the lower of the kernel's initrd_max + 1 and the end of RAM below 4 GiB */
};

struct initrd {
	struct gpa addr;
	uint64_t size; /* 0: there is none */
};

/*
 * Puts the N pieces as high as ROOM allows, page aligned.  No pieces: succeeds with size 0.  -EINVAL: they do not fit
 * (the message names both sizes), or a piece is empty or not a regular file; or what reading said.
 */
int initrd_load(struct initrd *out, const struct gmem *mem, const struct initrd_room *room, const struct host *host,
		const struct initrd_piece *piece, unsigned n, struct tvmm_error *err);

#endif
