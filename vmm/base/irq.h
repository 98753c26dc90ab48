/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * irq.h - interrupts as a device sees them.  Who implements them (KVM, a test) is not its business.
 *
 * Both are callable from any thread, take no device lock, and never block for long.
 */
#ifndef TVMM_BASE_IRQ_H
#define TVMM_BASE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

/* A wire to the interrupt controller. */
struct irq {
	void (*set)(struct irq *irq, bool level);
};

/* Delivery of one message-signalled interrupt: a write of DATA to ADDR, as the guest programmed it (PCI 3.0, 6.8). */
struct msi_sink {
	void (*signal)(struct msi_sink *sink, uint64_t addr, uint32_t data);
};

#endif
