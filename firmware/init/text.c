/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.c - words in and words out: the console, small files, the kernel's command line, and the mem*() and str*()
 * functions that the compiler and fsid.c count on.
 */
#include "init.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "sys.h"

#define TCSBRK 0x5409

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	char *t = to;
	const char *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int c, size_t n)
{
	char *t = to;

	while (n--)
		*t++ = (char)c;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n && *a && *a == *b; a++, b++, n--)
		;
	return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

static void vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
	size_t n = 0;

	for (; *fmt && n + 1 < size; fmt++) {
		char digits[24];
		const char *s;

		if (*fmt != '%') {
			buf[n++] = *fmt;
			continue;
		}
		if (*++fmt == 's') {
			s = va_arg(ap, const char *);
		} else {
			int v = va_arg(ap, int);
			unsigned u = *fmt == 'd' && v < 0 ? -(unsigned)v : (unsigned)v;
			char *d = digits + sizeof(digits) - 1;

			*d = 0;
			do {
				*--d = (char)('0' + u % 10);
			} while (u /= 10);
			if (*fmt == 'd' && v < 0)
				*--d = '-';
			s = d;
		}
		while (*s && n + 1 < size)
			buf[n++] = *s++;
	}
	buf[n] = 0;
}

void format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vformat(buf, size, fmt, ap);
	va_end(ap);
}

static void log_line(const char *level, const char *line)
{
	char text[512];
	int fd = sys_open("/dev/kmsg", O_WRONLY);

	if (fd < 0)
		return;
	format(text, sizeof(text), "%s%s\n", level, line);
	sys_write(fd, text, strlen(text));
	sys_close(fd);
}

static void vsay(const char *fmt, va_list ap)
{
	char line[400], text[420];

	vformat(line, sizeof(line), fmt, ap);
	format(text, sizeof(text), "tinyvmm-init: %s\n", line);
	if (sys_write(2, text, strlen(text)) < 0)
		log_line("<2>tinyvmm-init: ", line);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

void note(const char *fmt, ...)
{
	char line[400];
	va_list ap;

	va_start(ap, fmt);
	vformat(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_line("<6>tinyvmm-init: ", line);
}

void give_up(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
	/* A panic stops the interrupts that a serial console empties its buffer by. */
	sys3(__NR_ioctl, 2, TCSBRK, 1);
	for (;;)
		sys3(__NR_exit_group, 1, 0, 0);
}

const char *why(int err)
{
	static const struct {
		int err;
		const char *text;
	} table[] = {
		{ ENOENT, "it does not exist" },
		{ ENODEV, "the kernel does not know this file system" },
		{ EINVAL, "invalid argument" },
		{ EIO, "I/O error" },
		{ EACCES, "permission denied" },
		{ EROFS, "the device is read-only" },
		{ ENOMEM, "out of memory" },
		{ EBUSY, "busy" },
		{ ENOEXEC, "not an executable for this kernel" },
		{ ELOOP, "a loop of symbolic links" },
		{ 117 /* EUCLEAN */, "the file system is damaged" },
		{ 74 /* EBADMSG */, "the file system is damaged" },
	};
	static char other[16];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (-err == table[i].err)
			return table[i].text;
	}
	format(other, sizeof(other), "error %d", -err);
	return other;
}

void console_open(void)
{
	int fd = sys_open("/dev/console", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	/* dup2() clears O_CLOEXEC, but does nothing at all when both are the same. */
	for (int i = 0; i < 3; i++) {
		if (fd == i)
			sys3(__NR_fcntl, fd, F_SETFD, 0);
		else
			sys3(__NR_dup2, fd, i, 0);
	}
	if (fd > 2)
		sys_close(fd);
}

int read_text(const char *path, char *buf, size_t size)
{
	int fd = sys_open(path, O_RDONLY);
	size_t n = 0;
	long r = fd;

	if (fd < 0)
		return fd;
	while (n + 1 < size && (r = sys_read(fd, buf + n, size - 1 - n)) > 0)
		n += (size_t)r;
	sys_close(fd);
	while (n && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = 0;
	return r < 0 ? (int)r : (int)n;
}

/* Double quotes keep blanks together, as on the kernel's command line, and are dropped. */
bool next_word(const char **text, char *word, size_t size)
{
	const char *s = *text;
	size_t n = 0;

	while (*s == ' ' || *s == '\n' || *s == '\t')
		s++;
	if (!*s)
		return false;
	for (bool quoted = false; *s && (quoted || (*s != ' ' && *s != '\n' && *s != '\t')); s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (n + 1 < size)
			word[n++] = *s;
	}
	word[n] = 0;
	*text = s;
	return true;
}

uint64_t number(const char *s)
{
	uint64_t v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (uint64_t)(*s - '0');
	return v;
}

unsigned option(const char *name, char *value, size_t size)
{
	static char line[4096];
	char word[OPTION_MAX + 32];
	const char *s = line;
	size_t len = strlen(name);
	unsigned found = 0;

	if (read_text("/proc/cmdline", line, sizeof(line)) < 0)
		return 0;
	for (unsigned n = 1; next_word(&s, word, sizeof(word)) && strcmp(word, "--"); n++) {
		if (strncmp(word, name, len) || (word[len] && word[len] != '='))
			continue;
		if (size)
			format(value, size, "%s", word[len] ? word + len + 1 : "");
		found = n;
	}
	return found;
}
