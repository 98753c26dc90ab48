/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * registers.c - attacks on a function's windows: every offset by every size, configuration space, MSI-X, notification.
 */
#include "hostile.h"

#define BAR_SIZE 0x8000
#define PAGE 0x1000
enum { P_COMMON, P_ISR, P_DEVICE, P_NOTIFY, P_MSIX, P_PBA, P_NONE };

static void poke(uint64_t a, unsigned size, uint64_t v)
{
	switch (size) {
	case 1:
		mmio_r8(a);
		mmio_w8(a, (uint8_t)v);
		break;
	case 2:
		mmio_r16(a);
		mmio_w16(a, (uint16_t)v);
		break;
	case 4:
		mmio_r32(a);
		mmio_w32(a, (uint32_t)v);
		break;
	default:
		mmio_r64(a);
		mmio_w64(a, v);
		break;
	}
}

static void sweep(struct target *t, unsigned page)
{
	uint64_t from = t->bar + page * PAGE;

	for (unsigned off = 0; off < PAGE; off++)
		for (unsigned size = 1; size <= 8; size *= 2)
			if (page * PAGE + off + size <= BAR_SIZE)
				poke(from + off, size, page == P_MSIX ? rnd_message() : rnd());
}

static bool sweep_common(struct target *t)
{
	sweep(t, P_COMMON);
	return true;
}

static bool sweep_rest(struct target *t)
{
	sweep(t, P_ISR);
	sweep(t, P_DEVICE);
	sweep(t, P_PBA);
	sweep(t, P_NONE);
	sweep(t, P_NONE + 1);
	return true;
}

static bool sweep_notify(struct target *t)
{
	sweep(t, P_NOTIFY);
	return true;
}

static bool sweep_msix(struct target *t)
{
	sweep(t, P_MSIX);
	return true;
}

static bool random_registers(struct target *t)
{
	for (unsigned i = 0; i < 500; i++) {
		unsigned page = (unsigned)(rnd() % 8), size = 1u << rnd() % 4;
		uint64_t off = rnd() % 2 ? rnd() % 64 : rnd() % (PAGE - 8);

		poke(t->bar + page * PAGE + off, size, page == P_MSIX ? rnd_message() : rnd());
	}
	return true;
}

/* Every queue number as the value, at every queue's own address and at those of queues that do not exist. */
static bool all_notify_values(struct target *t)
{
	for (unsigned v = 0; v < 0x10000; v += 1 + v / 64)
		mmio_w16(t->v.notify + t->q * t->v.notify_mul, (uint16_t)v);
	mmio_w32(t->v.notify, ~0u);
	for (unsigned q = t->n_queues; q < 0x400; q++)
		mmio_w16(t->v.notify + q * 4, (uint16_t)q);
	return true;
}

static bool device_config(struct target *t)
{
	uint64_t cap = t->v.config ? mmio_r64(t->v.config) : 0;

	for (unsigned off = 0; t->v.config && off < 0x200; off++)
		for (unsigned size = 1; size <= 8; size *= 2)
			poke(t->v.config + off, size, rnd());
	return !t->v.config || mmio_r64(t->v.config) == cap;
}

/* ---- configuration space ---------------------------------------------------------------------------------------------------- */

static bool config_garbage(struct target *t)
{
	uint64_t cfg = t->v.pci.cfg;
	uint32_t id = mmio_r32(cfg), class = mmio_r32(cfg + 8), caps = mmio_r32(cfg + 0x34);

	for (unsigned off = 0; off < 0x108; off++)
		for (unsigned size = 1; size <= 8; size *= 2)
			poke(cfg + off, size, rnd());
	for (unsigned off = PAGE - 16; off < PAGE; off++)
		for (unsigned size = 1; size <= 8; size *= 2)
			if (off + size <= PAGE)
				poke(cfg + off, size, rnd());
	/* Back to order, as far as it is writable. */
	mmio_w16(cfg + t->v.pci.msix_cap + 2, 0x8000);
	pci_enable(&t->v.pci);
	return mmio_r32(cfg) == id && mmio_r32(cfg + 8) == class && mmio_r32(cfg + 0x34) == caps;
}

/* Functions and buses that are not there, to the end of the window and across it. */
static bool config_of_nobody(struct target *t)
{
	uint64_t ecam = pci_cfg_addr(0, 0);
	bool good = true;

	for (unsigned devfn = 1; devfn < 256; devfn += devfn % 8 == 7 ? 2 : 1) { /* functions 1 to 7 of each device */
		uint64_t a = ecam + ((uint64_t)devfn << 12) + rnd() % 0xff8;

		poke(a, 1u << rnd() % 4, rnd());
		good = good && mmio_r32(ecam + ((uint64_t)devfn << 12)) == ~0u;
	}
	poke(ecam + (256ull << 12) - 4, 8, rnd());
	poke(ecam + (256ull << 12) - 1, 2, rnd());
	poke(ecam + (256ull << 12), 4, rnd());
	return good;
}

