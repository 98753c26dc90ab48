/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_blk_bench.c - the guest of tools/bench/disk-native: keeps disk 0 busy, in ring 3, as a letter on its console says,
 * and tells what was done.  Runs under any VMM with a virtio-pci disk.  With EVENT_IDX it notifies when the device wants to
 * be, and polls for what is done, so that no interrupt is taken.
 *
 *   a: read 4 KiB, one at a time    b: read 4 KiB, 32 at a time    c: write 4 KiB, 32 at a time    d: 70 % reads, 8 at a time
 *   e: read 256 KiB in order, 4 at a time    f: write 256 KiB in order, 4 at a time    g: write 4 KiB and flush    q: power off
 */
#include "virtio.h"

#define DATA   (32ull << 20) /* above the image and what page_alloc() hands out */
#define BLOCK  (256u << 10)
#define SLOTS  32
#define TICKS  2500000000ull /* of the TSC: about a second */
#define F_FLUSH (1ull << 9)

enum { T_IN, T_OUT, T_FLUSH = 4 };

struct slot {
	struct { uint32_t type, reserved; uint64_t sector; } h;
	volatile uint8_t status;
	uint64_t began;
};

struct job { char letter; bool random, flush; uint8_t reads; uint32_t block; unsigned depth; };
static const struct job jobs[] = {
	{ 'a', true, false, 100, 4096, 1 }, { 'b', true, false, 100, 4096, 32 }, { 'c', true, false, 0, 4096, 32 },
	{ 'd', true, false, 70, 4096, 8 }, { 'e', false, false, 100, BLOCK, 4 }, { 'f', false, false, 0, BLOCK, 4 },
	{ 'g', true, true, 0, 4096, 1 },
};

static struct vdev disk;
static struct slot *slots;
static uint8_t of_head[256]; /* the slot of the request with this head */
static uint64_t sectors;

struct run {
	const struct job *j;
	uint64_t ios, ticks, kicks, latency, seed, at;
	uint16_t kicked; /* avail index at the last look */
	bool bad;
};

/* Latencies: a bucket for each power of two and the five bits below it. */
static uint32_t *histogram;

static unsigned bucket(uint64_t ticks)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(ticks | 32);

	return (top << 5 | (unsigned)(ticks >> (top - 5) & 31)) & 2047;
}

static uint64_t percentile_99(uint64_t n)
{
	uint64_t seen = 0;
	unsigned i = 0;

	while (i < 2047 && (seen += histogram[i]) * 100 < n * 99)
		i++;
	return (32ull | (i & 31)) << (i >> 5) >> 5;
}

static uint64_t next_sector(struct run *r)
{
	uint64_t per = r->j->block / 512;

	r->seed = r->seed * 6364136223846793005ull + 1442695040888963407ull;
	if (r->j->random)
		return (r->seed >> 33) % (sectors / per) * per;
	r->at = r->at + 2 * per <= sectors ? r->at + per : 0;
	return r->at;
}

static void kick(struct run *r, struct vqueue *q)
{
	uint16_t new = q->avail_idx, old = r->kicked, event;

	full_fence(); /* the index is out before we look whether the device wants to hear of it */
	if (disk.features & VF_EVENT_IDX) {
		event = *(volatile uint16_t *)&q->used->e[q->size];
		if ((uint16_t)(new - event - 1) >= (uint16_t)(new - old)) {
			r->kicked = new;
			return;
		}
	} else if (q->used->flags & VQ_NO_NOTIFY) {
		return;
	}
	r->kicked = new;
	r->kicks++;
	vq_ring_bell(q);
}

