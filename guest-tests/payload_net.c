/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_net.c - virtio-net (virtio 1.2, 5.1): sends back every frame it receives, from the buffers it came in, until one
 * begins with "QUIT".  "LINK" asks it to wait until the link goes down.  The host half (t_net.c) is at the other end.
 */
#include "virtio.h"

enum { RX, TX };
#define BUFFERS 64
#define LENGTH  2048u
#define HEADER  12u

#define NF_MAC    (1ull << 5)
#define NF_MRG    (1ull << 15)
#define NF_STATUS (1ull << 16)

static struct vdev v;
static unsigned frames, merged;

static void offer(volatile uint8_t *p)
{
	vq_add(&v.q[RX], &(struct vbuf){ p, LENGTH, true }, 1);
}

/* The buffers of the next frame; how many, or 0 if none comes. */
static unsigned receive(struct vbuf *buf)
{
	unsigned n = 0, want = 1;
	uint32_t head, len;

	while (n < want && n < BUFFERS) {
		if (!vq_wait(&v.q[RX], &head, &len, 30000))
			return 0;
		buf[n] = (struct vbuf){ (volatile void *)v.q[RX].desc[head].addr, len, false };
		if (!n)
			want = ((volatile uint8_t *)buf[0].addr)[10] | ((volatile uint8_t *)buf[0].addr)[11] << 8;
		n++;
	}
	return n;
}

static bool is(const struct vbuf *buf, const char *word)
{
	return buf->len >= HEADER + 18 && !memcmp((const char *)buf->addr + HEADER + 14, word, 4);
}

static uint16_t link_status(void)
{
	return mmio_r16(v.config + 6);
}

static void wait_for_down(void)
{
	uint64_t end = deadline_ms(30000);

	report(link_status() == 1, "the link is up");
	say("READY down");
	while (link_status() && !expired(end))
		cpu_relax();
	report(link_status() == 0, "the link goes down");
}

/* False: that was the last. */
static bool serve_one(void)
{
	static struct vbuf buf[BUFFERS];
	unsigned n = receive(buf);
	bool good = true;

	if (!n)
		return report(false, "a frame arrives after %u", frames);
	if (is(buf, "QUIT"))
		return false;
	if (is(buf, "LINK")) {
		wait_for_down();
		report(vq_do(&v.q[TX], buf, n) == 0, "what is sent then is taken");
		return false;
	}
	frames++;
	merged += n > 1;
	for (unsigned i = 0; i < HEADER; i++)
		((volatile uint8_t *)buf[0].addr)[i] = 0;
	good = vq_do(&v.q[TX], buf, n) == 0;
	for (unsigned i = 0; i < n; i++)
		offer(buf[i].addr);
	vq_kick(&v.q[RX]);
	return good || report(false, "frame %u is sent back", frames);
}

void guest_main(void)
{
	volatile uint8_t *mem = page_alloc(BUFFERS * LENGTH / 4096);
	bool mac = true;

	if (!report(virtio_open(&v, VIRTIO_NET, 0) && virtio_start(&v, NF_MAC | NF_STATUS | NF_MRG | VF_INDIRECT) &&
		    virtio_queue(&v, RX, BUFFERS, VIRTIO_NO_VECTOR) && virtio_queue(&v, TX, BUFFERS, VIRTIO_NO_VECTOR),
		    "virtio-net is set up"))
		return;
	for (unsigned i = 0; i < 6; i++)
		mac = mac && mmio_r8(v.config + i) == i * 2;
	report(mac, "it has the address that it was given");
	virtio_ready(&v);
	for (unsigned i = 0; i < BUFFERS; i++)
		offer(mem + i * LENGTH);
	vq_kick(&v.q[RX]);
	say("READY frames");
	while (serve_one())
		;
	report(frames > 0, "%u frames were sent back, %u of them in more than one buffer", frames, merged);
}
