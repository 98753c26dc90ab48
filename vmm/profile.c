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
 * plain-strings, where the CPU is TCG's: there "rep stosb" clears 0.75 GiB/s, "rep stosq" 5.0 and a loop of plain stores 6.8
 * (0.7, 3.7 and 4.7 in a guest).  Linux takes the first where CPUID has ERMS, else the second where it knows the CPU's family
 * for good ones, else the third.  A guest touches 512 MiB that it has in 0.5 to 0.7 s in place of 3.4 to 3.7.  To have the
 * third in place of the second takes clearcpuid=112 on the kernel's command line, which taints it, and was not worth that.
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
 * Of pv only the end of an interrupt shows in a boot (4,230 exits without it, 3,100 to 3,320 with).  The others need vCPUs that
 * wait for each other: tools/bench/profile smp, in the emulated host with two CPUs, on a busy machine, so that only what was
 * counted, or differs much, tells anything.  What was done in a second, and exits for each of it:
 *
 *	                                                            all of pv    but for that one
 *	pv-tlb-flush: mprotect(), 2 vCPUs on 1 CPU              19,539   0.02       37   16.6
 *	pv-ipi: membarrier() for 2 of 3 others, 4 vCPUs on 2        92   12.5       62   18.3
 *	pv-yield: the same                                          92   12.5       58   13.2
 *	pv-spinlocks: one lock, 4 vCPUs on 2               93k to 114k  0.007     136k  0.004
 *
 * Linux sends an interrupt to all other CPUs by one exit anyway, so pv-ipi is for some of them, where it makes one of two or
 * more.  pv-tlb-flush and pv-yield look at what steal-time tells, and are nothing without.  pv-spinlocks did less with more
 * exits (129 halts for 34), and is off.
 *
 * async-pf: while 3,072 pages came back from a disk of 200 a second, another thread of the only vCPU got 2.2 times as much done
 * as without (289,000 steps a second, 130,000), at 2.7 exits a page (2.9).  From one of 1,000 a second no difference was seen, as
 * the swapping itself took most of the emulated CPU.
 *
 * discard-batch: of every other page of 128 MiB, given page by page (bench-discard 128 3 RANGES, natively), 1 range a call gets
 * 0.56 of what process_madvise() does with 1,024, 16 get 0.8, 64 0.95, 256 as much, and fewer never do better.
 * Whole chunks of 2 MiB, which is what guests mostly give, do not depend on it.
 *
 * io-batch: 0.27 exits an I/O at depth 32 (tools/bench/disk).  io-poll: not where each CPU is a vCPU's, as there the
 * thread that looks keeps the guest from going on.  Elsewhere, natively on a busy machine whose KVM interprets ring 0 (depth 32, and depth
 * 8; tools/bench/disk native's guest), I/O a second, notifications each, and I/O for a second of the VMM's CPU:
 *
 *	io-poll off     2,249 0.21 426k     3,495 0.48 324k
 *	20 us          11,829 0.06 563k    12,180 0.16 450k
 *	100 us         12,381 0.14 250k     6,719 0.04 316k
 *	400 us          3,395 0.02 141k     5,856 0.02 278k
 *	io-batch off    3,522 1.00          2,773 1.00        (all of them in the exit)
 *
 * A longer window saves more exits, and takes the CPU for that; 20 us did most with it on the one host that was tried.  There, packets
 * to the host's kernel and back, natively on a quiet machine (tools/bench/net native's guest; one at a time, 64 at a time): packets
 * a second, notifications each, packets for a second of the VMM's CPU:
 *
 *	io-poll off    46,143 1.00  128k   376,844 0.016 377k
 *	20 us         310,754 0.001 316k   414,833 0.008 418k
 *	50 us         275,362 0.000 294k   377,081 0.000 382k
 *
 * Not settings, for none is ever in the way: PCI configuration pages in read-only slots (459 exits to user space in a
 * boot, 895 without), notifications by ioeventfd.
 */
#include "profile.h"

#include <asm/kvm_para.h>
#include <stdio.h>
#include "bits.h"

#define IO_POLL_US     20
#define DISCARD_RANGES 256

static void set(struct profile *p, const struct config_wish *wish, enum config_profile key, bool on, unsigned usual, const char *why)
{
	const struct config_wish *w = &wish[key];
	bool asked = w->sw != CONFIG_SWITCH_AUTO;

	if (asked)
		on = w->sw == CONFIG_SWITCH_ON;
	p->set[key] = (struct profile_setting){ on, on ? (w->n ? w->n : usual) : 0, asked ? "as asked for" : why };
}

