/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * uart16550.c - the registers of a PC16550D (National Semiconductor, TL/C/8652, section 8).
 *
 * Bytes move at the speed of the host: a byte written to THR is in the chardev's ring when the write returns, so THRE
 * and TEMT read as set, but while that ring is full.  Everything is under uart->lock; the interrupt line is driven from
 * there too, by update(), the only place where its level is decided.
 */
#include "uart16550.h"

#include "bits.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX   0x01
#define IER_THRE 0x02
#define IER_LINE 0x04
#define IER_MODEM 0x08

#define IIR_NONE    0x01
#define IIR_MODEM   0x00
#define IIR_THRE    0x02
#define IIR_RX      0x04
#define IIR_LINE    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO    0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_DCTS 0x01
#define MSR_TERI 0x04
#define MSR_CTS  0x10
#define MSR_DSR  0x20
#define MSR_RI   0x40
#define MSR_DCD  0x80

static bool fifo_on(const struct uart *u)
{
	return u->fcr & FCR_ENABLE;
}

static unsigned depth(const struct uart *u)
{
	return fifo_on(u) ? UART_FIFO : 1;
}

static unsigned trigger_level(const struct uart *u)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return fifo_on(u) ? level[u->fcr >> 6] : 1;
}

/* The interrupt of the highest priority that is enabled and pending (table 5 of the data sheet). */
static uint8_t pending(const struct uart *u)
{
	if (u->ier & IER_LINE && u->lsr & LSR_OE)
		return IIR_LINE;
	if (u->ier & IER_RX && u->fifo_used >= trigger_level(u))
		return IIR_RX;
	/* Characters below the trigger level: nothing more may come for long, so they are announced at once. */
	if (u->ier & IER_RX && u->fifo_used)
		return IIR_TIMEOUT;
	if (u->ier & IER_THRE && u->thre_pending)
		return IIR_THRE;
	if (u->ier & IER_MODEM && u->msr & 0x0f)
		return IIR_MODEM;
	return IIR_NONE;
}

/* On a PC, OUT2 gates the line; in loopback it does not reach the pin. */
static void update(struct uart *u)
{
	bool level = pending(u) != IIR_NONE && u->mcr & MCR_OUT2 && !(u->mcr & MCR_LOOP);

	if (level != u->irq_level) {
		u->irq_level = level;
		u->irq->set(u->irq, level);
	}
}

static void receive(struct uart *u, uint8_t c)
{
	if (u->fifo_used == depth(u)) {
		u->lsr |= LSR_OE;
		if (fifo_on(u))
			return; /* the FIFO keeps what it has */
		u->fifo_used = 0; /* without one, the new character replaces the old */
	}
	u->fifo[(u->fifo_head + u->fifo_used++) % UART_FIFO] = c;
	u->lsr |= LSR_DR;
}

static uint8_t take_byte(struct uart *u)
{
	uint8_t c = u->fifo[u->fifo_head]; /* an empty FIFO repeats what it last held */

	if (!u->fifo_used)
		return c;
	u->fifo_head = (u->fifo_head + 1) % UART_FIFO;
	if (!--u->fifo_used)
		u->lsr &= (uint8_t)~LSR_DR;
	return c;
}

static void clear_rx(struct uart *u)
{
	u->fifo_head = u->fifo_used = 0;
	u->lsr &= (uint8_t)~LSR_DR;
}

static void transmit(struct uart *u, uint8_t c)
{
	/* The line falls before it rises again: an interrupt controller that looks for edges must see the next one. */
	u->thre_pending = false;
	update(u);
	if (u->mcr & MCR_LOOP) {
		receive(u, c);
	} else if (u->chr) {
		if (!chardev_put(u->chr, &c, 1))
			u->lost++; /* the driver did not wait for the transmitter */
		/* THRE invites the driver to fill the FIFO without looking again. */
		if (chardev_room(u->chr) < UART_FIFO) {
			u->lsr &= (uint8_t)~(LSR_THRE | LSR_TEMT);
			return;
		}
	}
	u->thre_pending = u->lsr & LSR_THRE;
}

void uart_drained(void *arg)
{
	struct uart *u = arg;

	pthread_mutex_lock(&u->lock);
	if (!(u->lsr & LSR_THRE)) {
		u->lsr |= LSR_THRE | LSR_TEMT;
		u->thre_pending = true;
		update(u);
	}
	pthread_mutex_unlock(&u->lock);
}

