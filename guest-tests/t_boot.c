/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_boot.c - both entries of an ELF image; command line, memory map and ACPI tables as the guest finds them.
 */
#include <stdio.h>
#include "harness.h"

static void boot(const char *payload, int way, const char *mem, const char *cpus)
{
	struct guest g;
	char append[128], name[128];

	snprintf(name, sizeof(name), "%s, %s MiB, %s CPUs", payload, mem, cpus);
	snprintf(append, sizeof(append), "way=%d mem=%s cpus=%s text=a,b$c'd", way, mem, cpus);
	bool up = guest_new(&g, payload, "memory", mem, "cpus", cpus, "append", append, NULL) && guest_start(&g);
	ok(up, "%s: created and started", name);
	if (up) {
		guest_finish(&g, LIMIT_MS);
		guest_ended(&g, TVMM_POWEROFF, name);
		guest_results(&g);
		ok(g.stats.ns_to_run > 0 && g.stats.exits_user > 0, "statistics count");
		ok(g.log_lines == 0, "nothing was logged (%s)", g.log_last);
	}
	guest_free(&g);
}

int main(void)
{
	tests_begin();
	boot("payload_boot", 2, "64", "1");
	boot("payload_boot64", 1, "64", "2");
	boot("payload_boot", 2, "4096", "1");
	return tests_end();
}
