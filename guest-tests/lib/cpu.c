/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cpu.c - descriptor tables, exceptions, the local APIC, further CPUs, ring 3.
 * Tables are per CPU, handlers and counters are shared.
 */
#include "guest.h"

#define MSR_APIC_BASE  0x1b
#define MSR_X2APIC     0x800
#define APIC_ID        0x20
#define APIC_TPR       0x80
#define APIC_EOI       0xb0
#define APIC_SVR       0xf0
#define APIC_ICR       0x300
#define APIC_LVT_TIMER 0x320
#define APIC_TIMER_ICR 0x380
#define APIC_TIMER_DCR 0x3e0
#define ICR_INIT       0x4500
#define ICR_STARTUP    0x4600
#define TRAMPOLINE     0x8000
#define SEL_CODE64     0x10
#define SEL_DATA       0x18
#define SEL_TSS        0x30

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, iomap;
} __attribute__((packed));

struct gate {
	uint16_t off_lo, sel;
	uint8_t ist, type;
	uint16_t off_mid;
	uint32_t off_hi, reserved;
};

struct table_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern char isr_stubs[], ring3_exit[], ring3_back[], ap_trampoline[], ap_trampoline_end[];
extern uint64_t boot_gdt[6];
uint64_t ring3_enter(void *fn, void *arg, void *stack, uint64_t *saved, uint64_t rflags);
void isr_dispatch(struct regs *r);
void ap_main(unsigned slot);

static struct gate idt[256];
static void (*handler[256])(unsigned vec);
volatile unsigned irq_count[256];
static bool x2apic;
static uint64_t ring3_rsp; /* where ring3() left the stack of ring 0 */

/* Where a caught exception goes on; one try_call() at a time, on the boot CPU. */
static struct {
	volatile bool armed;
	volatile unsigned vec;
	uint64_t rip, rsp, rbp;
} catcher;

uint64_t ap_stacks[GUEST_MAX_CPUS];
volatile uint32_t ap_next;
volatile unsigned cpus_up;
static void (*volatile ap_fn)(unsigned index);
static volatile unsigned ap_index;

/* ---- exceptions and interrupts ------------------------------------------------------------------------------------ */

static void exception(struct regs *r)
{
	uint64_t cr2;

	if (catcher.armed) {
		catcher.armed = false;
		catcher.vec = (unsigned)r->vector;
		r->rip = catcher.rip;
		r->rsp = catcher.rsp;
		r->rbp = catcher.rbp;
		return;
	}
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	report(false, "no exception: %lu, error %#lx, rip %#lx, cr2 %#lx, cs %#lx, cpu %u", r->vector, r->error, r->rip, cr2,
	       r->cs, cpu_apic_id());
	diag("rax %#lx rbx %#lx rcx %#lx rdx %#lx rsi %#lx rdi %#lx rsp %#lx rflags %#lx", r->rax, r->rbx, r->rcx, r->rdx,
	     r->rsi, r->rdi, r->rsp, r->rflags);
	guest_poweroff();
}

void isr_dispatch(struct regs *r)
{
	unsigned vec = (unsigned)r->vector & 255;

	if (vec < 32) {
		if (r->rip == (uint64_t)ring3_exit) {
			r->rip = (uint64_t)ring3_back;
			r->cs = SEL_CODE64;
			r->ss = SEL_DATA;
			r->rsp = ring3_rsp;
			r->rflags = 2;
			return;
		}
		exception(r);
		return;
	}
	__atomic_fetch_add(&irq_count[vec], 1, __ATOMIC_SEQ_CST);
	if (handler[vec])
		handler[vec](vec);
	if (vec != VEC_SPURIOUS)
		lapic_eoi();
}

void irq_handler(unsigned vec, void (*fn)(unsigned vec))
{
	handler[vec] = fn;
}

bool irq_wait(unsigned vec, unsigned n, unsigned limit_ms)
{
	uint64_t end = deadline_ms(limit_ms);

	irq_on();
	while (irq_count[vec] < n && !expired(end))
		cpu_relax();
	irq_off();
	return irq_count[vec] >= n;
}

bool try_call(void (*fn)(void *arg), void *arg, unsigned *vec)
{
	catcher.vec = ~0u;
	/* One statement: the compiler must not move the frame between arming and the way back. */
	__asm__ volatile("lea 1f(%%rip), %%rcx\n\t"
			 "mov %%rcx, %[rip]\n\t"
			 "mov %%rsp, %[rsp]\n\t"
			 "mov %%rbp, %[save_bp]\n\t"
			 "movb $1, %[armed]\n\t"
			 "call *%%rax\n\t"
			 "1: movb $0, %[armed]"
			 : [rip] "=m"(catcher.rip), [rsp] "=m"(catcher.rsp), [save_bp] "=m"(catcher.rbp),
			   [armed] "=m"(catcher.armed), "+D"(arg), "+a"(fn)
			 :
			 : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	if (vec)
		*vec = catcher.vec;
	return catcher.vec == ~0u;
}

/* ---- local APIC ----------------------------------------------------------------------------------------------------- */

static uint32_t lapic_read(unsigned reg)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : mmio_r32(0xfee00000 + reg);
}

