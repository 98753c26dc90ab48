/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_result.c - exit codes, JSON strings, and the result file that is whole or absent.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "result.h"
#include "test.h"

static struct tvmm_error err;

START_TEST(codes)
{
	static const struct {
		int reason, code;
		const char *name;
	} all[] = {
		{ TVMM_POWEROFF, 0, "poweroff" },	    { TVMM_REBOOT, 0, "reboot" },
		{ TVMM_PANIC, 255, "panic" },		    { TVMM_TRIPLE_FAULT, 254, "triple-fault" },
		{ TVMM_KVM_ERROR, 254, "kvm-error" },	    { TVMM_HOST_ERROR, 125, "vmm-error" },
		{ 99, 125, "vmm-error" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct tvmm_result result = { .size = sizeof(result), .reason = all[i].reason };
		struct outcome o;

		outcome_of_machine(&o, &result);
		ck_assert_int_eq(o.exit_status, all[i].code);
		ck_assert_str_eq(o.reason, all[i].name);
		ck_assert_str_ne(o.detail, "");
		strcpy(result.detail, "d");
		strcpy(result.hint, "h");
		outcome_of_machine(&o, &result);
		ck_assert_str_eq(o.detail, "d");
		ck_assert_str_eq(o.hint, "h");
	}
}
END_TEST

START_TEST(debug_exit)
{
	static const struct {
		int32_t machine, process;
	} all[] = { { 1, 1 }, { 33, 33 }, { 255, 255 }, { 257, 1 }, { -1, 255 }, { INT32_MIN + 3, 3 } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct tvmm_result result = { .size = sizeof(result), .reason = TVMM_DEBUG_EXIT, .exit_status = all[i].machine };
		struct outcome o;

		outcome_of_machine(&o, &result);
		ck_assert_int_eq(o.exit_status, all[i].process);
		ck_assert_str_eq(o.reason, "debug-exit");
	}
	/* Of another end it means nothing. */
	struct tvmm_result off = { .size = sizeof(off), .reason = TVMM_POWEROFF, .exit_status = 33 };
	struct outcome o;

	outcome_of_machine(&o, &off);
	ck_assert_int_eq(o.exit_status, 0);
}
END_TEST

static void json_is(const char *text, const char *expected)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);

	json_string(out, text);
	fclose(out);
	ck_assert_str_eq(got, expected);
	free(got);
}

START_TEST(json)
{
	json_is("", "\"\"");
	json_is("a\"b\\c\n\t\x01\x7f", "\"a\\\"b\\\\c\\n\\u0009\\u0001\\u007f\"");
	json_is("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
	json_is("\xff|\xc3|\xc0\x80|\xed\xa0\x80|\xf4\x90\x80\x80|\xe0\x80\x80|\xf0\x9f\x98",
		"\"\\ufffd|\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|"
		"\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\"");
}
END_TEST

static void file_is(const char *path, const char *expected)
{
	char text[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	ck_assert_str_eq(text, expected);
}

static unsigned entries(const char *pattern)
{
	glob_t g;
	unsigned n = glob(pattern, 0, NULL, &g) ? 0 : (unsigned)g.gl_pathc;

	globfree(&g);
	return n;
}

START_TEST(file)
{
	char dir[] = "/tmp/test_result.XXXXXX";
	struct outcome o = { .exit_status = 255, .reason = "panic", .detail = "it \"died\"" };
	const char *whole = "{\"reason\":\"panic\",\"exit_status\":255,\"detail\":\"it \\\"died\\\"\"}\n";
	struct stat st;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	umask(022);
	ck_assert_int_eq(result_prepare("r", &err), 0);
	ck_assert_uint_eq(entries("*"), 0);
	ck_assert_int_eq(result_write("r", &o, &err), 0);
	file_is("r", whole);
	ck_assert_int_eq(stat("r", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);

	/* A link stays a link; an older result goes when the next run begins. */
	ck_assert_int_eq(symlink("r", "link"), 0);
	o.exit_status = 0;
	strcpy(o.hint, "h");
	ck_assert_int_eq(result_write("link", &o, &err), 0);
	file_is("r", "{\"reason\":\"panic\",\"exit_status\":0,\"detail\":\"it \\\"died\\\"\",\"hint\":\"h\"}\n");
	ck_assert_int_eq(lstat("link", &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(result_prepare("link", &err), 0);
	ck_assert_int_eq(access("r", F_OK), -1);
	ck_assert_int_eq(unlink("link"), 0);
	ck_assert_uint_eq(entries("*"), 0);

	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(file_errors)
{
	struct outcome o = { .reason = "poweroff" };
	char longest[5000];

	ck_assert_int_eq(result_prepare("/nonexistent/r", &err), -ENOENT);
	ck_assert_str_eq(err.message, "cannot write the result file");
	ck_assert_str_eq(err.object, "/nonexistent/r");
	ck_assert_int_eq(result_write("/nonexistent/r", &o, &err), -ENOENT);
	ck_assert_int_eq(result_prepare("/tmp", &err), -EISDIR);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(result_prepare(longest, &err), -ENAMETOOLONG);

	/* A device is written to, not replaced. */
	ck_assert_int_eq(result_prepare("/dev/null", &err), 0);
	ck_assert_int_eq(result_write("/dev/null", &o, &err), 0);
	ck_assert_int_eq(result_write("/dev/full", &o, &err), -ENOSPC);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { codes, debug_exit, json, file, file_errors, NULL };

	return test_main("result", tests);
}
