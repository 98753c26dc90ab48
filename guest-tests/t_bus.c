/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_bus.c - unclaimed ports and addresses; the exits they cost are counted as what they are.
 */
#include "harness.h"

int main(void)
{
	struct guest g;

	tests_begin();
	if (!ok(guest_new(&g, "payload_bus", NULL) && guest_start(&g), "created and started"))
		return tests_end();
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "bus");
	guest_results(&g);
	ok(g.stats.exits_pio >= 300 && g.stats.exits_mmio >= 230, "exits counted by kind: %llu port, %llu memory",
	   (unsigned long long)g.stats.exits_pio, (unsigned long long)g.stats.exits_mmio);
	ok(g.stats.exits_user >= g.stats.exits_pio + g.stats.exits_mmio, "and all together: %llu",
	   (unsigned long long)g.stats.exits_user);
	ok(g.log_lines <= 12, "the log was not flooded (%u lines)", g.log_lines);
	guest_free(&g);
	return tests_end();
}
