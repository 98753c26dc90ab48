/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * irq.h - interrupts as a device sees them.  Who implements them (KVM, a test) is not its business.
 *
 * All are callable from any thread and take no device lock.
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
	/*
	 * Has the host send that message at each signal of eventfd FD by itself, from now on; signals that nobody has read yet
	 * are sent, too.  Again for the same FD: another message.  0, or -errno, and then nothing is sent for FD.  NULL: not to
	 * be had.  Both may wait a little: the kernel ends what is under way with the old message.
	 */
	int (*route)(struct msi_sink *sink, int fd, uint64_t addr, uint32_t data);
	/* FD is for its reader again: when this returns nothing is sent any more.  Harmless when FD has no message. */
	void (*unroute)(struct msi_sink *sink, int fd);
};

#endif
