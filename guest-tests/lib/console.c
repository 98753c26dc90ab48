/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * console.c - polled output on COM1, and the result lines that the host half reads from it.
 * Any CPU, one line at a time.
 */
#include "guest.h"

#define LSR      (COM1 + 5)
#define LSR_THRE 0x20

static volatile uint32_t con_lock;
static unsigned results, failures;
static bool ended;

static void con_putc(char c)
{
	/* Bounded: a console whose other end is stuck must not hang a test that is about something else. */
	for (unsigned i = 0; i < 1000000 && !(inb(LSR) & LSR_THRE); i++)
		cpu_relax();
	outb(COM1, (uint8_t)c);
}

void con_write(const char *buf, size_t len)
{
	spin_lock(&con_lock);
	for (size_t i = 0; i < len; i++)
		con_putc(buf[i]);
	spin_unlock(&con_lock);
}

static void line(const char *head, const char *fmt, va_list ap)
{
	char buf[320];
	size_t n = strlen(head);

	memcpy(buf, head, n);
	size_t len = n + format(buf + n, sizeof(buf) - n - 1, fmt, ap);
	if (len > sizeof(buf) - 2)
		len = sizeof(buf) - 2;
	buf[len] = '\n';
	con_write(buf, len + 1);
}

void con_printf(const char *fmt, ...)
{
	char buf[320];
	va_list ap;

	va_start(ap, fmt);
	size_t len = format(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	con_write(buf, len < sizeof(buf) ? len : sizeof(buf) - 1);
}

bool report(bool cond, const char *fmt, ...)
{
	va_list ap;

	__atomic_fetch_add(&results, 1, __ATOMIC_SEQ_CST);
	if (!cond)
		__atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST);
	va_start(ap, fmt);
	line(cond ? "ok - " : "not ok - ", fmt, ap);
	va_end(ap);
	return cond;
}

void report_skip(const char *name, const char *why)
{
	__atomic_fetch_add(&results, 1, __ATOMIC_SEQ_CST);
	con_printf("ok - %s # SKIP %s\n", name, why);
}

void diag(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line("# ", fmt, ap);
	va_end(ap);
}

void say(const char *l)
{
	con_printf("%s\n", l);
}

void report_end(void)
{
	if (ended)
		return;
	ended = true;
	con_printf("# end %u\n", results);
}
