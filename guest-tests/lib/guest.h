/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest.h - what a test payload may call: console and report(), CPUs and interrupts, ACPI, PCI, ways to end.
 *
 * A payload is one file with guest_main(); the library has set up the boot CPU (long mode, first 4 GiB identity-mapped
 * and open to ring 3, exceptions reported), and found COM1 and the ACPI tables.  When guest_main() returns, the guest
 * prints its plan and powers off.  Everything is freestanding and free of SSE; nothing is thread-safe but the console.
 *
 * Ring 0 may be interpreted (about 1.7 million instructions a second): keep it short, run hot loops in ring3().
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define GUEST_MAX_CPUS 256

/* The payload's own code. */
void guest_main(void);

/* ---- console and results (console.c) ---------------------------------------------------------------------------- */

#define COM1 0x3f8

void con_write(const char *buf, size_t len);
void con_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One "ok - ..." or "not ok - ..." line; returns COND.  The host half makes it a subtest of its own. */
bool report(bool cond, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_skip(const char *name, const char *why);
void diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A line that the host half waits for: "READY" and the like. */
void say(const char *line);
/* Prints the plan ("# end N"), by which the host knows that no line is missing.  Once; the way out calls it. */
void report_end(void);

/* ---- strings (string.c) ----------------------------------------------------------------------------------------- */

void *memset(void *p, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
/* The bounded formatter: %s %c %d %u %x with l, 0 and width.  Returns the length it wanted. */
size_t format(char *buf, size_t size, const char *fmt, va_list ap);

/* ---- boot (boot.c) ---------------------------------------------------------------------------------------------- */

enum boot_way { BOOT_LINUX = 1, BOOT_PVH = 2 };
struct boot_info {
	enum boot_way way;
	uint64_t rsdp;         /* 0: not told */
	char cmdline[1024];
	uint64_t ram_end;      /* of the range that holds this image */
	unsigned n_ranges;     /* usable RAM, as the loader tells it */
	struct { uint64_t addr, len; } range[16];
};
extern struct boot_info boot_info;
/* The value of "NAME=..." on the command line, in BUF; false if it is not there. */
bool boot_arg(const char *name, char *buf, size_t len);
unsigned long boot_arg_num(const char *name, unsigned long dflt);
/* Zeroed pages behind the image; never freed.  Halts with a report when there are none. */
void *page_alloc(unsigned pages);
/* Makes [ADDR, ADDR + LEN) reachable at its own address, also above 4 GiB. */
void *map_phys(uint64_t addr, uint64_t len);

/* ---- instructions ------------------------------------------------------------------------------------------------ */

static inline void outb(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory"); }
static inline void outw(uint16_t port, uint16_t v) { __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory"); }
static inline void outl(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory"); }
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint16_t inw(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint32_t inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

/* MOV only: every KVM can emulate it. */
static inline uint8_t mmio_r8(uint64_t a)
{
	uint8_t v;
	__asm__ volatile("movb (%1), %0" : "=q"(v) : "r"(a) : "memory");
	return v;
}
static inline uint16_t mmio_r16(uint64_t a)
{
	uint16_t v;
	__asm__ volatile("movw (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}
static inline uint32_t mmio_r32(uint64_t a)
{
	uint32_t v;
	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}
static inline uint64_t mmio_r64(uint64_t a)
{
	uint64_t v;
	__asm__ volatile("movq (%1), %0" : "=r"(v) : "r"(a) : "memory");
	return v;
}
static inline void mmio_w8(uint64_t a, uint8_t v) { __asm__ volatile("movb %0, (%1)" ::"q"(v), "r"(a) : "memory"); }
static inline void mmio_w16(uint64_t a, uint16_t v) { __asm__ volatile("movw %0, (%1)" ::"r"(v), "r"(a) : "memory"); }
static inline void mmio_w32(uint64_t a, uint32_t v) { __asm__ volatile("movl %0, (%1)" ::"r"(v), "r"(a) : "memory"); }
static inline void mmio_w64(uint64_t a, uint64_t v) { __asm__ volatile("movq %0, (%1)" ::"r"(v), "r"(a) : "memory"); }

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return lo | (uint64_t)hi << 32;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return lo | (uint64_t)hi << 32;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}
static inline void irq_on(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void irq_off(void) { __asm__ volatile("cli" ::: "memory"); }
/* STI and HLT as one: no interrupt is lost between them. */
static inline void sti_hlt(void) { __asm__ volatile("sti; hlt" ::: "memory"); }
static inline void cpu_relax(void) { __asm__ volatile("pause" ::: "memory"); }
static inline void barrier(void) { __asm__ volatile("" ::: "memory"); }
/* A locked RMW, not MFENCE: old emulators know it. */
static inline void full_fence(void) { __asm__ volatile("lock orl $0, -4(%%rsp)" ::: "memory", "cc"); }

/* ---- CPUs and interrupts (cpu.c) -------------------------------------------------------------------------------- */

struct regs {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

#define VEC_FIRST 0x30 /* of those that payloads may use, up to 0x7f */
#define VEC_IPI   0x90
#define VEC_TIMER 0x91
#define VEC_SPURIOUS 0xff

/* Interrupt VEC calls FN with interrupts off; the end of interrupt is the library's.  NULL: counted only. */
void irq_handler(unsigned vec, void (*fn)(unsigned vec));
extern volatile unsigned irq_count[256];
/* Waits, with interrupts on, until irq_count[VEC] >= N, for about LIMIT_MS at most; leaves interrupts off. */
bool irq_wait(unsigned vec, unsigned n, unsigned limit_ms);

/* Runs FN(ARG), true if it ended without an exception; else *VEC is the exception. */
bool try_call(void (*fn)(void *arg), void *arg, unsigned *vec);

void cpu_init(unsigned index);       /* descriptor tables and local APIC of the calling CPU */
uint32_t cpu_apic_id(void);
void lapic_eoi(void);
void lapic_ipi(uint32_t apic_id, uint32_t icr_low);
/* One-shot, in APIC timer ticks (divider 1). */
void lapic_timer(unsigned vec, uint32_t ticks);

/* Runs FN(ARG) in ring 3 with IOPL 3, with interrupts as they are now; returns its result.  Boot CPU only. */
uint64_t ring3(uint64_t (*fn)(void *arg), void *arg);

/* Starts the CPU with APIC_ID; it becomes CPU number INDEX (1...) and runs FN(INDEX), then halts. */
bool cpu_start(uint32_t apic_id, unsigned index, void (*fn)(unsigned index));
extern volatile unsigned cpus_up;    /* further CPUs that arrived */

/* Roughly: the TSC is taken to run at 1 to 5 GHz. */
uint64_t deadline_ms(unsigned ms);
static inline bool expired(uint64_t deadline) { return (int64_t)(rdtsc() - deadline) > 0; }
void spin_lock(volatile uint32_t *l);
void spin_unlock(volatile uint32_t *l);

/* ---- ACPI (acpi.c) ---------------------------------------------------------------------------------------------- */

struct acpi_gas { uint8_t space, width, offset, access; uint64_t addr; } __attribute__((packed));
struct acpi_sdt {
	char sig[4];
	uint32_t len;
	uint8_t rev, sum;
	char oem[6], oem_table[8];
	uint32_t oem_rev, creator, creator_rev;
} __attribute__((packed));

struct acpi_info {
	const struct acpi_sdt *xsdt, *fadt, *madt, *mcfg, *dsdt; /* NULL: not there */
	uint64_t ecam;               /* segment 0, first bus 0; 0: none */
	uint8_t bus_first, bus_last;
	struct acpi_gas reset, sleep_ctl, sleep_sts;
	uint8_t reset_value, s5_type;
	uint64_t lapic_addr, ioapic_addr;
	uint32_t ioapic_gsi;
	unsigned n_cpus;
	uint32_t apic_id[GUEST_MAX_CPUS];
	uint32_t ged_gsi;            /* of the first generic event device; ~0: none found */
	bool bad_sum;                /* some table's checksum was wrong */
};
extern struct acpi_info acpi;
void acpi_init(void);
const struct acpi_sdt *acpi_table(const char *sig); /* NULL: not there */
/* The GSI of the first interrupt resource that follows the hardware id HID in the DSDT; ~0: none. */
uint32_t acpi_gsi_of(const char *hid);
void gas_write(const struct acpi_gas *g, uint8_t v);

/* Routes GSI to VEC on the boot CPU through the I/O APIC. */
bool ioapic_route(uint32_t gsi, unsigned vec, bool level);
void ioapic_mask(uint32_t gsi);

/* ---- PCI (pci.c) ------------------------------------------------------------------------------------------------- */

struct pci_dev {
	uint64_t cfg;                /* address of its configuration space */
	unsigned devfn;
	uint16_t vendor, device;
	uint64_t msix_table, msix_pba;
	unsigned msix_cap, msix_n;
};

/* The NTH (0...) function with this vendor and device (0xffff: any).  False: there is none. */
bool pci_find(struct pci_dev *d, uint16_t vendor, uint16_t device, unsigned nth);
uint64_t pci_cfg_addr(unsigned bus, unsigned devfn); /* 0: outside ECAM */
uint64_t pci_bar(const struct pci_dev *d, unsigned bar, uint64_t *size); /* address; 0: not there.  Sizes it. */
unsigned pci_cap(const struct pci_dev *d, uint8_t id, unsigned after); /* offset; 0: none after AFTER (0: the first) */
void pci_enable(const struct pci_dev *d); /* memory space and bus master */

/* Finds, maps and enables MSI-X with all entries masked.  False: no MSI-X. */
bool msix_init(struct pci_dev *d);
void msix_entry(const struct pci_dev *d, unsigned n, unsigned vec, uint32_t apic_id); /* and unmasks it */
void msix_mask(const struct pci_dev *d, unsigned n, bool masked);
void msix_function_mask(const struct pci_dev *d, bool masked);
bool msix_pending(const struct pci_dev *d, unsigned n);

/* ---- ways to end (boot.c) ---------------------------------------------------------------------------------------- */

_Noreturn void guest_poweroff(void);
_Noreturn void guest_reboot(void);
_Noreturn void guest_triple_fault(void);
_Noreturn void guest_halt(void);     /* for ever, interrupts off */

#endif
