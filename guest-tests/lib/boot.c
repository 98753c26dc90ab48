/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * boot.c - from the entry point to guest_main(), the page allocator behind the image, and the ways to end.
 * Boot CPU only.
 */
#include "guest.h"

struct boot_info boot_info;
extern char __image_end[];
extern uint64_t boot_tables[512], boot_pdpt[512];
_Noreturn void guest_boot(int way, const uint8_t *info);

static uint64_t page_next;

static void copy_cmdline(const char *s)
{
	size_t i = 0;

	for (; s && s[i] && i + 1 < sizeof(boot_info.cmdline); i++)
		boot_info.cmdline[i] = s[i];
	boot_info.cmdline[i] = 0;
}

static void ram_range(uint64_t addr, uint64_t len, uint32_t type)
{
	uint64_t here = (uint64_t)__image_end;

	if (type != 1)
		return;
	if (addr <= here && here < addr + len)
		boot_info.ram_end = addr + len;
	if (boot_info.n_ranges < ARRAY_SIZE(boot_info.range)) {
		boot_info.range[boot_info.n_ranges].addr = addr;
		boot_info.range[boot_info.n_ranges++].len = len;
	}
}

/* boot_params (Linux, Documentation/arch/x86/zero-page.rst). */
static void from_linux(const uint8_t *bp)
{
	struct e820 {
		uint64_t addr, len;
		uint32_t type;
	} __attribute__((packed));
	uint32_t ptr;

	memcpy(&boot_info.rsdp, bp + 0x070, 8);
	memcpy(&ptr, bp + 0x228, 4);
	copy_cmdline((const char *)(uintptr_t)ptr);
	for (unsigned i = 0; i < bp[0x1e8] && i < 128; i++) {
		struct e820 e;

		memcpy(&e, bp + 0x2d0 + i * sizeof(e), sizeof(e));
		ram_range(e.addr, e.len, e.type);
	}
}

/* hvm_start_info (Xen, public/arch-x86/hvm/start_info.h). */
static void from_pvh(const uint8_t *si)
{
	struct hvm {
		uint32_t magic, version, flags, n_modules;
		uint64_t modules, cmdline, rsdp, memmap;
		uint32_t n_memmap, reserved;
	} h;
	struct hvm_memmap {
		uint64_t addr, size;
		uint32_t type, reserved;
	} m;

	memcpy(&h, si, sizeof(h));
	boot_info.rsdp = h.rsdp;
	copy_cmdline((const char *)h.cmdline);
	for (unsigned i = 0; h.version >= 1 && i < h.n_memmap; i++) {
		memcpy(&m, (const void *)(h.memmap + i * sizeof(m)), sizeof(m));
		ram_range(m.addr, m.size, m.type);
	}
}

_Noreturn void guest_boot(int way, const uint8_t *info)
{
	boot_info.way = (enum boot_way)way;
	outb(COM1 + 2, 0x07);           /* FIFOs on, emptied */
	outb(COM1 + 4, 0x03);
	outb(0x21, 0xff);               /* no PIC, should there be one */
	outb(0xa1, 0xff);
	if (way == BOOT_PVH)
		from_pvh(info);
	else
		from_linux(info);
	page_next = ((uint64_t)__image_end + 4095) & ~4095ull;
	if (!boot_info.ram_end)
		boot_info.ram_end = 32 << 20;
	acpi_init();
	cpu_init(0);
	guest_main();
	guest_poweroff();
}

bool boot_arg(const char *name, char *buf, size_t len)
{
	size_t n = strlen(name);

	for (const char *p = boot_info.cmdline; *p; p++) {
		if ((p == boot_info.cmdline || p[-1] == ' ') && !strncmp(p, name, n) && p[n] == '=') {
			size_t i = 0;

			for (p += n + 1; p[i] && p[i] != ' ' && i + 1 < len; i++)
				buf[i] = p[i];
			buf[i] = 0;
			return true;
		}
	}
	return false;
}

unsigned long boot_arg_num(const char *name, unsigned long dflt)
{
	char buf[24];
	unsigned long v = 0;

	if (!boot_arg(name, buf, sizeof(buf)))
		return dflt;
	for (const char *p = buf; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (unsigned long)(*p - '0');
	return v;
}

void *page_alloc(unsigned pages)
{
	uint64_t p = page_next, len = (uint64_t)pages << 12, quads = len / 8;
	void *d = (void *)p;

	if (len > boot_info.ram_end - p) {
		report(false, "guest has %u more pages of RAM", pages);
		guest_poweroff();
	}
	page_next += len;
	__asm__ volatile("rep stosq" : "+D"(d), "+c"(quads) : "a"(0) : "memory");
	return (void *)p;
}

void *map_phys(uint64_t addr, uint64_t len)
{
	for (uint64_t a = addr & ~0x1fffffull; a < addr + len; a += 0x200000) {
		uint64_t *pdpt = boot_pdpt, *pml4 = boot_tables, *pd;

		if (a < 1ull << 32)
			continue;
		if (!(pml4[a >> 39 & 511] & 1))
			pml4[a >> 39 & 511] = (uint64_t)page_alloc(1) | 7;
		pdpt = (uint64_t *)(pml4[a >> 39 & 511] & ~0xfffull);
		if (!(pdpt[a >> 30 & 511] & 1))
			pdpt[a >> 30 & 511] = (uint64_t)page_alloc(1) | 7;
		pd = (uint64_t *)(pdpt[a >> 30 & 511] & ~0xfffull);
		pd[a >> 21 & 511] = a | 0xe7;
	}
	barrier();
	return (void *)addr;
}

/* ---- ways to end -------------------------------------------------------------------------------------------------- */

_Noreturn void guest_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

_Noreturn void guest_poweroff(void)
{
	report_end();
	/* S5 of a hardware-reduced machine (ACPI 6.4, 4.8.3.7): SLP_TYP, SLP_EN. */
	if (acpi.fadt && acpi.sleep_ctl.addr)
		gas_write(&acpi.sleep_ctl, (uint8_t)(acpi.s5_type << 2 | 1 << 5));
	for (uint64_t end = deadline_ms(200); !expired(end);) /* it may take effect a little later */
		cpu_relax();
	con_printf("# power-off through the sleep control register did not work\n");
	guest_triple_fault();
}

_Noreturn void guest_reboot(void)
{
	report_end();
	if (acpi.fadt && acpi.reset.addr)
		gas_write(&acpi.reset, acpi.reset_value);
	con_printf("# the reset register did not work\n");
	guest_halt();
}

_Noreturn void guest_triple_fault(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("cli; lidt %0; ud2" ::"m"(none));
	guest_halt();
}
