/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_console.h - the console device (virtio 1.2, 5.3) with one port: hvc0 in Linux.
 *
 * Output goes to the chardev; while that is full, the driver's buffers stay on the ring.  Input goes to the driver's
 * receive buffers; while it offers none, it stays in the host's descriptor.
 */
#ifndef TVMM_DEVICES_VIRTIO_CONSOLE_H
#define TVMM_DEVICES_VIRTIO_CONSOLE_H

#include "chardev.h"
#include "virtio.h"

struct virtio_console {
	struct virtio_dev dev;
	struct chardev_rx rx; /* the chardev hands input here */
	struct chardev *chr;
	uint16_t cols, rows;  /* under dev.lock */
	struct virtq_req req; /* the loop's, as the next */
	size_t sent;          /* bytes of the first transmit request that are out already */
};

void virtio_console_init(struct virtio_console *c, const char *name, struct chardev *chr, const struct gmem *mem,
			 struct evloop *loop, struct log *log);
void virtio_console_fini(struct virtio_console *c);

/* The terminal's size changed.  Any thread. */
void virtio_console_resize(struct virtio_console *c, uint16_t cols, uint16_t rows);

#endif
