/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* t_rng.c - virtio-rng; the guest checks all of it. */
#include "harness.h"

int main(void)
{
	tests_begin();
	guest_run("virtio-rng", "payload_rng", "", "1");
	return tests_end();
}
