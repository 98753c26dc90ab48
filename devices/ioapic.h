/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ioapic.h - an I/O APIC (Intel 82093AA) of as few pins as the machine needs, each of which becomes a message when its line rises.
 *
 * Ours and not KVM's, for two reasons.  KVM's has 24 pins, and a kernel reads and writes every pin's entry several times
 * while it boots: an exit each.  And what is not in the host's kernel cannot be attacked there.  All lines of this
 * machine are edge-triggered, so no end-of-interrupt needs to be heard.
 *
 * Registers are used by vCPU threads, lines are set by any thread; ioapic->lock, a leaf, guards all.
 */
#ifndef TVMM_DEVICES_IOAPIC_H
#define TVMM_DEVICES_IOAPIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "bus.h"
#include "irq.h"

#define IOAPIC_PINS 5
#define IOAPIC_SIZE 0x1000 /* its window */

struct ioapic;

struct ioapic_pin {
	struct irq irq; /* what a device is given */
	struct ioapic *ioapic;
	bool level;
	bool waiting;   /* rose while it was masked */
	uint64_t entry; /* redirection table entry */
};

struct ioapic {
	struct msi_sink *sink;
	pthread_mutex_t lock;
	uint8_t id, select;
	struct ioapic_pin pin[IOAPIC_PINS];
};

void ioapic_init(struct ioapic *a, struct msi_sink *sink);
void ioapic_fini(struct ioapic *a);
extern const struct bus_ops ioapic_ops; /* DEV is the struct ioapic; IOAPIC_SIZE bytes */

#endif
