/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_balloon_bench.c - the guest of tools/bench/memory-native: does with all of its spare memory what a letter on
 * its console says, in ring 3, and tells how many TSC ticks that took.  Runs under any VMM with a virtio-pci balloon.
 *
 *   t: write a word in each page    i: inflate    s: inflate, pages shuffled as a fragmented guest has them
 *   d: deflate                      r: report, 32 blocks of 2 MiB at a time               q: power off
 */
#include "balloon.h"

#define PAGE 4096ull
#define SIZES (2ull << 20)

static struct balloon b;

static char key(void)
{
	while (!(inb(COM1 + 5) & 1))
		for (uint64_t pause = rdtsc() + 2000000; !expired(pause);)
			cpu_relax();
	return (char)inb(COM1);
}

/* Each 2 MiB in eight strides, so that no page follows its neighbour. */
static bool shuffled(void)
{
	bool good = true;

	for (uint64_t a = balloon_area.addr; a < balloon_area.addr + balloon_area.len; a += 16 * SIZES)
		for (unsigned k = 0; k < 16; k++)
			good = good && balloon_pages(&b, b.inflate, a + k * PAGE, 16 * SIZES / PAGE / 16, 16 * PAGE);
	return good;
}

static bool run(char what)
{
	uint64_t addr = balloon_area.addr, len = balloon_area.len;

	switch (what) {
	case 't':
		mem_touch(addr, len);
		return true;
	case 'i':
		return balloon_pages(&b, b.inflate, addr, len / PAGE, PAGE);
	case 's':
		return shuffled();
	case 'd':
		return balloon_pages(&b, b.deflate, addr, len / PAGE, PAGE);
	case 'r':
		return balloon_blocks(&b, b.report, addr, len, SIZES, 32);
	default:
		return false;
	}
}

void guest_main(void)
{
	if (!report(balloon_start(&b, BF_MUST_TELL_HOST | BF_STATS | BF_HINT | BF_REPORTING), "the balloon is set up"))
		return;
	balloon_area.len &= ~(16 * SIZES - 1);
	con_printf("ready mib=%lu\n", balloon_area.len >> 20);
	for (;;) {
		char what = key();
		uint64_t waits = b.waits, begin = rdtsc();
		bool good;

		if (what == 'q')
			return;
		if (what < 'a' || what > 'z')
			continue;
		good = run(what);
		con_printf("done %c good=%u ticks=%lu waits=%lu\n", what, good, rdtsc() - begin, b.waits - waits);
	}
}
