/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_net_bench.c - the guest of tools/bench/net-native: sends IP packets that the host's kernel routes back to it, as
 * many at a time as asked, in ring 3, and tells how many came back.  Under any VMM with virtio-net (pci).
 *
 * A line on its console, "WINDOW LENGTH\n", starts some part of a second of it; "q" powers off.  It polls, and has no interrupts; bells
 * are rung as EVENT_IDX asks for them, and counted.
 */
#include "virtio.h"

enum { RX, TX };
#define QUEUE   256
#define SLOT    2048u
#define HEADER  12u
#define FRAME   14u

#define NF_MAC (1ull << 5)
#define NF_MRG (1ull << 15)

static struct vdev v;
static volatile uint8_t *rx, *tx;
static struct job {
	unsigned window, len;
	uint64_t came, lost, kicks, ticks;
	uint16_t told[2]; /* avail index at the last kick */
} job;

/* To 10.9.0.77, by way of the host's end of the tap: 02:00:00:00:00:01. */
static void make_packet(volatile uint8_t *p, unsigned len)
{
	static const uint8_t front[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 7, 8, 0, /* IPv4 */ 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 253, 0, 0,
					 10, 9, 0, 2, 10, 9, 0, 77 };
	uint32_t sum = 0;

	for (unsigned i = 0; i < HEADER; i++)
		p[i] = 0;
	p += HEADER;
	for (unsigned i = 0; i < sizeof(front); i++)
		p[i] = front[i];
	p[16] = (uint8_t)((len - FRAME) >> 8);
	p[17] = (uint8_t)(len - FRAME);
	for (unsigned i = FRAME; i < FRAME + 20; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
}

/* Rings if the driver's index has passed what the device asked to be told of (2.7.10). */
static void kick(unsigned n)
{
	struct vqueue *q = &v.q[n];
	uint16_t event;

	full_fence();
	event = *(volatile uint16_t *)(volatile void *)&q->used->e[q->size];
	if ((uint16_t)(q->avail_idx - event - 1) < (uint16_t)(q->avail_idx - job.told[n])) {
		vq_ring_bell(q);
		job.kicks++;
	}
	job.told[n] = q->avail_idx;
}

static void send(unsigned slot)
{
	vq_add(&v.q[TX], &(struct vbuf){ tx + slot * SLOT, HEADER + job.len, false }, 1);
}

static void offer(volatile uint8_t *p)
{
	vq_add(&v.q[RX], &(struct vbuf){ p, SLOT, true }, 1);
}

/* Takes what came back; how many. */
static unsigned take(void)
{
	unsigned n = 0;
	uint32_t head, len;

	while (vq_get(&v.q[TX], &head, &len))
		;
	while (n < job.window && vq_get(&v.q[RX], &head, &len)) {
		volatile uint8_t *p = (volatile uint8_t *)v.q[RX].desc[head].addr;

		n += len >= HEADER + FRAME + 20 && p[HEADER + 33] == 77;
		offer(p);
	}
	return n;
}

static uint64_t run(void *arg)
{
	uint64_t begin = rdtsc(), end = deadline_ms(400), patience = deadline_ms(200);
	unsigned out = 0, slot = 0;

	while (!expired(end)) {
		unsigned n = take();

		if (n)
			patience = deadline_ms(200);
		job.came += n;
		out -= n < out ? n : out;
		if (expired(patience)) { /* none of these comes any more */
			job.lost += out;
			out = 0;
			patience = deadline_ms(200);
		}
		if (out == job.window && !n)
			continue;
		for (; out < job.window; out++)
			send(slot++ % QUEUE);
		kick(RX);
		kick(TX);
	}
	job.ticks = rdtsc() - begin;
	/* Nothing of this second is left for the next one. */
	for (patience = deadline_ms(50); !expired(patience);)
		take();
	return true;
}

static unsigned number(char *last)
{
	unsigned n = 0;

	for (;;) {
		while (!(inb(COM1 + 5) & 1))
			for (uint64_t pause = rdtsc() + 2000000; !expired(pause);)
				cpu_relax();
		*last = (char)inb(COM1);
		if (*last < '0' || *last > '9')
			return n;
		n = n * 10 + (unsigned)(*last - '0');
	}
}

void guest_main(void)
{
	char c;

	rx = page_alloc(QUEUE * SLOT / 4096);
	tx = page_alloc(QUEUE * SLOT / 4096);
	if (!report(virtio_open(&v, VIRTIO_NET, 0) && virtio_start(&v, NF_MAC | NF_MRG | VF_EVENT_IDX) &&
		    virtio_queue(&v, RX, QUEUE, VIRTIO_NO_VECTOR) && virtio_queue(&v, TX, QUEUE, VIRTIO_NO_VECTOR), "virtio-net is set up"))
		return;
	virtio_ready(&v);
	for (unsigned i = 0; i < v.q[RX].size - 1u; i++)
		offer(rx + i * SLOT);
	kick(RX);
	con_printf("ready\n");
	for (;;) {
		job.window = number(&c);
		if (c == 'q')
			return;
		job.len = number(&c);
		if (!job.window || job.window > 128 || job.len < 64 || job.len > 1514)
			continue;
		for (unsigned i = 0; i < QUEUE; i++)
			make_packet(tx + i * SLOT, job.len);
		job.came = job.lost = job.kicks = 0;
		ring3(run, &job);
		con_printf("done came=%lu lost=%lu kicks=%lu ticks=%lu\n", job.came, job.lost, job.kicks, job.ticks);
	}
}
