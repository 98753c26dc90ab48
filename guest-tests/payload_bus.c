/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_bus.c - accesses that no device claims: reads give all ones, writes vanish, in every size, from both rings.
 */
#include "guest.h"

/* Ports and addresses where no machine of ours has anything. */
static const uint16_t free_port[] = { 0x0000, 0x0061, 0x0064, 0x0070, 0x01f0, 0x0cf8, 0x0cfc, 0x1234, 0x8000, 0xfff0 };
static const uint64_t free_addr[] = { 0xd8000000, 0xdffffff8, 0xe0100000, 0xf0000000, 0xfed00000, 0xfed40000 };

static void check_ports(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(free_port); i++) {
		uint16_t p = free_port[i];
		uint8_t b;
		uint16_t w;
		uint32_t l;

		outb(p, 0x5a);
		outw(p, 0x5a5a);
		outl(p, 0x5a5a5a5a);
		b = inb(p);
		w = inw(p);
		l = inl(p);
		report(b == 0xff && w == 0xffff && l == 0xffffffff, "port %#x: all ones in 1, 2 and 4 bytes (%#x %#x %#x)", p, b, w, l);
	}
}

static void check_string(void)
{
	static uint8_t buf[64];
	void *d = buf;
	const void *s = buf;
	size_t n = sizeof(buf);
	bool good = true;

	__asm__ volatile("rep insb" : "+D"(d), "+c"(n) : "d"((uint16_t)0x1234) : "memory");
	for (unsigned i = 0; i < sizeof(buf); i++)
		good = good && buf[i] == 0xff;
	report(good && n == 0, "REP INSB of an unclaimed port");
	n = sizeof(buf) / 2;
	__asm__ volatile("rep outsw" : "+S"(s), "+c"(n) : "d"((uint16_t)0x1234) : "memory");
	report(n == 0, "REP OUTSW to an unclaimed port");
}

static void check_mmio(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(free_addr); i++) {
		uint64_t a = free_addr[i];

		mmio_w8(a, 0);
		mmio_w16(a, 0);
		mmio_w32(a, 0);
		mmio_w64(a, 0);
		report(mmio_r8(a) == 0xff && mmio_r16(a) == 0xffff && mmio_r32(a) == ~0u && mmio_r64(a) == ~0ull,
		       "address %#lx: all ones in 1, 2, 4 and 8 bytes", a);
		report(mmio_r32(a + 1) == ~0u && mmio_r16(a + 3) == 0xffff, "address %#lx: unaligned as well", a);
	}
	/* Half in the last RAM page before a hole is the machine's end of RAM: the part outside reads as ones. */
	map_phys(1ull << 38, 4096);
	report(mmio_r64(1ull << 38) == ~0ull, "far above all RAM: all ones");
}

static uint64_t from_ring3(void *arg)
{
	uint64_t bad = 0;

	(void)arg;
	for (unsigned i = 0; i < 100; i++) {
		outb(0x1234, (uint8_t)i);
		bad += inb(0x1234) != 0xff;
		mmio_w32(0xd8000000, i);
		bad += mmio_r32(0xd8000000) != ~0u;
	}
	return bad;
}

void guest_main(void)
{
	check_ports();
	check_string();
	check_mmio();
	report(ring3(from_ring3, NULL) == 0, "the same from ring 3, 100 times");
	/* The device beside all this is untouched. */
	outb(COM1 + 7, 0x42);
	report(inb(COM1 + 7) == 0x42, "COM1 still answers");
}
