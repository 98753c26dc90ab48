/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * panic_watch.c - matches whole console lines against what Linux prints in panic() (kernel/panic.c).
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

static bool line_done(struct panic_watch *w)
{
	const char *s, *why;

	w->line[w->len] = 0;
	w->len = 0;
	s = strncmp(w->line, END, strlen(END)) ? skip_stamps(w->line) : w->line;
	if (!w->ended && !strncmp(s, END, strlen(END))) {
		w->ended = w->seen = true;
		return true;
	}
	if (w->seen || strncmp(s, BEGIN, strlen(BEGIN)))
		return false;
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
