/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_input.h - what every fuzz target (fuzz_X.c, beside what it tries) shares: a cursor over the fuzzer's bytes, and
 * the assertion by which a target says that something is wrong.
 *
 * A target defines LLVMFuzzerTestOneInput() and fuzz_name.  The bytes are a program in a small language of the target's
 * own; when they are used up every read gives zero, so each prefix of a program is a program.  tools/fuzz links targets
 * with libFuzzer; the unit tests link them with tools/replay.c, which replays the kept inputs.  A target is deterministic:
 * no clock, no descriptor, no thread of its own, nothing carried over from one input to the next.
 */
#ifndef TVMM_BASE_FUZZ_INPUT_H
#define TVMM_BASE_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern const char fuzz_name[];

struct fuzz {
	const uint8_t *p, *end;
};

static inline void fuzz_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: must hold: %s\n", file, line, what);
	abort();
}

#define FUZZ_ASSERT(x) \
	do { \
		if (!(x)) \
			fuzz_fail(#x, __FILE__, __LINE__); \
	} while (0)

static inline bool fuzz_more(const struct fuzz *f)
{
	return f->p < f->end;
}

/* The next N bytes, at most 8, as a little-endian number. */
static inline uint64_t fuzz_uint(struct fuzz *f, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n && f->p < f->end; i++)
		v |= (uint64_t)*f->p++ << 8 * i;
	return v;
}

static inline uint8_t fuzz_u8(struct fuzz *f)
{
	return f->p < f->end ? *f->p++ : 0;
}

static inline uint16_t fuzz_u16(struct fuzz *f)
{
	return (uint16_t)fuzz_uint(f, 2);
}

/* One of N, at most 256, things. */
static inline unsigned fuzz_below(struct fuzz *f, unsigned n)
{
	return fuzz_u8(f) % n;
}

/* Up to N bytes of the input themselves; *LEN is how many there are. */
static inline const uint8_t *fuzz_bytes(struct fuzz *f, size_t n, size_t *len)
{
	const uint8_t *p = f->p;

	*len = MIN(n, (size_t)(f->end - f->p));
	f->p += *len;
	return p;
}

/* A number that is often a small one, often an edge, and can be any. */
static inline uint64_t fuzz_value(struct fuzz *f)
{
	static const uint64_t edges[] = {
		0, 1, 2, 4, 8, 0xff, 0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX, UINT64_MAX - 1, 0xffffffff00000000, 0x200, 0xfff,
	};
	uint8_t how = fuzz_u8(f);

	switch (how >> 5) {
	case 0:
	case 1:
	case 2:
		return how;
	case 3:
		return fuzz_u8(f);
	case 4:
		return fuzz_u16(f);
	case 5:
		return fuzz_uint(f, 4);
	case 6:
		return fuzz_uint(f, 8);
	default:
		return edges[how % ARRAY_SIZE(edges)];
	}
}

#endif
