/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_end.c - does one thing, told by mode=..., for the tests of a machine's life and end.
 * Says READY first, so that the host half knows that the guest runs.
 */
#include "virtio.h"

#define PVPANIC 0x505

static _Noreturn uint64_t spin_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		cpu_relax();
}

/* A sector of disk 0 counts the boots; RAM must not remember one. */
static void count_boots(void)
{
	static struct vdev v;
	static struct { uint32_t type, reserved; uint64_t sector; } h;
	static volatile uint8_t status;
	volatile uint64_t *mark = (volatile uint64_t *)(48ull << 20);
	volatile uint32_t *sector = page_alloc(1);
	uint32_t boots;

	report(*mark == 0, "RAM holds nothing of an earlier guest");
	*mark = 0x1122334455667788ull;
	if (!report(virtio_open(&v, VIRTIO_BLK, 0) && virtio_start(&v, 0) && virtio_queue(&v, 0, 16, VIRTIO_NO_VECTOR), "disk"))
		return;
	virtio_ready(&v);
	report(vq_do(&v.q[0], (struct vbuf[]){ { &h, 16, false }, { sector, 512, true }, { &status, 1, true } }, 3) >= 0 && !status,
	       "read");
	boots = ++sector[0];
	h.type = 1;
	report(vq_do(&v.q[0], (struct vbuf[]){ { &h, 16, false }, { sector, 512, false }, { &status, 1, true } }, 3) >= 0 &&
	       !status, "written");
	con_printf("BOOT %u\n", boots);
	if (boots < 3)
		guest_reboot();
}

static void halt_quietly(void)
{
	for (;;)
		sti_hlt();
}

static void wait_for_button(void)
{
	report(acpi.ged_gsi != ~0u && ioapic_route(acpi.ged_gsi, VEC_FIRST, false), "GED interrupt routed");
	say("READY");
	report(irq_wait(VEC_FIRST, 1, 20000), "the power button interrupts");
	say("PRESSED");
	report(irq_wait(VEC_FIRST, 2, 20000), "and again");
	report(!irq_wait(VEC_FIRST, 3, 50), "and no more");
}

static void xsave(void)
{
	static uint8_t area[4096] __attribute__((aligned(64)));
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | 1 << 9 | 1 << 18)); /* OSFXSR, OSXSAVE */
	__asm__ volatile("xsave64 %0" : "=m"(area) : "a"(3), "d"(0));
	say("SURVIVED");
}

static void cmpxchg16b(void)
{
	static uint64_t v[2] __attribute__((aligned(16))) = { 1, 2 };
	uint64_t lo = 1, hi = 2;

	__asm__ volatile("lock cmpxchg16b %0" : "+m"(v), "+a"(lo), "+d"(hi) : "b"(3ull), "c"(4ull) : "cc", "memory");
	report(v[0] == 3 && v[1] == 4, "CMPXCHG16B works");
	say("SURVIVED");
}

void guest_main(void)
{
	char mode[32] = "";

	boot_arg("mode", mode, sizeof(mode));
	if (!strcmp(mode, "button")) {
		wait_for_button();
		return;
	}
	say("READY");
	if (!strcmp(mode, "reboot"))
		guest_reboot();
	else if (!strcmp(mode, "boots"))
		count_boots();
	else if (!strcmp(mode, "triple"))
		guest_triple_fault();
	else if (!strcmp(mode, "halt"))
		halt_quietly();
	else if (!strcmp(mode, "dead"))
		guest_halt();
	else if (!strcmp(mode, "spin"))
		spin_for_ever(NULL);
	else if (!strcmp(mode, "spin3"))
		ring3(spin_for_ever, NULL);
	else if (!strcmp(mode, "xsave"))
		xsave();
	else if (!strcmp(mode, "cmpxchg16b"))
		cmpxchg16b();
	else if (!strcmp(mode, "pvpanic")) {
		report((inb(PVPANIC) & 1) == 1, "pvpanic is there (%#x)", inb(PVPANIC));
		outb(PVPANIC, 1);
		for (uint64_t end = deadline_ms(50); !expired(end);)
			cpu_relax();
		say("SURVIVED");
	} else if (!strcmp(mode, "noroot")) {
		say("[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)");
		guest_reboot();
	} else if (!strcmp(mode, "waits")) {
		say("[    1.234567] Waiting for root device /dev/vda...");
		say("[    1.234567] Waiting for root device /dev/vda...");
	} else if (!strcmp(mode, "exit")) {
		report(inl(0xf4) == 0, "the debug-exit port is there");
		outl(0xf4, 0x80000010);
		halt_quietly();
	} else if (!strcmp(mode, "flood")) {
		/* Output for ever: a machine that is stopped, or nobody reads, must not mind. */
		for (unsigned i = 0;; i++)
			con_printf("line %u of very many, to fill whatever lies between this guest and its reader\n", i);
	}
}
