/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test.h - the few lines that every unit test's main() shares.  Tests are written with libcheck, speak TAP (the build
 * sets CK_TAP_LOG_FILE_NAME) and run without /dev/kvm, under AddressSanitizer and UndefinedBehaviorSanitizer.
 */
#ifndef TVMM_BASE_TEST_H
#define TVMM_BASE_TEST_H

#include <check.h>
#include <dirent.h>
#include <stdlib.h>

/* Entries of a folder, the two that each has included. */
static inline unsigned count_dir(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* This process's descriptors and threads: compared before and after, for those that were left. */
static inline unsigned count_fds(void)
{
	return count_dir("/proc/self/fd");
}

static inline unsigned count_threads(void)
{
	return count_dir("/proc/self/task");
}

static inline int test_run(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* One suite of one case from a NULL-terminated list of tests. */
static inline int test_main(const char *name, const TTest *const *tests)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);

	for (; *tests; tests++)
		tcase_add_test(tc, *tests);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}

#endif
