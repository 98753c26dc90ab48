/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_overcommit.c - the decision by itself, case by case; and several machines that decide apart on one simulated host:
 * where they settle, how they swing, what a lying, deaf or silent guest can do to the others.
 */
#include "overcommit.h"

#include <stdio.h>
#include "bits.h"
#include "test.h"

/* ---- one decision ------------------------------------------------------------------------------------------------- */

static const struct oc_policy policy = { .min = MIB(256), .max = GIB(4), .weight = 100 };

/* A guest that uses 1 GiB of its 4, on a host of 16 GiB with half of it left. */
static struct oc_sample calm(void)
{
	return (struct oc_sample){
		.now_ms = 1000, .total = GIB(16), .available = GIB(8), .psi = true, .swap_free = GIB(4),
		.resident = MIB(1100), .driver = true, .can_trim = true, .seq = 1,
		.g_total = GIB(4) - MIB(64), .g_free = GIB(3) - MIB(64), .g_avail = GIB(3) - MIB(64),
	};
}

static struct oc_decision next(struct oc_state *st, struct oc_sample *s, uint64_t ms)
{
	struct oc_decision d;

	oc_decide(&policy, st, s, &d);
	ck_assert_uint_ge(d.target, policy.min);
	ck_assert_uint_le(d.target, policy.max);
	ck_assert_uint_gt(d.wait_ms, 0);
	s->now_ms += ms;
	s->seq++;
	s->swapped += d.pageout; /* it stays there, but where a test says otherwise */
	return d;
}

START_TEST(nothing_to_do)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();

	for (unsigned i = 0; i < 100; i++) {
		struct oc_decision d = next(&st, &s, 2000);

		ck_assert(!d.changed && !d.trim && !d.pageout && !d.hurt);
		ck_assert_uint_eq(d.target, GIB(4));
		ck_assert_int_eq(d.regime, OC_GREEN);
		ck_assert_int_eq(d.reason, OC_STEADY);
	}
}
END_TEST

START_TEST(regimes)
{
	static const struct {
		uint64_t left;
		enum oc_regime want;
	} step[] = { /* the mark is at 2 GiB, a third and a twelfth of it below, and the way back an eighth of a GiB longer */
		{ GIB(8), OC_GREEN },	 { MIB(2100), OC_GREEN },  { MIB(2000), OC_YELLOW }, { MIB(2100), OC_YELLOW },
		{ MIB(2200), OC_GREEN }, { MIB(600), OC_ORANGE },  { MIB(750), OC_ORANGE },  { MIB(850), OC_YELLOW },
		{ MIB(100), OC_RED },	 { 0, OC_RED },		   { MIB(250), OC_RED },     { MIB(400), OC_ORANGE },
		{ GIB(8), OC_GREEN },
	};
	struct oc_state st = { 0 };
	struct oc_sample s = calm();

	for (unsigned i = 0; i < ARRAY_SIZE(step); i++) {
		s.available = step[i].left;
		ck_assert_int_eq(next(&st, &s, 100).regime, step[i].want);
	}
}
END_TEST

/* Stalls make a host that claims to have room a host without; a rise is what counts, not the total. */
START_TEST(stalls)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	struct oc_decision d;

	s.some_us = s.full_us = 1ull << 60;
	ck_assert_int_eq(next(&st, &s, 1000).regime, OC_GREEN);
	ck_assert_int_eq(next(&st, &s, 1000).regime, OC_GREEN);
	s.available = MIB(2560);
	s.some_us += 400000; /* 40 % of the second */
	d = next(&st, &s, 1000);
	ck_assert_uint_eq(d.stall_permille, 400);
	ck_assert_int_ge(d.regime, OC_ORANGE);
	/* Samples come thick: 40 ms are 8 % of half a second, not 40 % of a tenth, and fade. */
	next(&st, &s, 100);
	s.some_us += 40000;
	ck_assert_uint_eq(next(&st, &s, 100).stall_permille, 80);
	for (unsigned i = 0; i < 20; i++)
		d = next(&st, &s, 100);
	ck_assert_uint_le(d.stall_permille, 10);
	next(&st, &s, 1000);
	s.some_us = 0; /* backwards: nothing */
	d = next(&st, &s, 1000);
	ck_assert_uint_eq(d.stall_permille, 0);
	s.some_us = UINT64_MAX;
	ck_assert_uint_le(next(&st, &s, 1000).stall_permille, 1000);
}
END_TEST

