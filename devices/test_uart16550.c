/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_uart16550.c - the chip as a driver sees it: what Linux probes for, interrupts and their priorities, FIFO
 * trigger levels, loopback, and a host that does not take the output.
 */
#include "uart16550.h"
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"
#include "test_host.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

struct rig {
	struct irq irq; /* first */
	bool level;
	unsigned edges; /* times the line rose */
	struct test_host th;
	struct evloop l;
	struct chardev c;
	struct uart u;
	int in, out; /* our ends */
};

static void set_irq(struct irq *irq, bool level)
{
	struct rig *r = (struct rig *)irq;

	ck_assert(level != r->level); /* told only when it changes */
	r->level = level;
	r->edges += level;
}

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	int in[2], out[2];

	ck_assert_int_eq(pipe(in) | pipe(out), 0);
	r->irq.set = set_irq;
	test_host_init(&r->th);
	ck_assert_int_eq(evloop_init(&r->l, &r->th.h, NULL), 0);
	ck_assert_int_eq(chardev_init(&r->c, "console", &r->l, NULL, in[0], out[1], -1, NULL), 0);
	close(in[0]);
	close(out[1]);
	r->in = in[1];
	r->out = out[0];
	uart_init(&r->u, &r->irq, &r->c);
	r->c.rx = &r->u.rx;
	return r;
}

static void rig_free(struct rig *r)
{
	uart_fini(&r->u);
	chardev_fini(&r->c);
	evloop_fini(&r->l);
	close(r->in);
	close(r->out);
	free(r);
}

static uint8_t rd(struct rig *r, unsigned reg)
{
	return (uint8_t)uart_ops.read(&r->u, reg, 1);
}

static void wr(struct rig *r, unsigned reg, uint8_t val)
{
	uart_ops.write(&r->u, reg, 1, val);
}

static void type(struct rig *r, const void *keys, size_t n)
{
	ck_assert_int_eq(write(r->in, keys, n), (ssize_t)n);
	ck_assert_int_ge(loop_settle(&r->l), 0);
}

START_TEST(reset_state)
{
	struct rig *r = rig_new();

	ck_assert_uint_eq(rd(r, IER), 0);
	ck_assert_uint_eq(rd(r, IIR), 0x01);
	ck_assert_uint_eq(rd(r, MCR), 0);
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	ck_assert_uint_eq(rd(r, MSR), 0xb0);
	ck_assert(!r->level);
	rig_free(r);
}
END_TEST

/* The questions that Linux' 8250 driver asks to tell a 16550A from its many relatives, and what only that answers. */
START_TEST(linux_autoconfig)
{
	struct rig *r = rig_new();

	/* Is anything there: only four bits of IER stick. */
	wr(r, IER, 0);
	ck_assert_uint_eq(rd(r, IER), 0);
	wr(r, IER, 0xff);
	ck_assert_uint_eq(rd(r, IER), 0x0f);
	wr(r, IER, 0);
	/* Loopback: RTS and OUT2 come back as CTS and DCD. */
	wr(r, MCR, 0x10 | 0x08 | 0x02);
	ck_assert_uint_eq(rd(r, MSR) & 0xf0, 0x90);
	wr(r, MCR, 0);
	/* A FIFO that works: 16550A and its descendants. */
	wr(r, LCR, 0xbf);
	ck_assert_uint_ne(rd(r, IIR), 0); /* as EFR, it would read 0 */
	wr(r, LCR, 0);
	wr(r, FCR, 0x01);
	ck_assert_uint_eq(rd(r, IIR) >> 6, 3);
	wr(r, LCR, 0x80);
	ck_assert_uint_ne(rd(r, IIR), 0); /* no EFR here either */
	/* No 64-byte FIFO (16750). */
	wr(r, LCR, 0);
	wr(r, FCR, 0x21);
	ck_assert_uint_eq(rd(r, IIR) & 0x20, 0);
	wr(r, LCR, 0x80);
	wr(r, FCR, 0x21);
	ck_assert_uint_eq(rd(r, IIR) & 0x20, 0);
	wr(r, LCR, 0);
	wr(r, FCR, 0x01);
	/* No automatic flow control (bit 5), and a scratch register. */
	wr(r, MCR, 0x20);
	ck_assert_uint_eq(rd(r, MCR), 0);
	wr(r, SCR, 0xa5);
	ck_assert_uint_eq(rd(r, SCR), 0xa5);
	/* Switched off: a plain 16450. */
	wr(r, FCR, 0);
	ck_assert_uint_eq(rd(r, IIR), 0x01);
	/* Does the transmitter's interrupt come each time it is enabled. */
	wr(r, IER, 0x02);
	ck_assert_uint_eq(rd(r, IIR), 0x02);
	ck_assert_uint_eq(rd(r, IIR), 0x01);
	wr(r, IER, 0);
	wr(r, IER, 0x02);
	ck_assert_uint_eq(rd(r, IIR), 0x02);
	rig_free(r);
}
END_TEST

