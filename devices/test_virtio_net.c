/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_net.c - packets between a driver's buffers and an interface of the test's own.
 */
#include "test_virtio_net.h"

START_TEST(config)
{
	struct rig *r = rig_new(1, STATUS);
	struct {
		uint8_t mac[6];
		uint16_t status, max_pairs, mtu;
	} c;

	virtio_config_read(&r->net.dev, 0, &c, 12);
	ck_assert(!memcmp(c.mac, mac, 6));
	ck_assert_uint_eq(c.status, 1);
	ck_assert_uint_eq(c.max_pairs, 1);
	ck_assert_uint_eq(c.mtu, 1400);
	ck_assert_uint_eq(r->net.dev.n_queues, 2);
	ck_assert(!(r->net.dev.features & MQ));
	ck_assert_uint_eq(r->f.features, NET_F_GUEST_CSUM);
	/* The interface is taken away, and with it the link; what is sent then is taken and lost. */
	r->f.nif.up = false;
	r->f.nif.link(&r->f.nif);
	virtio_config_read(&r->net.dev, 0, &c, 12);
	ck_assert_uint_eq(c.status, 0);
	ck_assert_uint_eq(r->t.config_irqs, 1);
	virtio_set_status(&r->net.dev, 0);
	ck_assert_uint_eq(r->f.features, 0);
	rig_free(r);
}
END_TEST

START_TEST(transmit)
{
	struct rig *r = rig_new(1, 0);
	uint8_t data[300];
	struct td_seg s[4];
	int head;

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	/* The header may lie anywhere: here in three pieces. */
	s[0] = td_out(&r->t, data, 5);
	s[1] = td_out(&r->t, data + 5, 6);
	s[2] = td_out(&r->t, data + 11, 200);
	head = td_offer(&r->t, &r->t.ring[TX], s, 3);
	td_kick(&r->t, TX);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[TX], NULL), head);
	ck_assert_uint_eq(r->f.sent_len, 211);
	ck_assert(!memcmp(r->f.sent, data, 211));
	ck_assert_uint_eq(r->t.queue_irqs[TX], 1);
	/* Less than a header and a byte is no packet; it comes back and is counted. */
	s[0] = td_out(&r->t, data, NETIF_HDR);
	td_offer(&r->t, &r->t.ring[TX], s, 1);
	s[0] = td_in(&r->t, 100);
	td_offer(&r->t, &r->t.ring[TX], s, 1);
	td_kick(&r->t, TX);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[TX], NULL), 0);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[TX], NULL), 0);
	ck_assert_uint_eq(r->f.sent_count, 1);
	ck_assert_uint_eq(r->t.log.guest_faults, 2);
	rig_free(r);
}
END_TEST

/* The interface takes no more: what is left stays in the ring, whole and in order, and goes on when there is room. */
START_TEST(transmit_stuck)
{
	struct rig *r = rig_new(1, 0);
	uint8_t data[64] = { 0 };

	r->f.room = 3;
	for (uint8_t i = 0; i < 200; i++) {
		struct td_seg s;

		data[20] = i;
		s = td_out(&r->t, data, sizeof(data));
		td_offer(&r->t, &r->t.ring[TX], &s, 1);
	}
	td_kick(&r->t, TX);
	td_kick(&r->t, TX);
	ck_assert_uint_eq(r->f.sent_count, 3);
	ck_assert_uint_eq(td_used(&r->t, &r->t.ring[TX])->idx, 3);
	r->f.room = 1;
	r->f.nif.ready(&r->f.nif, 0);
	ck_assert_uint_eq(r->f.sent_count, 4);
	ck_assert_uint_eq(r->f.sent[20], 3);
	/* Room for all: a turn has its limit, others come in between. */
	r->f.room = 1000;
	r->f.nif.ready(&r->f.nif, 0);
	ck_assert_uint_eq(r->f.sent_count, 4 + 128);
	ck_assert_uint_eq(td_run(&r->t, TX), 1);
	ck_assert_uint_eq(r->f.sent_count, 200);
	ck_assert_uint_eq(r->f.sent[20], 199);
	ck_assert_uint_eq(td_used(&r->t, &r->t.ring[TX])->idx, 200);
	rig_free(r);
}
END_TEST

START_TEST(receive)
{
	struct rig *r = rig_new(1, MRG);

	offer_rx(r, RX, 8, 1526);
	td_kick(&r->t, RX);
	ck_assert_uint_eq(r->f.reads, 1);
	arrive(r, 0, 3);
	ck_assert_uint_eq(r->f.reads, 1 + 4);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(take_packet(r, RX, i), 1);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[RX], NULL), -1);
	/* One interrupt for what came at once. */
	ck_assert_uint_eq(r->t.queue_irqs[RX], 1);
	rig_free(r);
}
END_TEST

