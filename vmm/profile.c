/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * profile.c - the choice of settings.
 *
 * Measured in the emulated host (tools/bench/profile prints today's figures), stock 6.12 kernel, one vCPU, 256 MiB:
 *
 *	huge-pages  a boot takes 2,800 VM exits with them, 18,500 without; the first touch of 512 MiB 330 and 131,200
 *	pv          2,800 with, 3,550 without: the end of an interrupt needs no exit
 *	pre-fault   without huge pages the first touch of 512 MiB takes 66 exits in place of 131,200, and 4.3 s for 10.7
 *
 * What did not help, and is not here.  Pre-fault of a boot's range, of 96 MiB or of all: without huge pages 5,050 or 2,800
 * exits in place of 18,500, but a later init (6.4 to 9 s for 5), as more is zeroed than a boot touches; with huge pages
 * nothing at all.  KVM_PRE_FAULT_MEMORY of what the host has not populated: it maps the zero page, and each page faults
 * once more (262,200 exits).  KVM_CAP_HALT_POLL of 0 or 1 ms, PAUSE without an exit: no difference.  HLT without an exit:
 * slower, the CPU being the I/O thread's too.  "tsc=reliable no_timer_check" on the kernel's command line: no difference.
 */
#include "profile.h"

#include <stdio.h>

static void set(struct profile *p, enum config_profile key, enum config_switch wish, bool on, const char *why)
{
	if (wish == CONFIG_SWITCH_AUTO)
		p->set[key] = (struct profile_setting){ on, why };
	else
		p->set[key] = (struct profile_setting){ wish == CONFIG_SWITCH_ON, "as asked for" };
}

void profile_choose(struct profile *p, const struct profile_facts *f, const enum config_switch wish[CONFIG_PROFILE_SETTINGS])
{
	set(p, CONFIG_PROFILE_HUGE_PAGES, wish[CONFIG_PROFILE_HUGE_PAGES], f->huge_pages,
	    !f->huge_pages ? "the host gives none: transparent_hugepage/enabled is never"
	    : f->dear      ? "a page fault is dear under another hypervisor, and 2 MiB take one in place of 512"
			   : "2 MiB take one page fault in place of 512");
	set(p, CONFIG_PROFILE_PRE_FAULT, wish[CONFIG_PROFILE_PRE_FAULT], false,
	    f->huge_pages ? "memory stays the host's until the guest touches it; with huge pages that costs little"
			  : "memory stays the host's until the guest touches it; a guest that will touch most of it gains by "
			    "pre-fault=on here");
	set(p, CONFIG_PROFILE_PV, wish[CONFIG_PROFILE_PV], true, "the end of an interrupt takes no exit");
	set(p, CONFIG_PROFILE_PLAIN_CPU, wish[CONFIG_PROFILE_PLAIN_CPU], f->interpreted,
	    f->interpreted ? "this host's KVM interprets the guest's ring 0, and a kernel that used XSAVE, CMPXCHG16B or POPCNT would stop"
			   : "the guest's kernel runs natively, and may use all that the CPU has");
}

void profile_describe(const struct profile *p, char *buf, size_t len)
{
	static const char *const names[CONFIG_PROFILE_SETTINGS] = { "huge-pages", "pre-fault", "pv", "plain-cpu" };
	size_t n = 0;

	for (unsigned i = 0; i < CONFIG_PROFILE_SETTINGS && n < len; i++)
		n += (size_t)snprintf(buf + n, len - n, "profile   %s %s: %s\n", names[i], p->set[i].on ? "on" : "off", p->set[i].why);
}
