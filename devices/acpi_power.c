/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi_power.c - the sleep and reset registers.  Anything but power-off and reset, as the tables describe them, has no
 * effect: a guest cannot sleep.
 */
#include "acpi_power.h"

#include "bits.h"

#define SLP_EN  BIT(5)
#define WAK_STS BIT(7)

void acpi_power_init(struct acpi_power *p, void (*event)(void *arg, enum acpi_power_event ev), void *arg,
		     struct irq *button)
{
	p->event = event;
	p->arg = arg;
	p->button = button;
	atomic_store(&p->status, 0);
}

void acpi_power_press(struct acpi_power *p)
{
	p->button->set(p->button, true);
	p->button->set(p->button, false);
}

static uint64_t power_read(void *dev, uint64_t off, unsigned size)
{
	struct acpi_power *p = dev;

	return off == ACPI_POWER_SLEEP_STATUS ? atomic_load(&p->status) : 0;
}

static void power_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct acpi_power *p = dev;

	switch (off) {
	case ACPI_POWER_SLEEP_CONTROL:
		if (val & SLP_EN && (val >> 2 & 7) == ACPI_POWER_S5_TYPE)
			p->event(p->arg, ACPI_POWER_OFF);
		break;
	case ACPI_POWER_SLEEP_STATUS:
		if (val & WAK_STS) /* write one to clear */
			atomic_fetch_and(&p->status, (uint8_t)~WAK_STS);
		break;
	case ACPI_POWER_RESET:
		if ((val & 0xff) == ACPI_POWER_RESET_VALUE)
			p->event(p->arg, ACPI_POWER_RESET_REQUEST);
		break;
	default:
		break;
	}
}

const struct bus_ops acpi_power_ops = { power_read, power_write };