START_TEST(divisor_latch)
{
	struct rig *r = rig_new();

	wr(r, IER, 0x05);
	wr(r, LCR, 0x83);
	wr(r, DATA, 0x34);
	wr(r, IER, 0x12);
	ck_assert_uint_eq(rd(r, DATA), 0x34);
	ck_assert_uint_eq(rd(r, IER), 0x12);
	wr(r, LCR, 0x03);
	ck_assert_uint_eq(rd(r, IER), 0x05);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(r->c.dropped + r->c.used, 0); /* nothing was transmitted */
	rig_free(r);
}
END_TEST

START_TEST(transmit_interrupts)
{
	struct rig *r = rig_new();
	char buf[8] = { 0 };

	wr(r, FCR, 0x01);
	wr(r, IER, 0x02);
	ck_assert(!r->level); /* OUT2 is off */
	wr(r, MCR, 0x08);
	ck_assert_uint_eq(r->edges, 1);
	ck_assert_uint_eq(rd(r, IIR), 0xc2);
	ck_assert(!r->level);
	wr(r, DATA, 'a');
	ck_assert_uint_eq(r->edges, 2);
	wr(r, DATA, 'b'); /* without reading IIR: another edge for another empty transmitter */
	ck_assert_uint_eq(r->edges, 3);
	wr(r, IER, 0);
	ck_assert(!r->level);
	wr(r, IER, 0x02);
	ck_assert_uint_eq(r->edges, 4);
	wr(r, IER, 0x02); /* enabled already: nothing new */
	ck_assert_uint_eq(rd(r, IIR), 0xc2);
	wr(r, IER, 0x02);
	ck_assert_uint_eq(rd(r, IIR), 0xc1);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_int_eq(read(r->out, buf, sizeof(buf)), 2);
	ck_assert_str_eq(buf, "ab");
	rig_free(r);
}
END_TEST

START_TEST(receive_trigger)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };
	struct rig *r = rig_new();

	wr(r, MCR, 0x0b);
	wr(r, FCR, (uint8_t)(_i << 6 | 0x01));
	wr(r, IER, 0x01);
	for (unsigned i = 1; i <= UART_FIFO; i++) {
		uint8_t key = (uint8_t)(i * 3);

		type(r, &key, 1);
		ck_assert_uint_eq(rd(r, IIR), i >= level[_i] ? 0xc4 : 0xcc);
		ck_assert_uint_eq(rd(r, LSR), 0x61);
		ck_assert(r->level);
	}
	ck_assert_uint_eq(r->edges, 1);
	for (unsigned i = 1; i <= UART_FIFO; i++)
		ck_assert_uint_eq(rd(r, DATA), (uint8_t)(i * 3));
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	ck_assert_uint_eq(rd(r, IIR), 0xc1);
	ck_assert(!r->level);
	rig_free(r);
}
END_TEST

START_TEST(overrun)
{
	struct rig *r = rig_new();

	/* In loopback, what is sent is received; the host sees none of it. */
	wr(r, MCR, 0x10);
	wr(r, FCR, 0x01);
	for (unsigned i = 0; i < UART_FIFO; i++)
		wr(r, DATA, (uint8_t)i);
	ck_assert_uint_eq(rd(r, LSR), 0x61);
	wr(r, DATA, 99);
	ck_assert_uint_eq(rd(r, LSR), 0x63);
	ck_assert_uint_eq(rd(r, LSR), 0x61);
	for (unsigned i = 0; i < UART_FIFO; i++)
		ck_assert_uint_eq(rd(r, DATA), i);
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	/* Without FIFO the last one wins. */
	wr(r, FCR, 0);
	wr(r, DATA, 1);
	wr(r, DATA, 2);
	ck_assert_uint_eq(rd(r, LSR), 0x63);
	ck_assert_uint_eq(rd(r, DATA), 2);
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	ck_assert_uint_eq(r->c.used, 0);
	rig_free(r);
}
END_TEST

