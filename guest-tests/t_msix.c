/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* t_msix.c - MSI-X with one CPU and with two; the guest checks all of it. */
#include "harness.h"

int main(void)
{
	tests_begin();
	guest_run("one CPU", "payload_msix", "cpus=1", "1");
	guest_run("two CPUs", "payload_msix", "cpus=2", "2");
	return tests_end();
}
