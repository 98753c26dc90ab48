/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * initrd.c - see initrd.h.  Sizes are asked first, the place is chosen from their sum, then each piece is read there.
 */
#include "initrd.h"

#include <string.h>
#include "bits.h"

#define PAGE	   4096
#define PAD	   4
#define INITRD_MAX GIB(1024) /* far beyond any, and sums stay far from wrapping */

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

static int piece_size(uint64_t *size, const struct initrd_piece *p, const struct host *host, struct tvmm_error *err)
{
	struct stat st;
	int ret;

	*size = p->len;
	if (!p->data) {
		ret = host->fstat(host, p->fd, &st);
		if (ret < 0)
			return err_set(err, TVMM_E_IO, -ret, p->name, "cannot look at the initrd");
		if (!S_ISREG(st.st_mode)) {
			err_set(err, TVMM_E_KERNEL, 0, p->name, "the initrd is not a regular file");
			err_hint(err, S_ISDIR(st.st_mode)
					      ? "pack the directory: (cd DIR && find . | cpio -o -H newc) > FILE"
					      : "copy it into a file first");
			return -EINVAL;
		}
		*size = (uint64_t)st.st_size;
	}
	if (!*size)
		return err_set(err, TVMM_E_KERNEL, 0, p->name, "the initrd is empty");
	*size = MIN(*size, INITRD_MAX + 1);
	return 0;
}

/* The highest page below ROOM's limit from which SIZE bytes fit, or 0.  The kernel is below it, so 0 is never one. */
static uint64_t place(const struct initrd_room *room, uint64_t size)
{
	uint64_t at;

	if (size > room->limit)
		return 0;
	at = align_down(room->limit - size, PAGE);
	return at >= room->floor ? at : 0;
}

/* Puts one piece at DST, where *LEFT bytes are; moves both on.  The size is asked again, for there is nowhere to keep
 * it; a file that grew meanwhile is cut, it never runs over. */
static int load_piece(uint8_t **dst, uint64_t *left, const struct initrd_piece *p, const struct host *host,
		      struct tvmm_error *err)
{
	uint64_t size, padded;
	int ret;

	ret = piece_size(&size, p, host, err);
	if (ret < 0)
		return ret;
	padded = MIN(align_up(size, PAD), *left);
	size = MIN(size, padded);
	if (p->data)
		memcpy(*dst, p->data, size);
	else
		ret = host_pread_all(host, p->fd, *dst, size, 0);
	if (ret == -ENODATA)
		return err_set(err, TVMM_E_IO, 0, p->name, "the initrd became shorter while it was read");
	if (ret < 0)
		return err_set(err, TVMM_E_IO, -ret, p->name, "cannot read the initrd");
	memset(*dst + size, 0, padded - size);
	*dst += padded;
	*left -= padded;
	return 0;
}

static int no_room(const struct initrd_room *room, uint64_t total, const char *name, struct tvmm_error *err)
{
	uint64_t have = room->limit > room->floor ? room->limit - room->floor : 0;

	err_set(err, TVMM_E_KERNEL, 0, name,
		"the initrd needs %.1f MiB of guest memory, %.1f MiB are left beside the kernel", mib(total),
		mib(have));
	err_hint(err, "give the guest more memory (--memory), or make the initrd smaller");
	return -EINVAL;
}

int initrd_load(struct initrd *out, const struct gmem *mem, const struct initrd_room *room, const struct host *host,
		const struct initrd_piece *piece, unsigned n, struct tvmm_error *err)
{
	const char *name = n == 1 ? piece[0].name : "initrd";
	uint64_t total = 0, size, at, left;
	uint8_t *dst;
	int ret;

	for (unsigned i = 0; i < n; i++) {
		ret = piece_size(&size, &piece[i], host, err);
		if (ret < 0)
			return ret;
		total += align_up(size, PAD);
		if (total > INITRD_MAX)
			return no_room(room, total, name, err);
	}
	if (!total) {
		*out = (struct initrd){ .size = 0 };
		return 0;
	}
	at = place(room, total);
	dst = at ? gmem_range(mem, GPA(at), total) : NULL;
	if (!dst)
		return no_room(room, total, name, err);
	left = total;
	for (unsigned i = 0; i < n; i++) {
		ret = load_piece(&dst, &left, &piece[i], host, err);
		if (ret < 0)
			return ret;
	}
	*out = (struct initrd){ .addr = GPA(at), .size = total };
	return 0;
}
