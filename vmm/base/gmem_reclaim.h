/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gmem_reclaim.h - how a device hands guest memory back to the host, without knowing what lies behind it.
 *
 * There are two ways.  Pages *given* leave the guest until it *takes* them back, so they may be discarded later, together
 * with their neighbours; memory *dropped* stays the guest's, only its contents are of no use, and it is discarded before
 * the call returns or not at all.  Discarded memory reads as zeroes.  Implemented above (vmm/discard.c) and by tests.
 *
 * Any thread may call; calls are short, but for the discarding itself, whose amount the caller bounds.
 */
#ifndef TVMM_BASE_GMEM_RECLAIM_H
#define TVMM_BASE_GMEM_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define RECLAIM_PAGE_SHIFT 12

struct gmem_reclaim;

struct gmem_reclaim_ops {
	/*
	 * The guest gave away these pages (guest page numbers of 4 KiB).  NOW: they must be gone on return, for a guest
	 * that does not announce taking one back.  False if one of them is not RAM: those before it are given.
	 */
	bool (*give)(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n, bool now);
	/* The guest takes these back: on return nothing discards them any more.  Pages never given are let pass. */
	bool (*take)(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n);
	/*
	 * The contents of these pieces of guest RAM do not matter until the call returns.  Whole pages of them are
	 * discarded.  Returns the bytes discarded.
	 */
	uint64_t (*drop)(struct gmem_reclaim *r, const struct iovec *iov, unsigned n);
	/* The guest starts anew: nothing is given, nothing will be discarded. */
	void (*forget)(struct gmem_reclaim *r);
	/* Notes what memory is there now, at the cost of a system call for each 2 MiB.  Never together with the next one. */
	void (*look)(struct gmem_reclaim *r);
	/* Nothing of this piece was there when that was noted, and now it is.  By a sample: a guess. */
	bool (*filled)(struct gmem_reclaim *r, const struct iovec *piece);
};

struct gmem_reclaim {
	const struct gmem_reclaim_ops *ops;
};

#endif
