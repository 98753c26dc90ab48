/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_cmdline.c - a kernel command line: texts appended, then asked for names and values.
 *
 * The line is always one line, terminated, as long as it says; a text that is refused changes nothing; quotes are even; a
 * value that is found is a part of the line.
 */
#include "cmdline.h"
#include "fuzz_input.h"

const char fuzz_name[] = "cmdline";

/* The rest of the input up to a zero, as a string. */
static void take_text(struct fuzz *in, char *buf, size_t size)
{
	size_t n = 0;
	uint8_t c;

	while (n < size - 1 && fuzz_more(in) && (c = fuzz_u8(in)))
		buf[n++] = (char)c;
	buf[n] = '\0';
}

static void check_line(const struct cmdline *c)
{
	unsigned quotes = 0;

	FUZZ_ASSERT(c->len < CMDLINE_CAPACITY && strlen(c->text) == c->len);
	for (size_t i = 0; i < c->len; i++) {
		FUZZ_ASSERT((unsigned char)c->text[i] >= 0x20 || c->text[i] == '\t');
		quotes += c->text[i] == '"';
	}
	FUZZ_ASSERT(quotes % 2 == 0);
	FUZZ_ASSERT(!c->len || (c->text[0] != ' ' && c->text[c->len - 1] != ' '));
}

static void append(struct cmdline *c, const char *text, bool formatted)
{
	struct tvmm_error err = { 0 };
	size_t was = c->len;
	int ret = formatted ? cmdline_appendf(c, &err, "x=%s", text) : cmdline_append(c, text, &err);

	FUZZ_ASSERT(ret == 0 || ret == -EINVAL);
	FUZZ_ASSERT(!ret == !err.message[0]);
	FUZZ_ASSERT(!ret || c->len == was);
	check_line(c);
}

static void ask(const char *line, const char *name, size_t size)
{
	char buf[64];
	int len;

	size %= sizeof(buf) + 1;
	memset(buf, 1, sizeof(buf));
	len = cmdline_last(line, name, buf, size);
	FUZZ_ASSERT(len == -ENOENT || len >= 0);
	FUZZ_ASSERT(cmdline_has(line, name) == (len >= 0));
	if (len < 0 || !size)
		return;
	FUZZ_ASSERT(strnlen(buf, size) == MIN((size_t)len, size - 1));
	FUZZ_ASSERT(strstr(line, buf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "root", "init", "a", "panic", "", "a-b", "x" };
	struct fuzz in = { data, data + size };
	struct cmdline c;
	char text[512];
	struct tvmm_error err;

	cmdline_init(&c);
	while (fuzz_more(&in)) {
		uint8_t b = fuzz_u8(&in);

		switch (b & 3) {
		case 0:
		case 1:
			take_text(&in, text, sizeof(text));
			append(&c, text, b & 1);
			break;
		case 2:
			ask(c.text, names[(b >> 2) % ARRAY_SIZE(names)], fuzz_u8(&in));
			break;
		default: /* any line, not only one of our making */
			take_text(&in, text, sizeof(text));
			ask(text, names[(b >> 2) % ARRAY_SIZE(names)], fuzz_u8(&in));
			FUZZ_ASSERT(!cmdline_check(&c, b, &err) == (c.len <= b));
			break;
		}
	}
	return 0;
}
