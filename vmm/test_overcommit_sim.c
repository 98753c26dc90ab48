/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_overcommit_sim.c - machines that decide apart on one simulated host, half a second at a time, or as a test says.
 *
 * The guests are simple: what they use is theirs, their page cache fills what is left of what they may have, a balloon
 * takes free memory first, then cache, and never what is in use (deflate-on-oom).  The host swaps when it is full, and
 * stalls then.  Each machine samples at the pace it chose, off the others' beat.
 */
#include "overcommit.h"

#include <stdio.h>
#include "bits.h"
#include "test.h"

#define STEP_MS 500
#define VMS_MAX 12

enum kind { HONEST, LIES_FULL, LIES_EMPTY, NO_DRIVER, DEAF, SILENT };

struct vm {
	struct oc_policy p;
	struct oc_state st;
	struct oc_decision d;
	enum kind kind;
	uint64_t use;        /* what its programs want */
	uint64_t files;      /* what they would cache, given room */
	uint64_t rate;       /* bytes a second that its driver moves */
	uint64_t trim_rate;  /* the same of a trim; 0: all at once */
	uint64_t trimming;   /* bytes that the trim under way has yet to give */
	uint64_t held, cache, unreported, has, stalls, seq;
	uint64_t due_ms, clock_off;
	unsigned turns;      /* changes of the target's direction since last cleared */
	int way;
	uint64_t turned_from;
	uint64_t asked;      /* bytes that its driver put into the balloon */
	unsigned trims;
};

struct sim {
	uint64_t total, base, now, swapped, some_us, full_us;
	unsigned step_ms; /* 0: STEP_MS */
	bool psi;
	unsigned n;
	struct vm vm[VMS_MAX];
};