/* Long packets spread over buffers, to the byte; with buffers of all sizes, and full ones. */
START_TEST(receive_merged)
{
	static const size_t lens[] = { 12, 13, 99, 100, 101, 199, 200, 201, 1000, 5000, 12, 9999, 20000, 100 };
	struct rig *r = rig_new(1, MRG);

	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		unsigned packet = r->f.next;

		r->f.len[packet % 64] = lens[i];
		while (r->t.ring[RX].n_free)
			offer_rx(r, RX, 1, 100);
		td_kick(&r->t, RX);
		arrive(r, 0, 1);
		if (lens[i] <= 256 * 100)
			ck_assert_uint_eq(take_packet(r, RX, packet), (lens[i] + 99) / 100);
	}
	rig_free(r);
}
END_TEST

/* After many small packets the kernel is given little to look at; a long one is whole all the same, and so are all around. */
START_TEST(receive_small)
{
	static const size_t lens[] = { 60000, NETIF_ROOM, 3000, 2049, 2048, 1526 * 2, 1527 };
	struct rig *r = rig_new(1, MRG);

	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		for (unsigned k = 0; k < 20; k++) {
			unsigned packet = r->f.next;

			r->f.len[packet % 64] = k == 19 ? lens[i] : 70;
			while (r->t.ring[RX].n_free)
				offer_rx(r, RX, 1, 1526);
			td_kick(&r->t, RX);
			arrive(r, 0, 1);
			ck_assert_uint_eq(take_packet(r, RX, packet), (r->f.len[packet % 64] + 1525) / 1526);
		}
		if (lens[i] > 2048) /* what comes now is read with all that there is */
			ck_assert_uint_gt(r->f.cnt, 40);
		else
			ck_assert_uint_eq(r->f.cnt, 3);
	}
	rig_free(r);
}
END_TEST

/* A packet longer than what is offered waits for buffers, not one byte lost; nothing is read meanwhile. */
START_TEST(receive_waits)
{
	struct rig *r = rig_new(1, MRG);
	unsigned reads;

	r->f.len[0] = NETIF_ROOM;
	r->f.len[1] = 70;
	offer_rx(r, RX, 2, 1000);
	arrive(r, 0, 2);
	reads = r->f.reads;
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[RX], NULL), -1);
	offer_rx(r, RX, 62, 1000);
	td_kick(&r->t, RX);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[RX], NULL), -1);
	ck_assert_uint_eq(r->f.reads, reads);
	arrive(r, 0, 0);
	ck_assert_uint_eq(r->f.reads, reads);
	offer_rx(r, RX, 3, 1000);
	td_kick(&r->t, RX);
	ck_assert_uint_eq(take_packet(r, RX, 0), (NETIF_ROOM + 999) / 1000);
	ck_assert_uint_eq(take_packet(r, RX, 1), 1);
	rig_free(r);
}
END_TEST

/* No buffer: the interface is left alone, until the driver tells of one. */
START_TEST(receive_no_buffers)
{
	struct rig *r = rig_new(1, MRG | VIRTIO_F_EVENT_IDX);

	arrive(r, 0, 5);
	arrive(r, 0, 0);
	ck_assert_uint_eq(r->f.reads, 0);
	ck_assert_uint_eq(*td_avail_event(&r->t, &r->t.ring[RX]), 0);
	offer_rx(r, RX, 2, 500);
	td_kick(&r->t, RX);
	take_packet(r, RX, 0);
	take_packet(r, RX, 1);
	ck_assert_uint_eq(r->f.pending[0], 3);
	ck_assert_uint_eq(*td_avail_event(&r->t, &r->t.ring[RX]), 2);
	/* Buffers that hold no header are no buffers; they come back. */
	offer_rx(r, RX, 3, NETIF_HDR - 1);
	td_kick(&r->t, RX);
	for (unsigned i = 0; i < 3; i++) {
		uint32_t len = 1;

		ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[RX], &len), 0);
		ck_assert_uint_eq(len, 0);
	}
	ck_assert_uint_eq(r->f.pending[0], 3);
	/* A reset forgets them all. */
	virtio_set_status(&r->net.dev, 0);
	td_start(&r->t, &r->net.dev, MRG | NET_F_GUEST_CSUM);
	offer_rx(r, RX, 3, 500);
	td_kick(&r->t, RX);
	take_packet(r, RX, 2);
	rig_free(r);
}
END_TEST

