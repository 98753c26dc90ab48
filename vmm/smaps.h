/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * smaps.h - what /proc/self/smaps says of some ranges of this process' memory: there, swapped out, in huge pages.
 *
 * A pure parser that is fed the file in pieces of any size.  Lines it does not know, or that are too long, are passed.
 */
#ifndef TVMM_SMAPS_H
#define TVMM_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMAPS_RANGES 4

struct smaps {
	unsigned n;
	struct {
		uint64_t start, end;
	} range[SMAPS_RANGES];
	uint64_t resident, swapped, huge; /* bytes; the result */

	bool inside;  /* the mapping that the present lines are of lies in a range */
	size_t len;
	char line[160];
};

void smaps_feed(struct smaps *s, const char *buf, size_t n);

#endif
