/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_net.c - virtio-net with two queue pairs behind virtio_pci, between a guest and an interface of the fuzzer's own.
 *
 * The first byte chooses.  Tame: a correct driver with MRG_RXBUF; every packet that arrives comes in order, whole, with the
 * right count of buffers, and every packet sent is taken once.  Else: any guest, and an interface that has room or not, has
 * packets of any length, and goes away.  At the end the device is reset and receives once more.
 */
#include "fuzz_guest.h"
#include "virtio_net.h"

const char fuzz_name[] = "net";

enum { RX, TX, PAIRS = 2 };
#define RX_DATA FUZZ_HIGH           /* tame: one buffer per head */
#define RX_SIZE 64u
#define TX_DATA (FUZZ_LOW + 0x2000)

static struct fuzz_guest g;
static struct virtio_net net;
static struct netif nif;
static struct fuzz_world world;

static struct {
	unsigned pending[PAIRS], room;
	uint32_t arrived, taken;   /* packets: numbered as they come */
	uint32_t length[64];       /* of packet N % 64 */
	uint64_t sent, sum;
} t;

static uint8_t pattern(uint32_t packet, size_t at)
{
	return (uint8_t)(packet * 37 + at * 5);
}

static ssize_t nif_recv(struct netif *n, unsigned pair, const struct iovec *iov, unsigned cnt)
{
	size_t len = t.length[t.arrived % 64], at = 0, room = 0;

	FUZZ_ASSERT(pair < PAIRS && cnt && cnt <= 1024);
	for (unsigned i = 0; i < cnt; i++)
		room += iov[i].iov_len;
	FUZZ_ASSERT(room >= NETIF_ROOM);
	fuzz_mutate(&g);
	if (!nif.up || !t.pending[pair])
		return -EAGAIN;
	for (unsigned i = 0; i < cnt && at < len; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < len; k++, at++)
			((uint8_t *)iov[i].iov_base)[k] = pattern(t.arrived, at);
	t.pending[pair]--;
	t.arrived++;
	return (ssize_t)len;
}

static int nif_send(struct netif *n, unsigned pair, struct iovec *iov, unsigned cnt, size_t len)
{
	size_t sum = 0;

	FUZZ_ASSERT(pair < PAIRS && cnt && cnt <= VIRTQ_MAX_SEGS && len > NETIF_HDR);
	fuzz_mutate(&g);
	if (!t.room)
		return -EAGAIN;
	t.room--;
	for (unsigned i = 0; i < cnt; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++, sum++)
			t.sum += ((const uint8_t *)iov[i].iov_base)[k];
	FUZZ_ASSERT(sum == len);
	t.sent++;
	return 0;
}

static void nif_features(struct netif *n, uint64_t features)
{
	FUZZ_ASSERT(!(features & ~n->features));
}

static int nif_pairs(struct netif *n, unsigned pairs)
{
	FUZZ_ASSERT(pairs && pairs <= PAIRS);
	return 0;
}

/* Time passes while somebody looks on. */
static uint64_t passing_now(const struct host *h)
{
	return g.fh.now += 2000;
}

static void build(void)
{
	static const struct netif_ops ops = { .recv = nif_recv, .send = nif_send, .set_features = nif_features, .set_pairs = nif_pairs };
	static const uint8_t mac[6] = { 2 };

	fuzz_guest_init(&g);
	g.fh.h.now_ns = passing_now;
	nif = (struct netif){ .ops = &ops, .kind = "fake", .pairs = PAIRS, .up = true,
			      .features = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_HOST_USO };
	FUZZ_ASSERT(!virtio_net_init(&net, "net 0", &nif, NULL, mac, 1500, &g.mem, &g.loop, &g.log, NULL));
	virtio_net_poll(&net, 10000);
	fuzz_add(&g, &net.dev);
	fuzz_keep(&world, &net, sizeof(net));
	fuzz_keep(&world, &nif, sizeof(nif));
	for (unsigned i = 0; i < PAIRS; i++)
		fuzz_keep(&world, &net.rx[i], offsetof(struct net_rx, spill));
	fuzz_keep_guest(&world, &g);
}

static void arrive(unsigned pair, uint32_t len)
{
	unsigned waiting = t.pending[0] + t.pending[1];

	if (waiting >= 32)
		return;
	t.length[(t.arrived + waiting) % 64] = len;
	t.pending[pair]++;
	nif.ready(&nif, pair);
}

static void run(void)
{
	fuzz_pump(&g.fh, FUZZ_STEPS);
	for (unsigned i = 0; i < PAIRS; i++) {
		const struct net_rx *rx = &net.rx[i];

		FUZZ_ASSERT(rx->count <= VIRTQ_MAX_SIZE && rx->at + rx->n < NET_RX_IOV && rx->tail <= rx->got);
		FUZZ_ASSERT(rx->got <= NETIF_ROOM);
	}
}

/* ---- tame --------------------------------------------------------------------------------------------------------- */

