/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * acpi_power.h - power-off, reset and the power button of hardware-reduced ACPI (ACPI 6.4, 4.8.3.7 and 4.8.3.6).
 *
 * Three byte-wide ports: the sleep control register, the sleep status register, the reset register.  The button is a
 * pulse on the line of the generic event device.  Any vCPU thread; keeps no state but the wake status.
 */
#ifndef TVMM_DEVICES_ACPI_POWER_H
#define TVMM_DEVICES_ACPI_POWER_H

#include <stdatomic.h>
#include "bus.h"
#include "irq.h"

#define ACPI_POWER_PORTS         4
#define ACPI_POWER_SLEEP_CONTROL 0
#define ACPI_POWER_SLEEP_STATUS  1
#define ACPI_POWER_RESET         2
#define ACPI_POWER_S5_TYPE       5
#define ACPI_POWER_RESET_VALUE   0x01

enum acpi_power_event { ACPI_POWER_OFF, ACPI_POWER_RESET_REQUEST };

struct acpi_power {
	void (*event)(void *arg, enum acpi_power_event ev); /* on the vCPU's thread */
	void *arg;
	struct irq *button;
	_Atomic uint8_t status;
};

void acpi_power_init(struct acpi_power *p, void (*event)(void *arg, enum acpi_power_event ev), void *arg,
		     struct irq *button);
void acpi_power_press(struct acpi_power *p); /* the power button */
extern const struct bus_ops acpi_power_ops;  /* DEV is the struct acpi_power; ACPI_POWER_PORTS ports */

#endif
