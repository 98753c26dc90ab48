/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_console.c - virtio-console behind virtio_pci, with its chardev, between a guest and a peer.
 *
 * The first byte chooses what the peer is (pipe, socket, file, or a pipe that would block) and whether the guest is tame.
 * Tame: a correct driver and a slow peer; every byte arrives once, in order, in both directions.  Else: any guest, and a
 * peer that fails, hangs up or stands still.  At the end the device is reset and sends once more.
 */
#include "chardev.h"
#include "fuzz_guest.h"
#include "virtio_console.h"

const char fuzz_name[] = "console";

enum { RX, TX, WORLDS = 4 };

#define RX_DATA FUZZ_HIGH           /* tame: one receive buffer per head */
#define RX_SIZE 64u
#define TX_DATA (FUZZ_LOW + 0x2000) /* tame: a pattern of this period */
#define PERIOD  251u

static struct fuzz_guest g;
static struct chardev chr;
static struct virtio_console con;
static struct fuzz_world worlds[WORLDS];

static struct {
	bool tame;
	uint64_t offered, seen; /* bytes of output */
	uint8_t next_in;        /* the next byte of input due */
} t;

static void sink(void *arg, const uint8_t *p, size_t len)
{
	if (!t.tame)
		return;
	for (size_t i = 0; i < len; i++)
		FUZZ_ASSERT(p[i] == t.seen++ % PERIOD);
	FUZZ_ASSERT(t.seen <= t.offered);
}

static void build(unsigned which)
{
	static const mode_t modes[WORLDS] = { S_IFIFO, S_IFSOCK, S_IFREG, S_IFIFO };
	struct fuzz_world *w = &worlds[which];

	fuzz_guest_init(&g);
	g.fh.stream_mode = modes[which];
	g.fh.reopens = which != 3;
	g.fh.out = sink;
	FUZZ_ASSERT(!chardev_init(&chr, "console", &g.loop, &g.log, FUZZ_FD_IN, FUZZ_FD_OUT, -1, NULL));
	virtio_console_init(&con, "console", &chr, &g.mem, &g.loop, &g.log);
	chr.rx = &con.port[0].rx;
	fuzz_add(&g, &con.dev);
	fuzz_keep(w, &chr, offsetof(struct chardev, ring));
	fuzz_keep(w, &con, sizeof(con));
	fuzz_keep_guest(w, &g);
}

static void run(void)
{
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS || !t.tame);
	FUZZ_ASSERT(chr.used <= CHARDEV_RING && chr.head < CHARDEV_RING);
}

/* ---- tame --------------------------------------------------------------------------------------------------------- */

/* Takes back what was received and sent; offers every receive buffer again. */
static void tame_collect(void)
{
	struct fuzz_req *req;
	uint32_t len;

	while ((req = fuzz_used(&g, &g.ring[RX], &len))) {
		const uint8_t *p = fuzz_ptr(&g, req->seg[0].addr, RX_SIZE);

		FUZZ_ASSERT(len && len <= RX_SIZE);
		for (uint32_t i = 0; i < len; i++)
			FUZZ_ASSERT(p[i] == t.next_in++);
		fuzz_offer(&g, &g.ring[RX], req->seg, 1, 0);
	}
	while (fuzz_used(&g, &g.ring[TX], &len))
		FUZZ_ASSERT(!len);
}

static void tame_send(void)
{
	struct fuzz_ring *r = &g.ring[TX];
	struct fuzz_seg s[2];
	uint8_t b = fuzz_u8(&g.in);
	unsigned n = 1 + (b & 1);

	/* Two descriptors a request at most: half of the ring is always enough to tell that there is room. */
	if ((uint16_t)(r->avail_idx - r->used_seen) >= r->size / 2)
		return;
	for (unsigned i = 0; i < n; i++) {
		s[i] = (struct fuzz_seg){ TX_DATA + t.offered % PERIOD, (uint32_t)fuzz_u8(&g.in) << (b & 2), false };
		t.offered += s[i].len;
	}
	fuzz_offer(&g, r, s, n, 0);
	r->next = (uint16_t)(2 * (r->avail_idx % (r->size / 2)));
	if (b & 4)
		fuzz_kick(&g, 0, TX);
}

