/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_opts.c - the walk over argv and the command's own values.  What each mistake is called, test_cli.cases tells.
 */
#include <errno.h>
#include <string.h>

#include "opts.h"
#include "test.h"

#define WALK(...) { .verb = VERB_RUN, .argv = (char **)(const char *[]){ __VA_ARGS__, NULL } }

static struct tvmm_error err;

static void expect(struct opts_walk *w, const char *name, const char *value)
{
	const struct opt *opt;
	const char *got;
	int ret = opts_next(w, &opt, &got, &err);

	ck_assert_msg(ret == 1, "%s: %s", name, err.message);
	ck_assert_str_eq(opt->name, name);
	ck_assert_str_eq(got, value);
}

static void expect_error(struct opts_walk *w, const char *message, const char *object)
{
	const struct opt *opt;
	const char *value;

	ck_assert_int_eq(opts_next(w, &opt, &value, &err), -EINVAL);
	ck_assert_str_eq(err.message, message);
	ck_assert_str_eq(err.object, object);
}

static void expect_end(struct opts_walk *w)
{
	const struct opt *opt;
	const char *value;

	ck_assert_int_eq(opts_next(w, &opt, &value, &err), 0);
	ck_assert_int_eq(opts_next(w, &opt, &value, &err), 0);
}

START_TEST(forms)
{
	struct opts_walk w = WALK("--kernel", "a", "--kernel=b=c", "-k", "d", "--quiet", "-q", "--quiet=off", "--params", "x",
				  "--cmdline=", "--disk", "-", "--append", "-5", "--append=--quiet",
				  "--debug-exit", "--debug-exit=0x501", "--debug-exit=", "-q");

	expect(&w, "kernel", "a");
	expect(&w, "kernel", "b=c");
	expect(&w, "kernel", "d");
	expect(&w, "quiet", "on");
	expect(&w, "quiet", "on");
	expect(&w, "quiet", "off");
	expect(&w, "append", "x");
	expect(&w, "append", "");
	expect(&w, "disk", "-");
	expect(&w, "append", "-5");
	expect(&w, "append", "--quiet");
	expect(&w, "debug-exit", "on");
	expect(&w, "debug-exit", "0x501");
	expect(&w, "debug-exit", "");
	expect(&w, "quiet", "on");
	expect_end(&w);
}
END_TEST

START_TEST(mistakes_do_not_end_the_walk)
{
	struct opts_walk w = WALK("--bogus", "x", "--kernel", "--quiet", "-kernel", "y", "-m512", "--kern", "--quiet=2", "-",
				  "--", "cmd", "--quiet");

	expect_error(&w, "unknown option", "--bogus");
	expect_error(&w, "unexpected argument", "x");
	expect_error(&w, "a value is missing", "--kernel");
	expect(&w, "quiet", "on");
	expect_error(&w, "unknown option", "-kernel");
	ck_assert_str_eq(err.hint, "did you mean --kernel?");
	expect_error(&w, "unexpected argument", "y");
	expect_error(&w, "unknown option", "-m512");
	ck_assert_str_eq(err.hint, "write the value apart: -m 512");
	expect_error(&w, "unknown option", "--kern");
	expect_error(&w, "'2' is neither on nor off", "--quiet");
	expect_error(&w, "unexpected argument", "-");
	expect_error(&w, "running a command in the guest is not supported yet", "cmd");
	expect_end(&w);
}
END_TEST

START_TEST(verb_has_its_own_options)
{
	struct opts_walk w = WALK("--json", "--kernel", "k", "-h");

	w.verb = VERB_CHECK;
	expect(&w, "json", "on");
	expect_error(&w, "unknown option", "--kernel");
	expect_error(&w, "unexpected argument", "k");
	expect(&w, "help", "on");
	expect_end(&w);
}
END_TEST

START_TEST(verb_names)
{
	const char *near;

	ck_assert_int_eq(opts_find_verb("check", &near), VERB_CHECK);
	ck_assert_int_eq(opts_find_verb("chekc", &near), VERB_NONE);
	ck_assert_str_eq(near, "check");
	ck_assert_int_eq(opts_find_verb("a-name-longer-than-any", &near), VERB_NONE);
	ck_assert_ptr_null(near);
	ck_assert_int_eq(opts_find_verb("", &near), VERB_NONE);
	ck_assert_ptr_null(near);
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "5", 5000000000 },	 { "1.5s", 1500000000 },	     { "2m", 120000000000 },
		{ "1h", 3600000000000 }, { "0.5m", 30000000000 },	     { "0.000000001", 1 },
		{ "8760h", 31536000000000000 }, { "0.25h", 900000000000 },
	};
	static const char *const bad[] = { "", "s", "-1", "1d", "1.", ".5", "1.s", "5 ", "1ms", "1e3", "0", "0.0000000001",
					   "8761h", "99999999999999999999", "5m1" };
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(opts_duration("--timeout", good[i].text, &ns, &err), 0);
		ck_assert_uint_eq(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(opts_duration("--timeout", bad[i], &ns, &err) == -EINVAL, "'%s' was taken", bad[i]);
}
END_TEST

START_TEST(keys)
{
	static const char *const bad[] = { "", "^", "]", "^1", "^]]", "off", "^`" };
	int key = 0;

	ck_assert_int_eq(opts_escape("none", &key, &err), 0);
	ck_assert_int_eq(key, -1);
	ck_assert_int_eq(opts_escape("^]", &key, &err), 0);
	ck_assert_int_eq(key, 0x1d);
	ck_assert_int_eq(opts_escape("^a", &key, &err), 0);
	ck_assert_int_eq(key, 1);
	ck_assert_int_eq(opts_escape("^_", &key, &err), 0);
	ck_assert_int_eq(key, 0x1f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(opts_escape(bad[i], &key, &err) == -EINVAL, "'%s' was taken", bad[i]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { forms, mistakes_do_not_end_the_walk, verb_has_its_own_options, verb_names, durations,
				       keys, NULL };

	return test_main("opts", tests);
}
