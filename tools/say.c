/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * say.c - lines on stderr.  Any thread; called by every part of the command and by the library's log.
 */
#include "say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int say_fill(struct tvmm_error *err, enum tvmm_code code, int sys_errno, const char *object, const char *fmt, ...)
{
	va_list ap;

	memset(err, 0, sizeof(*err));
	err->code = code;
	err->sys_errno = sys_errno;
	snprintf(err->object, sizeof(err->object), "%s", object ? object : "");
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return sys_errno ? -sys_errno : -EINVAL;
}

void say_fill_hint(struct tvmm_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

static bool coloured(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(STDERR_FILENO) && !(no && *no) && term && strcmp(term, "dumb");
}

/* A message on its way out: grows by put() and put_clean(), leaves in one write. */
struct line {
	char text[4096];
	size_t len;
};

static void put(struct line *l, const char *s)
{
	size_t n = strlen(s);

	if (n > sizeof(l->text) - 1 - l->len)
		n = sizeof(l->text) - 1 - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
	l->text[l->len] = '\0';
}

static void put_clean(struct line *l, const char *s)
{
	for (; *s && l->len < sizeof(l->text) - 1; s++)
		l->text[l->len++] = (*s >= 0 && *s < ' ') || *s == 0x7f ? '?' : *s;
	l->text[l->len] = '\0';
}

static void put_paint(struct line *l, bool colour, const char *escape, const char *s)
{
	put(l, colour ? escape : "");
	put_clean(l, s);
	put(l, colour ? "\033[0m" : "");
}

static void send_line(const struct line *l)
{
	size_t done = 0;

	while (done < l->len) {
		ssize_t n = write(STDERR_FILENO, l->text + done, l->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody to tell */
		done += (size_t)n;
	}
}

void say_describe(const struct tvmm_error *err, char *buf, size_t len)
{
	snprintf(buf, len, "%s%s%s%s%s", err->message, *err->object ? ": " : "", err->object,
		 err->sys_errno ? ": " : "", err->sys_errno ? strerror(err->sys_errno) : "");
}

void say_sentence(const char *sentence, const char *hint)
{
	bool colour = coloured();
	struct line l = { .len = 0 };

	put(&l, "tinyvmm: ");
	put_paint(&l, colour, "\033[1;31m", "error:");
	put(&l, " ");
	put_clean(&l, sentence);
	put(&l, "\n");
	if (hint && *hint) {
		put_paint(&l, colour, "\033[1;36m", "hint:");
		put(&l, " ");
		put_clean(&l, hint);
		put(&l, "\n");
	}
	send_line(&l);
}

void say_error(const struct tvmm_error *err)
{
	char sentence[sizeof(err->message) + sizeof(err->object) + 128];

	say_describe(err, sentence, sizeof(sentence));
	say_sentence(sentence, err->hint);
}

void say_note(const char *fmt, ...)
{
	struct line l = { .len = 0 };
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_paint(&l, coloured(), "\033[2m", text);
	put(&l, "\n");
	send_line(&l);
}

void say_log(int level, const char *text)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	struct line l = { .len = 0 };

	put(&l, "tinyvmm: ");
	put(&l, names[level < 0 || level > TVMM_LOG_DEBUG ? TVMM_LOG_DEBUG : level]);
	put(&l, ": ");
	put_clean(&l, text);
	put(&l, "\n");
	send_line(&l);
}
