/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overcommit.c - the decision of overcommit.h.  Owns nothing; called on the I/O loop, by tests and by replays.
 */
#include "overcommit.h"

#include "bits.h"

#define MARK_PART     8     /* the watermark: this part of the total */
#define SHARE_TAU_MS  60000 /* see share_step() */
#define WANT_TAU_MS   10000 /* how slowly unused memory is given up while the host is short */
#define GROW_MS       60000 /* from nothing to everything while the host has plenty */
#define HOLD_MS       15000 /* a guest that hurt is left alone for so long */
#define PAIN_MS       3000  /* so long a guest that begins to hurt badly goes before the host */
#define RED_MS        2000  /* so long red before what costs guests more than it gains is asked for, too */
#define TRIM_MS       1500  /* what a trim may bring comes within that: until then nothing is cut */
#define SETTLE_MS     3000  /* a cut takes so long to be seen in the host's figures */
#define JUMP_MS       10000 /* a longer pause between samples says nothing about rates */
#define DEAF_MS       8000  /* so long without any progress, and it is not to be had */
#define GROWS         MIB(16) /* a guest that takes so much more a second is at work */
#define WORK_MS       3000  /* ... and so long afterwards */
#define BURST_MS      100   /* between samples where the host is about to have nothing left */
#define FAST_MS       250   /* ... and where something else is about to happen */
#define NEAR_MS       500   /* ... and where it could soon */
#define REPORT_MS     10000 /* where nobody waits for it, free memory is left so long to reporting, which costs no work */
#define STALL_TAU_MS  500
#define SLOP          MIB(32)
#define OUT_MS        500   /* between two pieces that are paged out, while they stay out */
#define OUT_BACKOFF   6     /* ... doubled so often at most while they do not: half a minute */
#define STEP_MIN      MIB(8) /* smaller corrections are not worth a guest's work */

/* ---- small arithmetic --------------------------------------------------------------------------------------------- */

