/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kill.h - what the writer in the guest (payload_kill.c) and the judge on the host (t_kill.c) agree on: which sectors
 * round R writes, and what stands in them.  Pure functions.
 */
#ifndef HOSTILE_KILL_H
#define HOSTILE_KILL_H

#include <stdint.h>

#define KILL_EXTENTS    8
#define KILL_MAX_LENGTH 16 /* sectors */
#define KILL_MAGIC      0x746b696c6c766d6dull

struct kill_sector { uint64_t magic, round, sector, sum, pattern[60]; };
_Static_assert(sizeof(struct kill_sector) == 512, "one sector");

static inline uint64_t kill_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static inline unsigned kill_length(uint64_t round, unsigned extent)
{
	return 1 + (unsigned)(kill_mix(round * 64 + extent * 2 + 1) % KILL_MAX_LENGTH);
}

/* Extents of one round do not overlap: each has a part of the disk to itself. */
static inline uint64_t kill_place(uint64_t round, unsigned extent, uint64_t n_sectors)
{
	uint64_t part = n_sectors / KILL_EXTENTS;

	return extent * part + kill_mix(round * 64 + extent * 2) % (part - KILL_MAX_LENGTH);
}

static inline uint64_t kill_sum(const struct kill_sector *s)
{
	uint64_t sum = s->magic + 3 * s->round + 5 * s->sector;

	for (unsigned i = 0; i < 60; i++)
		sum = sum * 31 + s->pattern[i];
	return sum;
}

static inline void kill_fill(struct kill_sector *s, uint64_t round, uint64_t sector)
{
	s->magic = KILL_MAGIC;
	s->round = round;
	s->sector = sector;
	for (unsigned i = 0; i < 60; i++)
		s->pattern[i] = round * 0x9e3779b97f4a7c15ull ^ (sector << 8 | i);
	s->sum = kill_sum(s);
}

#endif