static uint64_t sub0(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t own(const struct vm *v)
{
	return v->p.max / 64; /* a kernel's own */
}

static uint64_t visible(const struct vm *v)
{
	return v->p.max - v->held;
}

static uint64_t wants_cache(const struct vm *v)
{
	return MIN(v->files, sub0(visible(v), own(v) + v->use));
}

static unsigned step_of(const struct sim *m)
{
	return m->step_ms ? m->step_ms : STEP_MS;
}

static void trim_step(struct vm *v, unsigned ms)
{
	uint64_t part = v->trim_rate ? MIN(v->trimming, v->trim_rate * ms / 1000) : v->trimming;

	v->trimming -= part;
	v->unreported -= MIN(v->unreported, part);
}

/* A while in a guest. */
static void guest_step(struct vm *v, unsigned ms)
{
	uint64_t goal = v->kind == NO_DRIVER || v->kind == DEAF ? 0 : v->p.max - v->d.target, move = v->rate * ms / 1000;
	uint64_t most = sub0(v->p.max, own(v) + v->use + MIB(16)), before = v->has;

	if (v->held < MIN(goal, most)) {
		v->asked += MIN(move, MIN(goal, most) - v->held);
		v->held += MIN(move, MIN(goal, most) - v->held);
	} else if (v->held > goal) {
		v->held -= MIN(move * 2, v->held - goal);
	}
	if (v->held > most) { /* its programs are short: the balloon gives way */
		v->stalls += 100;
		v->held = most;
	} else if (sub0(v->files, wants_cache(v)) > v->files / 4 && v->files) {
		v->stalls += 3; /* reads what it had cached */
	}
	/* Cache shrinks at once and grows as fast as a disk reads. */
	v->cache = MIN(wants_cache(v), v->cache + MIB(200) * ms / 1000);
	v->has = own(v) + v->use + v->cache;
	if (before > v->has)
		v->unreported += before - v->has;
	v->unreported -= v->unreported * ms / 8000; /* free page reporting, about eight seconds */
	v->unreported = MIN(v->unreported, sub0(visible(v), v->has));
	trim_step(v, ms);
}

static uint64_t resident(const struct vm *v)
{
	return v->has + v->unreported;
}

static void host_step(struct sim *m)
{
	uint64_t sum = m->base, over;

	for (unsigned i = 0; i < m->n; i++)
		sum += resident(&m->vm[i]);
	over = sub0(sum, m->total);
	m->swapped = over;
	if (over && m->psi) {
		uint64_t share = MIN(1000, over * 8000 / m->total);

		m->some_us += share * step_of(m);
		m->full_us += share * step_of(m) / 4;
	}
}

static uint64_t available(const struct sim *m)
{
	uint64_t sum = m->base;

	for (unsigned i = 0; i < m->n; i++)
		sum += resident(&m->vm[i]);
	return sub0(m->total, sum);
}

static void vm_decide(struct sim *m, struct vm *v)
{
	struct oc_sample s = {
		.now_ms = m->now + v->clock_off, .total = m->total, .available = available(m), .psi = m->psi,
		.some_us = m->some_us, .full_us = m->full_us, .swap_free = m->total / 2, .resident = resident(v),
		.held = v->held, .driver = v->kind != NO_DRIVER, .can_trim = v->kind != NO_DRIVER && v->kind != DEAF,
		.seq = ++v->seq, .g_total = v->p.max - own(v), .stalls = v->stalls,
	};
	uint64_t old = v->d.target;

	s.g_free = sub0(visible(v), v->has);
	s.g_avail = s.g_free + v->cache;
	if (v->kind == LIES_FULL) {
		s.g_free = s.g_avail = 0;
		s.stalls = v->seq * 100000;
		s.ooms = v->seq;
	} else if (v->kind == LIES_EMPTY) {
		s.g_free = s.g_avail = UINT64_MAX;
		s.stalls = 0;
	} else if (v->kind == NO_DRIVER || v->kind == SILENT) {
		s.seq = 0;
	}
	oc_decide(&v->p, &v->st, &s, &v->d);
	if (v->d.target < v->p.min || v->d.target > v->p.max) /* ck_assert() writes a file at each call that holds */
		ck_abort_msg("target %lu MiB is out of bounds", v->d.target >> 20);
	if (v->d.trim)
		v->trimming = v->unreported;
	if (!v->trim_rate)
		trim_step(v, STEP_MS);
	v->trims += v->d.trim;
	/* A turn is a move back by more than 2 % of what it has. */
	if (v->d.target != old && old) {
		int way = v->d.target > old ? 1 : -1;

		if (v->way && way != v->way && MAX(v->d.target, v->turned_from) - MIN(v->d.target, v->turned_from) > v->p.max / 50)
			v->turns++;
		if (way != v->way)
			v->turned_from = old;
		v->way = way;
	}
	v->due_ms = m->now + v->d.wait_ms;
}

static void step(struct sim *m)
{
	for (unsigned i = 0; i < m->n; i++)
		guest_step(&m->vm[i], step_of(m));
	host_step(m);
	for (unsigned i = 0; i < m->n; i++)
		if (m->now >= m->vm[i].due_ms)
			vm_decide(m, &m->vm[i]);
}

static void run(struct sim *m, unsigned seconds, void (*each)(struct sim *, void *), void *arg)
{
	for (uint64_t end = m->now + seconds * 1000ull; m->now < end; m->now += step_of(m)) {
		step(m);
		if (each)
			each(m, arg);
	}
}

static void clear_turns(struct sim *m)
{
	for (unsigned i = 0; i < m->n; i++)
		m->vm[i].turns = 0;
}

/* N machines that each would fill the host by themselves. */
static void crowd(struct sim *m, unsigned n, bool psi)
{
	*m = (struct sim){ .total = GIB(8), .base = MIB(400), .now = 10000, .psi = psi, .n = n };
	for (unsigned i = 0; i < n; i++)
		m->vm[i] = (struct vm){
			.p = { .min = MIB(128), .max = GIB(8), .weight = 100 },
			.use = MIB(100), .files = GIB(7), .rate = GIB(1), .has = MIB(300), .due_ms = 10000 + i * 170,
			.d.target = GIB(8),
		};
}

static void show(const struct sim *m, const char *what)
{
	if (!getenv("SIM_SHOW"))
		return;
	printf("# %s: left %lu MiB, swapped %lu;", what, available(m) >> 20, m->swapped >> 20);
	for (unsigned i = 0; i < m->n; i++)
		printf(" %lu/%lu(%u,%s)", m->vm[i].d.target >> 20, resident(&m->vm[i]) >> 20, m->vm[i].turns,
		       oc_reason_text(m->vm[i].d.reason));
	printf("\n");
}

struct worst {
	uint64_t swapped;
	unsigned bad_steps;
};

static void watch(struct sim *m, void *arg)
{
	struct worst *w = arg;

	w->swapped = MAX(w->swapped, m->swapped);
	w->bad_steps += m->swapped > 0;
}

static void equal_shares(unsigned n, bool psi)
{
	struct worst w = { 0 };
	struct sim m;
	uint64_t sum = 0;

	crowd(&m, n, psi);
	run(&m, 400, NULL, NULL);
	show(&m, "400 s");
	clear_turns(&m);
	run(&m, 300, watch, &w);
	show(&m, "700 s");
	for (unsigned i = 0; i < n; i++)
		sum += resident(&m.vm[i]);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_ge(resident(&m.vm[i]) * n, sum / 100 * 85);
		ck_assert_uint_le(resident(&m.vm[i]) * n, sum / 100 * 115);
		ck_assert_uint_le(m.vm[i].turns, 6);
	}
	ck_assert_uint_eq(w.swapped, 0);
	/* The host is used, not hoarded. */
	ck_assert_uint_ge(sum, m.total / 100 * 70);
}