static void tame_collect(void)
{
	struct fuzz_req *req;
	uint32_t len;

	while ((req = fuzz_used(&g, &g.ring[RX], &len))) {
		uint32_t want = t.length[t.taken % 64], pos = 0;
		unsigned n = 0, buffers = load_le16(fuzz_ptr(&g, req->seg[0].addr, RX_SIZE) + 10);

		FUZZ_ASSERT(buffers == (want + RX_SIZE - 1) / RX_SIZE);
		for (;;) {
			const uint8_t *p = fuzz_ptr(&g, req->seg[0].addr, RX_SIZE);

			FUZZ_ASSERT(len == MIN(RX_SIZE, want - pos));
			for (uint32_t i = 0; i < len; i++, pos++)
				FUZZ_ASSERT(pos == 10 || pos == 11 || p[i] == pattern(t.taken, pos));
			fuzz_offer(&g, &g.ring[RX], req->seg, 1, 0);
			if (++n == buffers)
				break;
			req = fuzz_used(&g, &g.ring[RX], &len); /* all came at once */
			FUZZ_ASSERT(req);
		}
		t.taken++;
	}
	while (fuzz_used(&g, &g.ring[TX], &len))
		FUZZ_ASSERT(!len);
}

static void tame_program(void)
{
	uint16_t size = (uint16_t)(8u << (fuzz_u8(&g.in) & 1));
	uint64_t offered = 0;

	fuzz_setup(&g, 0, UINT64_MAX, size);
	for (unsigned i = 0; i < size; i++)
		fuzz_offer(&g, &g.ring[RX], &(struct fuzz_seg){ RX_DATA + i * RX_SIZE, RX_SIZE, true }, 1, 0);
	while (fuzz_more(&g.in)) {
		struct fuzz_ring *tx = &g.ring[TX];
		uint8_t b = fuzz_u8(&g.in);

		switch (b & 3) {
		case 0:
			arrive(0, NETIF_HDR + fuzz_u8(&g.in));
			break;
		case 1:
			tame_collect();
			fuzz_kick(&g, 0, RX);
			break;
		case 2:
			t.room = b >> 2 & 7;
			nif.ready(&nif, 0);
			break;
		default:
			if ((uint16_t)(tx->avail_idx - tx->used_seen) >= tx->size)
				break;
			fuzz_offer(&g, tx, &(struct fuzz_seg){ TX_DATA, NETIF_HDR + 1u + fuzz_u8(&g.in), false }, 1, 0);
			offered++;
			if (b & 4)
				fuzz_kick(&g, 0, TX);
		}
		if (b & 0x80)
			run();
	}
	t.room = 1000000;
	for (unsigned i = 0; i < 64; i++) {
		fuzz_kick(&g, 0, TX);
		fuzz_kick(&g, 0, RX);
		run();
		tame_collect();
	}
	FUZZ_ASSERT(t.taken == t.arrived && !t.pending[0]);
	FUZZ_ASSERT(t.sent == offered);
	FUZZ_ASSERT(!nif.dropped);
}

/* ---- wild --------------------------------------------------------------------------------------------------------- */

static void wild_program(void)
{
	while (fuzz_more(&g.in)) {
		uint8_t b = g.in.p[0];

		if ((b & 15) != 15) {
			fuzz_op(&g);
			continue;
		}
		g.in.p++;
		switch (b >> 4) {
		case 0:
		case 1:
		case 2:
			arrive(b >> 4 & 1, NETIF_HDR + (uint32_t)fuzz_u16(&g.in) % (NETIF_ROOM - NETIF_HDR + 1));
			break;
		case 3:
			arrive(0, NETIF_HDR + fuzz_u8(&g.in));
			break;
		case 4:
			t.room = fuzz_u8(&g.in);
			nif.ready(&nif, 0);
			break;
		case 5:
			nif.up = false;
			nif.link(&nif);
			break;
		default:
			run();
			break;
		}
	}
	run();
	fuzz_check(&g, false);
}

static void still_works(void)
{
	struct fuzz_req *req;
	uint32_t len;

	fuzz_calm(&g);
	fuzz_setup(&g, 0, UINT64_MAX, 16);
	nif.up = true;
	t.pending[0] = t.pending[1] = 0;
	req = fuzz_offer(&g, &g.ring[RX], &(struct fuzz_seg){ RX_DATA, 500, true }, 1, 0);
	fuzz_kick(&g, 0, RX);
	run();
	arrive(0, 300);
	run();
	FUZZ_ASSERT(fuzz_used(&g, &g.ring[RX], &len) == req && len == 300);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_guest_now = NULL;
	if (!world.n)
		build();
	memset(&t, 0, sizeof(t));
	fuzz_begin(&g, &world, &in);
	if (how & 1)
		tame_program();
	else
		wild_program();
	if (how & 2 || net.dev.status & VIRTIO_S_NEEDS_RESET)
		still_works();
	return 0;
}
