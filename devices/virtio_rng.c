/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_rng.c - one queue, one request at a time, on the I/O loop.
 *
 * A request gets at most REQUEST_MAX bytes: a driver reads what it was given and asks again, and no request holds the
 * loop for long.  Where the host has no entropy yet, the request is returned empty.
 */
#include "virtio_rng.h"

#include "bits.h"

#define QUEUE_SIZE  64
#define REQUEST_MAX KIB(64)
#define BATCH       16 /* requests a turn; then other devices have theirs */

static uint32_t fill(struct virtio_rng *r)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < r->req.n_in && done < REQUEST_MAX; i++) {
		struct iovec *v = &r->req.iov[r->req.n_out + i];
		size_t want = MIN(v->iov_len, REQUEST_MAX - done);
		ssize_t n = r->host->getrandom(r->host, v->iov_base, want);

		if (n > 0)
			done += (uint32_t)n;
		if (n < 0 || (size_t)n < want)
			break;
	}
	return done;
}

static void rng_notify(struct virtio_dev *dev, unsigned q)
{
	struct virtio_rng *r = container_of(dev, struct virtio_rng, dev);
	struct virtq *vq = &dev->queue[q].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &r->req) == 1) {
			vq_push(vq, r->req.head, fill(r));
			virtio_signal(dev, q);
			if (++n == BATCH) {
				virtio_again(dev, q);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

static const struct virtio_class rng_class = {
	.name = "virtio-rng",
	.device_id = 4,
	.pci_class = 0x00ff00, /* no class fits */
	.notify = rng_notify,
};

void virtio_rng_init(struct virtio_rng *r, const char *name, const struct gmem *mem, struct evloop *loop,
		     struct log *log)
{
	r->host = loop->host;
	virtio_init(&r->dev, &rng_class, name, 1, QUEUE_SIZE, 0, 0, mem, loop, log);
}

void virtio_rng_fini(struct virtio_rng *r)
{
	virtio_fini(&r->dev);
}
