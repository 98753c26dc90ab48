/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmdline.c - see cmdline.h.  One splitter into words serves every question; it follows Linux's next_arg(): a quote
 * may stand before the whole word or before the value, and blanks inside quotes do not split.
 */
#include "cmdline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "bits.h"

struct word {
	const char *name, *value; /* value is NULL for a bare word */
	size_t name_len, value_len;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The word at *P, which moves behind it; false at the end, and at the "--" that ends the kernel's own options. */
static bool next_word(const char **p, struct word *w)
{
	const char *s = *p, *end, *eq = NULL;
	bool in_quote = false, quoted;

	while (is_blank(*s))
		s++;
	if (!*s)
		return false;
	quoted = *s == '"';
	for (end = s; *end && (in_quote || !is_blank(*end)); end++) {
		if (*end == '"')
			in_quote = !in_quote;
		else if (*end == '=' && !eq)
			eq = end;
	}
	*p = end;
	if (end - s == 2 && s[0] == '-' && s[1] == '-')
		return false;
	if (quoted)
		s++;
	w->name = s;
	w->name_len = (size_t)((eq ? eq : end) - s);
	w->value = eq ? eq + 1 : NULL;
	if (!eq) {
		if (quoted && w->name_len && end[-1] == '"')
			w->name_len--;
		w->value_len = 0;
		return true;
	}
	if (*w->value == '"') {
		w->value++;
		quoted = true;
	}
	w->value_len = (size_t)(end - MIN(w->value, end));
	if (quoted && w->value_len && end[-1] == '"')
		w->value_len--;
	return true;
}

static bool same_name(const struct word *w, const char *name)
{
	size_t i;

	for (i = 0; i < w->name_len && name[i]; i++) {
		char a = w->name[i] == '-' ? '_' : w->name[i];
		char b = name[i] == '-' ? '_' : name[i];

		if (a != b)
			return false;
	}
	return i == w->name_len && !name[i];
}

void cmdline_init(struct cmdline *c)
{
	c->len = 0;
	c->text[0] = '\0';
}

int cmdline_append(struct cmdline *c, const char *text, struct tvmm_error *err)
{
	size_t len, need;
	unsigned quotes = 0;

	while (is_blank(*text))
		text++;
	len = strlen(text);
	while (len && is_blank(text[len - 1]))
		len--;
	if (!len)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 && text[i] != '\t') {
			err_set(err, TVMM_E_CONFIG, 0, "kernel command line", "control character %#x after \"%.*s\"",
				(unsigned char)text[i], (int)MIN(i, (size_t)40), text);
			err_hint(err, "the command line is one line of printable text");
			return -EINVAL;
		}
		quotes += text[i] == '"';
	}
	if (quotes % 2) {
		err_set(err, TVMM_E_CONFIG, 0, "kernel command line", "a double quote is never closed in \"%.*s\"",
			(int)MIN(len, (size_t)60), text);
		err_hint(err, "close it, or the kernel reads all that follows as one option");
		return -EINVAL;
	}
	need = c->len + (c->len ? 1 : 0) + len;
	if (need >= sizeof(c->text)) {
		err_set(err, TVMM_E_CONFIG, 0, "kernel command line", "%zu bytes are too many, %zu are possible", need,
			sizeof(c->text) - 1);
		return -EINVAL;
	}
	if (c->len)
		c->text[c->len++] = ' ';
	memcpy(c->text + c->len, text, len);
	c->len += len;
	c->text[c->len] = '\0';
	return 0;
}

int cmdline_appendf(struct cmdline *c, struct tvmm_error *err, const char *fmt, ...)
{
	char buf[CMDLINE_CAPACITY];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(buf))
		return err_set(err, TVMM_E_CONFIG, 0, "kernel command line", "%d bytes are too many, %zu are possible",
			       n, sizeof(buf) - 1);
	return cmdline_append(c, buf, err);
}

int cmdline_check(const struct cmdline *c, uint64_t max, struct tvmm_error *err)
{
	if (c->len <= max)
		return 0;
	err_set(err, TVMM_E_CONFIG, 0, "kernel command line", "%zu bytes are too many, this kernel takes %lu", c->len,
		max);
	err_hint(err, "shorten what is given with --append; long lists may go into a file of the initrd");
	return -EINVAL;
}

bool cmdline_has(const char *line, const char *name)
{
	struct word w;

	while (next_word(&line, &w))
		if (same_name(&w, name))
			return true;
	return false;
}

int cmdline_last(const char *line, const char *name, char *buf, size_t size)
{
	struct word w, last = { 0 };
	bool found = false;
	size_t n;

	while (next_word(&line, &w))
		if (same_name(&w, name)) {
			last = w;
			found = true;
		}
	if (!found)
		return -ENOENT;
	if (size) {
		n = MIN(last.value_len, size - 1);
		if (n)
			memcpy(buf, last.value, n);
		buf[n] = '\0';
	}
	return (int)last.value_len;
}
