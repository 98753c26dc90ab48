/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_multiport.c - named console ports (VIRTIO_CONSOLE_F_MULTIPORT) behind virtio_pci: the control queues, two ports, and
 * peers that come to the first of them and go.
 *
 * The first byte says whether the guest is tame.  Tame: a driver that says only what makes sense, in any order, and offers
 * buffers when it likes; what it is told must make sense too, and agree in the end with what there is, and every byte
 * arrives once, in order.  Else: any guest, with well-formed control messages of any content among the rest.
 */
#define FUZZ_RINGS 6
#include "chardev.h"
#include "fuzz_guest.h"
#include "virtio_console.h"

const char fuzz_name[] = "multiport";

enum { RX0, TX0, CRX, CTX, RX1, TX1, PORTS = 2 };
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

#define DATA    FUZZ_HIGH           /* tame: receive buffers of 64 bytes, one for each head of a port */
#define BUFFER  64u
#define CONTROL (FUZZ_LOW + 0x1800) /* tame: control buffers, one for each head and direction */
#define SAY     (CONTROL + 32 * 16)
#define OUT     (FUZZ_LOW + 0x2000) /* tame: a pattern of this period */
#define PERIOD  251u

static struct fuzz_guest g;
static struct chardev chr[PORTS];
static struct virtio_console con;
static struct fuzz_world world;

static struct {
	bool tame;
	uint64_t offered[PORTS], seen;
	uint8_t next_in;
	/* What the driver was told, and said. */
	bool asked, added[PORTS], ready[PORTS], named[PORTS], open[PORTS];
} t;

/* A peer's descriptor is one socket; this host has an end for each direction. */
static int dup_out(const struct host *h, int fd, int cmd, uintptr_t arg)
{
	return cmd == F_DUPFD_CLOEXEC ? fuzz_new_fd(h, FUZZ_OUT) : 0;
}

/* What a peer missed because it was gone is a gap, never a byte out of place. */
static void sink(void *arg, const uint8_t *p, size_t len)
{
	t.seen += len;
}

static void build(void)
{
	static const char *const names[PORTS] = { "first", "a.second-one" };

	fuzz_guest_init(&g);
	g.fh.stream_mode = S_IFSOCK;
	g.fh.h.fcntl = dup_out;
	g.fh.out = sink;
	virtio_ports_init(&con, "ports", &g.mem, &g.loop, &g.log);
	for (unsigned i = 0; i < PORTS; i++) {
		FUZZ_ASSERT(!chardev_init(&chr[i], names[i], &g.loop, &g.log, -1, -1, -1, NULL));
		virtio_ports_add(&con, names[i], &chr[i]);
	}
	fuzz_add(&g, &con.dev);
	for (unsigned i = 0; i < PORTS; i++)
		fuzz_keep(&world, &chr[i], offsetof(struct chardev, ring));
	fuzz_keep(&world, &con, sizeof(con));
	fuzz_keep_guest(&world, &g);
}

static void run(void)
{
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS || !t.tame);
	for (unsigned i = 0; i < PORTS; i++)
		FUZZ_ASSERT(chr[i].used <= CHARDEV_RING && chr[i].head < CHARDEV_RING);
}

/* ---- peers -------------------------------------------------------------------------------------------------------- */

static void peer_comes(void)
{
	if (chardev_has_peer(&chr[0]) || g.fh.n_fds + 2 > FUZZ_FDS)
		return;
	g.fh.in_end = false;
	FUZZ_ASSERT(!chardev_attach(&chr[0], fuzz_new_fd(&g.fh.h, FUZZ_IN)));
}

/* It closes its socket: what it sent before is still read, then epoll tells of the end, if it is asked. */
static void peer_goes(void)
{
	g.fh.in_end = true;
	run();
	if (chr[0].in.src.fd >= 0 && chr[0].in.src.events && !g.fh.in_avail)
		chr[0].in.src.ready(&chr[0].in.src, EPOLLIN | EPOLLHUP);
}

static void peer_does(uint8_t b)
{
	switch (b & 7) {
	case 0:
	case 1:
		peer_comes();
		break;
	case 2:
		peer_goes();
		break;
	case 3:
		g.fh.out_room = b & 8 ? 0 : 100u * b;
		break;
	default:
		g.fh.in_avail += g.fh.in_avail < 4096 && chardev_has_peer(&chr[0]) && !g.fh.in_end ? b : 0;
		break;
	}
}

