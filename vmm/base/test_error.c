/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_error.c - errors: what is returned, what is filled, what is cut. */
#include "error.h"
#include "test.h"

START_TEST(fills)
{
	struct tvmm_error e;

	ck_assert_int_eq(err_set(&e, TVMM_E_IO, ENOENT, "disk 1", "cannot open '%s'", "x"), -ENOENT);
	ck_assert_int_eq(e.code, TVMM_E_IO);
	ck_assert_int_eq(e.sys_errno, ENOENT);
	ck_assert_str_eq(e.object, "disk 1");
	ck_assert_str_eq(e.message, "cannot open 'x'");
	ck_assert_str_eq(e.hint, "");
	err_hint(&e, "try %d", 7);
	ck_assert_str_eq(e.hint, "try 7");
	/* A second error replaces all of the first. */
	ck_assert_int_eq(err_set(&e, TVMM_E_CONFIG, 0, NULL, "no"), -EINVAL);
	ck_assert_int_eq(e.sys_errno, 0);
	ck_assert_str_eq(e.object, "");
	ck_assert_str_eq(e.hint, "");
}
END_TEST

START_TEST(null_and_long)
{
	struct tvmm_error e;
	char big[4096];

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	ck_assert_int_eq(err_set(NULL, TVMM_E_IO, EIO, big, "%s", big), -EIO);
	err_hint(NULL, "%s", big);
	err_set(&e, TVMM_E_IO, EIO, big, "%s", big);
	err_hint(&e, "%s", big);
	ck_assert_uint_eq(strlen(e.object), sizeof(e.object) - 1);
	ck_assert_uint_eq(strlen(e.message), sizeof(e.message) - 1);
	ck_assert_uint_eq(strlen(e.hint), sizeof(e.hint) - 1);
}
END_TEST

int main(void)
{
	return test_main("error", (const TTest *const[]){ fills, null_and_long, NULL });
}