static void lapic_write(unsigned reg, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, v);
	else
		mmio_w32(0xfee00000 + reg, v);
}

uint32_t cpu_apic_id(void)
{
	uint32_t id = lapic_read(APIC_ID);

	return x2apic ? id : id >> 24;
}

void lapic_eoi(void)
{
	lapic_write(APIC_EOI, 0);
}

void lapic_ipi(uint32_t apic_id, uint32_t icr_low)
{
	if (x2apic) {
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)apic_id << 32 | icr_low);
	} else {
		lapic_write(APIC_ICR + 0x10, apic_id << 24);
		lapic_write(APIC_ICR, icr_low);
	}
}

void lapic_timer(unsigned vec, uint32_t ticks)
{
	lapic_write(APIC_TIMER_DCR, 0xb);
	lapic_write(APIC_LVT_TIMER, vec);
	lapic_write(APIC_TIMER_ICR, ticks);
}

static void lapic_init(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	x2apic = r[2] >> 21 & 1;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 1 << 11 | (x2apic ? 1 << 10 : 0));
	lapic_write(APIC_TPR, 0);
	lapic_write(APIC_SVR, 0x100 | VEC_SPURIOUS);
}

/* ---- tables -------------------------------------------------------------------------------------------------------- */

static void set_gate(unsigned vec, void *fn)
{
	uint64_t a = (uint64_t)fn;

	idt[vec] = (struct gate){ .off_lo = (uint16_t)a, .sel = SEL_CODE64, .type = 0x8e,
				  .off_mid = (uint16_t)(a >> 16), .off_hi = (uint32_t)(a >> 32) };
}

void cpu_init(unsigned index)
{
	/* Tables and the I/O bitmap that opens all ports to ring 3 (IOPL 3 is lost on some KVMs); then ring 3's stack. */
	uint8_t *mem = page_alloc(4);
	uint64_t *gdt = (uint64_t *)mem, t;
	struct tss *tss = (struct tss *)(mem + 256);
	struct table_ptr gdtr = { 8 * 8 - 1, (uint64_t)gdt }, idtr = { sizeof(idt) - 1, (uint64_t)idt };

	if (index == 0)
		for (unsigned v = 0; v < 256; v++)
			set_gate(v, isr_stubs + v * 16);
	for (unsigned i = 0; i < ARRAY_SIZE(boot_gdt); i++)
		gdt[i] = boot_gdt[i];
	t = (uint64_t)tss;
	tss->rsp[0] = (uint64_t)mem + 4 * 4096;
	tss->iomap = sizeof(*tss);
	((uint8_t *)tss)[sizeof(*tss) + 8192] = 0xff;
	gdt[6] = (sizeof(*tss) + 8192) | (t & 0xffffff) << 16 | 0x89ull << 40 | (t >> 24 & 0xff) << 56;
	gdt[7] = t >> 32;
	__asm__ volatile("lgdt %0" ::"m"(gdtr));
	__asm__ volatile("lidt %0" ::"m"(idtr));
	__asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
	lapic_init();
}

/* ---- further CPUs ---------------------------------------------------------------------------------------------------- */

void ap_main(unsigned slot)
{
	unsigned index = ap_index;
	void (*fn)(unsigned) = ap_fn;

	(void)slot;
	cpu_init(index);
	__atomic_fetch_add(&cpus_up, 1, __ATOMIC_SEQ_CST);
	fn(index);
	guest_halt();
}

bool cpu_start(uint32_t apic_id, unsigned index, void (*fn)(unsigned index))
{
	unsigned up = cpus_up;

	memcpy((void *)TRAMPOLINE, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	ap_stacks[ap_next] = (uint64_t)page_alloc(2) + 8192;
	ap_fn = fn;
	ap_index = index;
	full_fence();
	lapic_ipi(apic_id, ICR_INIT);
	lapic_ipi(apic_id, ICR_STARTUP | TRAMPOLINE >> 12);
	for (uint64_t end = deadline_ms(5000); cpus_up == up;) {
		if (expired(end))
			return false;
		cpu_relax();
	}
	return true;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------------- */

uint64_t ring3(uint64_t (*fn)(void *arg), void *arg)
{
	static uint8_t *stack;
	uint64_t rflags;

	if (!stack)
		stack = page_alloc(4);
	__asm__ volatile("pushfq; popq %0" : "=r"(rflags));
	return ring3_enter((void *)fn, arg, stack + 4 * 4096, &ring3_rsp, (rflags & 0x200) | 0x3002);
}

uint64_t deadline_ms(unsigned ms)
{
	/* At 5 GHz the limit is as told, at 1 GHz five times as long: it only has to end. */
	return rdtsc() + ms * 5000000ull;
}

void spin_lock(volatile uint32_t *l)
{
	while (__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
}

void spin_unlock(volatile uint32_t *l)
{
	__atomic_store_n(l, 0, __ATOMIC_RELEASE);
}
