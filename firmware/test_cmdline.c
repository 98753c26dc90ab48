/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_cmdline.c - the builder's bound, and the reader against lines that Linux reads in its own way. */
#include <errno.h>
#include <string.h>
#include "bits.h"
#include "cmdline.h"
#include "test.h"

START_TEST(build)
{
	struct cmdline c;

	cmdline_init(&c);
	ck_assert_str_eq(c.text, "");
	ck_assert_int_eq(cmdline_append(&c, "  ", NULL), 0);
	ck_assert_str_eq(c.text, "");
	ck_assert_int_eq(cmdline_append(&c, "console=ttyS0", NULL), 0);
	ck_assert_int_eq(cmdline_append(&c, " \tquiet  ro ", NULL), 0);
	ck_assert_int_eq(cmdline_append(&c, "", NULL), 0);
	ck_assert_int_eq(cmdline_appendf(&c, NULL, "root=/dev/vda%u", 2u), 0);
	ck_assert_str_eq(c.text, "console=ttyS0 quiet  ro root=/dev/vda2");
	ck_assert_uint_eq(c.len, strlen(c.text));
}
END_TEST

START_TEST(bound)
{
	static char text[CMDLINE_CAPACITY + 1];
	struct cmdline c;
	struct tvmm_error e;

	cmdline_init(&c);
	memset(text, 'a', sizeof(text) - 1);
	ck_assert_int_eq(cmdline_append(&c, text, &e), -EINVAL);
	ck_assert_int_eq(cmdline_appendf(&c, &e, "%s", text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.message, "4096 bytes are too many, 4095 are possible"));
	ck_assert_str_eq(c.text, "");
	text[CMDLINE_CAPACITY - 1] = '\0';
	ck_assert_int_eq(cmdline_append(&c, text, &e), 0);
	ck_assert_uint_eq(c.len, CMDLINE_CAPACITY - 1);
	ck_assert_int_eq(cmdline_append(&c, "b", &e), -EINVAL);
	ck_assert_str_eq(c.text, text);

	ck_assert_int_eq(cmdline_check(&c, CMDLINE_CAPACITY - 1, &e), 0);
	ck_assert_int_eq(cmdline_check(&c, 2047, &e), -EINVAL);
	ck_assert_str_eq(e.message, "4095 bytes are too many, this kernel takes 2047");
	ck_assert_int_eq(cmdline_check(&c, UINT64_MAX, &e), 0);
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{ "quiet\nroot=x", "control character 0xa after \"quiet\"" },
		{ "a\x1b[2J", "control character 0x1b after \"a\"" },
		{ "a=\"b c", "a double quote is never closed in \"a=\"b c\"" },
		{ "\"", "a double quote is never closed" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cmdline c;
		struct tvmm_error e;

		cmdline_init(&c);
		ck_assert_int_eq(cmdline_append(&c, "before", &e), 0);
		ck_assert_int_eq(cmdline_append(&c, bad[i].text, &e), -EINVAL);
		ck_assert_msg(strstr(e.message, bad[i].message) != NULL, "%s", e.message);
		ck_assert_int_eq(e.code, TVMM_E_CONFIG);
		ck_assert_str_eq(c.text, "before");
	}
}
END_TEST

START_TEST(lookup)
{
	static const struct {
		const char *line, *name, *value; /* value NULL: the option is not there */
	} q[] = {
		{ "", "root", NULL },
		{ "root=/dev/vda", "root", "/dev/vda" },
		{ "root=/dev/vda", "roo", NULL },
		{ "root=/dev/vda", "root=", NULL },
		{ "nroot=1 rootwait", "root", NULL },
		{ "quiet", "quiet", "" },
		{ "quiet=", "quiet", "" },
		{ "quietly", "quiet", NULL },
		{ "console=tty0 console=ttyS0,115200 console=hvc0", "console", "hvc0" },
		{ "root=a root", "root", "" },
		{ "  root=a\tinit=b  ", "init", "b" },
		{ "dyndbg=\"file x +p; root=y\" z", "root", NULL },
		{ "dyndbg=\"file x +p\" z", "dyndbg", "file x +p" },
		{ "\"dyndbg=file x +p\" z", "dyndbg", "file x +p" },
		{ "\"dyndbg=\"file\"\"", "dyndbg", "file\"" },
		{ "\"quiet\" z", "quiet", "" },
		{ "quiet -- root=x", "root", NULL },
		{ "quiet --x root=x", "root", "x" },
		{ "a=-- root=x", "root", "x" },
		{ "log-buf_len=1M", "log_buf-len", "1M" },
		{ "a=b=c", "a", "b=c" },
		{ "=x", "", "x" },
		{ "\"=\"", "", "" },
		{ "\"", "", "" },
		{ "a=\"", "a", "" },
		{ "\"a=", "a", "" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
		char buf[64] = "?";
		int ret = cmdline_last(q[i].line, q[i].name, buf, sizeof(buf));

		ck_assert_msg(cmdline_has(q[i].line, q[i].name) == (q[i].value != NULL), "%s in <%s>", q[i].name,
			      q[i].line);
		if (!q[i].value) {
			ck_assert_int_eq(ret, -ENOENT);
			ck_assert_str_eq(buf, "?");
			continue;
		}
		ck_assert_msg(!strcmp(buf, q[i].value), "%s in <%s> is <%s>", q[i].name, q[i].line, buf);
		ck_assert_int_eq(ret, (int)strlen(q[i].value));
	}
}
END_TEST

START_TEST(cut)
{
	char buf[4];

	ck_assert_int_eq(cmdline_last("init=/sbin/init", "init", buf, sizeof(buf)), 10);
	ck_assert_str_eq(buf, "/sb");
	ck_assert_int_eq(cmdline_last("init=/sbin/init", "init", NULL, 0), 10);
}
END_TEST

/* Every line of up to five of these characters: lengths stay inside the line, and both questions agree. */
START_TEST(exhaust)
{
	static const char set[] = { '\0', ' ', '"', '=', '-', 'a' };

	for (unsigned n = 0; n < 7776; n++) {
		char *line = malloc(6); /* exactly: a read past the end is seen */
		char buf[8];
		unsigned v = n, len;
		int ret;

		for (unsigned i = 0; i < 5; i++, v /= 6)
			line[i] = set[v % 6];
		line[5] = '\0';
		len = (unsigned)strlen(line);
		ret = cmdline_last(line, "a", buf, sizeof(buf));
		ck_assert_int_eq(ret >= 0, cmdline_has(line, "a"));
		ck_assert_int_lt(ret, (int)len + 1);
		free(line);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { build, bound, refusals, lookup, cut, exhaust, NULL };

	return test_main("cmdline", tests);
}