static void tame_program(void)
{
	uint8_t b = fuzz_u8(&g.in);

	fuzz_setup(&g, 0, b & 1 ? UINT64_MAX : ~VIRTIO_F_EVENT_IDX, (uint16_t)(4u << (b >> 1 & 3)));
	for (unsigned i = 0; i < 0x1000; i++)
		*fuzz_ptr(&g, TX_DATA + i, 1) = (uint8_t)(i % PERIOD);
	for (unsigned i = 0; i < g.ring[RX].size; i++)
		fuzz_offer(&g, &g.ring[RX], &(struct fuzz_seg){ RX_DATA + i * RX_SIZE, RX_SIZE, true }, 1, 0);
	while (fuzz_more(&g.in)) {
		b = fuzz_u8(&g.in);
		switch (b & 7) {
		case 0:
			g.fh.in_avail += g.fh.in_avail < 4096 ? fuzz_u8(&g.in) : 0;
			break;
		case 1:
			g.fh.out_room = b & 8 ? 0 : fuzz_u16(&g.in);
			break;
		case 2:
			g.fh.max_io = 64u + fuzz_u8(&g.in);
			break;
		case 3:
			g.fh.fail_at = 1 + (b >> 4 & 3);
			g.fh.fail_errno = b & 8 ? EINTR : EAGAIN;
			break;
		case 4:
			tame_collect();
			fuzz_kick(&g, 0, RX);
			break;
		case 5:
			run();
			break;
		default:
			tame_send();
			break;
		}
	}
	/* The peer takes all, the guest too: nothing may be left behind anywhere. */
	fuzz_calm(&g);
	g.fh.out_room = SIZE_MAX / 2;
	for (unsigned i = 0; i < 64; i++) {
		fuzz_kick(&g, 0, TX);
		fuzz_kick(&g, 0, RX);
		run();
		tame_collect();
	}
	FUZZ_ASSERT(t.seen == t.offered || g.fh.fd[FUZZ_FD_OUT].kind == FUZZ_NONE || chr.out.src.fd < 0);
	FUZZ_ASSERT(!g.fh.in_avail || chr.in.src.fd < 0);
	FUZZ_ASSERT(t.next_in == g.fh.in_next);
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
			g.fh.in_avail += fuzz_u8(&g.in);
			g.fh.fd[chr.in.src.fd < 0 ? 0 : chr.in.src.fd].seen = false;
			break;
		case 2:
			g.fh.in_end = true;
			break;
		case 3:
			g.fh.out_room = fuzz_u16(&g.in);
			break;
		case 4:
			virtio_console_resize(&con, fuzz_u8(&g.in), fuzz_u8(&g.in));
			break;
		case 5:
			g.fh.out_room = 0;
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
	uint64_t before;
	uint32_t len;

	fuzz_calm(&g);
	t.tame = false;
	g.fh.in_end = false;
	g.fh.out_room = SIZE_MAX / 2;
	fuzz_pump(&g.fh, FUZZ_STEPS); /* what the chardev still had */
	fuzz_setup(&g, 0, UINT64_MAX, 16);
	fuzz_pump(&g.fh, FUZZ_STEPS);
	before = g.fh.out_len + chr.dropped;
	req = fuzz_offer(&g, &g.ring[TX], &(struct fuzz_seg){ TX_DATA, 100, false }, 1, 0);
	fuzz_kick(&g, 0, TX);
	FUZZ_ASSERT(fuzz_pump(&g.fh, FUZZ_STEPS) < FUZZ_STEPS);
	FUZZ_ASSERT(fuzz_used(&g, &g.ring[TX], &len) == req);
	FUZZ_ASSERT(g.fh.out_len + chr.dropped == before + 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, data + size };
	uint8_t how = fuzz_u8(&in);

	fuzz_guest_now = NULL;
	for (unsigned i = 0; i < WORLDS && !worlds[WORLDS - 1].n; i++)
		build(i);
	memset(&t, 0, sizeof(t));
	t.tame = how & 4;
	fuzz_begin(&g, &worlds[how & 3], &in);
	if (t.tame)
		tame_program();
	else
		wild_program();
	if (how & 8 || con.dev.status & VIRTIO_S_NEEDS_RESET)
		still_works();
	return 0;
}
