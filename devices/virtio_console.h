/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_console.h - the console device (virtio 1.2, 5.3), in two forms: the console with its one port (hvc0 in Linux), and
 * a set of named ports (VIRTIO_CONSOLE_F_MULTIPORT; /dev/virtio-ports/NAME in Linux).
 *
 * Output of a port goes to its chardev; while that is full, the driver's buffers stay on the ring.  Input goes to the
 * driver's receive buffers; while it offers none, or has the port closed, it stays in the host's descriptor.
 *
 * The two are devices of their own, each with its own queues, so that what a guest breaks of one is not the other's.  A
 * guest that was not given ports is not offered MULTIPORT, whose control messages cost exits.
 */
#ifndef TVMM_DEVICES_VIRTIO_CONSOLE_H
#define TVMM_DEVICES_VIRTIO_CONSOLE_H

#include "chardev.h"
#include "virtio.h"

#define CONSOLE_PORTS_MAX ((VIRTIO_MAX_QUEUES - 2) / 2) /* two queues each, and two for control */
#define CONSOLE_PORT_NAME_MAX 63

struct virtio_console;

/* One stream.  All of it is the loop's. */
struct console_port {
	struct virtio_console *con;
	const char *name;      /* the owner's storage; NULL: the console */
	struct chardev *chr;
	struct chardev_rx rx;  /* the chardev hands input here */
	unsigned index, rxq, txq;
	size_t sent;           /* bytes of the first transmit request that are out already */
	bool ready;            /* the driver has it, and may be told of it */
	bool guest_open;       /* input would be lost on a driver that has it closed */
	unsigned owed;         /* control messages due, OWE_* (console_control.c) */
};

struct virtio_console {
	struct virtio_dev dev;
	uint16_t cols, rows;  /* under dev.lock */
	unsigned n_ports;
	struct console_port port[CONSOLE_PORTS_MAX];
	struct virtq_req req; /* the loop's */
};

void virtio_console_init(struct virtio_console *c, const char *name, struct chardev *chr, const struct gmem *mem,
			 struct evloop *loop, struct log *log);

/* With named ports instead, added before the device is used; at most CONSOLE_PORTS_MAX of them.  NAME is borrowed. */
void virtio_ports_init(struct virtio_console *c, const char *name, const struct gmem *mem, struct evloop *loop,
		       struct log *log);
void virtio_ports_add(struct virtio_console *c, const char *name, struct chardev *chr);

void virtio_console_fini(struct virtio_console *c);

/* The terminal's size changed.  Any thread. */
void virtio_console_resize(struct virtio_console *c, uint16_t cols, uint16_t rows);

/* ---- between virtio_console.c and console_control.c ------------------------------------------------------------------ */

#define CONSOLE_F_SIZE      BIT_ULL(0)
#define CONSOLE_F_MULTIPORT BIT_ULL(1)
#define CONSOLE_BATCH       64 /* requests a turn */

enum { CONSOLE_Q_CONTROL_RX = 2, CONSOLE_Q_CONTROL_TX = 3 };

/* The driver notified one of the two control queues. */
void console_control_notify(struct virtio_console *c, unsigned q);

/* A port's peer came or went. */
void console_control_peer(struct console_port *p);

/* The guest has this port open now. */
void console_port_opened(struct console_port *p);

#endif
