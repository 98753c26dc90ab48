/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_touch.c - touches 512 MiB, a byte in each 4 KiB, once and then again, and prints how many million TSC ticks
 * each round took.  A benchmark's guest (tools/bench/profile); decides nothing.
 */
#include "guest.h"

#define FIRST (64ull << 20)
#define END   (FIRST + (512ull << 20))

static uint64_t touch(void)
{
	uint64_t begin = rdtsc();

	for (uint64_t a = FIRST; a < END; a += 4096)
		*(volatile uint8_t *)a = 1;
	return (rdtsc() - begin) / 1000000;
}

void guest_main(void)
{
	con_printf("first=%lu\n", touch());
	con_printf("again=%lu\n", touch());
}