START_TEST(fifo_control)
{
	struct rig *r = rig_new();

	wr(r, MCR, 0x10);
	wr(r, FCR, 0x01);
	wr(r, DATA, 1);
	wr(r, FCR, 0x41); /* a new trigger level keeps what is there */
	ck_assert_uint_eq(rd(r, LSR), 0x61);
	wr(r, FCR, 0x02); /* without the enable bit: FIFO off, which empties it */
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	wr(r, FCR, 0x01);
	wr(r, DATA, 1);
	wr(r, FCR, 0x05); /* clear the transmitter's: nothing of ours */
	ck_assert_uint_eq(rd(r, LSR), 0x61);
	wr(r, FCR, 0x03);
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	rig_free(r);
}
END_TEST

START_TEST(priorities)
{
	struct rig *r = rig_new();

	wr(r, MCR, 0x10);
	wr(r, DATA, 1);
	wr(r, DATA, 2);
	wr(r, MCR, 0x12);
	wr(r, IER, 0x0f);
	ck_assert_uint_eq(rd(r, IIR), 0x06); /* overrun */
	rd(r, LSR);
	ck_assert_uint_eq(rd(r, IIR), 0x04); /* data */
	rd(r, DATA);
	ck_assert_uint_eq(rd(r, IIR), 0x02); /* transmitter, gone with this read */
	ck_assert_uint_eq(rd(r, IIR), 0x00); /* modem */
	rd(r, MSR);
	ck_assert_uint_eq(rd(r, IIR), 0x01);
	rig_free(r);
}
END_TEST

START_TEST(modem_deltas)
{
	struct rig *r = rig_new();

	wr(r, MCR, 0x1f);
	ck_assert_uint_eq(rd(r, MSR), 0xf0); /* RI rose, which does not count; the others were there */
	wr(r, MCR, 0x10);
	ck_assert_uint_eq(rd(r, MSR), 0x0f);
	ck_assert_uint_eq(rd(r, MSR), 0x00);
	wr(r, MCR, 0x11);
	wr(r, MCR, 0x10);
	ck_assert_uint_eq(rd(r, MSR), 0x02); /* a change there and back is a change */
	wr(r, MCR, 0x00);
	ck_assert_uint_eq(rd(r, MSR), 0xbb);
	wr(r, MSR, 0xff);
	wr(r, LSR, 0xff);
	ck_assert_uint_eq(rd(r, MSR), 0xb0);
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	rig_free(r);
}
END_TEST

/* What is typed before the driver is there waits outside, and no FIFO reset can lose it. */
START_TEST(input_waits_for_driver)
{
	struct rig *r = rig_new();

	type(r, "early", 5);
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	wr(r, FCR, 0x01);
	wr(r, FCR, 0x07);
	wr(r, MCR, 0x12);
	wr(r, MCR, 0);
	wr(r, FCR, 0x00);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(rd(r, LSR), 0x60);
	if (_i == 0)
		wr(r, MCR, 0x01);
	else if (_i == 1)
		wr(r, MCR, 0x02);
	else
		wr(r, IER, 0x01);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	for (unsigned i = 0; i < 5; i++) { /* no FIFO: one at a time */
		ck_assert_uint_eq(rd(r, LSR), 0x61);
		ck_assert_uint_eq(rd(r, DATA), "early"[i]);
		ck_assert_int_ge(loop_settle(&r->l), 0);
	}
	ck_assert_uint_eq(rd(r, LSR), 0x60);

	/* A full receiver that is emptied by FCR has room again, though nobody read DATA. */
	type(r, "xy", 2);
	wr(r, FCR, 0x03);
	ck_assert_int_ge(loop_settle(&r->l), 0);
	ck_assert_uint_eq(rd(r, DATA), 'y');
	rig_free(r);
}
END_TEST