/* Without MRG_RXBUF a packet has one buffer, and is lost where it does not fit. */
START_TEST(receive_unmerged)
{
	struct rig *r = rig_new(1, 0);
	struct td_seg s[3] = { td_in(&r->t, 12), td_in(&r->t, 0), td_in(&r->t, 188) };

	r->f.len[0] = 201;
	r->f.len[1] = 200;
	td_offer(&r->t, &r->t.ring[RX], s, 3);
	arrive(r, 0, 2);
	ck_assert_uint_eq(r->f.nif.dropped, 1);
	at[td_used(&r->t, &r->t.ring[RX])->ring[0].id] = s[0].addr;
	ck_assert_uint_eq(td_used(&r->t, &r->t.ring[RX])->ring[0].len, 200);
	for (unsigned i = 12; i < 200; i++)
		TD_ASSERT(((uint8_t *)td_ptr(&r->t, s[2].addr))[i - 12] == pattern(1, i));
	ck_assert_uint_eq(((uint8_t *)td_ptr(&r->t, s[0].addr))[10], 1);
	rig_free(r);
}
END_TEST

/* Buffers in pieces so small that no packet of length fits what one system call takes: it is lost, the next one goes. */
START_TEST(receive_crumbs)
{
	struct rig *r = rig_new(1, MRG | VIRTIO_F_INDIRECT_DESC);
	static struct td_seg s[VIRTQ_MAX_SEGS];

	for (unsigned k = 0; k < 6; k++) {
		for (unsigned i = 0; i < VIRTQ_MAX_SEGS; i++)
			s[i] = td_in(&r->t, 1);
		td_offer_indirect(&r->t, &r->t.ring[RX], s, VIRTQ_MAX_SEGS);
	}
	r->f.len[0] = 5000;
	r->f.len[1] = 300;
	arrive(r, 0, 2);
	ck_assert_uint_eq(r->f.nif.dropped, 1);
	ck_assert_uint_eq(td_used(&r->t, &r->t.ring[RX])->idx, 2);
	rig_free(r);
}
END_TEST

static uint8_t command(struct rig *r, unsigned q, uint8_t class, uint8_t cmd, uint16_t pairs)
{
	uint8_t c[4] = { class, cmd, (uint8_t)pairs, (uint8_t)(pairs >> 8) };
	struct td_seg s[] = { td_out(&r->t, c, 2), td_out(&r->t, c + 2, 2), td_in(&r->t, 1) };

	*(uint8_t *)td_ptr(&r->t, s[2].addr) = 0xee;
	td_offer(&r->t, &r->t.ring[q], s, 3);
	td_kick(&r->t, q);
	ck_assert_int_ge(td_take_used(&r->t, &r->t.ring[q], NULL), 0);
	return *(uint8_t *)td_ptr(&r->t, s[2].addr);
}

START_TEST(pairs)
{
	struct rig *r = rig_new(3, MQ | MRG);

	ck_assert_uint_eq(r->net.dev.n_queues, 7);
	offer_rx(r, 4, 2, 500);
	arrive(r, 2, 1); /* not in use: left alone */
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[4], NULL), -1);
	ck_assert_uint_eq(command(r, 6, 4, 0, 4), 1);
	ck_assert_uint_eq(command(r, 6, 4, 0, 0), 1);
	ck_assert_uint_eq(command(r, 6, 4, 1, 1), 1);
	ck_assert_uint_eq(command(r, 6, 0, 0, 1), 1);
	r->f.pairs_error = -EIO;
	ck_assert_uint_eq(command(r, 6, 4, 0, 3), 1);
	r->f.pairs_error = 0;
	ck_assert_uint_eq(command(r, 6, 4, 0, 3), 0);
	ck_assert_uint_eq(r->f.pairs, 3);
	take_packet(r, 4, 0);
	virtio_set_status(&r->net.dev, 0);
	ck_assert_uint_eq(r->f.pairs, 1);
	/* A driver that knows nothing of several pairs has its control queue elsewhere. */
	td_start(&r->t, &r->net.dev, CTRL_VQ);
	ck_assert_uint_eq(command(r, 2, 4, 0, 1), 1);
	rig_free(r);
}
END_TEST

START_TEST(no_answer)
{
	struct rig *r = rig_new(2, MQ);
	struct td_seg s = td_out(&r->t, "\4\0\1\0", 4);

	td_offer(&r->t, &r->t.ring[4], &s, 1);
	td_kick(&r->t, 4);
	ck_assert(virtio_status(&r->net.dev) & VIRTIO_S_NEEDS_RESET);
	arrive(r, 0, 1);
	rig_free(r);
}
END_TEST

/* On a clock of the test's own: so many at once, then one for each moment that its cost takes; nothing is lost. */

int main(void)
{
	const TTest *const tests[] = { config, transmit, transmit_stuck, receive, receive_merged, receive_small, receive_waits,
				       receive_no_buffers, receive_unmerged, receive_crumbs, pairs, no_answer, NULL };

	return test_main("virtio_net", tests);
}