START_TEST(shares_are_equal)
{
	equal_shares(2, true);
	equal_shares(3, true);
	equal_shares(4, false);
	equal_shares(8, true);
	equal_shares(12, false);
}
END_TEST

START_TEST(shares_follow_weights)
{
	struct sim m;
	uint64_t r[3];

	crowd(&m, 3, true);
	m.vm[1].p.weight = 200;
	m.vm[2].p.weight = 400;
	run(&m, 900, NULL, NULL);
	show(&m, "weights 100, 200, 400");
	for (unsigned i = 0; i < 3; i++)
		r[i] = m.vm[i].d.target;
	ck_assert_uint_ge(r[1] * 100, r[0] * 160);
	ck_assert_uint_le(r[1] * 100, r[0] * 240);
	ck_assert_uint_ge(r[2] * 100, r[0] * 310);
	ck_assert_uint_le(r[2] * 100, r[0] * 490);
}
END_TEST

/* One that comes late, to a host that two others have filled, gets its share; the others find room when it goes. */
START_TEST(late_comer)
{
	struct sim m;

	crowd(&m, 3, true);
	m.vm[2].use = MIB(64);
	m.vm[2].files = 0;
	run(&m, 600, NULL, NULL);
	show(&m, "two");
	ck_assert_uint_ge(resident(&m.vm[0]) + resident(&m.vm[1]), m.total / 100 * 70);
	m.vm[2].use = GIB(2);
	run(&m, 60, NULL, NULL);
	show(&m, "a third wants 2 GiB, a minute later");
	ck_assert_uint_eq(m.swapped, 0);
	ck_assert_uint_ge(resident(&m.vm[2]), GIB(2));
	m.vm[2].use = MIB(64);
	run(&m, 600, NULL, NULL);
	show(&m, "it is idle again");
	ck_assert_uint_le(resident(&m.vm[2]), MIB(600));
	ck_assert_uint_ge(resident(&m.vm[0]) + resident(&m.vm[1]), m.total / 100 * 65);
}
END_TEST

/* What a guest says moves what it gets of its share; a lie gets it no more, and the others no less. */
START_TEST(lies_do_not_pay)
{
	struct sim m;
	uint64_t honest, all = 0;

	crowd(&m, 4, true);
	m.vm[3].kind = LIES_FULL;
	run(&m, 900, NULL, NULL);
	show(&m, "one cries wolf");
	honest = (resident(&m.vm[0]) + resident(&m.vm[1]) + resident(&m.vm[2])) / 3;
	ck_assert_uint_le(resident(&m.vm[3]), honest / 100 * 130);
	ck_assert_uint_eq(m.swapped, 0);

	crowd(&m, 4, true);
	m.vm[3].kind = LIES_EMPTY;
	run(&m, 900, NULL, NULL);
	show(&m, "one says it uses nothing");
	for (unsigned i = 0; i < 4; i++)
		all += resident(&m.vm[i]);
	ck_assert_uint_ge(all, m.total / 100 * 65);
	ck_assert_uint_eq(m.swapped, 0);
}
END_TEST