static uint64_t sub0(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* A * B / C, where A * B may not fit 64 bits; C is not 0. */
static uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	__extension__ unsigned __int128 v = (unsigned __int128)a * b / c;

	return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

static uint64_t clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* FROM moves towards TO as far as DT of a time constant TAU takes it. */
static uint64_t approach(uint64_t from, uint64_t to, uint64_t dt, uint64_t tau)
{
	dt = MIN(dt, tau);
	return to > from ? from + mul_div(to - from, dt, tau) : from - mul_div(from - to, dt, tau);
}

/* Counters of a guest may go anywhere: backwards is no news. */
static uint64_t rate(uint64_t now, uint64_t then, uint64_t dt_ms)
{
	return mul_div(sub0(now, then), 1000, dt_ms ? dt_ms : 1);
}

/* ---- the host ----------------------------------------------------------------------------------------------------- */

struct host_view {
	uint64_t mark;      /* the watermark */
	uint64_t left;      /* what is available, less a penalty for stalls */
	uint64_t used;      /* what all together could give */
};

/* Over half a second at least: a stall of 40 ms is no news where samples are 100 ms apart. */
static uint64_t stalled(uint64_t was, uint64_t us, uint64_t then_us, uint64_t dt)
{
	return approach(was, MIN(sub0(us, then_us) / dt, 1000), dt, STALL_TAU_MS); /* us per ms: permille */
}

static struct host_view look_at_host(struct oc_state *st, const struct oc_sample *s, uint64_t dt, bool jump,
				     struct oc_decision *d)
{
	struct host_view v = { .mark = s->total / MARK_PART, .left = s->available, .used = MAX(sub0(s->total, s->available), 1) };
	uint64_t penalty;

	if (!s->psi || !st->last.psi || jump) {
		st->some = st->full = 0;
	} else if (dt) {
		st->some = stalled(st->some, s->some_us, st->last.some_us, dt);
		st->full = stalled(st->full, s->full_us, st->last.full_us, dt);
	}
	d->stall_permille = (uint32_t)st->some;
	/* Stalls say that what is available is not: 5 % of the time is noise, 35 % is as bad as an empty host. */
	penalty = mul_div(v.mark, sub0(st->some, 50), 300) + mul_div(v.mark, st->full, 200);
	v.left = sub0(v.left, penalty);
	return v;
}

/* Worse at once, better only past a margin: a figure that wavers around a mark changes nothing. */
static enum oc_regime find_regime(enum oc_regime old, const struct host_view *v)
{
	const uint64_t floor[] = { v->mark, v->mark / 3, v->mark / 12, 0 };
	enum oc_regime r = OC_GREEN;

	while (v->left < floor[r])
		r++;
	while (r < old && v->left < floor[r] + v->mark / 16)
		r++;
	return r;
}

/*
 * The share at this level: weight/100 of the total at the watermark, halving with each eighth of it that is gone.  So
 * weights of up to 1600 together settle above half the mark, where the cuts begin.
 */
static uint64_t share_at(const struct oc_policy *p, const struct oc_sample *s, const struct host_view *v)
{
	uint64_t full = mul_div(s->total, p->weight, 100), q;

	if (v->left >= v->mark || !v->mark)
		return p->max;
	q = mul_div(2048, v->mark - v->left, v->mark); /* 256 for each halving */
	full >>= q >> 8;
	return full - mul_div(full, q & 255, 512);
}

/* ---- the guest ---------------------------------------------------------------------------------------------------- */

struct guest_view {
	uint64_t need;   /* in use, and some room */
	uint64_t in_use; /* in use, page cache included: what it does not have free */
	uint64_t cache;  /* it could drop that */
	uint64_t excess; /* free in the guest, and still in the host's memory */
	bool hurt, badly;
	uint64_t pace;   /* by so much a second the host has more of it than at the last sample */
};

static struct guest_view look_at_guest(const struct oc_policy *p, const struct oc_state *st, const struct oc_sample *s,
				       bool jump)
{
	uint64_t dt = sub0(s->now_ms, st->word_ms);
	struct guest_view g = { .need = s->resident, .in_use = s->resident,
				.pace = jump ? 0 : rate(s->resident, st->last.resident, sub0(s->now_ms, st->last_ms)) };
	uint64_t own, visible = sub0(p->max, s->held);

	if (!s->seq || !s->g_total)
		return g;
	/* With DEFLATE_ON_OOM a guest counts ballooned pages as in use.  Its kernel's own part it does not count at all. */
	own = sub0(p->max, s->g_total);
	g.in_use = MIN(sub0(sub0(s->g_total, s->g_free), s->held) + own, visible);
	g.need = MIN(sub0(sub0(s->g_total, s->g_avail), s->held) + own, visible);
	g.excess = sub0(s->resident, g.in_use);
	g.cache = MIN(sub0(s->g_avail, s->g_free), visible);
	/* Whatever it says, it does not use what the host does not have; and it needs room to breathe. */
	g.need = MIN(g.need, MAX(s->resident, p->min));
	g.need += clamp(g.need / 8, MIB(64), MIB(512));
	if (s->seq == st->last.seq || !st->last.seq || jump)
		return g;
	g.badly = s->ooms > st->last.ooms || rate(s->stalls, st->last.stalls, dt) > 50;
	/* With nothing left that it could drop, the next page is one that it waits for. */
	g.hurt = g.badly || (s->held && s->g_avail < MAX(MIB(16), visible / 32)) || rate(s->stalls, st->last.stalls, dt) > 2 ||
		 rate(s->majflt, st->last.majflt, dt) > 50 || rate(s->swap_in, st->last.swap_in, dt) > MIB(1);
	return g;
}

/* ---- the parts of the target -------------------------------------------------------------------------------------- */

/*
 * All machines follow the same figure and change it by following: together they are a loop with a gain of about 40
 * (a halving for each 64th of the total, times ln 2) on the way down, and much less on the way up; with a time constant
 * of 60 samples it settles without swinging.  Many heavy machines would settle below half the mark, where cuts begin: there
 * nobody grows any more, and above it slowly, or growth and cuts would take turns for ever.
 */
static void share_step(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s,
		       const struct host_view *v, uint64_t dt)
{
	uint64_t at = MIN(share_at(p, s, v), p->max), new = approach(st->share, at, dt, SHARE_TAU_MS), quarter = v->mark / 4;

	if (new > st->share && quarter && v->left < v->mark) {
		uint64_t most = mul_div(MAX(st->share, MIB(64)), dt, 32000);

		new = st->share + mul_div(MIN(new - st->share, most), MIN(sub0(v->left, 2 * quarter), quarter), quarter);
	}
	st->share = clamp(new, p->min, p->max);
}

/*
 * In proportion to how far the host is from the watermark, with an eighth of it either way where nothing moves: growing at
 * full pace above the mark and sinking at full pace below it would never end.
 */
static void want_step(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s,
		      const struct guest_view *g, const struct host_view *v, uint64_t dt)
{
	uint64_t dead = v->mark / 8, above = sub0(v->left, v->mark + dead), below = sub0(v->mark, v->left + dead);

	if (g->hurt) {
		uint64_t step = MAX(st->target / (g->badly ? 4 : 8), MIB(64));

		st->want = MAX(st->want, st->target + step);
		st->hurt_ms = s->now_ms;
	} else if (!v->mark || above) {
		if (v->mark)
			dt = mul_div(dt, MIN(above, v->mark), v->mark);
		st->want += mul_div(p->max, dt, GROW_MS);
	} else if (st->want > g->need && sub0(s->now_ms, st->hurt_ms) >= HOLD_MS) {
		st->want = approach(st->want, g->need, mul_div(dt, below, v->mark), WANT_TAU_MS);
	}
	st->want = clamp(MAX(st->want, g->need), p->min, p->max);
}

static bool at_work(const struct oc_state *st, const struct oc_sample *s)
{
	return st->grew_ms && sub0(s->now_ms, st->grew_ms) <= WORK_MS;
}

static bool stays_red(const struct oc_state *st, const struct oc_sample *s)
{
	return st->red_ms && sub0(s->now_ms, st->red_ms) >= RED_MS;
}

/*
 * A balloon takes what is free before it comes to page cache.  Does the host gain enough for what it has not got of that?
 */
static bool worth_it(const struct oc_sample *s, const struct guest_view *g)
{
	return sub0(s->g_free, g->excess) / 2 <= g->cache + g->excess;
}

/*
 * Everyone gives the same part of what the host has of it.  But for one that has no more than it needs, and far less than it
 * may have: a target that reaches it would have its balloon filled with memory that the host has not got.  And for one that
 * would have to fill it with that first, unless nothing else has helped.
 */
static bool cut(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, const struct guest_view *g,
		const struct host_view *v, enum oc_regime regime)
{
	uint64_t goal = v->mark / 2, has = MIN(st->target, s->resident + SLOP), part;

	if (regime < OC_ORANGE || v->left >= goal || (st->cut_ms && sub0(s->now_ms, st->cut_ms) < SETTLE_MS) ||
	    (st->trim_ms && sub0(s->now_ms, st->trim_ms) < TRIM_MS))
		return false;
	if ((s->resident <= g->need && s->resident < st->target / 2) || (!worth_it(s, g) && !stays_red(st, s)))
		return false;
	part = MIN(mul_div(has, goal - v->left, v->used), has / (regime == OC_RED ? 2 : 4));
	st->cut_ms = s->now_ms;
	st->share = clamp(has - part, p->min, p->max);
	return true;
}

/*
 * A guest that grows into the last that the host has is promised no more than that: it drops page cache of its own, which
 * is quicker than anything that another guest could give, before the host has nothing left.  Not where it would have to
 * give up much that it has free to come to its page cache.
 */
static bool brake(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, const struct guest_view *g,
		  const struct host_view *v)
{
	uint64_t most = s->resident + sub0(v->left, v->mark / 4);

	if (g->pace >= GROWS)
		st->grew_ms = MAX(s->now_ms, 1);
	if (!at_work(st, s) || s->g_free / 2 > g->cache || v->left >= 3 * v->mark || most >= st->share)
		return false;
	st->share = clamp(most, p->min, p->max);
	return true;
}

/*
 * Where the host has room, a guest that hurts gets half of that beyond its slow share, in one step; and one that comes to
 * need more gets that before it hurts.  One that begins to hurt badly gets of what is kept free for just that, too; one that
 * always does, whatever it is given, does not.
 */
static void lend(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, const struct guest_view *g,
		 const struct host_view *v, enum oc_regime regime)
{
	uint64_t kept = v->mark, room, most;

	if (g->badly && sub0(s->now_ms, st->badly_ms) >= HOLD_MS)
		st->pain_ms = s->now_ms;
	if (g->badly)
		st->badly_ms = s->now_ms;
	if (g->badly && regime == OC_YELLOW && sub0(s->now_ms, st->pain_ms) < PAIN_MS)
		kept = v->mark / 3;
	room = sub0(v->left, kept) / 2;
	most = MIN(g->need, st->share + room);

	if (g->hurt) {
		most = st->target + MIN(room, MAX(st->target / 2, MIB(64)));
		st->want = clamp(MAX(st->want, most), p->min, p->max);
	}
	if (room)
		st->share = clamp(MAX(st->share, most), p->min, p->max);
}

/* ---- whether it works --------------------------------------------------------------------------------------------- */

static bool is_deaf(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, uint64_t dt)
{
	bool missed = s->held + SLOP < sub0(p->max, st->target);

	if (!missed || s->held > st->low_held + MIB(1))
		st->deaf_ms = 0;
	else
		st->deaf_ms = MIN(st->deaf_ms + dt, DEAF_MS);
	st->low_held = missed ? MAX(st->low_held, s->held) : s->held;
	if (s->held < st->low_held) /* it took some back */
		st->low_held = s->held;
	return st->deaf_ms >= DEAF_MS;
}

static bool has_no_effect(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, uint64_t dt)
{
	if (s->resident <= sub0(p->max, s->held) + MIB(64))
		st->ghost_ms = 0;
	else
		st->ghost_ms = MIN(st->ghost_ms + dt, DEAF_MS);
	return st->ghost_ms >= DEAF_MS;
}

/* ---- other means -------------------------------------------------------------------------------------------------- */

/*
 * A trim takes all the memory that is free in the guest through its hands, page by page where its kernel clears what it
 * allocates: work that is worth it where somebody waits for the memory, and not in a guest that is about to use it.
 */
static bool wants_trim(struct oc_state *st, const struct oc_sample *s, const struct guest_view *g, enum oc_regime regime)
{
	static const uint32_t pause_ms[] = { [OC_GREEN] = 20000, [OC_YELLOW] = 5000, [OC_ORANGE] = 3000, [OC_RED] = 3000 };

	if (!s->can_trim || !s->driver || !s->seq || g->excess < MAX(MIB(64), s->resident / 16)) {
		st->excess_ms = st->trim_ms = st->trim_expect = st->trim_backoff = 0; /* what comes next is another heap */
		return false;
	}
	if (!st->excess_ms)
		st->excess_ms = MAX(s->now_ms, 1);
	if (regime == OC_GREEN && sub0(s->now_ms, st->excess_ms) < REPORT_MS)
		return false;
	if (regime < OC_ORANGE && g->pace >= GROWS)
		return false;
	if (st->trim_ms && sub0(s->now_ms, st->trim_ms) < (uint64_t)pause_ms[regime] << st->trim_backoff)
		return false;
	/* Free memory in crumbs cannot be trimmed: ask less and less often. */
	if (st->trim_expect && g->excess > st->trim_expect / 4 * 3)
		st->trim_backoff = MIN(st->trim_backoff + 1, 4);
	else
		st->trim_backoff = 0;
	st->trim_ms = s->now_ms;
	st->trim_expect = g->excess;
	return true;
}

/*
 * What is paged out may be in use: the host cannot say what a guest has no use for, and with swap in memory (zram) a page
 * that comes back costs as much as one that goes.  So what came back is counted.  Where it is more than half of what was
 * sent, the next piece waits twice as long and is smaller; where hardly any did, the pace goes up again.
 */
static void watch_swap(struct oc_state *st, const struct oc_sample *s)
{
	uint64_t was = st->last.swapped + st->out_new;

	if (st->out_sent)
		st->out_back += sub0(was, s->swapped);
	st->out_new = 0;
	if (!st->out_sent || sub0(s->now_ms, st->out_ms) < (uint64_t)OUT_MS << st->out_backoff)
		return;
	if (st->out_back > st->out_sent / 2)
		st->out_backoff = MIN(st->out_backoff + 1, OUT_BACKOFF);
	else if (st->out_back < st->out_sent / 8 && st->out_backoff)
		st->out_backoff--;
	st->out_sent = st->out_back = 0;
}

/* Red, and asking the guest has not been enough: a part of what is missing, from what the host has of this guest. */
static uint64_t wants_pageout(struct oc_state *st, const struct oc_sample *s, const struct host_view *v, bool helpless,
			      struct oc_decision *d)
{
	uint64_t goal = helpless ? v->mark / 3 : v->mark / 12, bytes;
	enum oc_regime from = helpless ? OC_ORANGE : OC_RED;

	if (d->regime < from) {
		st->red_ms = 0;
		return 0;
	}
	if (!st->red_ms)
		st->red_ms = MAX(s->now_ms, 1);
	if (sub0(s->now_ms, st->red_ms) < 1000 || v->left >= goal)
		return 0;
	if (st->out_ms && sub0(s->now_ms, st->out_ms) < (uint64_t)OUT_MS << st->out_backoff) {
		if (st->out_backoff)
			d->reason = OC_THRASH;
		return 0;
	}
	bytes = MIN(mul_div(s->resident, goal - v->left, v->used), s->resident / 8);
	bytes = MAX(bytes >> st->out_backoff / 2, MIN(bytes, MIB(2)));
	if (s->swap_free < bytes + MIB(16)) {
		d->reason = OC_NO_SWAP;
		bytes = sub0(s->swap_free, MIB(16));
	}
	bytes = align_down(bytes, MIB(2));
	if (bytes) {
		d->reason = OC_PAGEOUT;
		st->out_ms = MAX(s->now_ms, 1);
		st->out_sent = st->out_new = bytes;
		st->out_back = 0;
	}
	return bytes;
}

/* ---- together ----------------------------------------------------------------------------------------------------- */

static enum oc_reason why(const struct oc_state *st, uint64_t target, const struct guest_view *g, enum oc_reason pressed,
			  enum oc_regime regime)
{
	if (target > st->target)
		return g->hurt ? OC_HURT : regime == OC_GREEN ? OC_PLENTY : OC_SHARE;
	if (pressed)
		return pressed;
	return st->want < st->share ? OC_IDLE : OC_SHARE;
}

/*
 * A target that is well above what the host has of the guest takes nothing from it, and costs the guest a balloon full of
 * memory that is nobody's, and waiting when it comes to need it: it is not lowered before it is reached.
 */
static void set_target(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, const struct guest_view *g,
		       enum oc_reason pressed, struct oc_decision *d)
{
	uint64_t step = MAX(STEP_MIN, st->target / 64), target = MIN(st->share, st->want), gap;

	target = target + step > p->max ? p->max : MAX(align_down(target, MIB(2)), p->min);
	if (target < st->target && !pressed && s->resident + MAX(SLOP, target / 16) <= target)
		return;
	gap = MAX(target, st->target) - MIN(target, st->target);
	/* Towards an end of the range the last step may be a small one. */
	if (gap && (gap >= step || target == p->max || target == p->min)) {
		d->reason = why(st, target, g, pressed, d->regime);
		d->changed = true;
		st->target = target;
	}
}

/*
 * How long nothing needs to be decided.  A guest that hurts while more could be given waits for every step.  And where what
 * is left falls towards the watermark, look twice more before it gets there, and three times more before it gets to nothing:
 * two seconds are long for a burst.
 */
static uint32_t next_look(const struct oc_policy *p, const struct oc_state *st, const struct oc_sample *s,
			  const struct guest_view *g, const struct host_view *v, uint64_t dt, enum oc_regime regime)
{
	static const uint32_t wait_ms[] = { [OC_GREEN] = 2000, [OC_YELLOW] = 500, [OC_ORANGE] = 250, [OC_RED] = 250 };
	uint64_t fell = st->last.total == s->total ? sub0(st->last.available, s->available) : 0;
	uint32_t wait = wait_ms[regime];

	if (g->hurt && st->target < p->max)
		return FAST_MS;
	if (regime == OC_GREEN && s->total && (st->target < p->max || v->left < (at_work(st, s) ? 4 : 2) * v->mark))
		wait = NEAR_MS;
	if (!dt || fell <= MIB(4))
		return wait;
	if (regime == OC_GREEN)
		wait = (uint32_t)clamp(mul_div(sub0(v->left, v->mark) / 3, dt, fell), FAST_MS, wait);
	return (uint32_t)clamp(mul_div(v->left / 4, dt, fell), BURST_MS, wait);
}

/* What was timed by another clock starts anew. */
static void forget_times(struct oc_state *st)
{
	st->cut_ms = st->hurt_ms = st->badly_ms = st->pain_ms = st->grew_ms = 0;
	st->trim_ms = st->excess_ms = st->red_ms = st->out_ms = st->out_sent = 0;
}

static void start(const struct oc_policy *p, struct oc_state *st)
{
	*st = (struct oc_state){ .started = true, .target = p->max, .share = p->max, .want = p->max };
}

void oc_decide(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, struct oc_decision *d)
{
	struct guest_view g;
	struct host_view v;
	uint64_t dt;
	enum oc_reason pressed = OC_STEADY; /* or why less is asked for, whatever it costs the guest */
	bool jump, deaf, ghost;

	jump = !st->started; /* there is nothing to compare with */
	if (!st->started) {
		start(p, st);
		st->last_ms = s->now_ms;
	}
	dt = sub0(s->now_ms, st->last_ms);
	jump = jump || s->now_ms < st->last_ms || dt > JUMP_MS;
	dt = MIN(dt, JUMP_MS);
	if (s->now_ms < st->last_ms)
		forget_times(st);

	*d = (struct oc_decision){ .reason = OC_STEADY };
	v = look_at_host(st, s, dt, jump, d);
	d->regime = s->total ? find_regime(st->regime, &v) : OC_GREEN;
	g = look_at_guest(p, st, s, jump);
	d->hurt = g.hurt;
	deaf = is_deaf(p, st, s, dt);
	ghost = has_no_effect(p, st, s, dt);

	want_step(p, st, s, &g, &v, dt);
	share_step(p, st, s, &v, dt);
	if (s->total)
		lend(p, st, s, &g, &v, d->regime);
	d->trim = wants_trim(st, s, &g, d->regime);
	if (s->total && brake(p, st, s, &g, &v))
		pressed = OC_BRAKE;
	if (s->total && cut(p, st, s, &g, &v, d->regime))
		pressed = OC_CUT;
	if (s->driver)
		set_target(p, st, s, &g, pressed, d);
	watch_swap(st, s);
	if (s->total)
		d->pageout = wants_pageout(st, s, &v, deaf || ghost || !s->driver || st->target == p->min, d);
	/* What makes it all vain is the more important thing to say. */
	if (!d->pageout && d->reason != OC_NO_SWAP && d->reason != OC_THRASH) {
		if (!s->total)
			d->reason = OC_BLIND;
		else if (!s->driver)
			d->reason = OC_NO_DRIVER;
		else if (deaf)
			d->reason = OC_DEAF;
		else if (ghost)
			d->reason = OC_NO_EFFECT;
	}
	d->target = st->target;
	d->wait_ms = next_look(p, st, s, &g, &v, jump ? 0 : dt, d->regime);
	st->regime = d->regime;
	st->last_ms = s->now_ms;
	if (s->seq != st->last.seq)
		st->word_ms = s->now_ms;
	st->last = *s;
}