static void submit(struct run *r, unsigned i, uint32_t type)
{
	struct slot *s = &slots[i];
	struct vqueue *q = &disk.q[0];
	bool in = type == T_IN;
	struct vbuf b[3] = { { &s->h, 16, false }, { (void *)(DATA + (uint64_t)i * BLOCK), r->j->block, in }, { &s->status, 1, true } };
	int head;

	s->h.type = type;
	s->h.sector = type == T_FLUSH ? 0 : next_sector(r);
	s->status = 0xee;
	if (type == T_FLUSH)
		b[1] = b[2];
	head = vq_add(q, b, type == T_FLUSH ? 2 : 3);
	r->bad |= head < 0;
	of_head[head & 255] = (uint8_t)i; /* its completion is looked for by this CPU alone, later */
	kick(r, q);
}

/* Waits for one that is done. */
static bool take(struct run *r, unsigned *slot)
{
	struct vqueue *q = &disk.q[0];
	uint32_t head, len;

	for (uint64_t end = deadline_ms(10000); !vq_get(q, &head, &len);) {
		if (expired(end)) {
			r->bad = true;
			return false;
		}
		cpu_relax();
	}
	*slot = of_head[head & 255];
	/* An interrupt so far ahead never comes. */
	q->avail->ring[q->size] = (uint16_t)(q->last_used + 0x4000);
	r->bad |= slots[*slot].status != 0;
	return !r->bad;
}

static uint64_t work(void *arg)
{
	struct run *r = arg;
	struct vqueue *q = &disk.q[0];
	uint64_t begin = rdtsc(), took;
	uint8_t idle[SLOTS];
	unsigned n_idle = 0, i;

	r->kicked = q->avail_idx;
	while (n_idle < r->j->depth) {
		idle[n_idle] = (uint8_t)n_idle;
		n_idle++;
	}
	do {
		while (n_idle && !r->bad && rdtsc() - begin < TICKS) {
			i = idle[--n_idle];
			slots[i].began = rdtsc();
			submit(r, i, (r->seed >> 40) % 100 < r->j->reads ? T_IN : T_OUT);
		}
		/* One, and whatever else is done by then. */
		while (n_idle < r->j->depth && take(r, &i)) {
			if (r->j->flush) {
				submit(r, i, T_FLUSH);
				if (!take(r, &i))
					break;
			}
			took = rdtsc() - slots[i].began;
			r->latency += took;
			histogram[bucket(took)]++;
			r->ios++;
			idle[n_idle++] = (uint8_t)i;
			if (q->used->idx == q->last_used)
				break;
		}
	} while (!r->bad && (n_idle < r->j->depth || rdtsc() - begin < TICKS));
	r->ticks = rdtsc() - begin;
	return !r->bad;
}

static char key(void)
{
	while (!(inb(COM1 + 5) & 1))
		for (uint64_t pause = rdtsc() + 2000000; !expired(pause);)
			cpu_relax();
	return (char)inb(COM1);
}

void guest_main(void)
{
	slots = page_alloc(1);
	histogram = page_alloc(2);
	if (!report(virtio_open(&disk, VIRTIO_BLK, 0) && virtio_start(&disk, F_FLUSH | VF_EVENT_IDX) &&
		    virtio_queue(&disk, 0, 256, VIRTIO_NO_VECTOR), "the disk is set up"))
		return;
	sectors = mmio_r64(disk.config);
	virtio_ready(&disk);
	con_printf("ready sectors=%lu event_idx=%u\n", sectors, !!(disk.features & VF_EVENT_IDX));
	for (;;) {
		char what = key();

		if (what == 'q')
			return;
		for (unsigned i = 0; i < ARRAY_SIZE(jobs); i++) {
			struct run r = { .j = &jobs[i], .seed = rdtsc() };
			bool good;

			if (jobs[i].letter != what)
				continue;
			memset(histogram, 0, 8192);
			good = ring3(work, &r);
			con_printf("done %c good=%u ios=%lu ticks=%lu kicks=%lu latency=%lu p99=%lu\n", what, good, r.ios, r.ticks, r.kicks,
				   r.ios ? r.latency / r.ios : 0, percentile_99(r.ios));
		}
	}
}
