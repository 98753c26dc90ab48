/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_net_turns.c - when virtio-net works on its queues: as limits allow, and before it sleeps.
 */
#include "test_virtio_net.h"

static uint64_t clock_ns;

static uint64_t fake_now(const struct host *h)
{
	return clock_ns;
}

START_TEST(limits)
{
	struct rig *r = rig_new(1, MRG);
	struct host h = *host_linux();
	uint8_t data[100] = { 0 };

	clock_ns = 1000000000000ull; /* of the real timer's past: it is due at once, so only our clock says what may go */
	h.now_ns = fake_now;
	r->t.loop.host = &h;
	ck_assert_int_eq(virtio_net_limit(&r->net, 0, 1000, 0, NULL), 0);
	offer_rx(r, RX, 8, 500);
	arrive(r, 0, 3);
	for (unsigned i = 0; i < 3; i++) {
		struct td_seg s = td_out(&r->t, data, sizeof(data));

		td_offer(&r->t, &r->t.ring[TX], &s, 1);
	}
	td_kick(&r->t, RX);
	td_kick(&r->t, TX);
	for (unsigned i = 1; i <= 3; i++) {
		for (unsigned k = 0; k < 3; k++) { /* a kick does not help */
			td_kick(&r->t, RX);
			td_kick(&r->t, TX);
		}
		ck_assert_uint_eq(r->f.sent_count, i);
		ck_assert_uint_eq(td_used(&r->t, &r->t.ring[RX])->idx, i);
		clock_ns += 1000000;
		r->net.timer.ready(&r->net.timer, 0);
	}
	ck_assert_uint_eq(r->f.sent_count, 3);
	rig_free(r);
}
END_TEST

/* ---- before it sleeps --------------------------------------------------------------------------------------------- */

static uint64_t passing_now(const struct host *h)
{
	return clock_ns += 1000;
}

static struct host passing;

/* A rig that looks for 20 us, a microsecond a look. */
static struct rig *looking_rig(void)
{
	struct rig *r = rig_new(1, MRG);

	passing = *host_linux();
	passing.now_ns = passing_now;
	r->t.loop.host = &passing;
	virtio_net_poll(&r->net, 20000);
	offer_rx(r, RX, 64, 500);
	td_kick(&r->t, RX);
	return r;
}

static void offer_tx(struct rig *r)
{
	static const uint8_t data[100];
	struct td_seg s = td_out(&r->t, data, sizeof(data));

	td_offer(&r->t, &r->t.ring[TX], &s, 1);
}

/* Notifications with a packet each, until one is followed by looks: how many. */
static unsigned kicks_until_looks(struct rig *r)
{
	unsigned n = 0, reads = r->f.reads;

	for (; r->f.reads == reads && n < 10000; n++) {
		offer_tx(r);
		td_kick(&r->t, TX);
		while (td_take_used(&r->t, &r->t.ring[TX], NULL) >= 0)
			;
	}
	return n;
}

static unsigned looks, to_come;

/* The driver has another packet at each third look. */
static void another(struct fake *f)
{
	if (++looks % 3 == 0 && to_come) {
		to_come--;
		offer_tx(container_of(f, struct rig, f));
	}
}

static void ring(struct fake *f)
{
	looks++;
	evbell_ring(&container_of(f, struct rig, f)->t.loop.calls);
}

START_TEST(looks_on)
{
	struct rig *r = looking_rig();
	unsigned first, second, sent, reads;

	/* In vain, and ever more rarely. */
	reads = r->f.reads;
	first = kicks_until_looks(r);
	ck_assert_uint_gt(first, 1);
	ck_assert_uint_ge(r->f.reads, reads + 5);
	ck_assert_uint_le(r->f.reads, reads + 21);
	second = kicks_until_looks(r);
	ck_assert_uint_gt(second, first);
	ck_assert_uint_eq(r->f.sent_count, first + second);
	/* Where more comes, one notification does for all. */
	r->f.looked = another;
	looks = 0;
	to_come = 10;
	sent = r->f.sent_count;
	first = kicks_until_looks(r);
	ck_assert_uint_eq(to_come, 0);
	ck_assert_uint_eq(r->f.sent_count, sent + first + 10);
	ck_assert_uint_eq(kicks_until_looks(r), 1);
	rig_free(r);
}
END_TEST

START_TEST(looks_no_longer)
{
	struct rig *r = looking_rig();

	/* Somebody else has something for the loop. */
	r->f.looked = ring;
	looks = 0;
	kicks_until_looks(r);
	ck_assert_uint_ge(looks, 1);
	ck_assert_uint_le(looks, 2);
	/* A machine that is limited sleeps. */
	ck_assert_int_eq(virtio_net_limit(&r->net, 0, 1000000, 0, NULL), 0);
	looks = 0;
	ck_assert_uint_eq(kicks_until_looks(r), 10000);
	ck_assert_uint_eq(looks, 0);
	rig_free(r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { limits, looks_on, looks_no_longer, NULL };

	return test_main("virtio_net_turns", tests);
}
