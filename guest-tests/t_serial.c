/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * t_serial.c - COM1: types to the guest when it is ready; all bytes come, none is lost while the guest does not read.
 */
#include "harness.h"

int main(void)
{
	struct guest g;
	char many[300];

	for (unsigned i = 0; i < sizeof(many); i++)
		many[i] = (char)('A' + i % 26);
	tests_begin();
	if (!ok(guest_new(&g, "payload_serial", "append", "bytes=300", NULL) && guest_start(&g), "created and started"))
		return tests_end();
	ok(guest_says(&g, "READY one\n") && guest_type(&g, "x", 1), "one byte typed");
	ok(guest_says(&g, "READY five\n") && guest_type(&g, "bytes", 5), "five bytes typed");
	ok(guest_says(&g, "READY many\n") && guest_type(&g, many, sizeof(many)), "300 bytes typed");
	guest_finish(&g, LIMIT_MS);
	guest_ended(&g, TVMM_POWEROFF, "serial");
	guest_results(&g);
	guest_free(&g);
	return tests_end();
}