START_TEST(short_host)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	struct oc_decision d;

	s.resident = GIB(3); /* its page cache is 2 GiB */
	s.g_free = GIB(1) - MIB(64);
	next(&st, &s, 1000);
	s.available = MIB(100);
	d = next(&st, &s, 500);
	ck_assert_int_eq(d.regime, OC_RED);
	ck_assert(d.changed);
	ck_assert_int_eq(d.reason, OC_CUT);
	/* Of what it has, not of what it might have; and not at a stroke. */
	ck_assert_uint_lt(d.target, s.resident);
	ck_assert_uint_ge(d.target, s.resident / 2);
	/* Then it waits to see what came of it. */
	ck_assert(next(&st, &s, 500).target >= d.target - MIB(64));
	/* It stays bad: page out, a bounded piece. */
	for (unsigned i = 0; i < 6; i++) {
		d = next(&st, &s, 500);
		ck_assert_uint_le(d.pageout, s.resident / 8);
	}
	ck_assert_uint_gt(d.pageout, 0);
	ck_assert_int_eq(d.reason, OC_PAGEOUT);
	s.swap_free = 0;
	d = next(&st, &s, 500);
	ck_assert_uint_eq(d.pageout, 0);
	ck_assert_int_eq(d.reason, OC_NO_SWAP);
}
END_TEST

START_TEST(idle_gives_and_hurt_gets)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	struct oc_decision d = { 0 };
	uint64_t low;

	/* A yellow host: what is not used goes, slowly, down to what is in use and some room. */
	s.available = MIB(1500);
	for (unsigned i = 0; i < 400; i++) {
		d = next(&st, &s, 1000);
		s.held = policy.max - d.target;
		s.g_free = MIB(64);
		s.g_avail = policy.max - MIB(64) - GIB(1) - s.held;
		s.resident = policy.max - s.held; /* page cache fills what there is */
	}
	ck_assert_uint_le(d.target, MIB(1400));
	ck_assert_uint_ge(d.target, MIB(1024 + 64));
	low = d.target;
	/* It hurts: more at the next sample, also on this host, up to its share. */
	s.stalls += 1000;
	d = next(&st, &s, 1000);
	ck_assert(d.hurt);
	ck_assert_int_eq(d.reason, OC_HURT);
	ck_assert_uint_ge(d.target, low + MIB(64));
	/* And keeps it for a while. */
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_ge(next(&st, &s, 1000).target, low + MIB(64));
	/* Plenty again: everything, within minutes. */
	s.available = GIB(8);
	for (unsigned i = 0; i < 300; i++)
		d = next(&st, &s, 2000);
	ck_assert_uint_eq(d.target, policy.max);
}
END_TEST

/* Two seconds between samples are too long for a guest that waits for memory, and for a host about to run out. */
START_TEST(looks_sooner)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();

	next(&st, &s, 2000);
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 2000);
	s.stalls += 1000; /* it hurts, but has everything there is */
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 2000);
	st.target = st.share = st.want = GIB(1);
	s.stalls += 1000;
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 250);
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 500); /* it may need more soon */
	st.target = st.share = st.want = policy.max;
	/* The mark is at 2 GiB.  At this pace it is reached in 3 s, in less than 1 s, at once. */
	s.available = GIB(7);
	next(&st, &s, 2000);
	s.available -= GIB(2);
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 1000);
	s.available -= GIB(2);
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 333);
	s.available -= MIB(900);
	ck_assert_uint_eq(next(&st, &s, 333).wait_ms, 250);
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 500); /* the mark is near */
	s.available = GIB(5);
	/* Nothing is left in a second. */
	s.available = MIB(1000);
	next(&st, &s, 500);
	s.available = MIB(500);
	ck_assert_uint_eq(next(&st, &s, 500).wait_ms, 125);
	s.available = MIB(100);
	ck_assert_uint_eq(next(&st, &s, 500).wait_ms, 100);
	s.available = GIB(5);
	next(&st, &s, 2000);
	/* The clock jumped, or this is another supply: no pace is known. */
	next(&st, &s, 3600000);
	s.available -= MIB(50);
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 2000);
	s.total = GIB(10);
	s.available -= MIB(600);
	ck_assert_uint_eq(next(&st, &s, 2000).wait_ms, 2000);
}
END_TEST

