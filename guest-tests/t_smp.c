/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* t_smp.c - 1, 4 and 64 CPUs. */
#include <stdio.h>
#include "harness.h"

int main(void)
{
	static const char *const cpus[] = { "1", "4", "64" };
	char append[32];

	tests_begin();
	for (unsigned i = 0; i < 3; i++) {
		snprintf(append, sizeof(append), "cpus=%s", cpus[i]);
		guest_run(append, "payload_smp", append, cpus[i]);
	}
	return tests_end();
}
