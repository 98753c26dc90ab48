/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_uart.c - the serial port with its chardev: registers by every size, input, a slow or failing peer.
 *
 * What must hold: what the guest sends while the transmitter is ready comes out, in order; what comes in arrives once, in
 * order, as long as the guest loses nothing by its own doing; the line is high exactly when an interrupt is pending.
 */
#include "bus.h"
#include "chardev.h"
#include "fuzz_host.h"
#include "uart16550.h"

const char fuzz_name[] = "uart";

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct fuzz_host fh;
static struct evloop loop;
static struct log logger;
static struct chardev chr;
static struct uart uart;
static struct bus pio;
static struct irq line;
static struct fuzz in;

static struct {
	bool level;
	unsigned log_lines;
	uint8_t sent[4096]; /* a ring of what the guest sent and has not come out */
	size_t n_sent, n_out;
	bool lossy_in, lossy_out;
	uint8_t next_in;
} t;

static void line_set(struct irq *irq, bool level)
{
	FUZZ_ASSERT(level != t.level); /* told of changes alone */
	t.level = level;
}

static void log_fn(void *arg, int level, const char *text)
{
	t.log_lines++;
}

static void sink(void *arg, const uint8_t *p, size_t len)
{
	if (t.lossy_out)
		return;
	FUZZ_ASSERT(t.n_out + len <= t.n_sent);
	for (size_t i = 0; i < len; i++, t.n_out++)
		FUZZ_ASSERT(p[i] == t.sent[t.n_out % sizeof(t.sent)]);
}

static void build(void)
{
	fuzz_host_init(&fh);
	fh.out = sink;
	memset(&pio, 0, sizeof(pio));
	FUZZ_ASSERT(!evloop_init(&loop, &fh.h, NULL));
	log_init(&logger, &fh.h, log_fn, NULL, TVMM_LOG_WARN);
	FUZZ_ASSERT(!chardev_init(&chr, "console", &loop, &logger, FUZZ_FD_IN, FUZZ_FD_OUT, -1, NULL));
	line.set = line_set;
	uart_init(&uart, &line, &chr);
	chr.rx = &uart.rx;
	FUZZ_ASSERT(!bus_add(&pio, 0x3f8, 8, &uart_ops, &uart, "COM1", NULL));
	bus_freeze(&pio);
}

static struct {
	struct fuzz_host fh;
	struct evloop loop;
	uint8_t chr[offsetof(struct chardev, ring)];
	struct uart uart;
} saved;

static void save(void)
{
	saved.fh = fh;
	saved.loop = loop;
	memcpy(saved.chr, &chr, sizeof(saved.chr));
	saved.uart = uart;
}

static void restore(void)
{
	fh = saved.fh;
	loop = saved.loop;
	memcpy(&chr, saved.chr, sizeof(saved.chr));
	uart = saved.uart;
	memset(&t, 0, offsetof(typeof(t), sent));
	t.n_sent = t.n_out = 0;
	t.lossy_in = t.lossy_out = false;
	t.next_in = 0;
}

static uint8_t get(unsigned reg)
{
	return (uint8_t)bus_read(&pio, 0x3f8 + reg, 1);
}

static void put(unsigned reg, uint8_t val)
{
	bool to_line = reg == DATA && !(uart.lcr & 0x80) && !(uart.mcr & 0x10);

	/* Whoever writes while THRE is clear may lose the byte. */
	if (to_line && uart.lsr & 0x20)
		t.sent[t.n_sent++ % sizeof(t.sent)] = val;
	else if (to_line)
		t.lossy_out = true;
	if (reg == DATA && !(uart.lcr & 0x80) && uart.mcr & 0x10)
		t.lossy_in = true; /* its own bytes come in between */
	if (reg == IIR)
		t.lossy_in = true; /* it may have emptied the FIFO */
	bus_write(&pio, 0x3f8 + reg, 1, val);
}

/* The other console fills the ring, but for a few bytes: what the transmitter does then takes thousands of writes else. */
static void fill(void)
{
	static const uint8_t block[CHARDEV_RING];
	size_t n = CHARDEV_RING - chr.used, spare = fuzz_u8(&in);

	t.lossy_out = true;
	if (n > spare)
		chardev_put(&chr, block, n - spare);
}

static void op(void)
{
	uint8_t b = fuzz_u8(&in), c;

	switch (b & 7) {
	case 0:
	case 1:
		put(b >> 3 & 7, fuzz_u8(&in));
		break;
	case 2:
		get((b >> 3 & 7) == DATA ? SCR : b >> 3 & 7);
		break;
	case 3:
		if (uart.lcr & 0x80 || !(get(LSR) & 1)) {
			get(DATA); /* the divisor, or what the empty FIFO last held */
			break;
		}
		c = get(DATA);
		FUZZ_ASSERT(t.lossy_in || c == t.next_in);
		t.next_in = (uint8_t)(c + 1);
		break;
	case 4: /* any width, across the edges */
		t.lossy_in = t.lossy_out = true;
		if (b & 8)
			bus_write(&pio, 0x3f4 + (b >> 4), 1u << (b & 3), fuzz_value(&in));
		else
			bus_read(&pio, 0x3f4 + (b >> 4), 1u << (fuzz_u8(&in) & 3));
		break;
	case 5:
		if (b & 8)
			fh.in_avail += fuzz_u8(&in);
		else
			fh.out_room = b & 16 ? SIZE_MAX / 2 : fuzz_u8(&in);
		fh.in_end |= b & 32 && b & 64;
		break;
	case 6:
		if (b & 128)
			fill();
		for (unsigned n = b >> 3 & 15; n; n--)
			put(DATA, (uint8_t)n);
		break;
	default:
		fh.max_io = (b >> 5) * 256u;
		if (b & 8) {
			t.lossy_out |= b & 16;
			fh.fail_at = 1 + (b >> 5);
			fh.fail_errno = b & 16 ? EPIPE : EINTR;
		}
		FUZZ_ASSERT(fuzz_pump(&fh, 100000) < 100000);
		break;
	}
	FUZZ_ASSERT(uart.fifo_used <= UART_FIFO);
	FUZZ_ASSERT(!!(uart.lsr & 1) == !!uart.fifo_used);
	FUZZ_ASSERT(t.level == uart.irq_level);
	FUZZ_ASSERT(chr.used <= CHARDEV_RING);
	FUZZ_ASSERT(t.log_lines <= 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool built;

	if (!built) {
		build();
		save();
		built = true;
	}
	restore();
	in = (struct fuzz){ data, data + size };
	while (fuzz_more(&in))
		op();
	/* Everything taken is put out when the peer goes on; a transmitter that was busy is ready again. */
	fh.fail_at = 0;
	fh.max_io = 0;
	fh.out_room = SIZE_MAX / 2;
	FUZZ_ASSERT(fuzz_pump(&fh, 100000) < 100000);
	FUZZ_ASSERT(!chr.used);
	FUZZ_ASSERT(uart.lsr & 0x20);
	FUZZ_ASSERT(t.lossy_out || t.n_out == t.n_sent);
	return 0;
}
