/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_evtimer.c - a timer comes once each time it is set, not before, not when it was put off; and none leaves a descriptor. */
#include "evtimer.h"
#include <sys/epoll.h>
#include "bits.h"
#include "test_failing.h"

struct counted {
	struct evsource t;
	struct evloop l;
	unsigned n;
	uint64_t due; /* it may not come before */
	bool early;
};

static uint64_t now(void)
{
	return host_linux()->now_ns(host_linux());
}

static void came(struct evsource *src, uint32_t events)
{
	struct counted *c = container_of(src, struct counted, t);

	evtimer_take(src, &c->l);
	c->early |= now() < c->due;
	c->n++;
}

struct change {
	struct counted *c;
	uint64_t at;
	int ret;
};

static void change(void *arg)
{
	struct change *ch = arg;

	ch->c->due = ch->at;
	ch->ret = evtimer_set(&ch->c->t, &ch->c->l, ch->at);
}

static void set(struct counted *c, uint64_t at)
{
	struct change ch = { c, at, -1 };

	evloop_call(&c->l, change, &ch);
	ck_assert_int_eq(ch.ret, 0);
}

static unsigned seen;

static void look(void *arg)
{
	seen = ((struct counted *)arg)->n;
}

/* Until it has come N times; meson's timeout ends a wait in vain. */
static void wait_for(struct counted *c, unsigned n)
{
	do {
		host_linux()->poll(host_linux(), NULL, 0, 1);
		evloop_call(&c->l, look, c);
	} while (seen < n);
	ck_assert_uint_eq(seen, n);
}

START_TEST(comes)
{
	struct counted c = { .n = 0 };

	ck_assert_int_eq(evloop_init(&c.l, host_linux(), NULL), 0);
	ck_assert_int_eq(evtimer_init(&c.t, &c.l, EPOLLIN, came, NULL), 0);
	ck_assert_int_eq(evloop_start(&c.l, "loop", NULL), 0);
	for (unsigned i = 1; i <= 3; i++) {
		set(&c, now() + 2000000);
		wait_for(&c, i);
	}
	set(&c, 1); /* long ago: at once */
	wait_for(&c, 4);
	/* Put off for an hour, then not set at all: neither comes. */
	set(&c, now() + UINT64_C(3600000000000));
	set(&c, 0);
	set(&c, now() + 1000000);
	wait_for(&c, 5);
	ck_assert(!c.early);
	evloop_stop(&c.l);
	evtimer_fini(&c.t, &c.l);
	ck_assert_int_eq(c.t.fd, -1);
	evtimer_fini(&c.t, &c.l);
	evloop_fini(&c.l);
}
END_TEST

/* Whatever fails, nothing is left and the error is told. */
START_TEST(failures)
{
	struct host h = *host_linux();
	unsigned before = count_fds(), n;

	h.timerfd = f_timerfd;
	h.epoll_ctl = f_epoll_ctl;
	for (n = 1;; n++) {
		struct counted c = { .n = 0 };
		struct tvmm_error err = { 0 };
		int ret;

		ck_assert_int_eq(evloop_init(&c.l, &h, NULL), 0);
		until_failure = n;
		ret = evtimer_init(&c.t, &c.l, EPOLLIN, came, &err);
		ck_assert_int_eq(c.t.fd >= 0, !ret);
		ck_assert_int_eq(err.code, ret ? TVMM_E_HOST : 0);
		evtimer_fini(&c.t, &c.l);
		evloop_fini(&c.l);
		ck_assert_uint_eq(count_fds(), before);
		if (!ret)
			break;
	}
	ck_assert_uint_eq(n, 3); /* two calls that may fail */
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { comes, failures, NULL };

	return test_main("evtimer", tests);
}