START_TEST(deaf_ones)
{
	struct sim m;

	crowd(&m, 4, true);
	m.vm[3].kind = DEAF;
	m.vm[3].files = GIB(2);
	m.vm[2].kind = NO_DRIVER;
	m.vm[2].files = GIB(1);
	run(&m, 900, NULL, NULL);
	show(&m, "one deaf, one without a driver");
	ck_assert_int_eq(m.vm[3].d.reason, OC_DEAF);
	ck_assert_int_eq(m.vm[2].d.reason, OC_NO_DRIVER);
	ck_assert_uint_eq(m.swapped, 0); /* the others make room */
	ck_assert_uint_ge(resident(&m.vm[0]) * 100, resident(&m.vm[1]) * 80);
	ck_assert_uint_le(resident(&m.vm[0]) * 100, resident(&m.vm[1]) * 125);
}
END_TEST

/*
 * Four machines that together have twice what the host has, with work in turn that comes at 1 GiB a second and leaves page
 * cache behind.  From the second round on nothing is swapped, and of eight turns hardly one waits for its memory.
 */
START_TEST(work_in_turn)
{
	struct worst w = { 0 };
	struct sim m;
	unsigned waited = 0;

	crowd(&m, 4, true);
	for (unsigned i = 0; i < 4; i++) {
		m.vm[i].p.max = m.vm[i].d.target = GIB(4);
		m.vm[i].files = GIB(1);
	}
	for (unsigned turn = 0; turn < 12; turn++) {
		struct vm *v = &m.vm[turn % 4];

		if (turn == 4) {
			w = (struct worst){ 0 };
			waited = 0;
		}
		for (unsigned step = 0; step < 60; step++) {
			uint64_t stalls = v->stalls;

			v->use = MIN(MIB(100) + step * GIB(1), MIB(2560));
			run(&m, 1, watch, &w);
			waited += v->stalls > stalls + 50;
		}
		show(&m, "a turn");
		if (getenv("SIM_SHOW"))
			printf("# waited %u steps, swapped at most %lu MiB\n", waited, w.swapped >> 20);
		v->use = MIB(100);
	}
	ck_assert_uint_eq(w.swapped, 0);
	ck_assert_uint_le(waited, 3);
}
END_TEST

/*
 * Guests in a group of 1.5 times the size of one, whose work takes 0.7 of that: a disk is read into the page cache, then
 * memory is filled within half a second.  What the one before used is freed, and most of it not yet reported, when the next
 * one begins.  The limit is never reached, and what it costs the guests is bounded too: of trims, which take seconds of a
 * slow CPU, and of balloons filled with memory that nobody had.
 */
static void one_turn(struct sim *m, struct vm *v, struct worst *w)
{
	for (unsigned ms = 0; ms < 5000; ms += m->step_ms) {
		if (ms < 1800)
			v->files = MIN(MIB(128), v->files + MIB(73) * m->step_ms / 1000);
		else
			v->files = MIN(v->files, MAX(v->cache, MIB(4))); /* what was dropped is not read again */
		v->use = MIB(60);
		if (ms >= 1800)
			v->use += MIB(30);
		if (ms >= 2800)
			v->use += MIN(MIB(200), MIB(400) * (ms - 2800) / 1000);
		step(m);
		m->now += m->step_ms;
		watch(m, w);
	}
	v->use = MIB(60);
}

START_TEST(turns_at_the_limit)
{
	struct worst w = { 0 };
	struct sim m = { .total = MIB(576), .now = 10000, .psi = true, .n = 3, .step_ms = 50 };
	uint64_t asked = 0, stalls = 0;
	unsigned trims = 0;

	for (unsigned i = 0; i < 3; i++)
		m.vm[i] = (struct vm){
			.p = { .min = MIB(96), .max = MIB(384), .weight = 100 },
			.use = MIB(60), .rate = MIB(100), .trim_rate = MIB(250), .has = MIB(66), .due_ms = 10000 + i * 170, .d.target = MIB(384),
		};
	for (unsigned turn = 0; turn < 15; turn++) {
		struct vm *v = &m.vm[turn % 3];

		one_turn(&m, v, &w);
		show(&m, "a turn");
	}
	for (unsigned i = 0; i < 3; i++) {
		asked += m.vm[i].asked;
		stalls += m.vm[i].stalls;
		trims += m.vm[i].trims;
	}
	if (getenv("SIM_SHOW"))
		printf("# over the limit in %u steps, asked for %lu MiB, %lu stalls, %u trims\n", w.bad_steps, asked >> 20, stalls, trims);
	ck_assert_uint_eq(w.swapped, 0);
	ck_assert_uint_le(asked, 15 * MIB(60));
	ck_assert_uint_le(trims, 15);
	ck_assert_uint_le(stalls, 2000); /* 100 in each step of 50 ms */
}
END_TEST