/* A driver that writes a FIFO's worth whenever THRE is set loses nothing, however slow the peer. */
START_TEST(back_pressure)
{
	struct rig *r = rig_new();
	size_t sent = 0, got = 0;
	uint8_t buf[4096];
	bool ok = true;

	wr(r, FCR, 0x01);
	wr(r, MCR, 0x0b);
	wr(r, IER, 0x02);
	for (unsigned round = 0; round < 3; round++) {
		ssize_t n;
		unsigned edges;

		bool odd = false;

		while (rd(r, LSR) & 0x20) {
			for (unsigned i = 0; i < UART_FIFO; i++)
				wr(r, DATA, (uint8_t)sent++);
			if (!odd && r->c.used > CHARDEV_RING / 2) { /* the ring shall not fill up in whole FIFOs */
				odd = true;
				wr(r, DATA, (uint8_t)sent++);
			}
			if (sent % 4096 < UART_FIFO)
				ck_assert_int_ge(loop_settle(&r->l), 0);
			ck_assert_uint_lt(sent, 1 << 20);
		}
		ck_assert_uint_eq(rd(r, LSR), 0x00);
		ck_assert_uint_eq(rd(r, IIR), 0xc1); /* no interrupt while it is busy */
		ck_assert(!r->level);
		edges = r->edges;
		for (struct pollfd p = { .fd = r->out, .events = POLLIN }; poll(&p, 1, 0) == 1;) {
			n = read(r->out, buf, sizeof(buf));
			for (ssize_t i = 0; i < n; i++)
				ok &= buf[i] == (uint8_t)(got + (size_t)i);
			got += (size_t)n;
			ck_assert_int_ge(loop_settle(&r->l), 0);
		}
		ck_assert_uint_eq(rd(r, LSR), 0x60);
		ck_assert_uint_eq(r->edges, edges + 1); /* and it says that it is free again */
		ck_assert_uint_eq(got, sent);
	}
	ck_assert(ok);
	ck_assert_uint_eq(r->u.lost, 0);
	rig_free(r);
}
END_TEST

START_TEST(rude_driver)
{
	struct rig *r = rig_new();

	for (unsigned i = 0; i < 300000; i++)
		wr(r, DATA, (uint8_t)i);
	ck_assert_uint_eq(r->u.lost, 300000 - CHARDEV_RING);
	rig_free(r);
}
END_TEST

/* Any sequence of accesses: the line is what the registers say, and nothing leaves its array. */
START_TEST(random_accesses)
{
	struct rig *r = rig_new();

	srand(16550);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned reg = (unsigned)rand() % 8, size = 1u << rand() % 4;
		bool line;

		if (rand() % 2)
			uart_ops.write(&r->u, reg, size, (uint64_t)rand() << 20 ^ (uint64_t)rand());
		else
			uart_ops.read(&r->u, reg, size);
		if (i % 64 == 0) {
			ck_assert_int_eq(write(r->in, "k", 1), 1);
			while (loop_step(&r->l))
				;
		}
		line = r->level;
		if (r->u.fifo_used > UART_FIFO || !(r->u.lsr & 1) != !r->u.fifo_used || line != r->u.irq_level)
			ck_abort_msg("after %u accesses", i);
		if (r->c.used > CHARDEV_RING / 2) {
			uint8_t sink[CHARDEV_RING];

			ck_assert_int_gt(read(r->out, sink, sizeof(sink)), 0);
		}
	}
	rig_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uart16550");
	TCase *tc = tcase_create("uart16550");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, reset_state);
	tcase_add_test(tc, linux_autoconfig);
	tcase_add_test(tc, divisor_latch);
	tcase_add_test(tc, transmit_interrupts);
	tcase_add_loop_test(tc, receive_trigger, 0, 4);
	tcase_add_test(tc, overrun);
	tcase_add_test(tc, fifo_control);
	tcase_add_test(tc, priorities);
	tcase_add_test(tc, modem_deltas);
	tcase_add_loop_test(tc, input_waits_for_driver, 0, 3);
	tcase_add_test(tc, back_pressure);
	tcase_add_test(tc, rude_driver);
	tcase_add_test(tc, random_accesses);
	suite_add_tcase(s, tc);
	return test_run(s);
}
