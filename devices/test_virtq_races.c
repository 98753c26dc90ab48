/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtq_races.c - a queue whose ring changes while the device reads it: a well-meaning driver on another thread, rings
 * of random content, and one that rewrites everything all the time.
 */
#include <sys/mman.h>
#include "test_virtq.h"

#define LITMUS 20000

/* Offers LITMUS numbers, each in the buffer of its descriptor, as fast as the ring takes them. */
static void *litmus_driver(void *arg)
{
	struct fix *f = arg;

	for (uint32_t i = 0; i < LITMUS;) {
		struct td_seg s = { .addr = GPA(BUF), .len = 4 };

		while (td_take_used(&f->t, &f->r, NULL) >= 0)
			;
		if (!f->r.n_free) {
			sched_yield();
			continue;
		}
		s.addr.addr += 64u * f->r.free[f->r.n_free - 1];
		*(uint32_t *)td_ptr(&f->t, s.addr) = i++;
		td_offer(&f->t, &f->r, &s, 1);
	}
	return NULL;
}

START_TEST(litmus)
{
	static struct fix f;
	pthread_t th;

	setup(&f, 8, true, false);
	pthread_create(&th, NULL, litmus_driver, &f);
	for (uint32_t i = 0; i < LITMUS;) {
		int got = vq_pop(&f.vq, &f.req);

		TD_ASSERT(got >= 0);
		if (!got) {
			sched_yield();
			continue;
		}
		TD_ASSERT(*(uint32_t *)f.req.iov[0].iov_base == i);
		vq_push(&f.vq, f.req.head, 0);
		i++;
	}
	pthread_join(th, NULL);
	teardown(&f);
}
END_TEST

static uint32_t rnd(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	return *s ^= *s << 5;
}

/* Half plausible: a descriptor as a hostile driver would make it. */
static struct vring_desc rnd_desc(uint32_t *s)
{
	static const uint32_t lens[] = { 0, 1, 15, 16, 32, 64, 0x1000, 0x3ff000, 0xffffffff };
	static const uint64_t addrs[] = { BUF, BUF, TABLE, TABLE, TABLE + 8, END - 16, TD_BASE, END, 0, UINT64_MAX };

	return (struct vring_desc){ .addr = addrs[rnd(s) % ARRAY_SIZE(addrs)], .len = lens[rnd(s) % ARRAY_SIZE(lens)],
				    .flags = (uint16_t)(rnd(s) % 9), .next = (uint16_t)(rnd(s) % 9) };
}

static void mess_up(struct fix *f, uint32_t *s)
{
	td_desc(&f->t, &f->r)[rnd(s) % 8] = rnd_desc(s);
	((struct vring_desc *)td_ptr(&f->t, GPA(TABLE)))[rnd(s) % 8] = rnd_desc(s);
	td_avail(&f->t, &f->r)->ring[rnd(s) % 8] = (uint16_t)(rnd(s) % 9);
	if (rnd(s) % 8 == 0)
		__atomic_store_n(&td_avail(&f->t, &f->r)->idx, (uint16_t)(rnd(s) % 12), __ATOMIC_RELEASE);
}

static void check_req(const struct fix *f)
{
	uint64_t len[2] = { 0 };

	TD_ASSERT(f->req.head < 8);
	TD_ASSERT(f->req.n_out + f->req.n_in <= VIRTQ_MAX_SEGS);
	for (unsigned i = 0; i < (unsigned)f->req.n_out + f->req.n_in; i++) {
		const uint8_t *p = f->req.iov[i].iov_base;

		TD_ASSERT(p >= f->t.ram);
		TD_ASSERT(f->req.iov[i].iov_len <= (size_t)(f->t.ram + TD_RAM - p));
		len[i >= f->req.n_out] += f->req.iov[i].iov_len;
	}
	TD_ASSERT(len[0] == f->req.out_len);
	TD_ASSERT(len[1] == f->req.in_len);
}

/* Whatever is in the ring, a request that comes out is one that a device may use. */
static void pop_many(struct fix *f, unsigned good, uint32_t *seed)
{
	for (unsigned i = 0; good; i++) {
		int got;

		if (seed)
			for (unsigned k = 0; k < 6; k++)
				mess_up(f, seed);
		got = vq_pop(&f->vq, &f->req);
		if (got > 0) {
			good--;
			check_req(f);
			if (i % 3)
				vq_push(&f->vq, f->req.head, 1);
		} else if (got < 0 || i % 64 == 0) {
			activate(f, i & 1, i & 2);
			if (seed)
				td_avail(&f->t, &f->r)->idx = 1;
		}
		vq_should_signal(&f->vq);
		vq_notify_on(&f->vq);
	}
}

START_TEST(random_rings)
{
	static struct fix f;
	uint32_t seed = 0x12345;

	setup(&f, 8, true, true);
	pop_many(&f, 5000, &seed);
	teardown(&f);
}
END_TEST

struct mutator {
	struct fix *f;
	_Atomic bool stop;
};

static void *mutate(void *arg)
{
	struct mutator *m = arg;
	uint32_t seed = 0x777;

	while (!m->stop)
		mess_up(m->f, &seed);
	return NULL;
}

START_TEST(changing_rings)
{
	static struct fix f;
	struct mutator m = { .f = &f };
	pthread_t th;

	setup(&f, 8, true, true);
	pthread_create(&th, NULL, mutate, &m);
	pop_many(&f, 5000, NULL);
	m.stop = true;
	pthread_join(th, NULL);
	teardown(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { litmus, random_rings, changing_rings, NULL };

	return test_main("virtq-races", tests);
}