START_TEST(trims)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	unsigned n = 0;

	s.resident = GIB(3); /* of which 2 GiB are free inside */
	/* Where nobody waits, reporting has ten seconds. */
	for (unsigned i = 0; i < 5; i++)
		ck_assert(!next(&st, &s, 2000).trim);
	ck_assert(next(&st, &s, 2000).trim);
	ck_assert(!next(&st, &s, 2000).trim);
	/* It does not help: asked less and less often, never given up. */
	for (unsigned i = 0; i < 1800; i++)
		n += next(&st, &s, 2000).trim;
	ck_assert_uint_ge(n, 5);
	ck_assert_uint_le(n, 20);
	s.resident = MIB(1100);
	ck_assert(!next(&st, &s, 1000000).trim);
	s.can_trim = false;
	s.resident = GIB(3);
	ck_assert(!next(&st, &s, 1000000).trim);
	s.can_trim = true;

	/* Where somebody waits it is done at once, but not in a guest that takes more. */
	st = (struct oc_state){ 0 };
	s = calm();
	next(&st, &s, 2000);
	s.available = MIB(1500);
	for (unsigned i = 1; i < 10; i++) {
		s.resident = GIB(2) + MIB(10 * i);
		ck_assert(!next(&st, &s, 500).trim);
	}
	ck_assert(next(&st, &s, 500).trim);
	/* It helped.  The next time is not held against it. */
	s.resident = MIB(1100);
	next(&st, &s, 500);
	s.resident = GIB(2);
	next(&st, &s, 500);
	ck_assert(next(&st, &s, 500).trim); /* and need not wait for the pause after that one */
	ck_assert_uint_eq(st.trim_backoff, 0);
}
END_TEST

/* What the host has not got of a guest is not asked of it: that would fill its balloon with nothing, and take time twice. */
START_TEST(nothing_to_gain)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();

	/* It was busy once, and uses 1 GiB of 4 now.  The host is short because of others. */
	next(&st, &s, 1000);
	s.available = MIB(150);
	for (unsigned i = 0; i < 100; i++) {
		struct oc_decision d = next(&st, &s, 250);

		ck_assert_int_ge(d.regime, OC_ORANGE);
		ck_assert_uint_eq(d.target, policy.max);
	}
	/* Its page cache comes near what it may have by now: then that holds. */
	s.available = MIB(1500);
	s.resident = GIB(4) - MIB(64);
	s.g_free = 0;
	next(&st, &s, 500);
	ck_assert_uint_lt(next(&st, &s, 500).target, policy.max);
}
END_TEST

/* Growing into the last that the host has, it gets no more than that, as long as it has page cache to drop instead. */
START_TEST(brakes)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	struct oc_decision d;

	s.available = MIB(1300);
	s.resident = GIB(3);
	s.g_free = GIB(1) - MIB(64);
	s.g_avail = GIB(3) - MIB(64);
	next(&st, &s, 250);
	s.resident += MIB(300);
	s.g_free -= MIB(300);
	s.g_avail -= MIB(300);
	s.available -= MIB(300);
	d = next(&st, &s, 250);
	ck_assert(d.changed);
	ck_assert_int_eq(d.reason, OC_BRAKE);
	ck_assert_uint_le(d.target, s.resident + s.available);
	ck_assert_uint_ge(d.target, s.resident + s.available / 4);
	/* It stands still: so does the target. */
	ck_assert(!next(&st, &s, 250).changed);

	/* All that is not free is in use: there is nothing that a brake could save. */
	st = (struct oc_state){ 0 };
	s.g_avail = s.g_free;
	s.resident -= MIB(300);
	next(&st, &s, 250);
	s.resident += MIB(300);
	ck_assert(!next(&st, &s, 250).changed);

	/* It just ended its work: what it freed is not page cache, and comes back by itself. */
	st = (struct oc_state){ 0 };
	s.g_free = s.g_avail = GIB(1);
	s.resident -= MIB(300);
	next(&st, &s, 250);
	s.resident += MIB(300);
	s.g_free = s.g_avail = GIB(3);
	ck_assert(!next(&st, &s, 250).changed);
}
END_TEST

