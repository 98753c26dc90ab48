/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_pci.c - enumeration; and configuration reads cost no exit: the same guest with and without thousands of them.
 */
#include <stdio.h>
#include "harness.h"

static unsigned long long mmio_exits(unsigned reads)
{
	unsigned long long n = 0;
	struct guest g;
	char append[32];

	snprintf(append, sizeof(append), "reads=%u console=hvc0", reads);
	if (ok(guest_new(&g, "payload_pci", "append", append, NULL) && guest_start(&g), "created and started")) {
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_POWEROFF, append);
		guest_results(&g);
		n = g.stats.exits_mmio;
	}
	guest_free(&g);
	return n;
}

int main(void)
{
	unsigned long long none, many;

	tests_begin();
	none = mmio_exits(0);
	many = mmio_exits(5000);
	ok(none > 0 && many == none, "10000 configuration reads add no exit (%llu, %llu)", none, many);
	return tests_end();
}