/* The modem's lines: a peer that is always there; in loopback, our own outputs (DTR-DSR, RTS-CTS, OUT1-RI, OUT2-DCD). */
static uint8_t modem_lines(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_OUT1 ? MSR_RI : 0) |
	       (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

/* Changes since the last read of MSR are kept in its low half; RI counts when it falls. */
static void update_modem(struct uart *u)
{
	uint8_t lines = modem_lines(u), old = u->msr & 0xf0, changed = (lines ^ old) >> 4;

	if (lines & MSR_RI)
		changed &= (uint8_t)~MSR_TERI;
	u->msr = lines | (u->msr & 0x0f) | changed;
}

static void write_fcr(struct uart *u, uint8_t val)
{
	/* Switching the FIFO on or off empties it (8.4); the other bits count only together with the enable bit. */
	if ((val ^ u->fcr) & FCR_ENABLE || (val & FCR_ENABLE && val & FCR_CLEAR_RX))
		clear_rx(u);
	u->fcr = val & FCR_ENABLE ? val & 0xc9 : 0;
}

static void write_ier(struct uart *u, uint8_t val)
{
	/* Enabling the transmitter's interrupt while it is empty raises it (8.5). */
	if (val & ~u->ier & IER_THRE && u->lsr & LSR_THRE)
		u->thre_pending = true;
	u->ier = val & 0x0f;
}

static uint64_t uart_read(void *dev, uint64_t off, unsigned size)
{
	struct uart *u = dev;
	uint8_t val = 0xff; /* a wider access reaches the first register: the chip has eight data lines */

	pthread_mutex_lock(&u->lock);
	switch (off) {
	case REG_DATA:
		val = u->lcr & LCR_DLAB ? u->dll : take_byte(u);
		break;
	case REG_IER:
		val = u->lcr & LCR_DLAB ? u->dlm : u->ier;
		break;
	case REG_IIR_FCR:
		val = pending(u);
		if (val == IIR_THRE)
			u->thre_pending = false; /* reading it is the acknowledgement */
		val |= fifo_on(u) ? IIR_FIFO : 0;
		break;
	case REG_LCR:
		val = u->lcr;
		break;
	case REG_MCR:
		val = u->mcr;
		break;
	case REG_LSR:
		val = u->lsr;
		u->lsr &= (uint8_t)~LSR_OE;
		break;
	case REG_MSR:
		val = u->msr;
		u->msr &= 0xf0;
		break;
	case REG_SCR:
		val = u->scr;
		break;
	default:
		break;
	}
	update(u);
	if (u->chr && off == REG_DATA && !(u->lcr & LCR_DLAB))
		chardev_rx_ready(u->chr);
	pthread_mutex_unlock(&u->lock);
	return val;
}

static void uart_write(void *dev, uint64_t off, unsigned size, uint64_t wide)
{
	struct uart *u = dev;
	uint8_t val = (uint8_t)wide;

	pthread_mutex_lock(&u->lock);
	switch (off) {
	case REG_DATA:
		if (u->lcr & LCR_DLAB)
			u->dll = val;
		else
			transmit(u, val);
		break;
	case REG_IER:
		if (u->lcr & LCR_DLAB)
			u->dlm = val;
		else
			write_ier(u, val);
		break;
	case REG_IIR_FCR:
		write_fcr(u, val);
		break;
	case REG_LCR:
		u->lcr = val;
		break;
	case REG_MCR:
		u->mcr = val & MCR_MASK;
		update_modem(u);
		break;
	case REG_SCR:
		u->scr = val;
		break;
	default:
		break; /* LSR and MSR are for reading */
	}
	update(u);
	/* Loopback ends, a terminal is ready, the FIFO is emptied or switched on: each may make room for input. */
	if (u->chr && (off == REG_MCR || off == REG_IER || off == REG_IIR_FCR))
		chardev_rx_ready(u->chr);
	pthread_mutex_unlock(&u->lock);
}

const struct bus_ops uart_ops = { uart_read, uart_write };

static bool wants_input(const struct uart *u)
{
	if (u->mcr & MCR_LOOP) /* the line is cut off */
		return false;
	return u->mcr & (MCR_DTR | MCR_RTS) || u->ier & IER_RX;
}

static size_t uart_room(struct chardev_rx *rx)
{
	struct uart *u = container_of(rx, struct uart, rx);
	size_t room;

	pthread_mutex_lock(&u->lock);
	room = wants_input(u) ? depth(u) - u->fifo_used : 0;
	pthread_mutex_unlock(&u->lock);
	return room;
}

static void uart_input(struct chardev_rx *rx, const uint8_t *buf, size_t len)
{
	struct uart *u = container_of(rx, struct uart, rx);

	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < len; i++)
		receive(u, buf[i]);
	update(u);
	pthread_mutex_unlock(&u->lock);
}

void uart_init(struct uart *u, struct irq *irq, struct chardev *chr)
{
	*u = (struct uart){
		.rx = { .room = uart_room, .input = uart_input },
		.chr = chr,
		.irq = irq,
		.lsr = LSR_THRE | LSR_TEMT,
		.msr = MSR_CTS | MSR_DSR | MSR_DCD,
		.dll = 1, /* 115200 baud */
		.lcr = 3, /* 8 data bits */
	};
	pthread_mutex_init(&u->lock, NULL);
	if (chr) {
		chr->drained_arg[0] = u;
		chr->drained[0] = uart_drained;
	}
}

void uart_fini(struct uart *u)
{
	if (u->chr)
		u->chr->drained[0] = NULL;
	pthread_mutex_destroy(&u->lock);
}