/* ---- tame --------------------------------------------------------------------------------------------------------- */

static void offer_control(void)
{
	struct fuzz_ring *r = &g.ring[CRX];

	if ((uint16_t)(r->avail_idx - r->used_seen) < r->size)
		fuzz_offer(&g, r, &(struct fuzz_seg){ CONTROL + r->next % r->size * 32u, 32, true }, 1, 0);
	fuzz_kick(&g, 0, CRX);
}

static void say(unsigned id, unsigned event, unsigned value)
{
	struct fuzz_ring *r = &g.ring[CTX];
	uint64_t at = SAY + r->next % r->size * 8u;

	if ((uint16_t)(r->avail_idx - r->used_seen) == r->size)
		return;
	fuzz_poke(&g, at, id, 4);
	fuzz_poke(&g, at + 4, event, 2);
	fuzz_poke(&g, at + 6, value, 2);
	fuzz_offer(&g, r, &(struct fuzz_seg){ at, 8, false }, 1, 0);
	fuzz_kick(&g, 0, CTX);
	run();
}

/* Whatever it is told makes sense after what it was told before. */
static void told(const uint8_t *p, uint32_t len)
{
	uint32_t id = load_le32(p), event = load_le16(p + 4);

	FUZZ_ASSERT(len >= 8 && id < PORTS && load_le16(p + 6) <= 1);
	switch (event) {
	case PORT_ADD:
		FUZZ_ASSERT(len == 8 && t.asked);
		t.added[id] = true;
		break;
	case PORT_NAME:
		FUZZ_ASSERT(t.ready[id] && len == 8 + strlen(con.port[id].name) && !memcmp(p + 8, con.port[id].name, len - 8));
		t.named[id] = true;
		break;
	case PORT_OPEN:
		FUZZ_ASSERT(len == 8 && t.named[id]);
		t.open[id] = load_le16(p + 6);
		break;
	default:
		FUZZ_ASSERT(false);
	}
}

static void collect(void)
{
	static const uint8_t rx[PORTS] = { RX0, RX1 }, tx[PORTS] = { TX0, TX1 };
	struct fuzz_req *req;
	uint32_t len;

	while ((req = fuzz_used(&g, &g.ring[CRX], &len)))
		told(fuzz_ptr(&g, req->seg[0].addr, 32), len);
	while (fuzz_used(&g, &g.ring[CTX], &len))
		FUZZ_ASSERT(!len);
	for (unsigned i = 0; i < PORTS; i++) {
		while (fuzz_used(&g, &g.ring[tx[i]], &len))
			FUZZ_ASSERT(!len);
		while ((req = fuzz_used(&g, &g.ring[rx[i]], &len))) {
			const uint8_t *p = fuzz_ptr(&g, req->seg[0].addr, BUFFER);

			FUZZ_ASSERT(!i && len && len <= BUFFER);
			for (uint32_t k = 0; k < len; k++)
				FUZZ_ASSERT(p[k] == t.next_in++);
			fuzz_offer(&g, &g.ring[rx[i]], req->seg, 1, 0);
		}
		fuzz_kick(&g, 0, rx[i]);
	}
}

static void transmit(unsigned i, uint8_t len)
{
	struct fuzz_ring *r = &g.ring[i ? TX1 : TX0];

	if ((uint16_t)(r->avail_idx - r->used_seen) == r->size || !len)
		return;
	fuzz_offer(&g, r, &(struct fuzz_seg){ OUT + t.offered[i] % PERIOD, len, false }, 1, 0);
	t.offered[i] += len;
	fuzz_kick(&g, 0, i ? TX1 : TX0);
}

static void tame_op(uint8_t b)
{
	unsigned id = b >> 4 & 1;

	switch (b & 7) {
	case 0:
		offer_control();
		break;
	case 1:
		/* Asked again, it is told of all ports again. */
		run();
		collect();
		t.asked = true;
		memset(t.ready, 0, sizeof(t.ready));
		memset(t.named, 0, sizeof(t.named));
		say(0, DEVICE_READY, 1);
		break;
	case 2:
		run();
		collect();
		if (!t.added[id])
			break;
		t.ready[id] = true;
		t.open[id] = false; /* until it hears */
		say(id, PORT_READY, 1);
		break;
	case 3:
		run();
		collect();
		say(id, PORT_OPEN, b >> 3 & 1);
		break;
	case 4:
		collect();
		break;
	case 5:
		transmit(id, fuzz_u8(&g.in));
		break;
	case 6:
		run();
		break;
	default:
		peer_does(fuzz_u8(&g.in));
		break;
	}
}

