/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_console.c - virtio-console in both directions: the host half sees what the guest sent, whole and in order.
 */
#include <stdlib.h>
#include <string.h>
#include "harness.h"

static void check_big(const struct guest *g)
{
	const char *from = strchr(g->text, '<'), *to = from ? strchr(from, '>') : NULL;
	unsigned z = 0;

	for (const char *p = from; p && to && p < to; p++)
		z += *p == 'z';
	/* 16000 bytes, 200 of them newlines, and the two marks. */
	ok(z == 16000 - 200 - 2, "the long buffer is on the output, whole (%u letters)", z);
}

int main(void)
{
	struct guest g;
	char typed[400];

	for (unsigned i = 0; i < sizeof(typed); i++)
		typed[i] = (char)('a' + i % 26);
	tests_begin();
	if (!ok(guest_new(&g, "payload_console", "append", "console=hvc0", NULL) && guest_start(&g), "created and started"))
		return tests_end();
	ok(guest_says(&g, "READY typing\n") && guest_type(&g, typed, sizeof(typed)), "400 bytes typed");
	ok(guest_says(&g, "READY early\n") && guest_type(&g, "early", 5), "5 bytes typed");
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "console");
	ok(strstr(g.text, "[hello from hvc]"), "one buffer is on the output");
	ok(strstr(g.text, "[one two three]"), "the chain is on the output, in order");
	check_big(&g);
	guest_results(&g);
	guest_free(&g);
	return tests_end();
}
