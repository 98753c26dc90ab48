/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ports.c - attacks on what is no virtio device: UART, I/O APIC, power and panic ports, and all other ports and addresses.
 * They take a target only to see that it goes on working.  What would end the machine, or send an INIT to ourselves, is
 * left out: those are a guest's right.
 */
#include "hostile.h"

#define PVPANIC 0x505
#define POWER   0x600
#define IOAPIC  0xfec00000ull

static uint16_t sleep_port(void)
{
	return (uint16_t)acpi.sleep_ctl.addr;
}

static bool ends_machine(unsigned port, unsigned size, uint32_t v)
{
	return (port == (uint16_t)acpi.sleep_ctl.addr && v & 0x20) || (port == (uint16_t)acpi.reset.addr && (v & 0xff) == acpi.reset_value);
}

static uint32_t in(uint16_t port, unsigned size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void out(uint16_t port, unsigned size, uint32_t v)
{
	if (size == 1)
		outb(port, (uint8_t)v);
	else if (size == 2)
		outw(port, (uint16_t)v);
	else
		outl(port, v);
}

static bool all_ports(struct target *t)
{
	for (unsigned port = 0; port < 0x10000; port++)
		for (unsigned size = 1; size <= 4; size *= 2) {
			uint32_t v = (uint32_t)rnd();

			in((uint16_t)port, size);
			/* COM1 has an attack of its own: here it would print. */
			if (port >= COM1 && port < COM1 + 8)
				continue;
			out((uint16_t)port, size, ends_machine(port, size, v) ? 0 : v);
		}
	return true;
}

static bool power_ports(struct target *t)
{
	uint16_t p = sleep_port();

	for (unsigned v = 0; v < 0x400; v++)
		for (unsigned off = 0; off < 4; off++)
			for (unsigned size = 1; size <= 4; size *= 2)
				if (!ends_machine(p + off, size, v))
					out((uint16_t)(p + off), size, v);
	for (unsigned off = 0; off < 4; off++)
		in((uint16_t)(p + off), 4);
	return true;
}

static bool panic_flood(struct target *t)
{
	for (unsigned i = 0; i < 2000; i++)
		out(PVPANIC, 1u << i % 3, (uint32_t)(i % 5 ? i : 2)); /* with "a crash kernel takes over" among them */
	return in(PVPANIC, 1) != 0xff;
}

static void uart_to_order(void)
{
	outb(COM1 + 3, 3);
	outb(COM1 + 1, 0);
	outb(COM1 + 2, 7);
	outb(COM1 + 4, 3);
	for (unsigned i = 0; i < 20; i++)
		inb(COM1);
	inb(COM1 + 5);
	inb(COM1 + 6);
	inb(COM1 + 2);
}

/* In loopback, so that nothing is printed: every value to every register, then a walk. */
static bool uart_garbage(struct target *t)
{
	bool good;

	outb(COM1 + 4, 0x1f);
	for (unsigned off = 0; off < 8; off++)
		for (unsigned v = 0; v < 256; v++) {
			outb((uint16_t)(COM1 + off), (uint8_t)(off == 4 ? v | 0x10 : v));
			if (v % 16 == 0)
				in((uint16_t)(COM1 + off), 1u << v / 16 % 3);
		}
	for (unsigned i = 0; i < 2000; i++) {
		unsigned off = (unsigned)(rnd() % 8);
		uint8_t v = (uint8_t)rnd();

		if (rnd() % 2)
			inb((uint16_t)(COM1 + off));
		else
			outb((uint16_t)(COM1 + off), (uint8_t)(off == 4 ? v | 0x10 : v));
	}
	uart_to_order();
	outb(COM1 + 7, 0x42);
	good = inb(COM1 + 7) == 0x42 && inb(COM1 + 5) & 0x20;
	return good;
}

static bool uart_flood(struct target *t)
{
	for (unsigned i = 0; i < 20000; i++)
		outb(COM1, '\r'); /* whether there is room or not */
	return true;
}

static bool uart_strings(struct target *t)
{
	const volatile uint8_t *s = t->buf;
	volatile uint8_t *d = t->buf + 4096;
	size_t n = 4096;

	outb(COM1 + 4, 0x13);
	__asm__ volatile("rep outsb" : "+S"(s), "+c"(n) : "d"((uint16_t)COM1) : "memory");
	n = 4096;
	__asm__ volatile("rep insb" : "+D"(d), "+c"(n) : "d"((uint16_t)COM1) : "memory");
	n = 1024;
	d = t->buf + 4096;
	__asm__ volatile("rep insl" : "+D"(d), "+c"(n) : "d"((uint16_t)(COM1 + 5)) : "memory");
	n = 2048;
	d = t->buf + 4096;
	__asm__ volatile("rep insw" : "+D"(d), "+c"(n) : "d"((uint16_t)(COM1 - 1)) : "memory");
	uart_to_order();
	return true;
}

static bool ioapic_garbage(struct target *t)
{
	bool good;

	for (unsigned i = 0; i < 256; i++) {
		mmio_w32(IOAPIC, i);
		mmio_r32(IOAPIC + 0x10);
		mmio_w32(IOAPIC + 0x10, (uint32_t)rnd_message());
	}
	for (unsigned i = 0; i < 500; i++) {
		uint64_t a = IOAPIC + (rnd() % 2 ? rnd() % 0x20 : rnd() % 0xff8);

		switch (rnd() % 4) {
		case 0:
			mmio_w8(a, (uint8_t)rnd_message());
			break;
		case 1:
			mmio_w16(a, (uint16_t)rnd_message());
			break;
		case 2:
			mmio_w32(a, (uint32_t)rnd_message());
			break;
		default:
			mmio_w64(a, rnd_message());
			break;
		}
		mmio_r64(a & ~7ull);
	}
	/* The UART's line, on and off, through whatever stands in its entry now. */
	outb(COM1 + 4, 0x0b);
	for (unsigned i = 0; i < 50; i++) {
		outb(COM1 + 1, 2);
		outb(COM1 + 1, 0);
	}
	uart_to_order();
	for (unsigned i = 0; i < 48; i += 2) {
		mmio_w32(IOAPIC, 0x10 + i);
		mmio_w32(IOAPIC + 0x10, 0x10000);
	}
	mmio_w32(IOAPIC, 0x10);
	good = mmio_r32(IOAPIC + 0x10) == 0x10000;
	return good;
}

static bool nobodys_memory(struct target *t)
{
	for (unsigned i = 0; i < 2000; i++) {
		static const uint64_t base[] = { 0xc8000000, 0xd0000000, 0xdffff000, 0xe0100000, 0xf0000000, 0xfed00000, 0xfff00000 };
		uint64_t a = base[rnd() % ARRAY_SIZE(base)] + rnd() % 0xff8;

		switch (rnd() % 3) {
		case 0:
			mmio_w64(a, rnd());
			break;
		case 1:
			mmio_w8(a, (uint8_t)rnd());
			break;
		default:
			if (mmio_r32(a) != ~0u)
				return false;
			break;
		}
	}
	return true;
}

const struct attack port_attacks[] = {
	{ "every port, every size, in and out", WORKS, all_ports, 0, true },
	{ "power ports", WORKS, power_ports, 0, true },
	{ "2000 panic reports", WORKS, panic_flood, 0, false },
	{ "UART registers", WORKS, uart_garbage, 0, false },
	{ "20000 bytes to the UART without a look", WORKS, uart_flood, 0, true },
	{ "strings through the UART", WORKS, uart_strings, 0, false },
	{ "I/O APIC garbage", WORKS, ioapic_garbage, 0, false },
	{ "memory of nobody", WORKS, nobodys_memory, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
