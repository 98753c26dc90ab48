/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memctl.c - carrying out what is asked for or decided, and telling how it went; see the header.
 */
#include "memctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include "bits.h"
#include "evtimer.h"
#include "smaps.h"

#define STATS_AGE_NS UINT64_C(500000000)
#define TRIM_NS      UINT64_C(3000000000) /* while it trims, but not longer, a guest's word about its memory does not count */
#define RETURN_NS    UINT64_C(300000000)  /* what it takes to have it all back */
#define ANSWER_NS    UINT64_C(40000000) /* what a guest has to answer with its statistics */

/* ---- pages that wait to be discarded ------------------------------------------------------------------------------ */

/* Any thread, under the discard's lock. */
static void want_tick(struct discard *d, void *arg)
{
	struct memctl *c = arg;

	evtimer_set(&c->tick, c->loop, c->host->now_ns(c->host) + DISCARD_TICK_NS);
}

static void tick_ready(struct evsource *src, uint32_t events)
{
	struct memctl *c = container_of(src, struct memctl, tick);
	enum discard_next next;

	evtimer_take(src, c->loop);
	next = discard_tick(&c->discard);
	if (next != DISCARD_DONE)
		evtimer_set(src, c->loop, c->host->now_ns(c->host) + (next == DISCARD_NOW ? 1 : DISCARD_TICK_NS));
}

/* ---- the guest's balloon ------------------------------------------------------------------------------------------ */

static void apply_target(struct memctl *c)
{
	if (c->balloon)
		virtio_balloon_set(c->balloon, c->configured - c->target);
}

void memctl_attach(struct memctl *c, struct virtio_balloon *b)
{
	c->balloon = b;
	apply_target(c);
}

void memctl_detach(struct memctl *c)
{
	c->balloon = NULL;
}

/* ---- decisions ---------------------------------------------------------------------------------------------------- */

/* The supply that is nearer to its end: the host's, or what our control group may have of it. */
static const struct supply *nearest(const struct pressure_sample *p)
{
	if (!p->group.known)
		return &p->host;
	if (!p->host.known)
		return &p->group;
	/* Both are well below 2^44: a host's memory. */
	return (p->group.available >> 10) * (p->host.total >> 10) < (p->host.available >> 10) * (p->group.total >> 10) ?
	       &p->group : &p->host;
}

static uint64_t stat_of(const struct balloon_stats *s, unsigned tag)
{
	return s->has & BIT(tag) ? s->val[tag] : 0;
}

static void fill_sample(struct memctl *c, struct oc_sample *s)
{
	struct pressure_sample p;
	const struct supply *from;
	struct balloon_state b = { 0 };
	struct discard_stats d;

	pressure_read(&c->pressure, &p);
	discard_stats(&c->discard, &d);
	if (c->balloon)
		virtio_balloon_state(c->balloon, &b);
	/* A trim holds all that is free, and a moment longer than we do: a guest that says so then is not short of memory. */
	if ((!b.trimming && b.stats.when_ns >= b.last_trim_ns + RETURN_NS) || c->host->now_ns(c->host) - c->trim_ns >= TRIM_NS)
		c->word = b.stats;
	from = nearest(&p);
	*s = (struct oc_sample){
		.now_ms = c->host->now_ns(c->host) / 1000000,
		.total = from->known ? from->total : 0, .available = from->available,
		.psi = from->psi.known, .some_us = from->psi.some_us, .full_us = from->psi.full_us,
		.swap_free = p.swap_known ? p.swap_free : 0,
		.resident = discard_resident(&c->discard), .swapped = p.own_swap, .held = d.held,
		.driver = b.driver, .can_trim = b.driver && b.features & VIRTIO_BALLOON_F_FREE_PAGE_HINT && !b.poison,
		.last_trim = b.last_trim_bytes, .seq = c->word.seq,
		.g_total = stat_of(&c->word, BALLOON_S_TOTAL), .g_free = stat_of(&c->word, BALLOON_S_FREE),
		.g_avail = stat_of(&c->word, BALLOON_S_AVAIL), .majflt = stat_of(&c->word, BALLOON_S_MAJFLT),
		.swap_in = stat_of(&c->word, BALLOON_S_SWAP_IN), .stalls = stat_of(&c->word, BALLOON_S_ALLOC_STALL),
		.ooms = stat_of(&c->word, BALLOON_S_OOM_KILL),
	};
	if (!(c->word.has & BIT(BALLOON_S_AVAIL)))
		s->seq = 0;
}

/*
 * A decision with its inputs: enough to take it again (oc_parse()).  At INFO when the target moved, the host's state changed,
 * or for a reason not told since; else at DEBUG.
 */
static void log_decision(struct memctl *c, const struct oc_sample *s, const struct oc_decision *d)
{
	const struct oc_policy p = { .min = c->min, .max = c->configured, .weight = c->weight };
	bool anew = !c->decided || d->regime != c->last.regime, news = anew || d->changed || !(c->told & BIT(d->reason));
	char inputs[340];

	c->told = (anew ? 0 : c->told) | BIT(d->reason);
	oc_format(inputs, sizeof(inputs), &p, s);
	log_line(c->log, news ? TVMM_LOG_INFO : TVMM_LOG_DEBUG, "memory: %s, %s: target %lu MiB%s%s; inputs %s",
		 oc_regime_name(d->regime), oc_reason_text(d->reason), d->target >> 20, d->trim ? ", trim" : "",
		 d->pageout ? ", page out" : "", inputs);
}

