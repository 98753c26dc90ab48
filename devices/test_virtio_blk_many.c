/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_blk_many.c - many requests at a time come back exactly once each: in turns, on several queues, under a limit, in
 * batches with notifications off,
 * more than there are slots, at random, and when the device is reset meanwhile.
 */
#include "test_blk.h"

/* Many requests at once: turns are limited, so that one disk does not starve the rest, and no request is forgotten. */
START_TEST(takes_turns)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct header h = { T_IN, 0, 0 };
	struct td_seg hs = td_out(&r->t, &h, 16), in = td_in(&r->t, 512), st = td_in(&r->t, 1);
	struct td_seg s[3] = { hs, in, st };
	unsigned offered = 0, used = 0;

	while (td_offer(&r->t, &r->t.ring[0], s, 3) >= 0)
		offered++;
	ck_assert_uint_gt(offered, 64);
	td_kick(&r->t, 0);
	ck_assert_uint_lt(r->disk.reads, offered);
	ck_assert_uint_gt(td_run(&r->t, 0), 1);
	while (td_take_used(&r->t, &r->t.ring[0], NULL) >= 0)
		used++;
	ck_assert_uint_eq(used, offered);
	rig_free(r);
}
END_TEST

static uint64_t fake_time;

static uint64_t fake_now(const struct host *h)
{
	return fake_time;
}

static void nothing(void *arg)
{
}

static void *reset_thread(void *dev)
{
	virtio_set_status(dev, 0);
	return NULL;
}

/*
 * With an engine: a request that the host takes long for holds up nobody.  A reset returns without it, but is not over, and
 * nothing is accepted, before it is there; after the reset nothing is written into guest memory, nor put on the ring.
 */
START_TEST(in_flight)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct disk_engine e;
	struct header h[2] = { { T_IN, 0, 8 }, { T_IN, 0, 16 } };
	struct td_seg slow[3], fast[3];
	pthread_t thread;
	int slow_head, fast_head, used;

	virtio_set_status(&r->blk.dev, 0);
	ck_assert_int_eq(disk_engine_init(&e, host_linux(), &r->t.loop, NULL, NULL), 0);
	r->blk.engine = &e;
	r->disk.disk.fd = -1;
	ck_assert_int_eq(evloop_start(&r->t.loop, "test", NULL), 0);
	td_start(&r->t, &r->blk.dev, ALL_FEATURES);
	for (unsigned i = 0; i < 2; i++) {
		struct td_seg *s = i ? fast : slow;

		s[0] = td_out(&r->t, &h[i], 16);
		s[1] = td_in(&r->t, 512);
		s[2] = td_in(&r->t, 1);
	}
	r->disk.hold = 8 * 512 + 1;
	slow_head = td_offer(&r->t, &r->t.ring[0], slow, 3);
	fast_head = td_offer(&r->t, &r->t.ring[0], fast, 3);
	td_kick(&r->t, 0);
	while ((used = td_take_used(&r->t, &r->t.ring[0], NULL)) < 0)
		usleep(100);
	ck_assert_int_eq(used, fast_head);
	ck_assert_int_ne(used, slow_head);
	while (!r->disk.held)
		usleep(100);

	ck_assert_int_eq(pthread_create(&thread, NULL, reset_thread, &r->blk.dev), 0);
	while (!r->blk.stopping) {
		usleep(100);
		evloop_call(&r->t.loop, nothing, NULL);
	}
	evloop_call(&r->t.loop, nothing, NULL); /* the loop lives */
	pthread_join(thread, NULL);
	ck_assert(virtio_status(&r->blk.dev) & VIRTIO_S_DRIVER_OK);
	virtio_set_status(&r->blk.dev, VIRTIO_S_ACKNOWLEDGE);
	virtio_set_status(&r->blk.dev, 0);
	ck_assert(virtio_status(&r->blk.dev) & VIRTIO_S_DRIVER_OK);
	ck_assert(!virtio_is_quiet(&r->blk.dev));
	r->disk.hold = 0;
	while (virtio_status(&r->blk.dev))
		usleep(100);
	ck_assert(virtio_is_quiet(&r->blk.dev));
	ck_assert_uint_eq(r->blk.n_free, VIRTIO_BLK_SLOTS);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[0], NULL), -1);
	ck_assert_uint_eq(*(uint8_t *)td_ptr(&r->t, slow[2].addr), 0);

	td_start(&r->t, &r->blk.dev, ALL_FEATURES); /* and all works again */
	ck_assert_int_ge(td_offer(&r->t, &r->t.ring[0], slow, 3), 0);
	td_kick(&r->t, 0);
	while (td_take_used(&r->t, &r->t.ring[0], NULL) < 0)
		usleep(100);
	virtio_set_status(&r->blk.dev, 0);
	evloop_stop(&r->t.loop);
	disk_engine_fini(&e);
	r->blk.engine = NULL;
	rig_free(r);
}
END_TEST

