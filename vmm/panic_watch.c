/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * panic_watch.c - matches whole console lines against what Linux prints in panic() (kernel/panic.c), and against what
 * it (init/do_mounts.c), our own init and Debian's initramfs-tools say of a root that is not there.
 */
#include "panic_watch.h"

#include <stdio.h>
#include <string.h>

#define BEGIN "Kernel panic - not syncing"
#define END   "---[ end Kernel panic - not syncing"

/* Past "[    1.234567] " and "[    T1] ", which depend on the kernel's configuration; "<0>" is a raw level. */
static const char *skip_stamps(const char *s)
{
	for (;;) {
		while (*s == ' ')
			s++;
		if (s[0] == '<' && s[1] && s[2] == '>')
			s += 3;
		else if (*s == '[' && strchr(s, ']'))
			s = strchr(s, ']') + 1;
		else
			return s;
	}
}

static bool starts_with(const char *s, const char *start)
{
	return !strncmp(s, start, strlen(start));
}

/* S is without stamps.  What is not here ends in a panic that says so. */
static bool says_no_root(struct panic_watch *w, const char *s)
{
	static const struct {
		const char *start;
		bool waits;
	} lines[] = {
		{ "Waiting for root device", true },  /* rootwait */
		{ "Gave up waiting for root", true }, /* and a shell */
		{ BEGIN ": VFS: Unable to mount root fs", false },
		{ "tinyvmm-init: there is no disk", false },
		{ "tinyvmm-init: no root file system", false },
	};

	for (size_t i = 0; !w->no_root && i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (starts_with(s, lines[i].start)) {
			w->no_root = true;
			w->waits = lines[i].waits;
			return true;
		}
	}
	return false;
}

static bool line_done(struct panic_watch *w)
{
	const char *s, *why;
	bool news;

	w->line[w->len] = 0;
	w->len = 0;
	s = starts_with(w->line, END) ? w->line : skip_stamps(w->line);
	if (!w->ended && starts_with(s, END)) {
		w->ended = w->seen = true;
		return true;
	}
	news = says_no_root(w, s);
	if (w->seen || !starts_with(s, BEGIN))
		return news;
	w->seen = true;
	why = s + strlen(BEGIN);
	snprintf(w->why, sizeof(w->why), "%s", *why == ':' ? why + 2 : why);
	return true;
}

bool panic_watch_feed(struct panic_watch *w, const uint8_t *buf, size_t len)
{
	bool news = false;

	for (size_t i = 0; i < len; i++) {
		if (buf[i] == '\n')
			news |= line_done(w);
		else if (buf[i] != '\r' && buf[i] != 0 && w->len < sizeof(w->line) - 1)
			w->line[w->len++] = (char)buf[i];
	}
	return news;
}
