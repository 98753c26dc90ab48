/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_evloop.c - calls from other threads, visits, bells, deletion within a batch, and no wakeup without a cause. */
#include "evloop.h"
#include <sys/epoll.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"

static void count(void *arg)
{
	++*(unsigned *)arg;
}

struct caller {
	struct evloop *l;
	unsigned *n;
};

static void *call_many(void *arg)
{
	struct caller *c = arg;

	for (unsigned i = 0; i < 2000; i++)
		evloop_call(c->l, count, c->n);
	return NULL;
}

START_TEST(calls)
{
	struct evloop l;
	pthread_t t[4];
	unsigned n = 0;
	struct caller c = { &l, &n };

	ck_assert_int_eq(evloop_init(&l, host_linux(), NULL), 0);
	evloop_call(&l, count, &n); /* not running yet: here and now */
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(evloop_start(&l, "loop", NULL), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		pthread_create(&t[i], NULL, call_many, &c);
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(n, 8001); /* all ran one at a time */
	evloop_stop(&l);
	evloop_call(&l, count, &n); /* over: here again */
	ck_assert_uint_eq(n, 8002);
	evloop_fini(&l);
}
END_TEST

static void wait_for(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		usleep(100);
}

struct held {
	pthread_key_t key;
	atomic_bool let_go;
};

static void hold(void *arg)
{
	struct held *h = arg;

	pthread_setspecific(h->key, &h->let_go);
}

/* The host keeps the thread for longer than the loop lasts: who stops the loop does not wait, and it can run again. */
START_TEST(thread_kept)
{
	struct held h = { .let_go = false };
	struct evloop l;
	unsigned n = 0;

	ck_assert_int_eq(pthread_key_create(&h.key, wait_for), 0);
	ck_assert_int_eq(evloop_init(&l, host_linux(), NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(evloop_start(&l, "loop", NULL), 0);
		evloop_call(&l, hold, &h);
		evloop_stop(&l);
		evloop_call(&l, count, &n); /* here */
		ck_assert_uint_eq(n, i + 1);
		atomic_store(&h.let_go, true);
	}
	evloop_fini(&l);
	pthread_key_delete(h.key);
}
END_TEST

struct ring {
	struct evbell bell;
	unsigned n, seen;
	struct ring *other;
	struct evloop *l;
};

static void rung(struct evbell *b)
{
	struct ring *r = container_of(b, struct ring, bell);

	r->n++;
	if (r->other)
		evbell_fini(&r->other->bell, r->l);
}

static void nothing(void *arg)
{
}

START_TEST(bells)
{
	struct evloop l;
	struct ring r = { .l = &l };
	uint64_t before;

	ck_assert_int_eq(evloop_init(&l, host_linux(), NULL), 0);
	ck_assert_int_eq(evbell_init(&r.bell, &l, rung, NULL), 0);
	for (unsigned i = 0; i < 100; i++)
		evbell_ring(&r.bell);
	ck_assert_int_eq(evloop_start(&l, "loop", NULL), 0);
	evloop_call(&l, nothing, NULL);
	evloop_call(&l, nothing, NULL);
	ck_assert_uint_eq(r.n, 1); /* a hundred rings, one call */
	before = l.wakeups;
	usleep(50000);
	ck_assert_uint_le(l.wakeups, before + 1); /* a call's ring may still have been on its way */
	evloop_stop(&l);
	evbell_fini(&r.bell, &l);
	evbell_fini(&r.bell, &l); /* twice is fine */
	evloop_fini(&l);
}
END_TEST

static void be_deaf(void *arg)
{
	struct ring *r = arg;

	evbell_watch(&r->bell, r->l, false);
}

static void hear_again(void *arg)
{
	struct ring *r = arg;

	evbell_watch(&r->bell, r->l, true);
}

static void look(void *arg)
{
	struct ring *r = arg;

	r->seen = r->n;
}

/* How often it was called; waits for N times, but not for ever. */
static unsigned heard(struct evloop *l, struct ring *r, unsigned n)
{
	for (unsigned i = 0; i < 100000; i++) {
		evloop_call(l, look, r);
		if (r->seen >= n)
			break;
	}
	return r->seen;
}

/* Each ring is an edge; none is lost while nobody listens. */
START_TEST(bells_never_emptied)
{
	struct evloop l;
	struct ring r = { .l = &l };
	uint64_t rings = 0;

	ck_assert_int_eq(evloop_init(&l, host_linux(), NULL), 0);
	ck_assert_int_eq(evbell_init(&r.bell, &l, rung, NULL), 0);
	ck_assert_int_eq(evbell_watch(&r.bell, &l, true), 0);
	ck_assert_int_eq(evloop_start(&l, "loop", NULL), 0);
	for (unsigned i = 1; i <= 100; i++) {
		evbell_ring(&r.bell);
		ck_assert_uint_eq(heard(&l, &r, i), i);
	}
	evloop_call(&l, be_deaf, &r);
	ck_assert_int_eq(read(r.bell.src.fd, &rings, sizeof(rings)), sizeof(rings));
	ck_assert_uint_eq(rings, 100);
	evbell_ring(&r.bell);
	evloop_call(&l, hear_again, &r);
	ck_assert_uint_eq(heard(&l, &r, 101), 101);
	evloop_stop(&l);
	evbell_fini(&r.bell, &l);
	evloop_fini(&l);
}
END_TEST

/* Two bells in one batch, each deleting the other: exactly one of them may run. */
START_TEST(deleted_in_batch)
{
	struct evloop l;
	struct ring a = { .l = &l }, b = { .l = &l };

	a.other = &b;
	b.other = &a;
	ck_assert_int_eq(evloop_init(&l, host_linux(), NULL), 0);
	ck_assert_int_eq(evbell_init(&a.bell, &l, rung, NULL), 0);
	ck_assert_int_eq(evbell_init(&b.bell, &l, rung, NULL), 0);
	evbell_ring(&a.bell);
	evbell_ring(&b.bell);
	ck_assert_int_eq(evloop_start(&l, "loop", NULL), 0);
	evloop_call(&l, nothing, NULL);
	evloop_call(&l, nothing, NULL);
	ck_assert_uint_eq(a.n + b.n, 1);
	evloop_stop(&l);
	evbell_fini(&a.bell, &l);
	evbell_fini(&b.bell, &l);
	evloop_fini(&l);
}
END_TEST

struct visits {
	struct evloop *l;
	unsigned *n, made;
	atomic_bool *enough;
};

static void visit(void *arg)
{
	struct visits *v = arg;

	ck_assert(v->l->visited);
	++*v->n;
	v->made++;
}

static void *visit_on_and_on(void *arg)
{
	struct visits *v = arg;

	while (!atomic_load(v->enough))
		evloop_visit(v->l, visit, v);
	return NULL;
}

/* Visitors, who give it no rest, and the loop itself: one at a time, and calls still come through. */
START_TEST(visits)
{
	struct evloop l;
	atomic_bool enough = false;
	unsigned n = 0, rounds = 0;
	struct visits v[2] = { { &l, &n, 0, &enough }, { &l, &n, 0, &enough } };
	struct caller c = { &l, &n };
	pthread_t t[2];

	ck_assert_int_eq(evloop_init(&l, host_linux(), NULL), 0);
	ck_assert(evloop_visit(&l, visit, &v[0])); /* not running yet */
	ck_assert_int_eq(evloop_start(&l, "loop", NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, visit_on_and_on, &v[i]);
	for (; rounds < 3; rounds++)
		call_many(&c);
	atomic_store(&enough, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(n, 2000 * rounds + v[0].made + v[1].made);
	ck_assert(!l.visited);
	evloop_stop(&l);
	ck_assert(!evloop_visit(&l, visit, &v[0])); /* there is nobody to visit */
	evloop_fini(&l);
}
END_TEST

int main(void)
{
	return test_main("evloop", (const TTest *const[]){ calls, thread_kept, visits, bells, bells_never_emptied, deleted_in_batch, NULL });
}
