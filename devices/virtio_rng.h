/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_rng.h - the entropy device (virtio 1.2, 5.4): fills what the driver offers with the host's random bytes.
 */
#ifndef TVMM_DEVICES_VIRTIO_RNG_H
#define TVMM_DEVICES_VIRTIO_RNG_H

#include "host.h"
#include "virtio.h"

struct virtio_rng {
	struct virtio_dev dev;
	const struct host *host;
	struct virtq_req req;
};

void virtio_rng_init(struct virtio_rng *r, const char *name, const struct gmem *mem, struct evloop *loop,
		     struct log *log);
void virtio_rng_fini(struct virtio_rng *r);

#endif
