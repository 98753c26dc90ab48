/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_terminal.c - the escape key, with a clock of its own.  The terminal itself is tried by test_tty.py.
 */
#include <string.h>

#include "terminal.h"
#include "test.h"

#define MS UINT64_C(1000000)

static struct escape e;

/* Feeds IN at time MS, all of it; checks what the guest gets and the last action. */
static void feed(const char *in, uint64_t ms, const char *guest, enum escape_action expected)
{
	uint8_t out[64];
	char got[128] = "";
	enum escape_action action = ESCAPE_NONE, here;
	size_t used = 0, len = strlen(in), n;

	do {
		used += escape_filter(&e, (const uint8_t *)in + used, len - used, ms * MS, out, &n, &here);
		strncat(got, (const char *)out, n);
		if (here != ESCAPE_NONE)
			action = here;
	} while (used < len);
	ck_assert_str_eq(got, guest);
	ck_assert_int_eq(action, expected);
}

START_TEST(plain)
{
	escape_init(&e, 0x1d);
	feed("hello\r\x03", 0, "hello\r\x03", ESCAPE_NONE);
	ck_assert_uint_eq(escape_due(&e), 0);
	feed("", 0, "", ESCAPE_NONE);
}
END_TEST

START_TEST(kill)
{
	escape_init(&e, 0x1d);
	feed("a\x1d\x1d\x1d" "b", 1000, "ab", ESCAPE_KILL);
	feed("\x1d", 1000, "", ESCAPE_NONE);
	feed("\x1d", 1500, "", ESCAPE_NONE);
	feed("\x1d", 1999, "", ESCAPE_KILL);
	/* Too slow: what came too early goes to the guest, and counting begins again. */
	feed("\x1d\x1d", 3000, "", ESCAPE_NONE);
	feed("\x1d", 4000, "\x1d\x1d", ESCAPE_NONE);
	feed("\x1d\x1d", 4900, "", ESCAPE_KILL);
}
END_TEST

START_TEST(commands)
{
	escape_init(&e, 1);
	feed("\x01.", 1, "", ESCAPE_POWER);
	feed("x\x01?y", 1, "xy", ESCAPE_HELP);
	feed("\x01x", 1, "\x01x", ESCAPE_NONE);
	feed("\x01\x01.", 1, "\x01\x01.", ESCAPE_NONE);
	feed(".?", 1, ".?", ESCAPE_NONE);
	feed("\x01", 10, "", ESCAPE_NONE);
	feed(".", 1010, "\x01.", ESCAPE_NONE);
}
END_TEST

START_TEST(held_too_long)
{
	uint8_t out[2];

	escape_init(&e, 0x1d);
	feed("\x1d\x1d", 500, "", ESCAPE_NONE);
	ck_assert_uint_eq(escape_due(&e), 1500 * MS);
	ck_assert_uint_eq(escape_flush(&e, 1499 * MS, out), 0);
	ck_assert_uint_eq(escape_flush(&e, 1500 * MS, out), 2);
	ck_assert_int_eq(out[0], 0x1d);
	ck_assert_uint_eq(escape_due(&e), 0);
	ck_assert_uint_eq(escape_flush(&e, 9999 * MS, out), 0);
}
END_TEST

START_TEST(none)
{
	escape_init(&e, -1);
	feed("\x1d\x1d\x1d\x01\xff", 1, "\x1d\x1d\x1d\x01\xff", ESCAPE_NONE);
}
END_TEST

START_TEST(names)
{
	char name[16];

	escape_name(0x1d, name, sizeof(name));
	ck_assert_str_eq(name, "Ctrl-]");
	escape_name(1, name, sizeof(name));
	ck_assert_str_eq(name, "Ctrl-A");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { plain, kill, commands, held_too_long, none, names, NULL };

	return test_main("terminal", tests);
}
