/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_vigil.c - looking on becomes the rule where something comes of it, ends where nothing does, and is then tried ever
 * more rarely.
 */
#include "vigil.h"
#include "test.h"

/* Turns until it is worth it. */
static unsigned turns(struct vigil *l)
{
	unsigned n = 1;

	while (!vigil_is_worth(l))
		n++;
	return n;
}

START_TEST(worth)
{
	struct vigil l = { 0 };

	ck_assert_uint_gt(turns(&l), 1);
	vigil_ended(&l, true);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert(vigil_is_worth(&l));
		vigil_ended(&l, i % 2); /* one that fails is chance */
	}
	vigil_ended(&l, false);
	ck_assert(vigil_is_worth(&l));
	vigil_ended(&l, false);
	ck_assert(!vigil_is_worth(&l));
}
END_TEST

START_TEST(rarer)
{
	struct vigil l = { 0 };
	unsigned sum = 0, tries = 0, last = 0;

	while (sum < 1000000) {
		unsigned n = turns(&l);

		ck_assert_uint_ge(n, last < 4000 ? last : 4000);
		last = n;
		sum += n;
		tries++;
		vigil_ended(&l, false);
	}
	ck_assert_uint_lt(tries, 300);
	/* One success, and it is tried often again. */
	turns(&l);
	vigil_ended(&l, true);
	vigil_ended(&l, false);
	vigil_ended(&l, false);
	ck_assert_uint_lt(turns(&l), 100);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { worth, rarer, NULL };

	return test_main("vigil", tests);
}
