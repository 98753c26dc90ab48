/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * discard_look.c - what of guest RAM is in the host's memory, as the host tells (mincore), and what is to be swapped out.
 *
 * Called on the I/O loop, and by the balloon during a trim (discard_look(), discard_filled()).  Takes no lock; what the host
 * says may be out of date when it is read, and decides nothing but how much is worth doing.
 */
#include <sys/mman.h>
#include "bits.h"
#include "discard.h"

#define PAGE         (UINT64_C(1) << RECLAIM_PAGE_SHIFT)
#define PAGEOUT_LOOK 4096 /* chunks that one discard_pageout() looks at */

uint64_t discard_pageout(struct discard *d, uint64_t bytes)
{
	uint64_t asked = 0;

	for (uint64_t k = 0; k < MIN(d->n_chunks, PAGEOUT_LOOK) && asked < bytes; k++) {
		uint64_t i = d->pageout_at++ % d->n_chunks;
		const struct discard_region *r = discard_region_of(d, i);
		uint64_t off = (i - r->first_chunk) * DISCARD_CHUNK, len = MIN(DISCARD_CHUNK, r->ram.size - off);
		unsigned char there[(DISCARD_CHUNK / PAGE)];
		uint64_t n = 0;

		if (d->host->mincore(d->host, r->ram.host + off, len, there))
			continue;
		for (uint64_t p = 0; p < len / PAGE; p++)
			n += there[p] & 1;
		if (n && !d->host->madvise(d->host, r->ram.host + off, len, MADV_PAGEOUT))
			asked += n * PAGE;
	}
	return asked;
}

uint64_t discard_resident(struct discard *d)
{
	unsigned char there[4096];
	uint64_t n = 0;

	for (unsigned i = 0; i < d->n; i++)
		for (uint64_t off = 0; off < d->region[i].ram.size; off += sizeof(there) * PAGE) {
			uint64_t len = MIN(sizeof(there) * PAGE, d->region[i].ram.size - off);

			if (d->host->mincore(d->host, d->region[i].ram.host + off, len, there))
				continue;
			for (uint64_t p = 0; p < len / PAGE; p++)
				n += there[p] & 1;
		}
	return n * PAGE;
}

/* A page stands for its chunk: mostly that is one huge page. */
static bool is_there(const struct discard *d, uint64_t chunk)
{
	const struct discard_region *r = discard_region_of(d, chunk);
	unsigned char there = 1;

	return d->host->mincore(d->host, r->ram.host + (chunk - r->first_chunk) * DISCARD_CHUNK, PAGE, &there) || (there & 1);
}

void discard_look(struct gmem_reclaim *rec)
{
	struct discard *d = container_of(rec, struct discard, reclaim);

	for (uint64_t i = 0; i < d->n_chunks; i++) {
		d->absent[i / 64] &= ~BIT_ULL(i % 64);
		if (!is_there(d, i))
			d->absent[i / 64] |= BIT_ULL(i % 64);
	}
}

bool discard_filled(struct gmem_reclaim *rec, const struct iovec *piece)
{
	const struct discard *d = container_of(rec, struct discard, reclaim);

	for (unsigned i = 0; i < d->n; i++) {
		uint64_t off = (uint64_t)((uintptr_t)piece->iov_base - (uintptr_t)d->region[i].ram.host);
		uint64_t chunk = d->region[i].first_chunk + off / DISCARD_CHUNK;

		if (off < d->region[i].ram.size)
			return off % DISCARD_CHUNK == 0 && d->absent[chunk / 64] >> (chunk % 64) & 1 && is_there(d, chunk);
	}
	return false;
}
