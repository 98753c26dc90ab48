/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* payload_rng.c - virtio-rng (virtio 1.2, 5.4): bytes come, differ, and stay within the buffers. */
#include "virtio.h"

static struct vdev v;

static unsigned distinct(const volatile uint8_t *p, unsigned n)
{
	static bool hit[256];
	unsigned d = 0;

	memset(hit, 0, sizeof(hit));
	for (unsigned i = 0; i < n; i++) {
		d += !hit[p[i]];
		hit[p[i]] = true;
	}
	return d;
}

void guest_main(void)
{
	volatile uint8_t *a = page_alloc(1), *b = page_alloc(1);
	long n;

	if (!report(virtio_open(&v, VIRTIO_RNG, 0) && virtio_start(&v, VF_EVENT_IDX | VF_INDIRECT) &&
		    virtio_queue(&v, 0, 64, VIRTIO_NO_VECTOR), "virtio-rng is set up"))
		return;
	virtio_ready(&v);
	report(v.offered & VF_VERSION_1, "version 1 is offered");
	n = vq_do(&v.q[0], &(struct vbuf){ a, 1024, true }, 1);
	report(n > 0 && n <= 1024, "%ld of 1024 bytes came", n);
	report(distinct(a, (unsigned)n) > 100, "of many values (%u)", distinct(a, (unsigned)n));
	report(a[1024] == 0 && a[4095] == 0, "nothing was written behind the buffer");
	n = vq_do(&v.q[0], &(struct vbuf){ b, 1024, true }, 1);
	report(n > 0 && memcmp((const void *)a, (const void *)b, 64), "the next request gives other bytes");
	memset((void *)a, 0, 4096);
	n = vq_do(&v.q[0], (struct vbuf[]){ { a, 1, true }, { a + 100, 50, true }, { a + 1000, 512, true } }, 3);
	report(n >= 1 && n <= 563, "three buffers in one chain: %ld bytes", n);
	report(a[1] == 0 && a[99] == 0 && a[150] == 0 && a[999] == 0 && a[1512] == 0, "the gaps between them are untouched");
	bool good = true;
	for (unsigned i = 0; i < 300; i++)
		good = good && vq_do(&v.q[0], &(struct vbuf){ b, 16, true }, 1) > 0;
	report(good, "300 more requests: the rings wrap");
}
