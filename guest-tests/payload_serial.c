/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_serial.c - the registers of a 16550A, polled and by interrupt (PC16550D, chapter 8).
 * The host half types after READY lines; see t_serial.c.
 */
#include "guest.h"

enum { THR = COM1, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR, DLL = THR, DLM = IER };
#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define VEC_UART VEC_FIRST

static void drain_tx(void)
{
	for (uint64_t end = deadline_ms(2000); !(inb(LSR) & LSR_TEMT) && !expired(end);)
		cpu_relax();
}

static void check_registers(void)
{
	bool good = true;
	uint8_t lcr = inb(LCR), scr = 0, dll, dlm, ier, iir;

	for (unsigned v = 0; v < 256; v += 51) {
		outb(SCR, (uint8_t)v);
		scr = inb(SCR);
		good = good && scr == v;
	}
	report(good, "the scratch register keeps what is written");
	drain_tx();
	outb(LCR, 0x83);
	outb(DLL, 0x0c);
	outb(DLM, 0x01);
	dll = inb(DLL);
	dlm = inb(DLM);
	outb(DLL, 1);
	outb(DLM, 0);
	outb(LCR, 0x03);
	report(dll == 0x0c && dlm == 0x01, "the divisor latch keeps what is written");
	report(inb(LCR) == 0x03, "LCR reads back (it was %#x)", lcr);
	outb(IER, 0xff);
	ier = inb(IER);
	outb(IER, 0);
	report(ier == 0x0f, "IER has four bits");
	iir = inb(IIR);
	report((iir & 0xc0) == 0xc0, "IIR shows that FIFOs are on");
	report((iir & 0x0f) == 0x01, "IIR: nothing is pending");
	outb(FCR, 0x00);
	iir = inb(IIR);
	outb(FCR, 0x07);
	report((iir & 0xc0) == 0, "IIR shows that FIFOs are off");
	report((inb(LSR) & (LSR_THRE | LSR_TEMT)) == (LSR_THRE | LSR_TEMT), "LSR: transmitter idle");
}

static void check_loopback(void)
{
	uint8_t lsr[3], in[4], msr0, msr1, oe = 0;

	drain_tx();
	outb(FCR, 0x07);
	outb(MCR, 0x10);
	msr0 = inb(MSR);
	lsr[0] = inb(LSR);
	for (unsigned i = 0; i < 4; i++) {
		outb(THR, (uint8_t)(0xa0 + i));
		drain_tx();
	}
	lsr[1] = inb(LSR);
	for (unsigned i = 0; i < 4; i++)
		in[i] = inb(THR);
	lsr[2] = inb(LSR);
	outb(MCR, 0x1f);
	msr1 = inb(MSR);
	for (unsigned i = 0; i < 20; i++) { /* reading LSR clears the overrun: collect */
		outb(THR, (uint8_t)i);
		for (uint64_t end = deadline_ms(1000); !expired(end);) {
			uint8_t v = inb(LSR);

			oe |= v;
			if (v & LSR_TEMT)
				break;
		}
	}
	outb(FCR, 0x07);
	outb(MCR, 0x03);
	report(!(lsr[0] & LSR_DR) && (lsr[1] & LSR_DR) && !(lsr[2] & LSR_DR), "loopback: data ready comes and goes");
	report(in[0] == 0xa0 && in[1] == 0xa1 && in[2] == 0xa2 && in[3] == 0xa3, "loopback: bytes return in order");
	report((msr0 & 0xf0) == 0x00 && (msr1 & 0xf0) == 0xf0, "loopback: MSR follows MCR (%#x, %#x)", msr0, msr1);
	report(oe & LSR_OE, "loopback: the 17th byte is an overrun");
	report((inb(LSR) & (LSR_DR | LSR_OE)) == 0, "clearing the FIFO leaves nothing behind");
}

static volatile uint8_t got[1024];
static volatile unsigned n_got, n_thre, n_ids[16];

static void on_uart(unsigned vec)
{
	uint8_t iir;

	(void)vec;
	while (!((iir = inb(IIR)) & 1)) {
		n_ids[iir & 0x0f]++;
		if ((iir & 0x0f) == 0x02)
			n_thre++;
		while (((iir & 0x0f) == 0x04 || (iir & 0x0f) == 0x0c) && (inb(LSR) & LSR_DR))
			if (n_got < sizeof(got))
				got[n_got++] = inb(THR);
	}
}

static void check_tx_interrupt(void)
{
	unsigned irqs, thre;

	drain_tx();
	irq_handler(VEC_UART, on_uart);
	report(ioapic_route(4, VEC_UART, false), "GSI 4 routed");
	outb(MCR, 0x0b);
	outb(IER, 0x02);
	irq_wait(VEC_UART, 1, 1000);
	irqs = irq_count[VEC_UART];
	thre = n_thre;
	outb(IER, 0);
	report(irqs == 1 && thre == 1, "enabling the THR-empty interrupt raises it once (%u, %u)", irqs, thre);
}

static bool receive(unsigned want, unsigned ms)
{
	uint64_t end = deadline_ms(ms);

	irq_on();
	while (n_got < want && !expired(end))
		cpu_relax();
	irq_off();
	return n_got >= want;
}

static void check_rx(void)
{
	unsigned n = (unsigned)boot_arg_num("bytes", 300);
	bool good = true;

	outb(FCR, 0x01);                /* trigger level 1 */
	outb(IER, 0x01);
	say("READY one");
	report(receive(1, 20000) && got[0] == 'x', "a typed byte arrives by interrupt");
	outb(FCR, 0x81);                /* trigger level 8 */
	n_got = 0;
	n_ids[4] = n_ids[12] = 0;
	say("READY five");
	good = receive(5, 20000);
	report(good, "five bytes arrive");
	report(n_ids[12] >= 1 && n_ids[4] == 0, "below the trigger level they come by the time-out interrupt (%u, %u)", n_ids[4], n_ids[12]);
	outb(IER, 0);
	outb(FCR, 0x01);
	n_got = 0;
	say("READY many");
	/* Nobody reads for a while: what does not fit into the FIFO has to wait outside. */
	for (uint64_t end = deadline_ms(200); !expired(end);)
		cpu_relax();
	outb(IER, 0x01);
	good = receive(n, 20000);
	report(good, "%u bytes arrive (%u)", n, n_got);
	for (unsigned i = 0; i < n && i < n_got; i++)
		good = good && got[i] == 'A' + i % 26;
	report(good, "all of them, in order");
	report(!(inb(LSR) & LSR_OE), "and no overrun");
	outb(IER, 0);
}

void guest_main(void)
{
	check_registers();
	check_loopback();
	check_tx_interrupt();
	check_rx();
}
