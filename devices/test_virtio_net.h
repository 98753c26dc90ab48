/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_net.h - for test_virtio_net*.c: an interface of the test's own, which has room or has none, has packets of any
 * length, and goes away; a network device on it, and its driver.
 */
#ifndef TVMM_DEVICES_TEST_VIRTIO_NET_H
#define TVMM_DEVICES_TEST_VIRTIO_NET_H

#include "test_driver.h"
#include "virtio_net.h"

enum { RX, TX };
#define MRG     BIT_ULL(15)
#define STATUS  BIT_ULL(16)
#define CTRL_VQ BIT_ULL(17)
#define MQ      (BIT_ULL(22) | CTRL_VQ)

static const uint8_t mac[6] = { 2, 0, 0, 1, 2, 3 };

/* The interface: packets counted by PENDING, each LEN bytes of a pattern that says which it is. */
struct fake {
	struct netif nif;
	unsigned pending[NETIF_PAIRS], next;
	size_t len[64]; /* of packet NEXT % 64; at least NETIF_HDR */
	unsigned reads, cnt, room; /* CNT: elements of the last read; ROOM: packets that may still be sent */
	uint8_t sent[NETIF_ROOM * 2];
	size_t sent_len;
	unsigned sent_count, sent_pair, pairs;
	uint64_t features;
	int pairs_error;
	void (*looked)(struct fake *f); /* somebody looked for a packet, and there was none; NULL: so what */
};

struct rig {
	struct td t;
	struct fake f;
	struct virtio_net net;
};

static inline uint8_t pattern(unsigned packet, size_t at)
{
	return (uint8_t)(packet * 31 + at * 7 + at / 256);
}

static inline ssize_t fake_recv(struct netif *n, unsigned pair, const struct iovec *iov, unsigned cnt)
{
	struct fake *f = container_of(n, struct fake, nif);
	size_t len = f->len[f->next % 64], at = 0, room = 0;

	f->reads++;
	f->cnt = cnt;
	for (unsigned i = 0; i < cnt; i++)
		room += iov[i].iov_len;
	TD_ASSERT(cnt <= 1024 && room >= NETIF_ROOM);
	if (!f->pending[pair]) {
		if (f->looked)
			f->looked(f);
		return -EAGAIN;
	}
	for (unsigned i = 0; i < cnt && at < len; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < len; k++, at++)
			((uint8_t *)iov[i].iov_base)[k] = pattern(f->next, at);
	f->next++;
	f->pending[pair]--;
	return (ssize_t)len;
}

static inline int fake_send(struct netif *n, unsigned pair, struct iovec *iov, unsigned cnt, size_t len)
{
	struct fake *f = container_of(n, struct fake, nif);

	if (!f->room)
		return -EAGAIN;
	f->room--;
	f->sent_len = 0;
	for (unsigned i = 0; i < cnt; i++) {
		memcpy(f->sent + f->sent_len, iov[i].iov_base, iov[i].iov_len);
		f->sent_len += iov[i].iov_len;
	}
	ck_assert_uint_eq(f->sent_len, len);
	f->sent_count++;
	f->sent_pair = pair;
	return 0;
}

static inline void fake_features(struct netif *n, uint64_t features)
{
	container_of(n, struct fake, nif)->features = features;
}

static inline int fake_pairs(struct netif *n, unsigned pairs)
{
	struct fake *f = container_of(n, struct fake, nif);

	if (!f->pairs_error)
		f->pairs = pairs;
	return f->pairs_error;
}

static const struct netif_ops fake_ops = { fake_recv, fake_send, fake_features, fake_pairs, NULL, NULL, NULL };

static inline struct rig *rig_new(unsigned pairs, uint64_t features)
{
	struct rig *r = calloc(1, sizeof(*r));

	td_init(&r->t);
	r->f.nif = (struct netif){ .ops = &fake_ops, .kind = "fake", .pairs = pairs, .up = true,
				   .features = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_USO4 };
	r->f.room = 1000000;
	for (unsigned i = 0; i < 64; i++)
		r->f.len[i] = 100;
	ck_assert_int_eq(virtio_net_init(&r->net, "net 0", &r->f.nif, NULL, mac, 1400, &r->t.mem, &r->t.loop, &r->t.log, NULL), 0);
	td_start(&r->t, &r->net.dev, features | NET_F_GUEST_CSUM);
	return r;
}

static inline void rig_free(struct rig *r)
{
	virtio_set_status(&r->net.dev, 0);
	virtio_net_fini(&r->net);
	td_fini(&r->t);
	free(r);
}

static inline void arrive(struct rig *r, unsigned pair, unsigned n)
{
	r->f.pending[pair] += n;
	r->f.nif.ready(&r->f.nif, pair);
}

/* Offers N receive buffers of LEN bytes, behind a byte that must stay; their addresses by head. */
static struct gpa at[VIRTQ_MAX_SIZE];
static inline void offer_rx(struct rig *r, unsigned q, unsigned n, uint32_t len)
{
	for (unsigned i = 0; i < n; i++) {
		struct td_seg s = td_in(&r->t, len);
		int head = td_offer(&r->t, &r->t.ring[q], &s, 1);

		ck_assert_int_ge(head, 0);
		at[head] = s.addr;
	}
}

/* Takes one packet, merged or not, and compares it with what number PACKET was: in how many buffers it came. */
static inline unsigned take_packet(struct rig *r, unsigned q, unsigned packet)
{
	size_t len = r->f.len[packet % 64], pos = 0;
	unsigned n = 0, num_buffers = 0;

	do {
		uint32_t part;
		int head = td_take_used(&r->t, &r->t.ring[q], &part);
		const uint8_t *p;

		ck_assert_int_ge(head, 0);
		p = td_ptr(&r->t, at[head]);
		for (uint32_t i = 0; i < part; i++, pos++) {
			if (pos == 10)
				num_buffers = p[i];
			else if (pos == 11)
				num_buffers |= (unsigned)p[i] << 8;
			else
				TD_ASSERT(p[i] == pattern(packet, pos));
		}
		n++;
	} while (pos < len);
	ck_assert_uint_eq(pos, len);
	ck_assert_uint_eq(n, num_buffers);
	return n;
}

#endif