static void decide(struct memctl *c)
{
	const struct oc_policy p = { .min = c->min, .max = c->configured, .weight = c->weight };
	struct oc_sample s;
	struct oc_decision d;

	fill_sample(c, &s);
	oc_decide(&p, &c->policy, &s, &d);
	log_decision(c, &s, &d);
	c->target = d.target;
	apply_target(c);
	if (d.trim && c->balloon && !virtio_balloon_trim(c->balloon))
		c->trim_ns = c->host->now_ns(c->host);
	if (d.pageout)
		c->paged_out += discard_pageout(&c->discard, d.pageout);
	c->last = d;
	c->last_sample = s;
	c->decided_ns = c->host->now_ns(c->host);
	c->decided = true;
	evtimer_set(&c->clock, c->loop, c->decided_ns + d.wait_ms * UINT64_C(1000000));
}

static void clock_ready(struct evsource *src, uint32_t events)
{
	struct memctl *c = container_of(src, struct memctl, clock);

	evtimer_take(src, c->loop);
	if (c->mode != CONFIG_RECLAIM_AUTO || c->fixed)
		return;
	/* First the guest is asked: what it said half a second ago is of another time, where memory comes and goes by turns. */
	c->asked = !c->asked && c->balloon && virtio_balloon_ask_stats(c->balloon);
	if (c->asked)
		evtimer_set(&c->clock, c->loop, c->host->now_ns(c->host) + ANSWER_NS);
	else
		decide(c);
}

void memctl_start(struct memctl *c)
{
	if (c->mode == CONFIG_RECLAIM_AUTO && !c->fixed)
		evtimer_set(&c->clock, c->loop, c->host->now_ns(c->host) + UINT64_C(1000000000));
}

/* ---- calls from other threads ------------------------------------------------------------------------------------- */

struct request {
	struct memctl *c;
	uint64_t bytes;
	struct tvmm_memory *out;
	struct tvmm_error *err;
	int ret;
};

static int refuse_off(struct memctl *c, struct tvmm_error *err)
{
	if (memctl_wants_balloon(c))
		return 0;
	err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, "memory", "this machine runs with reclaim=off");
	err_hint(err, "start it with --memory SIZE,reclaim=report or reclaim=auto");
	return -EOPNOTSUPP;
}

static void set_on_loop(void *arg)
{
	struct request *r = arg;
	struct memctl *c = r->c;
	uint64_t bytes = align_down(r->bytes, BALLOON_PAGE);

	r->ret = refuse_off(c, r->err);
	if (r->ret)
		return;
	if (r->bytes != TVMM_MEMORY_AUTO && (bytes < c->min || bytes > c->configured)) {
		r->ret = err_set(r->err, TVMM_E_CONFIG, EINVAL, "memory", "%lu MiB is %s of this machine, %lu MiB",
				 bytes >> 20, bytes < c->min ? "below the minimum" : "above the size",
				 (bytes < c->min ? c->min : c->configured) >> 20);
		return;
	}
	c->fixed = r->bytes != TVMM_MEMORY_AUTO;
	c->target = c->fixed ? bytes : c->configured;
	c->policy = (struct oc_state){ 0 };
	c->decided = c->asked = false;
	memctl_start(c); /* a timer that rings with a fixed target finds nothing to do, once */
	log_line(c->log, TVMM_LOG_INFO, "memory: target %lu MiB of %lu, on request", c->target >> 20, c->configured >> 20);
	apply_target(c);
}

int memctl_set(struct memctl *c, uint64_t bytes, struct tvmm_error *err)
{
	struct request r = { .c = c, .bytes = bytes, .err = err };

	evloop_call(c->loop, set_on_loop, &r);
	return r.ret;
}

static void trim_on_loop(void *arg)
{
	struct request *r = arg;

	r->ret = refuse_off(r->c, r->err);
	if (r->ret)
		return;
	r->ret = r->c->balloon ? virtio_balloon_trim(r->c->balloon) : -ENODEV;
	if (r->ret == -ENODEV)
		err_set(r->err, TVMM_E_UNSUPPORTED, ENODEV, "memory", "the guest has no balloon driver running");
	else if (r->ret)
		err_set(r->err, TVMM_E_UNSUPPORTED, -r->ret, "memory", "the guest's driver cannot hand over its free memory");
}

int memctl_trim(struct memctl *c, struct tvmm_error *err)
{
	struct request r = { .c = c, .err = err };

	evloop_call(c->loop, trim_on_loop, &r);
	return r.ret;
}

/*
 * How RAM lies in the host: /proc/self/smaps, where our mappings are the ones between the guards.  On the caller's thread:
 * where RAM is not in huge pages the kernel takes 56 ms for each GiB of it, which no disk should wait for.
 */
