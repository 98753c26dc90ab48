/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * profile.c - the choice of settings.
 *
 * Measured by tools/bench/profile in the emulated host, and in a guest of it (stock 6.12 kernel, one vCPU, 256 MiB; VM exits,
 * and seconds, which only compare with each other):
 *
 *	                                        emulated host      a guest of it
 *	boot to init, the chosen profile          2,990    4.5      3,656    7.4
 *	all settings off                         19,283    8.1     25,336   30.5
 *	huge-pages off                           18,810    7.2
 *	pv off: ends of interrupts exit           3,389    5.4
 *	first touch of 512 MiB, huge pages          330    6.1        332    8.9
 *	neither huge pages nor pre-fault        131,167   14.4    131,171  102.3
 *	pre-fault alone                              66    3.5         72   11.6
 *
 * plain-cpu, where KVM interprets ring 0: without it Linux 6.1 stops at CMPXCHG16B, when it sets up its allocator.  With it
 * the kernel comes to the test of its own INT3, which such a KVM lacks as well, and CPUID cannot hide.  bare-insn tells
 * which instructions there are.
 *
 * What did not help, and is not here.  Two boots of a kind differ by up to 300 exits of 3,200.
 *
 *	pre-fault of a boot's range, of 96 MiB or of all: without huge pages 5,050 or 2,800 exits in place of 18,500, but a
 *		later init (6.4 to 9 s for 5), as more is zeroed than a boot touches; with huge pages nothing at all
 *	KVM_PRE_FAULT_MEMORY of what the host has not populated: it maps the zero page, and each page faults once more
 *		(262,200 exits)
 *	KVM_CAP_HALT_POLL of 0 or 1 ms, PAUSE without an exit: no difference.  HLT without an exit: slower, as the CPU is
 *		the I/O thread's too; that also speaks against a thread that polls
 *	cpuidle-haltpoll in the guest, or KVM's hint "realtime": 50 sleeps of 20 ms take 5,250 to 6,290 exits, 5,720 to 5,800
 *		without
 *	coalesced writes to the serial port: a boot that logs 21,660 bytes takes 22,900 exits to user space in place of
 *		44,600, but as many VM exits (47,600) and as long (11.6 and 15.9 s, 12.5 and 13.6 s without).  And a guest's
 *		last bytes would wait, unseen, for an exit that may never come
 *	"tsc=reliable no_timer_check" on the kernel's command line: no difference
 *
 * In pv only the end of an interrupt shows here (4,230 exits without it, 3,100 to 3,320 with).  Without async page faults,
 * steal time, poll control or "unhalt" there were 3,000 to 3,480; with two vCPUs, on one CPU of the host, neither IPIs nor
 * TLB flushes nor sched_yield made a difference (15,500 to 18,990 exits without one of them, 16,490 to 19,950 with all).
 * They cost nothing, and wait for a host with CPUs to show more.
 *
 * Not settings, for none is ever in the way: PCI configuration pages in read-only slots (459 exits to user space in a
 * boot, 895 without), notifications by ioeventfd, discards in runs of 2 MiB (bench-discard).
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