/* ---- a thousand hosts ----------------------------------------------------------------------------------------------- */

static uint32_t rnd(uint32_t *s)
{
	*s = *s * 1664525 + 1013904223;
	return *s >> 8;
}

/*
 * Bounds, for every host whose guests could be satisfied (what they use and their minimum fit in three quarters):
 *   - 60 s after every step of load no guest memory is in the host's swap, and none goes there;
 *   - in the steady 60 s after that no target turns more than 6 times;
 *   - a target is always between min and max (vm_decide()).
 */
static void scenario(uint32_t seed)
{
	struct worst w = { 0 };
	struct sim m = { .total = GIB(4) + MIB(rnd(&seed) % 28672), .now = 1000 + rnd(&seed) };
	uint64_t fixed = m.base = m.total / 20;

	m.psi = rnd(&seed) % 4;
	m.n = 2 + rnd(&seed) % (VMS_MAX - 1);
	for (unsigned i = 0; i < m.n; i++) {
		struct vm *v = &m.vm[i];

		v->p = (struct oc_policy){ .max = MIB(512 + 512 * (rnd(&seed) % 16)), .weight = 25u << rnd(&seed) % 5 };
		v->p.max = MIN(v->p.max, m.total);
		v->p.min = MIN(MIB(128), v->p.max);
		v->rate = MIB(256) << rnd(&seed) % 4;
		v->d.target = v->p.max;
		v->due_ms = m.now + rnd(&seed) % 2000;
		v->kind = rnd(&seed) % 8 ? HONEST : (enum kind)(rnd(&seed) % 6);
		v->clock_off = rnd(&seed);
		v->use = MIB(50);
		v->has = MIB(60);
	}
	for (unsigned step = 0; step < 4; step++) {
		uint64_t room = m.total / 4 * 3 - fixed;

		for (unsigned i = 0; i < m.n; i++) {
			struct vm *v = &m.vm[i];
			uint64_t most = MIN(room / m.n, v->p.max - own(v) - MIB(96));

			v->use = MIN(MAX(MIB(32), most / 16 * (rnd(&seed) % 15)), most);
			v->files = v->kind == NO_DRIVER || v->kind == DEAF ? 0 : MIB(rnd(&seed) % 4096);
			if (rnd(&seed) % 16 == 0)
				v->clock_off = rnd(&seed); /* its clock jumps, either way */
		}
		run(&m, 60, NULL, NULL);
		clear_turns(&m);
		w = (struct worst){ 0 };
		run(&m, 60, watch, &w);
		if (w.bad_steps)
			ck_abort_msg("step %u of %u machines: %lu MiB swapped a minute after", step, m.n, w.swapped >> 20);
		for (unsigned i = 0; i < m.n; i++)
			if (m.vm[i].turns > 6)
				ck_abort_msg("step %u: machine %u of %u turned %u times in a minute", step, i, m.n, m.vm[i].turns);
	}
}

START_TEST(thousand_hosts)
{
	for (uint32_t i = 0; i < 250; i++)
		scenario((uint32_t)_i * 250 + i + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("overcommit_sim");
	TCase *tc = tcase_create("overcommit_sim");

	tcase_add_test(tc, shares_are_equal);
	tcase_add_test(tc, shares_follow_weights);
	tcase_add_test(tc, late_comer);
	tcase_add_test(tc, lies_do_not_pay);
	tcase_add_test(tc, deaf_ones);
	tcase_add_test(tc, work_in_turn);
	tcase_add_test(tc, turns_at_the_limit);
	tcase_add_loop_test(tc, thousand_hosts, 0, 4);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return test_run(s);
}
