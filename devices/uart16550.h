/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * uart16550.h - a complete 16550A (National Semiconductor PC16550D): FIFOs, interrupts, loopback, line and modem status.
 *
 * Registers are used by vCPU threads, input arrives on the I/O loop; uart->lock guards all of it.  Transmitted bytes go
 * to the chardev at once; while that is nearly full the transmitter stays busy (THRE clear), which is the back-pressure.
 *
 * Input waits in the host's descriptor until the guest is a terminal that is ready: it asserts DTR or RTS, or enables the
 * receive interrupt.  A driver empties the FIFO when it starts, and would lose what was typed or piped in before.
 */
#ifndef TVMM_DEVICES_UART16550_H
#define TVMM_DEVICES_UART16550_H

#include <pthread.h>
#include "bus.h"
#include "chardev.h"
#include "irq.h"

#define UART_FIFO 16

struct uart {
	struct chardev_rx rx;  /* first: the chardev hands input here */
	struct chardev *chr;   /* NULL: output vanishes */
	struct irq *irq;

	pthread_mutex_t lock;
	uint8_t ier, fcr, lcr, mcr, lsr, msr, scr, dll, dlm;
	uint8_t fifo[UART_FIFO];
	unsigned fifo_head, fifo_used;
	bool thre_pending;     /* the THR-empty interrupt, cleared by reading IIR or writing THR */
	bool irq_level;
	uint64_t lost;         /* bytes the guest wrote while the transmitter was busy */
};

void uart_init(struct uart *u, struct irq *irq, struct chardev *chr);
void uart_fini(struct uart *u);
void uart_drained(void *u); /* for chardev.drained: the transmitter is free again */
extern const struct bus_ops uart_ops; /* DEV is the struct uart; 8 ports */

#endif
