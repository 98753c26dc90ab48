/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_power.c - power-off, reset, button, panic and exit ports: each effect, and no other for any value at any offset. */
#include "acpi_power.h"
#include "bits.h"
#include "debug_exit.h"
#include "pvpanic.h"
#include "test.h"

struct seen {
	unsigned off, reset, panic, pulses, exits;
	uint8_t events;
	uint32_t exit_value;
	bool level;
	struct irq irq;
};

static void power_event(void *arg, enum acpi_power_event ev)
{
	struct seen *s = arg;

	s->off += ev == ACPI_POWER_OFF;
	s->reset += ev == ACPI_POWER_RESET_REQUEST;
}

static void panic_event(void *arg, uint8_t events)
{
	struct seen *s = arg;

	s->panic++;
	s->events = events;
}

static void exit_event(void *arg, uint32_t value)
{
	struct seen *s = arg;

	s->exits++;
	s->exit_value = value;
}

static void line(struct irq *irq, bool level)
{
	struct seen *s = container_of(irq, struct seen, irq);

	s->pulses += level && !s->level;
	s->level = level;
}

START_TEST(power)
{
	struct seen s = { .irq.set = line };
	struct acpi_power p;
	struct bus b = { 0 };

	acpi_power_init(&p, power_event, &s, &s.irq);
	ck_assert_int_eq(bus_add(&b, 0x600, ACPI_POWER_PORTS, &acpi_power_ops, &p, "power", NULL), 0);
	for (unsigned off = 0; off < ACPI_POWER_PORTS; off++)
		for (unsigned v = 0; v < 256; v++) {
			bool is_off = off == 0 && v & 0x20 && (v >> 2 & 7) == 5, is_reset = off == 2 && v == 1;

			s.off = s.reset = 0;
			bus_write(&b, 0x600 + off, 1, v);
			ck_assert_uint_eq(s.off, is_off);
			ck_assert_uint_eq(s.reset, is_reset);
			ck_assert_uint_eq(bus_read(&b, 0x600 + off, 1), 0);
		}
	acpi_power_press(&p);
	ck_assert_uint_eq(s.pulses, 1);
	ck_assert(!s.level);
}
END_TEST

START_TEST(panic)
{
	struct seen s = { 0 };
	struct pvpanic p;
	struct bus b = { 0 };

	pvpanic_init(&p, panic_event, &s);
	bus_add(&b, 0x505, 1, &pvpanic_ops, &p, "pvpanic", NULL);
	ck_assert_uint_eq(bus_read(&b, 0x505, 1), 3);
	for (unsigned v = 0; v < 256; v++) {
		s.panic = 0;
		bus_write(&b, 0x505, 1, v);
		ck_assert_uint_eq(s.panic, !!(v & 3));
		if (v & 3)
			ck_assert_uint_eq(s.events, v & 3);
	}
}
END_TEST

START_TEST(exit_port)
{
	static const unsigned sizes[] = { 1, 2, 4 };
	struct seen s = { 0 };
	struct debug_exit d;
	struct bus b = { 0 };

	debug_exit_init(&d, exit_event, &s);
	ck_assert_int_eq(bus_add(&b, 0xf4, DEBUG_EXIT_PORTS, &debug_exit_ops, &d, "debug-exit", NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned off = 0; off < 6; off++) {
			bool ours = off + sizes[i] <= DEBUG_EXIT_PORTS;
			uint32_t all = (uint32_t)(~0ull >> (64 - 8 * sizes[i]));

			s.exits = 0;
			ck_assert_uint_eq(bus_read(&b, 0xf4 + off, sizes[i]), ours ? 0 : all);
			ck_assert_uint_eq(s.exits, 0);
			bus_write(&b, 0xf4 + off, sizes[i], 0x89abcdef);
			ck_assert_uint_eq(s.exits, ours);
			if (ours)
				ck_assert_uint_eq(s.exit_value, 0x89abcdef & all);
			bus_write(&b, 0xf4 + off, sizes[i], 0);
			ck_assert_uint_eq(s.exits, 2 * ours);
		}
}
END_TEST

int main(void)
{
	return test_main("power", (const TTest *const[]){ power, panic, exit_port, NULL });
}
