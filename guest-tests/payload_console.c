/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_console.c - virtio-console (virtio 1.2, 5.3): port 0's two queues, while results go over COM1.
 * The host half (t_console.c) sees both on one stream, and types what the receive queue should bring.
 */
#include "virtio.h"

enum { RX, TX };
#define TYPED 400 /* bytes that the host half types: 'a' to 'z' again and again */

static struct vdev v;

static void check_tx(void)
{
	static const char part[3][16] = { "[one ", "two ", "three]\n" };
	volatile char *page = page_alloc(1);
	volatile char *big = page_alloc(4);
	long n;

	n = vq_do(&v.q[TX], &(struct vbuf){ (volatile void *)"[hello from hvc]\n", 17, false }, 1);
	report(n == 0, "a buffer is sent (%ld)", n);
	for (unsigned i = 0; i < 3; i++)
		memcpy((char *)page + i * 100, part[i], strlen(part[i]));
	n = vq_do(&v.q[TX], (struct vbuf[]){ { page, 5, false }, { page + 100, 4, false }, { page + 200, 7, false } }, 3);
	report(n == 0, "a chain of three is sent");
	for (unsigned i = 0; i < 16000; i++)
		big[i] = i % 80 == 79 ? '\n' : 'z';
	big[0] = '<';
	big[15998] = '>';
	big[15999] = '\n';
	n = vq_do(&v.q[TX], &(struct vbuf){ big, 16000, false }, 1);
	report(n == 0, "16000 bytes in one buffer are sent");
}

static void check_rx(void)
{
	volatile uint8_t *page = page_alloc(16);
	uint32_t head, len = 0, got = 0;
	bool good = true, tidy = true;

	for (unsigned i = 0; i < 16; i++)
		vq_add(&v.q[RX], &(struct vbuf){ page + i * 4096, 64, true }, 1);
	vq_kick(&v.q[RX]);
	say("READY typing");
	while (got < TYPED && vq_wait(&v.q[RX], &head, &len, 20000)) {
		volatile uint8_t *p = (volatile uint8_t *)v.q[RX].desc[head].addr;

		tidy = tidy && len > 0 && len <= 64 && p[64] == 0;
		for (unsigned i = 0; i < len && i < 64; i++, got++)
			good = good && p[i] == 'a' + got % 26;
		vq_add(&v.q[RX], &(struct vbuf){ p, 64, true }, 1);
		vq_kick(&v.q[RX]);
	}
	report(got == TYPED, "%u of %u typed bytes arrive", got, TYPED);
	report(good, "in order");
	report(tidy, "within their buffers");
}

static void check_wait_outside(void)
{
	volatile uint8_t *page = page_alloc(1);
	uint32_t head, len = 0, got = 0;

	/* The device is reset: no buffer is offered when the host types; the bytes must wait, not be lost. */
	if (!report(virtio_start(&v, 0) && virtio_queue(&v, RX, 16, VIRTIO_NO_VECTOR) && virtio_queue(&v, TX, 16, VIRTIO_NO_VECTOR),
		    "set up again"))
		return;
	virtio_ready(&v);
	say("READY early");
	for (uint64_t end = deadline_ms(100); !expired(end);)
		cpu_relax();
	while (got < 5 && vq_add(&v.q[RX], &(struct vbuf){ page + 512, 16, true }, 1) >= 0) {
		vq_kick(&v.q[RX]);
		if (!vq_wait(&v.q[RX], &head, &len, 20000))
			break;
		memcpy((uint8_t *)page + got, (const uint8_t *)page + 512, len);
		got += len;
	}
	report(got == 5 && !memcmp((const void *)page, "early", 5), "bytes typed before a buffer was offered arrive (%u)", got);
}

void guest_main(void)
{
	if (!report(virtio_open(&v, VIRTIO_CONSOLE, 0) && virtio_start(&v, VF_EVENT_IDX | VF_INDIRECT) &&
		    virtio_queue(&v, RX, 64, VIRTIO_NO_VECTOR) && virtio_queue(&v, TX, 64, VIRTIO_NO_VECTOR),
		    "virtio-console is set up"))
		return;
	virtio_ready(&v);
	check_tx();
	check_rx();
	check_wait_outside();
}