/* Its turn: what it lacks comes in one step where the host has room, and before it waits. */
START_TEST(turn)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	struct oc_decision d;

	next(&st, &s, 500);
	st.target = st.share = st.want = MIB(1200);
	s.held = policy.max - st.target;
	s.resident = MIB(1150);
	s.g_free = s.g_avail = MIB(60);
	d = next(&st, &s, 500);
	ck_assert(!d.hurt);
	s.g_free = s.g_avail = MIB(10);
	d = next(&st, &s, 500);
	ck_assert(d.hurt);
	ck_assert_uint_ge(d.target, MIB(1500));
	ck_assert_uint_eq(d.wait_ms, 250);
}
END_TEST

START_TEST(useless_guests)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	struct oc_decision d = { 0 };

	s.driver = false;
	s.available = MIB(300);
	for (unsigned i = 0; i < 20; i++)
		d = next(&st, &s, 500);
	ck_assert(!d.changed);
	ck_assert_uint_gt(d.pageout, 0); /* there is nothing else to do */
	s.available = GIB(2);
	ck_assert_int_eq(next(&st, &s, 500).reason, OC_NO_DRIVER);

	st = (struct oc_state){ 0 };
	s = calm();
	s.available = MIB(1200);
	s.resident = GIB(4);
	s.g_free = 0;
	for (unsigned i = 0; i < 60; i++)
		d = next(&st, &s, 1000);
	ck_assert_int_eq(d.reason, OC_DEAF);
	for (unsigned i = 0; i < 5; i++) { /* it moves after all */
		s.held += MIB(100);
		d = next(&st, &s, 1000);
	}
	ck_assert_int_ne(d.reason, OC_DEAF);

	st = (struct oc_state){ 0 };
	s = calm();
	s.held = GIB(3);
	s.resident = GIB(4);
	for (unsigned i = 0; i < 20; i++)
		d = next(&st, &s, 1000);
	ck_assert_int_eq(d.reason, OC_NO_EFFECT);

	st = (struct oc_state){ 0 };
	s = calm();
	s.total = 0;
	d = next(&st, &s, 1000);
	ck_assert_int_eq(d.reason, OC_BLIND);
	ck_assert_uint_eq(d.target, policy.max);
}
END_TEST

/* What is paged out and comes back at once is left alone more and more; when it stays out, the pace returns. */
START_TEST(swap_that_comes_back)
{
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	struct oc_decision d = { 0 };
	uint64_t sent = 0, first = 0, stays = 0;
	unsigned pieces = 0, told = 0;

	s.driver = false;
	s.available = MIB(100);
	for (unsigned i = 0; i < 120; i++) {
		d = next(&st, &s, 500);
		s.swapped = 0;
		if (d.pageout && !first)
			first = d.pageout;
		pieces += d.pageout > 0;
		sent += d.pageout;
		told += d.reason == OC_THRASH;
	}
	ck_assert_uint_gt(first, 0);
	ck_assert_uint_ge(pieces, 3); /* it tries again, in case things changed */
	ck_assert_uint_le(pieces, 8);
	ck_assert_uint_le(sent, 4 * first);
	ck_assert_uint_ge(told, 100);
	pieces = 0;
	for (unsigned i = 0; i < 240; i++) {
		d = next(&st, &s, 500);
		pieces += d.pageout > 0;
		stays += d.pageout;
	}
	ck_assert_uint_ge(pieces, 60);
	ck_assert_uint_ge(stays, 50 * first);
}
END_TEST