static void tame_program(void)
{
	fuzz_setup(&g, 0, fuzz_u8(&g.in) & 1 ? UINT64_MAX : ~VIRTIO_F_EVENT_IDX, 16);
	for (unsigned i = 0; i < 0x400; i++)
		*fuzz_ptr(&g, OUT + i, 1) = (uint8_t)(i % PERIOD);
	for (unsigned i = 0; i < PORTS; i++)
		for (unsigned k = 0; k < g.ring[RX0].size; k++)
			fuzz_offer(&g, &g.ring[i ? RX1 : RX0], &(struct fuzz_seg){ DATA + (16 * i + k) * BUFFER, BUFFER, true }, 1, 0);
	while (fuzz_more(&g.in))
		tame_op(fuzz_u8(&g.in));
	/* Buffers for all that is still to be told, a peer that takes all: nothing is left, and all was told. */
	g.fh.out_room = SIZE_MAX / 2;
	if (t.added[0] || t.asked)
		tame_op(3 | 8);
	for (unsigned i = 0; i < 32; i++) {
		offer_control();
		fuzz_kick(&g, 0, TX0);
		fuzz_kick(&g, 0, TX1);
		run();
		collect();
	}
	for (unsigned i = 0; i < PORTS; i++) {
		FUZZ_ASSERT(t.added[i] == t.asked);
		FUZZ_ASSERT(t.named[i] == t.ready[i]);
		FUZZ_ASSERT(!t.ready[i] || t.open[i] == chardev_has_peer(&chr[i]));
	}
	FUZZ_ASSERT(t.seen + chr[0].dropped == t.offered[0]);
	FUZZ_ASSERT(chr[1].dropped == t.offered[1]);
	FUZZ_ASSERT(t.next_in == g.fh.in_next);
	FUZZ_ASSERT(!g.fh.in_avail || !con.port[0].guest_open || !chardev_has_peer(&chr[0]));
	fuzz_check(&g, false);
}

/* ---- wild --------------------------------------------------------------------------------------------------------- */

static void wild_program(void)
{
	fuzz_setup(&g, 0, UINT64_MAX, 16);
	while (fuzz_more(&g.in)) {
		uint8_t b = g.in.p[0], event;

		if ((b & 15) != 15) {
			fuzz_op(&g);
			continue;
		}
		g.in.p++;
		switch (b >> 6) {
		case 0:
			peer_does(fuzz_u8(&g.in));
			break;
		case 1:
			run();
			break;
		default:
			event = fuzz_u8(&g.in);
			if (g.ring[CTX].size)
				say(b >> 4 & 3, event & 15, event >> 4);
			if (event & 16 && g.ring[CRX].size)
				offer_control();
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
	g.fh.out_room = SIZE_MAX / 2;
	fuzz_pump(&g.fh, FUZZ_STEPS);
	fuzz_setup(&g, 0, UINT64_MAX, 16);
	say(0, DEVICE_READY, 1);
	req = fuzz_offer(&g, &g.ring[CRX], &(struct fuzz_seg){ CONTROL, 32, true }, 1, 0);
	fuzz_kick(&g, 0, CRX);
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS);
	FUZZ_ASSERT(fuzz_used(&g, &g.ring[CRX], &len) == req && len == 8);
	FUZZ_ASSERT(load_le32(fuzz_ptr(&g, CONTROL, 8)) == 0 && load_le16(fuzz_ptr(&g, CONTROL + 4, 4)) == PORT_ADD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_guest_now = NULL;
	if (!world.n)
		build();
	memset(&t, 0, sizeof(t));
	t.tame = how & 1;
	fuzz_begin(&g, &world, &in);
	if (t.tame)
		tame_program();
	else
		wild_program();
	if (how & 8 || con.dev.status & VIRTIO_S_NEEDS_RESET)
		still_works();
	return 0;
}
