/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_ports.c - the small devices, on their buses: ACPI power, pvpanic, I/O APIC; and the buses' own dispatch.
 *
 * What must hold: an event comes from the one write that asks for it; a masked pin sends nothing, an unmasked one a message
 * to the local APICs' window; a rise is not lost; what belongs to nobody reads as all ones.
 */
#include "acpi_power.h"
#include "bus.h"
#include "fuzz_input.h"
#include "ioapic.h"
#include "pvpanic.h"

const char fuzz_name[] = "ports";

#define POWER  0x600ull
#define PANIC  0x505ull
#define IOAPIC 0xfec00000ull

static struct acpi_power power;
static struct pvpanic panic;
static struct ioapic apic;
static struct bus pio, mmio;
static struct irq button;
static struct msi_sink sink;
static struct fuzz in;

static struct {
	unsigned presses, messages;
	bool off_due, reset_due;
	uint8_t panic_due;
} t;

static void power_event(void *arg, enum acpi_power_event ev)
{
	FUZZ_ASSERT(ev == ACPI_POWER_OFF ? t.off_due : t.reset_due);
	t.off_due = t.reset_due = false;
}

static void panic_event(void *arg, uint8_t events)
{
	FUZZ_ASSERT(events && events == t.panic_due);
	t.panic_due = 0;
}

static void button_set(struct irq *irq, bool level)
{
	FUZZ_ASSERT(level == !(t.presses & 1));
	t.presses++;
}

static void message(struct msi_sink *s, uint64_t addr, uint32_t data)
{
	FUZZ_ASSERT(addr >> 20 == 0xfee && addr % 4 == 0);
	FUZZ_ASSERT(!(data & ~0x7ffu));
	t.messages++;
}

static void build(void)
{
	button.set = button_set;
	sink.signal = message;
	acpi_power_init(&power, power_event, NULL, &button);
	pvpanic_init(&panic, panic_event, NULL);
	FUZZ_ASSERT(!bus_add(&pio, POWER, ACPI_POWER_PORTS, &acpi_power_ops, &power, "power", NULL));
	FUZZ_ASSERT(!bus_add(&pio, PANIC, 1, &pvpanic_ops, &panic, "pvpanic", NULL));
	FUZZ_ASSERT(!bus_add(&mmio, IOAPIC, IOAPIC_SIZE, &ioapic_ops, &apic, "ioapic", NULL));
	bus_freeze(&pio);
	bus_freeze(&mmio);
}

/* Is it all in one window?  By plain comparison, to hold the buses' search against. */
static bool belongs(uint64_t addr, unsigned size, uint64_t base, uint64_t len)
{
	return addr >= base && addr < base + len && addr + size <= base + len;
}

static void pio_write(uint64_t addr, unsigned size, uint64_t val)
{
	uint64_t cut = size == 8 ? val : val & (BIT_ULL(8 * size) - 1);

	if (belongs(addr, size, POWER, ACPI_POWER_PORTS)) {
		t.off_due = addr == POWER && cut & 0x20 && (cut >> 2 & 7) == ACPI_POWER_S5_TYPE;
		t.reset_due = addr == POWER + ACPI_POWER_RESET && (uint8_t)cut == ACPI_POWER_RESET_VALUE;
	}
	if (belongs(addr, size, PANIC, 1))
		t.panic_due = cut & 3;
	bus_write(&pio, addr, size, val);
	FUZZ_ASSERT(!t.off_due && !t.reset_due && !t.panic_due);
}

static void pio_read(uint64_t addr, unsigned size)
{
	uint64_t val = bus_read(&pio, addr, size);

	if (!belongs(addr, size, POWER, ACPI_POWER_PORTS) && !belongs(addr, size, PANIC, 1))
		FUZZ_ASSERT(val == (size == 8 ? UINT64_MAX : BIT_ULL(8 * size) - 1));
}

static void pin(unsigned i, bool level)
{
	struct ioapic_pin *p = &apic.pin[i];
	bool rises = level && !p->level, masked = p->entry & BIT_ULL(16);
	unsigned before = t.messages;

	p->irq.set(&p->irq, level);
	FUZZ_ASSERT(t.messages - before == (rises && !masked));
	FUZZ_ASSERT(!rises || !masked || p->waiting);
}

static void select_and_write(uint8_t index, uint32_t val)
{
	bus_write(&mmio, IOAPIC, 4, index);
	bus_write(&mmio, IOAPIC + 0x10, 4, val);
	for (unsigned i = 0; i < IOAPIC_PINS; i++) /* what waits is behind a mask */
		FUZZ_ASSERT(!apic.pin[i].waiting || apic.pin[i].entry & BIT_ULL(16));
}

static void op(void)
{
	static const uint64_t near[] = { POWER - 4, PANIC - 4, 0, 0xfff8 };
	uint8_t b = fuzz_u8(&in);
	unsigned size = 1u << (b >> 3 & 3);
	uint64_t addr = near[b >> 5 & 3] + fuzz_u8(&in) % 16;

	switch (b & 7) {
	case 0:
	case 1:
		pio_write(b & 128 ? fuzz_value(&in) : addr, size, fuzz_value(&in));
		break;
	case 2:
		pio_read(b & 128 ? fuzz_value(&in) : addr, size);
		break;
	case 3:
		bus_write(&mmio, IOAPIC + (b & 128 ? fuzz_value(&in) : addr % 32), size, fuzz_value(&in));
		break;
	case 4:
		bus_read(&mmio, IOAPIC + (b & 128 ? fuzz_value(&in) : addr % 32), size);
		break;
	case 5:
		select_and_write((uint8_t)(addr % 16 + (b & 128 ? 16 : 0)), (uint32_t)fuzz_value(&in));
		break;
	case 6:
		pin((b >> 3 & 7) % IOAPIC_PINS, b & 64);
		break;
	default:
		acpi_power_press(&power);
		break;
	}
	FUZZ_ASSERT(!(t.presses & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!pio.n)
		build();
	memset(&t, 0, sizeof(t));
	acpi_power_init(&power, power_event, NULL, &button);
	ioapic_init(&apic, &sink);
	in = (struct fuzz){ data, data + size };
	while (fuzz_more(&in))
		op();
	ioapic_fini(&apic);
	return 0;
}