static void read_smaps(struct memctl *c, struct tvmm_memory *out)
{
	struct smaps s = { .n = c->discard.n };
	char buf[4096];
	off_t at = 0;

	for (unsigned i = 0; i < s.n; i++) {
		s.range[i].start = (uintptr_t)c->discard.region[i].ram.host;
		s.range[i].end = s.range[i].start + c->discard.region[i].ram.size;
	}
	while (c->smaps >= 0) {
		struct iovec iov = { buf, sizeof(buf) };
		ssize_t n = c->host->preadv(c->host, c->smaps, &iov, 1, at);

		if (n <= 0)
			break;
		smaps_feed(&s, buf, (size_t)n);
		at += n;
	}
	out->resident = c->smaps >= 0 ? s.resident : discard_resident(&c->discard);
	out->swapped = s.swapped;
	out->huge = s.huge;
}

static void read_on_loop(void *arg)
{
	struct request *r = arg;
	struct memctl *c = r->c;
	struct tvmm_memory *out = r->out;
	struct balloon_state s = { 0 };
	struct discard_stats d;

	if (c->balloon)
		virtio_balloon_state(c->balloon, &s);
	discard_stats(&c->discard, &d);
	*out = (struct tvmm_memory){
		.configured = c->configured, .min = c->min, .target = c->target, .actual = c->configured - d.held,
		.reclaim = (int32_t)c->mode, .weight = c->weight, .fixed = c->fixed, .driver = s.driver,
		.reported = s.reported, .trimmed = s.trim_bytes, .discarded = d.discarded, .discard_failed = d.failed,
		.guest_total = stat_of(&s.stats, BALLOON_S_TOTAL), .guest_free = stat_of(&s.stats, BALLOON_S_FREE),
		.guest_available = stat_of(&s.stats, BALLOON_S_AVAIL), .guest_caches = stat_of(&s.stats, BALLOON_S_CACHES),
		.guest_told_ms = s.stats.seq ? (c->host->now_ns(c->host) - s.stats.when_ns) / 1000000 : 0,
	};
	out->host_total = c->last_sample.total;
	out->host_available = c->last_sample.available;
	out->stall_permille = c->last.stall_permille;
	out->paged_out = c->paged_out;
	if (c->decided && !c->fixed) {
		snprintf(out->pressure, sizeof(out->pressure), "%s", oc_regime_name(c->last.regime));
		snprintf(out->decision, sizeof(out->decision), "%s", oc_reason_text(c->last.reason));
		out->decided_ms = (c->host->now_ns(c->host) - c->decided_ns) / 1000000;
	}
	/* So that who asks again finds fresher ones; not so often that the asking is felt. */
	if (c->balloon && c->host->now_ns(c->host) - s.stats.when_ns > STATS_AGE_NS)
		virtio_balloon_ask_stats(c->balloon);
}

void memctl_read(struct memctl *c, struct tvmm_memory *out)
{
	struct request r = { .c = c, .out = out };

	evloop_call(c->loop, read_on_loop, &r);
	read_smaps(c, out);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

/* What a guest keeps when the user named no minimum: a quarter, at least 128 MiB. */
static uint64_t default_min(uint64_t configured)
{
	return MIN(configured, MAX(MIB(128), align_down(configured / 4, MIB(2))));
}

int memctl_init(struct memctl *c, const struct tvmm_config *cfg, const struct gmem *mem, const struct discard_backing *back,
		struct evloop *loop, struct log *log, struct tvmm_error *err)
{
	static const struct discard_backing private[GMEM_MAX_REGIONS] = { { .kind = BACKING_PRIVATE } };
	int ret;

	*c = (struct memctl){ .host = loop->host, .loop = loop, .log = log, .mode = cfg->reclaim, .weight = cfg->weight,
			      .configured = gmem_size(mem), .tick.fd = -1, .clock.fd = -1, .smaps = -1 };
	c->target = c->configured;
	c->min = cfg->memory_min ? cfg->memory_min : default_min(c->configured);
	ret = discard_init(&c->discard, mem, back ? back : private, c->host, err);
	if (ret)
		return ret;
	c->ok = true;
	c->smaps = c->host->open(c->host, "/proc/self/smaps", O_RDONLY, 0);
	if (memctl_wants_balloon(c)) {
		ret = evtimer_init(&c->tick, c->loop, EPOLLIN, tick_ready, err);
		discard_on_wait(&c->discard, want_tick, c);
	}
	if (!ret && c->mode == CONFIG_RECLAIM_AUTO) {
		pressure_open(&c->pressure, c->host, "");
		ret = evtimer_init(&c->clock, c->loop, EPOLLIN, clock_ready, err);
	}
	if (ret)
		memctl_fini(c);
	return ret;
}

void memctl_fini(struct memctl *c)
{
	if (!c->ok)
		return;
	evtimer_fini(&c->clock, c->loop);
	evtimer_fini(&c->tick, c->loop);
	pressure_close(&c->pressure);
	if (c->smaps >= 0)
		c->host->close(c->host, c->smaps);
	discard_fini(&c->discard);
	c->ok = false;
}
