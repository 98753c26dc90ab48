/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_ioapic.c - registers, the message of an entry, edges while masked, and every offset and size. */
#include "ioapic.h"
#include "bits.h"
#include "test.h"

struct msgs {
	struct msi_sink sink;
	unsigned n;
	uint64_t addr;
	uint32_t data;
};

static void keep(struct msi_sink *sink, uint64_t addr, uint32_t data)
{
	struct msgs *m = container_of(sink, struct msgs, sink);

	m->n++;
	m->addr = addr;
	m->data = data;
}

static uint32_t get(struct ioapic *a, uint8_t index)
{
	ioapic_ops.write(a, 0, 4, index);
	return (uint32_t)ioapic_ops.read(a, 0x10, 4);
}

static void set(struct ioapic *a, uint8_t index, uint32_t val)
{
	ioapic_ops.write(a, 0, 4, index);
	ioapic_ops.write(a, 0x10, 4, val);
}

START_TEST(registers)
{
	struct msgs m = { .sink.signal = keep };
	struct ioapic a;

	ioapic_init(&a, &m.sink);
	ck_assert_uint_eq(get(&a, 1), 0x00040011);
	set(&a, 0, 0xff000000);
	ck_assert_uint_eq(get(&a, 0), 0x0f000000);
	for (unsigned i = 0; i < IOAPIC_PINS; i++) {
		ck_assert_uint_eq(get(&a, (uint8_t)(0x10 + 2 * i)), 0x10000);
		set(&a, (uint8_t)(0x10 + 2 * i), 0xffffffff);
		set(&a, (uint8_t)(0x11 + 2 * i), 0xffffffff);
		ck_assert_uint_eq(get(&a, (uint8_t)(0x10 + 2 * i)), 0x1afff); /* status and remote IRR are not writable */
		ck_assert_uint_eq(get(&a, (uint8_t)(0x11 + 2 * i)), 0xff000000);
	}
	for (unsigned i = 0x10 + 2 * IOAPIC_PINS; i < 256; i++) {
		set(&a, (uint8_t)i, 0);
		ck_assert_uint_eq(get(&a, (uint8_t)i), 0);
	}
	ck_assert_uint_eq(m.n, 0);
	ioapic_fini(&a);
}
END_TEST

START_TEST(messages)
{
	struct msgs m = { .sink.signal = keep };
	struct ioapic a;
	struct irq *irq;

	ioapic_init(&a, &m.sink);
	irq = &a.pin[4].irq;
	set(&a, 0x19, 0x03000000);
	set(&a, 0x18, 0x31); /* fixed, physical, edge */
	irq->set(irq, true);
	irq->set(irq, true); /* no second edge */
	ck_assert_uint_eq(m.n, 1);
	ck_assert_uint_eq(m.addr, 0xfee03000);
	ck_assert_uint_eq(m.data, 0x31);
	irq->set(irq, false);
	ck_assert_uint_eq(m.n, 1);
	set(&a, 0x18, 0x932); /* lowest priority, logical */
	irq->set(irq, true);
	ck_assert_uint_eq(m.addr, 0xfee0300c);
	ck_assert_uint_eq(m.data, 0x132);
	irq->set(irq, false);
	set(&a, 0x18, 0x10033); /* masked: the edge is kept */
	irq->set(irq, true);
	irq->set(irq, false);
	irq->set(irq, true);
	ck_assert_uint_eq(m.n, 2);
	set(&a, 0x18, 0x33);
	ck_assert_uint_eq(m.n, 3); /* once */
	ck_assert_uint_eq(m.data, 0x33);
	set(&a, 0x18, 0x33);
	ck_assert_uint_eq(m.n, 3);
	ioapic_fini(&a);
}
END_TEST

START_TEST(sweep)
{
	struct msgs m = { .sink.signal = keep };
	struct ioapic a;

	ioapic_init(&a, &m.sink);
	for (unsigned off = 0; off < IOAPIC_SIZE; off++)
		for (unsigned size = 1; size <= 8; size *= 2) {
			ioapic_ops.write(&a, off, size, ~0ull);
			ioapic_ops.read(&a, off, size);
		}
	ioapic_fini(&a);
}
END_TEST

int main(void)
{
	return test_main("ioapic", (const TTest *const[]){ registers, messages, sweep, NULL });
}