/* Three queues, and a limit of one request in a tenth of a second that they share. */
START_TEST(queues_and_limit)
{
	struct host h = *host_linux();
	struct header hdr = { T_IN, 0, 0 };
	struct td_seg s[3];
	struct rig *r;
	unsigned used = 0;
	uint8_t c[2];

	opts.queues = 3;
	ratelimit_init(&opts.limit, 0, 10, 0);
	r = rig_new(false, ALL_FEATURES | BIT_ULL(12));
	s[0] = td_out(&r->t, &hdr, 16);
	s[1] = td_in(&r->t, 512);
	s[2] = td_in(&r->t, 1);
	opts = (struct virtio_blk_opts){ .serial = "serial-number", .queues = 1 };
	virtio_config_read(&r->blk.dev, 34, c, 2);
	ck_assert_uint_eq(load_le16(c), 3);
	h.now_ns = fake_now;
	fake_time = 1000000000ull;
	r->t.loop.host = &h;
	for (unsigned q = 0; q < 3; q++) {
		ck_assert_int_ge(td_offer(&r->t, &r->t.ring[q], s, 3), 0);
		ck_assert_int_ge(td_offer(&r->t, &r->t.ring[q], s, 3), 0);
		td_kick(&r->t, q);
	}
	/* The timer's descriptor runs by the real clock; the allowance by ours. */
	for (unsigned i = 1; i <= 6; i++) {
		used = 0;
		for (unsigned q = 0; q < 3; q++)
			used += td_used(&r->t, &r->t.ring[q])->idx;
		ck_assert_uint_eq(used, i);
		ck_assert_uint_eq(r->disk.reads, i);
		r->blk.timer.ready(&r->blk.timer, 1);
		ck_assert_uint_eq(r->disk.reads, i); /* too early: nothing */
		fake_time += 100000000;
		r->blk.timer.ready(&r->blk.timer, 1);
	}
	ck_assert_uint_eq(r->blk.limited, 0);
	r->t.loop.host = host_linux();
	rig_free(r);
}
END_TEST

/* Takes what is used; how many. */
static unsigned drain(struct rig *r)
{
	unsigned n = 0;

	while (td_take_used(&r->t, &r->t.ring[0], NULL) >= 0)
		n++;
	return n;
}

/*
 * Notifications that come thick: one is held back, whose queue has filled when the timer comes; then notifications are off
 * and requests wait for looks, until one finds none.  A reset ends it, and leaves nobody behind.
 */
START_TEST(batches)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct host h = *host_linux();
	struct header hdr = { T_IN, 0, 0 };
	struct disk_engine e;
	struct td_seg s[3];
	unsigned at_once = 0;

	td_init(&r->t);
	r->disk.disk = (struct disk){ .ops = &mem_ops, .size = SIZE, .block_size = 512 };
	ck_assert_int_eq(disk_engine_init(&e, host_linux(), &r->t.loop, NULL, NULL), 0);
	opts.engine = &e;
	ck_assert_int_eq(virtio_blk_init(&r->blk, "disk 0", &r->disk.disk, &opts, &r->t.mem, &r->t.loop, &r->t.log, NULL), 0);
	opts.engine = r->blk.engine = NULL; /* each is done when it is started */
	h.now_ns = fake_now;
	r->t.loop.host = &h;
	fake_time = 1000000000;
	td_start(&r->t, &r->blk.dev, ALL_FEATURES);
	s[0] = td_out(&r->t, &hdr, 16);
	s[1] = td_in(&r->t, 512);
	s[2] = td_in(&r->t, 1);
	for (; at_once < 1000; at_once++) {
		fake_time += 10000;
		ck_assert_int_ge(td_offer(&r->t, &r->t.ring[0], s, 3), 0);
		td_kick(&r->t, 0);
		if (!drain(r))
			break;
	}
	ck_assert(at_once > 10 && at_once < 1000);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = round == 0; i < 10; i++) {
			ck_assert_int_ge(td_offer(&r->t, &r->t.ring[0], s, 3), 0);
			td_kick(&r->t, 0); /* one that was on its way */
			ck_assert_uint_eq(drain(r), 0);
		}
		r->blk.look.ready(&r->blk.look, 1);
		ck_assert_uint_eq(drain(r), 10);
		ck_assert_uint_ne(r->blk.quiet, 0);
	}
	r->blk.look.ready(&r->blk.look, 1); /* none: they are on again */
	ck_assert_uint_eq(r->blk.quiet, 0);
	ck_assert_int_ge(td_offer(&r->t, &r->t.ring[0], s, 3), 0);
	td_kick(&r->t, 0);
	ck_assert_uint_eq(drain(r), 1);
	do {
		fake_time += 10000;
		ck_assert_int_ge(td_offer(&r->t, &r->t.ring[0], s, 3), 0);
		td_kick(&r->t, 0);
	} while (drain(r));
	virtio_set_status(&r->blk.dev, 0);
	r->blk.look.ready(&r->blk.look, 1);
	ck_assert_uint_eq(drain(r), 0);
	r->t.loop.host = host_linux();
	disk_engine_fini(&e);
	rig_free(r);
}
END_TEST