/* A BAR stays where it is: at another device's, over RAM, over the I/O APIC. */
static bool bar_moves(struct target *t)
{
	const uint32_t to[] = { (uint32_t)(t->bar ^ BAR_SIZE), 0, 0x200000, 0xfec00000, 0xfee00000, 0xe0000000, 0xfffff000, 0x7fff8000 };
	uint64_t bar0 = t->v.pci.cfg + 0x10;
	uint32_t was = mmio_r32(bar0);
	bool good = true;

	for (unsigned i = 0; i < ARRAY_SIZE(to); i++) {
		mmio_w32(bar0, to[i]);
		mmio_w32(bar0 + 4, to[i]);
		good = good && mmio_r32(bar0) == was && mmio_r32(bar0 + 4) == 0;
	}
	for (unsigned bar = 2; bar < 6; bar++) {
		mmio_w32(bar0 + bar * 4, ~0u);
		good = good && mmio_r32(bar0 + bar * 4) == 0;
	}
	mmio_w64(bar0, ~0ull);
	mmio_w64(bar0, was);
	good = good && mmio_r32(bar0) == was;
	mmio_w16(t->v.pci.cfg + 4, 0); /* decoding off, which may or may not have an effect */
	pci_enable(&t->v.pci);
	return good && pci_bar(&t->v.pci, 0, NULL) == t->bar;
}

/* ---- MSI-X -------------------------------------------------------------------------------------------------------------------- */

static void message(struct target *t, unsigned n, uint64_t addr, uint32_t data)
{
	uint64_t e = t->v.pci.msix_table + n * 16;

	mmio_w64(e, addr);
	mmio_w32(e + 8, data);
	mmio_w32(e + 12, 0);
}

/* Restarts the device with its queue on entry 0 and the configuration on entry 1. */
static bool on_vectors(struct target *t)
{
	target_begin(t);
	mmio_w16(t->v.common + VC_MSIX, 1);
	mmio_w16(t->v.common + VC_Q_SELECT, (uint16_t)t->q);
	mmio_w16(t->v.common + VC_Q_MSIX, 0);
	virtio_ready(&t->v);
	return mmio_r16(t->v.common + VC_Q_MSIX) == 0;
}

static bool message_garbage(struct target *t)
{
	bool good = on_vectors(t);

	for (unsigned i = 0; good && i < 30; i++) {
		message(t, 0, rnd_message(), (uint32_t)rnd_message());
		message(t, 1, rnd(), (uint32_t)rnd_message());
		good = target_request(t);
	}
	return good;
}

/* All delivery modes, to an APIC that does not exist; and addresses that are no APIC's at all. */
static bool message_modes(struct target *t)
{
	static const uint64_t addr[] = { 0, 0x200000, 0xfee55000, 0xfee55008, 0xfee55ff0, 0xffffff00fee55000, 0xc0000000 };
	bool good = on_vectors(t);

	for (unsigned i = 0; good && i < 7 * 16; i++) {
		uint64_t a = addr[i / 16];
		uint32_t data = (i & 7) << 8 | (i & 8 ? 0xc000 : 0) | 0x41;

		/* The destination is in bits 12 to 19 whatever the rest is: keep ours out of it. */
		if ((a >> 12 & 0xff) != 0x55)
			data &= ~0x700u;
		message(t, 0, a, data);
		good = target_request(t);
	}
	return good;
}

static bool vector_garbage(struct target *t)
{
	bool good = on_vectors(t);

	for (unsigned v = 0; good && v < 0x10000; v = v < 40 ? v + 1 : v * 2 - 1) {
		uint16_t want = v < t->v.pci.msix_n ? (uint16_t)v : VIRTIO_NO_VECTOR;

		mmio_w16(t->v.common + VC_Q_SELECT, (uint16_t)t->q);
		mmio_w16(t->v.common + VC_Q_MSIX, (uint16_t)v);
		mmio_w16(t->v.common + VC_MSIX, (uint16_t)v);
		good = mmio_r16(t->v.common + VC_Q_MSIX) == want && mmio_r16(t->v.common + VC_MSIX) == want && target_request(t);
	}
	return good;
}

static bool mask_storm(struct target *t)
{
	bool good = on_vectors(t);

	for (unsigned i = 0; good && i < 200; i++) {
		msix_mask(&t->v.pci, 0, i & 1);
		msix_function_mask(&t->v.pci, i & 2);
		mmio_w16(t->v.pci.cfg + t->v.pci.msix_cap + 2, (uint16_t)(i & 4 ? 0x8000 : i & 8 ? 0xc000 : 0));
		mmio_w64(t->v.pci.msix_pba, ~0ull);
		if (i % 16 == 0)
			good = target_request(t);
	}
	mmio_w16(t->v.pci.cfg + t->v.pci.msix_cap + 2, 0x8000);
	return good;
}

const struct attack register_attacks[] = {
	{ "common configuration: every offset, every size", EITHER, sweep_common, 0, true },
	{ "ISR, device and unused pages: every offset, every size", EITHER, sweep_rest, 1 << VIRTIO_RNG | 1 << VIRTIO_BLK, true },
	{ "notification page: every offset, every size", EITHER, sweep_notify, 0, true },
	{ "MSI-X table page: every offset, every size", EITHER, sweep_msix, 0, true },
	{ "500 random register accesses", EITHER, random_registers, 0, false },
	{ "notifications with all kinds of numbers", WORKS, all_notify_values, 0, false },
	{ "device configuration written", WORKS, device_config, ~(1u << VIRTIO_BALLOON), false }, /* that one may write some of it */
	{ "configuration space: every offset, every size", EITHER, config_garbage, 0, false },
	{ "configuration space of nobody", WORKS, config_of_nobody, 0, false },
	{ "a BAR that is moved", WORKS, bar_moves, 0, false },
	{ "garbage messages", WORKS, message_garbage, 0, false },
	{ "messages of all modes", WORKS, message_modes, 0, false },
	{ "vectors that do not exist", WORKS, vector_garbage, 0, false },
	{ "200 masks", WORKS, mask_storm, 0, false },
	{ NULL, EITHER, NULL, 0, false },
};
