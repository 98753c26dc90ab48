/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * string.c - the few libc functions that payloads and the compiler need, and the formatter behind con_printf().
 * Copies are string instructions: an interpreted ring 0 does them as one.
 */
#include "guest.h"

void *memset(void *p, int c, size_t n)
{
	void *d = p;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return p;
}

void *memcpy(void *d, const void *s, size_t n)
{
	void *to = d;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(s), "+c"(n)::"memory");
	return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i])
			return (uint8_t)a[i] < (uint8_t)b[i] ? -1 : 1;
		if (!a[i])
			return 0;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

struct sink {
	char *buf;
	size_t size, len;
};

static void put(struct sink *s, char c)
{
	if (s->len + 1 < s->size)
		s->buf[s->len] = c;
	s->len++;
}

static void put_num(struct sink *s, uint64_t v, unsigned base, bool neg, unsigned width, char pad)
{
	char tmp[24];
	unsigned n = 0;

	do {
		tmp[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (neg)
		tmp[n++] = '-';
	for (; width > n; width--)
		put(s, pad);
	while (n)
		put(s, tmp[--n]);
}

static void put_arg(struct sink *s, char conv, bool is_long, unsigned width, char pad, va_list *ap)
{
	if (conv == 's') {
		const char *str = va_arg(*ap, const char *);

		for (; *str; str++, width -= width > 0)
			put(s, *str);
		for (; width; width--)
			put(s, ' ');
	} else if (conv == 'c') {
		put(s, (char)va_arg(*ap, int));
	} else if (conv == 'd') {
		long v = is_long ? va_arg(*ap, long) : va_arg(*ap, int);

		put_num(s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, pad);
	} else if (conv == 'u' || conv == 'x') {
		unsigned long v = is_long ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned);

		put_num(s, v, conv == 'x' ? 16 : 10, false, width, pad);
	} else {
		put(s, conv);
	}
}

size_t format(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct sink s = { buf, size, 0 };
	va_list args;

	va_copy(args, ap);
	for (; *fmt; fmt++) {
		bool is_long = false;
		unsigned width = 0;
		char pad = ' ';

		if (*fmt != '%') {
			put(&s, *fmt);
			continue;
		}
		fmt++;
		if (*fmt == '#') {
			put(&s, '0');
			put(&s, 'x');
			fmt++;
		}
		if (*fmt == '0')
			pad = '0';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (unsigned)(*fmt - '0');
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			is_long = true;
		put_arg(&s, *fmt, is_long, width, pad, &args);
	}
	va_end(args);
	if (size)
		buf[s.len < size ? s.len : size - 1] = 0;
	return s.len;
}