/* More requests than slots, all slow: each is answered once. */
START_TEST(more_than_slots)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	struct header h = { T_IN, 0, 0 };
	struct td_seg s[3] = { td_out(&r->t, &h, 16), td_in(&r->t, 512), td_in(&r->t, 1) };
	unsigned offered = 0, used = 0, round;
	struct disk_engine e;

	ck_assert_int_eq(disk_engine_init(&e, host_linux(), &r->t.loop, NULL, NULL), 0);
	r->blk.engine = &e;
	r->disk.disk.fd = -1;
	for (round = 0; round < 3; round++) {
		while (td_offer_indirect(&r->t, &r->t.ring[0], s, 3) >= 0)
			offered++;
		r->blk.n_free -= 200; /* fewer slots than ring entries */
		td_kick(&r->t, 0);
		while (used < offered) {
			disk_reap(&e);
			td_run(&r->t, 0);
			disk_engine_wait(&e);
			while (td_take_used(&r->t, &r->t.ring[0], NULL) >= 0)
				used++;
		}
		r->blk.n_free += 200;
	}
	ck_assert_uint_eq(used, 3 * 256);
	ck_assert_uint_eq(r->disk.reads, used);
	virtio_set_status(&r->blk.dev, 0);
	disk_engine_fini(&e);
	r->blk.engine = NULL;
	rig_free(r);
}
END_TEST

/* Requests made of random segments: each comes back once, and the disk is only ever touched inside (mem_transfer). */
START_TEST(random_requests)
{
	struct rig *r = rig_new(false, ALL_FEATURES);
	uint64_t brk = r->t.brk;

	srand(2);
	for (unsigned round = 0; round < 20000; round++) {
		struct header h = { (uint32_t)rand() % 10, 0, (uint64_t)rand() % (SECTORS + 4) };
		struct td_seg s[8];
		unsigned n = 0, cut = (unsigned)rand() % 17;
		int head;

		r->t.brk = brk;
		s[n++] = td_out(&r->t, &h, cut);
		if (rand() % 8)
			s[n++] = td_out(&r->t, (uint8_t *)&h + cut, 16 - cut);
		for (unsigned i = (unsigned)rand() % 3; i; i--) {
			s[n] = td_in(&r->t, rand() % 4 ? 512 : (uint32_t)rand() % 1000);
			s[n++].in = h.type != T_OUT && rand() % 8;
		}
		s[n++] = td_in(&r->t, 1 + (uint32_t)rand() % 2);
		for (unsigned i = 1; i < n; i++) /* writable ones last, as a driver must */
			for (unsigned j = i; j && s[j - 1].in && !s[j].in; j--) {
				struct td_seg swap = s[j];

				s[j] = s[j - 1];
				s[j - 1] = swap;
			}
		head = td_offer(&r->t, &r->t.ring[0], s, n);
		TD_ASSERT(head >= 0);
		td_kick(&r->t, 0);
		TD_ASSERT(td_take_used(&r->t, &r->t.ring[0], NULL) == head);
		TD_ASSERT(td_take_used(&r->t, &r->t.ring[0], NULL) == -1);
	}
	ck_assert_uint_gt(r->disk.reads, 100);
	ck_assert_uint_gt(r->disk.writes, 100);
	ck_assert_uint_eq(r->t.log.guest_faults, 0);
	rig_free(r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { takes_turns, in_flight, queues_and_limit, batches, more_than_slots, random_requests, NULL };

	return test_main("virtio_blk_many", tests);
}