static void choose_memory(struct profile *p, const struct profile_facts *f, const struct config_wish *wish)
{
	set(p, wish, CONFIG_PROFILE_HUGE_PAGES, f->huge_pages, 0,
	    !f->huge_pages ? "the host gives none: transparent_hugepage/enabled is never"
	    : f->dear      ? "a page fault is dear under another hypervisor, and 2 MiB take one in place of 512"
			   : "2 MiB take one page fault in place of 512");
	set(p, wish, CONFIG_PROFILE_PRE_FAULT, false, 0,
	    f->huge_pages ? "memory stays the host's until the guest touches it; with huge pages that costs little"
			  : "memory stays the host's until the guest touches it; a guest that will touch most of it gains by "
			    "pre-fault=on here");
	set(p, wish, CONFIG_PROFILE_DISCARD_BATCH, true, DISCARD_RANGES, "that many ranges go back to the host by one system call");
}

static void choose_cpu(struct profile *p, const struct profile_facts *f, const struct config_wish *wish)
{
	set(p, wish, CONFIG_PROFILE_PLAIN_CPU, f->interpreted, 0,
	    f->interpreted ? "this host's KVM interprets the guest's ring 0, and a kernel that used XSAVE, CMPXCHG16B or POPCNT would stop"
			   : "the guest's kernel runs natively, and may use all that the CPU has");
	set(p, wish, CONFIG_PROFILE_PLAIN_STRINGS, f->emulated, 0,
	    f->emulated ? "this host's CPU is emulated, and repeats a string instruction byte by byte: plain stores are faster"
			: "the CPU's string instructions are its fastest way to clear and copy memory");
	set(p, wish, CONFIG_PROFILE_PV_EOI, true, 0, "the end of an interrupt takes no exit");
	set(p, wish, CONFIG_PROFILE_PV_IPI, true, 0, "interrupts for several vCPUs take one exit");
	set(p, wish, CONFIG_PROFILE_PV_TLB_FLUSH, true, 0, "nobody waits for a vCPU that does not run to flush its TLB");
	set(p, wish, CONFIG_PROFILE_PV_YIELD, true, 0, "who waits for a vCPU that does not run lets it");
	set(p, wish, CONFIG_PROFILE_PV_SPINLOCKS, false, 0, "who waits for a lock and halts takes exits; those who spin get more done");
	set(p, wish, CONFIG_PROFILE_ASYNC_PF, true, 0, "while the host brings a page back the guest does something else");
	set(p, wish, CONFIG_PROFILE_STEAL_TIME, true, 0, "the guest knows how long its vCPUs waited for a CPU");
}

static void choose_io(struct profile *p, const struct profile_facts *f, const struct config_wish *wish)
{
	bool spare = f->host_cpus > f->cpus;

	set(p, wish, CONFIG_PROFILE_IO_BATCH, true, 0, "requests that come thick pay one exit and one interrupt together");
	set(p, wish, CONFIG_PROFILE_IO_POLL, spare, IO_POLL_US,
	    spare ? "the host has a CPU to spare, on which looking once more costs the guest nothing"
		  : "the host has no CPU to spare: a thread that looked for more would keep a vCPU from running");
}

void profile_choose(struct profile *p, const struct profile_facts *f, const struct config_wish wish[CONFIG_PROFILE_SETTINGS])
{
	choose_memory(p, f, wish);
	choose_cpu(p, f, wish);
	choose_io(p, f, wish);
}

uint32_t profile_hides(const struct profile *p)
{
	static const struct {
		enum config_profile key;
		uint32_t features;
	} of[] = {
		{ CONFIG_PROFILE_PV_EOI, BIT(KVM_FEATURE_PV_EOI) },
		{ CONFIG_PROFILE_PV_IPI, BIT(KVM_FEATURE_PV_SEND_IPI) },
		{ CONFIG_PROFILE_PV_TLB_FLUSH, BIT(KVM_FEATURE_PV_TLB_FLUSH) },
		{ CONFIG_PROFILE_PV_YIELD, BIT(KVM_FEATURE_PV_SCHED_YIELD) },
		{ CONFIG_PROFILE_PV_SPINLOCKS, BIT(KVM_FEATURE_PV_UNHALT) },
		{ CONFIG_PROFILE_ASYNC_PF, BIT(KVM_FEATURE_ASYNC_PF) | BIT(KVM_FEATURE_ASYNC_PF_VMEXIT) | BIT(KVM_FEATURE_ASYNC_PF_INT) },
		{ CONFIG_PROFILE_STEAL_TIME, BIT(KVM_FEATURE_STEAL_TIME) },
	};
	uint32_t hidden = BIT(KVM_FEATURE_POLL_CONTROL); /* of cpuidle-haltpoll alone */

	for (unsigned i = 0; i < ARRAY_SIZE(of); i++)
		if (!p->set[of[i].key].on)
			hidden |= of[i].features;
	return hidden;
}

void profile_describe(const struct profile *p, char *buf, size_t len)
{
	size_t n = 0;

	for (unsigned i = 0; i < CONFIG_PROFILE_SETTINGS && n < len; i++) {
		char number[12] = "on";

		if (p->set[i].n)
			snprintf(number, sizeof(number), "%u", p->set[i].n);
		n += (size_t)snprintf(buf + n, len - n, "profile   %s %s: %s\n", config_profile_names[i],
				      p->set[i].on ? number : "off", p->set[i].why);
	}
}
