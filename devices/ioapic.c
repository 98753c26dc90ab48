/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ioapic.c - the register file, and the message that an entry stands for.
 *
 * An entry has the fields of a message-signalled interrupt in other places (82093AA 3.2.4; Intel SDM volume 3, 11.11), so
 * delivery is a matter of moving bits.  A rise while a pin is masked is kept and sent when it is unmasked: an edge must
 * not be lost between a driver's request for the interrupt and the kernel's unmasking.
 */
#include "ioapic.h"

#include "bits.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10

#define IDX_ID      0x00
#define IDX_VERSION 0x01
#define IDX_TABLE   0x10

#define VERSION 0x11

#define ENTRY_VECTOR    0xffull
#define ENTRY_MODE(e)   ((e) >> 8 & 7)
#define ENTRY_LOGICAL   BIT_ULL(11)
#define ENTRY_STATUS    BIT_ULL(12)
#define ENTRY_IRR       BIT_ULL(14)
#define ENTRY_LEVEL     BIT_ULL(15)
#define ENTRY_MASKED    BIT_ULL(16)
#define ENTRY_READ_ONLY (ENTRY_STATUS | ENTRY_IRR)
#define ENTRY_KNOWN     0xff0000000001ffffull

static void send(struct ioapic *a, struct ioapic_pin *p)
{
	uint64_t e = p->entry, addr;
	uint32_t data;

	if (e & ENTRY_MASKED) {
		p->waiting = true;
		return;
	}
	p->waiting = false;
	addr = 0xfee00000ull | (e >> 56) << 12 | (e & ENTRY_LOGICAL ? 1u << 2 : 0);
	if (ENTRY_MODE(e) == 1)
		addr |= 1u << 3; /* lowest priority: the redirection hint */
	data = (uint32_t)((e & ENTRY_VECTOR) | ENTRY_MODE(e) << 8);
	a->sink->signal(a->sink, addr, data);
}

static void pin_set(struct irq *irq, bool level)
{
	struct ioapic_pin *p = container_of(irq, struct ioapic_pin, irq);

	pthread_mutex_lock(&p->ioapic->lock);
	if (level && !p->level)
		send(p->ioapic, p);
	p->level = level;
	pthread_mutex_unlock(&p->ioapic->lock);
}

static uint32_t window_read(const struct ioapic *a)
{
	unsigned i = a->select - IDX_TABLE;

	if (a->select == IDX_ID)
		return (uint32_t)a->id << 24;
	if (a->select == IDX_VERSION)
		return VERSION | (IOAPIC_PINS - 1) << 16;
	if (a->select < IDX_TABLE || i >= 2 * IOAPIC_PINS)
		return 0;
	return (uint32_t)(a->pin[i / 2].entry >> (i & 1) * 32);
}

static void window_write(struct ioapic *a, uint32_t val)
{
	unsigned i = a->select - IDX_TABLE;
	struct ioapic_pin *p;

	if (a->select == IDX_ID)
		a->id = val >> 24 & 0xf;
	if (a->select < IDX_TABLE || i >= 2 * IOAPIC_PINS)
		return;
	p = &a->pin[i / 2];
	if (i & 1)
		p->entry = (p->entry & 0xffffffffull) | (uint64_t)val << 32;
	else
		p->entry = (p->entry & ~0xffffffffull) | val;
	p->entry &= ENTRY_KNOWN & ~ENTRY_READ_ONLY;
	if (p->waiting)
		send(a, p);
}

static uint64_t ioapic_read(void *dev, uint64_t off, unsigned size)
{
	struct ioapic *a = dev;
	uint64_t val = 0;

	pthread_mutex_lock(&a->lock);
	if (off == REG_SELECT)
		val = a->select;
	else if (off == REG_WINDOW && size >= 4)
		val = window_read(a);
	pthread_mutex_unlock(&a->lock);
	return val;
}

static void ioapic_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct ioapic *a = dev;

	pthread_mutex_lock(&a->lock);
	if (off == REG_SELECT)
		a->select = (uint8_t)val;
	else if (off == REG_WINDOW && size >= 4)
		window_write(a, (uint32_t)val);
	pthread_mutex_unlock(&a->lock);
}

const struct bus_ops ioapic_ops = { ioapic_read, ioapic_write };

void ioapic_init(struct ioapic *a, struct msi_sink *sink)
{
	*a = (struct ioapic){ .sink = sink };
	pthread_mutex_init(&a->lock, NULL);
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		a->pin[i] = (struct ioapic_pin){ .irq.set = pin_set, .ioapic = a, .entry = ENTRY_MASKED };
}

void ioapic_fini(struct ioapic *a)
{
	pthread_mutex_destroy(&a->lock);
}