/* A log of samples, as text, decides again what it decided. */
START_TEST(replay)
{
	enum { N = 400 };
	static char log[N][400];
	static struct oc_decision did[N];
	struct oc_state st = { 0 };
	struct oc_sample s = calm();
	uint32_t r = 7;

	for (unsigned i = 0; i < N; i++) {
		r = r * 1664525 + 1013904223;
		s.available = (uint64_t)(r >> 8) * 512;
		s.resident = MIB(r >> 20);
		s.stalls += r % 7 == 0 ? 1000 : 0;
		s.psi = true;
		s.some_us += r % 100000;
		ck_assert_int_lt(oc_format(log[i], sizeof(log[i]), &policy, &s), sizeof(log[i]));
		did[i] = next(&st, &s, 500 + r % 1000);
	}
	st = (struct oc_state){ 0 };
	for (unsigned i = 0; i < N; i++) {
		struct oc_policy p;
		struct oc_decision d;

		ck_assert(oc_parse(log[i], &p, &s));
		oc_decide(&p, &st, &s, &d);
		ck_assert_uint_eq(d.target, did[i].target);
		ck_assert_int_eq(d.reason, did[i].reason);
		ck_assert_uint_eq(d.pageout, did[i].pageout);
		ck_assert(d.trim == did[i].trim);
	}
}
END_TEST

START_TEST(bad_log)
{
	static const char *const bad[] = { "", ",", "1", "1,2,3", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
					   "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25",
					   "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,x" };
	struct oc_policy p;
	struct oc_sample s;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert(!oc_parse(bad[i], &p, &s));
	ck_assert(oc_parse("1,2,3,4,5,6,1,8,9,10,11,12,13,1,1,16,17,18,19,20,21,22,23,24", &p, &s));
	ck_assert_uint_eq(s.swapped, 12);
	ck_assert_uint_eq(s.ooms, 24);
	ck_assert_uint_eq(p.weight, 3);
}
END_TEST

/* Figures from anywhere: always in bounds, no arithmetic leaves 64 bits (UBSan), no division by nothing. */
START_TEST(wild)
{
	static const uint64_t v[] = { 0, 1, 4095, MIB(1), GIB(1), GIB(4), 1ull << 40, INT64_MAX, UINT64_MAX };
	struct oc_state st = { 0 };
	uint64_t r = 1;

	for (unsigned i = 0; i < 200000; i++) {
		struct oc_sample s;
		uint64_t *f[] = { &s.now_ms, &s.total, &s.available, &s.some_us, &s.full_us, &s.swap_free, &s.resident, &s.swapped, &s.held,
				  &s.last_trim, &s.seq, &s.g_total, &s.g_free, &s.g_avail, &s.majflt, &s.swap_in, &s.stalls, &s.ooms };
		struct oc_policy p = { .weight = 1 + i % 10000 };
		struct oc_decision d;

		memset(&s, 0, sizeof(s));
		for (unsigned k = 0; k < ARRAY_SIZE(f); k++) {
			r = r * 6364136223846793005ull + 1442695040888963407ull;
			*f[k] = v[(r >> 33) % ARRAY_SIZE(v)] + (r >> 60);
		}
		s.psi = r & 1 << 20;
		s.driver = r & 1 << 21;
		s.can_trim = r & 1 << 22;
		p.min = MIB(64);
		p.max = i % 3 ? GIB(4) : 1ull << 40;
		if (i % 500 == 0 || p.max != st.share)
			st = i % 7 ? (struct oc_state){ 0 } : st;
		oc_decide(&p, &st, &s, &d);
		if (d.target < p.min || d.target > 1ull << 40 || d.pageout > s.resident)
			ck_abort_msg("round %u: target %lu, page out %lu of %lu", i, d.target, d.pageout, s.resident);
	}
}
END_TEST

START_TEST(words)
{
	for (unsigned i = 0; i < OC_REASONS; i++)
		ck_assert_ptr_nonnull(oc_reason_text(i));
	ck_assert_str_eq(oc_reason_text(99), "?");
	ck_assert_str_eq(oc_regime_name(OC_RED), "red");
	ck_assert_str_eq(oc_regime_name(77), "?");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { nothing_to_do, regimes, stalls, short_host, idle_gives_and_hurt_gets, looks_sooner,
				       trims, nothing_to_gain, brakes, turn, useless_guests, swap_that_comes_back, replay, bad_log, wild, words, NULL };

	return test_main("overcommit", tests);
}
