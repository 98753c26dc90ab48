/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio.h - what all virtio devices share (virtio 1.2, chapters 2 and 3): status, features, queues, configuration.
 *
 * Three parties meet here.  A *class* is a device (virtio_blk.c): a const table of functions.  A *transport*
 * (virtio_pci.c) turns the guest's register accesses into the calls of the last section.  The core (virtio.c) holds the
 * state machine between them.
 *
 * Threads: registers are touched by vCPU threads, under dev->lock.  Activation, reset and queue work run on the I/O
 * loop, which the core reaches with evloop_call() while holding nothing; a driver's write to the status register has
 * taken effect when it returns.  With visit_notify, the notifying vCPU may do the queue work in the loop's place, while
 * that sleeps; it owns then what the loop owns.  A class with sync_notify has its queues worked on by the notifying vCPU, under
 * dev->lock, inside the exit.
 */
#ifndef TVMM_DEVICES_VIRTIO_H
#define TVMM_DEVICES_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "bits.h"
#include "evloop.h"
#include "gmem.h"
#include "log.h"
#include "virtq.h"

#define VIRTIO_MAX_QUEUES 16

/* Feature bits of every device (virtio 1.2, chapter 6). */
#define VIRTIO_F_INDIRECT_DESC BIT_ULL(28)
#define VIRTIO_F_EVENT_IDX     BIT_ULL(29)
#define VIRTIO_F_VERSION_1     BIT_ULL(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT_ULL(33)
#define VIRTIO_F_RING_PACKED   BIT_ULL(34)
#define VIRTIO_F_RING_RESET    BIT_ULL(40)

/* Device status (virtio 1.2, 2.1). */
#define VIRTIO_S_ACKNOWLEDGE 0x01
#define VIRTIO_S_DRIVER      0x02
#define VIRTIO_S_DRIVER_OK   0x04
#define VIRTIO_S_FEATURES_OK 0x08
#define VIRTIO_S_NEEDS_RESET 0x40
#define VIRTIO_S_FAILED      0x80

struct virtio_dev;

struct virtio_class {
	const char *name;      /* "virtio-blk", for messages */
	uint16_t device_id;    /* virtio 1.2, chapter 5 */
	uint32_t pci_class;    /* PCI class code, 24 bits: base, sub, interface */
	/* Of what follows, notify alone must be there. */
	bool sync_notify;      /* queues are worked on inside the vCPU's exit: no ioeventfd */
	/*
	 * Queues are worked on inside the vCPU's exit while the loop sleeps (evloop_visit): no ioeventfd.  notify() then may
	 * not wait, and leaves what has to.
	 */
	bool visit_notify;
	/*
	 * The driver is ready: the queues it enabled are live.  Loop thread (or, with sync_notify, vCPU under the lock).
	 * The core then calls notify for each live queue, since a driver may have offered buffers before.
	 */
	void (*activate)(struct virtio_dev *dev);
	/* Stop using the queues, drop what is in flight; then the core resets them.  Same threads.  Also at the end. */
	void (*reset)(struct virtio_dev *dev);
	/*
	 * Does nothing that was in flight touch guest memory any more?  Waits for that, LIMIT_MS at most: after reset(), on
	 * the thread that resets or asks, holding status_lock alone, so that the loop does not wait.  Until it is true the
	 * reset is not over, which the driver reads from the status (4.1.4.3.1).
	 */
	bool (*settle)(struct virtio_dev *dev, unsigned limit_ms);
	/* The driver notified queue Q, which is live and whole; there may be nothing new in it.  Same threads. */
	void (*notify)(struct virtio_dev *dev, unsigned q);
	/* Device configuration, LEN bytes at OFF, inside config_len.  Under dev->lock, any vCPU.  Write may be NULL. */
	void (*config_read)(struct virtio_dev *dev, unsigned off, void *buf, unsigned len);
	void (*config_write)(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len);
};

/* How the core reaches the guest: filled by the transport.  Callable from any thread, holding dev->lock or not. */
struct virtio_transport {
	void (*queue_irq)(struct virtio_dev *dev, unsigned q);
	void (*config_irq)(struct virtio_dev *dev);
	/* Calls the class's notify for queue Q again, after the loop's other work (rings the queue's own bell). */
	void (*again)(struct virtio_dev *dev, unsigned q);
	/*
	 * For a worker outside this process, which is to be rung by the guest in our place: the descriptor that is queue Q's
	 * bell, and whether we answer it.  On the loop.
	 */
	int (*bell_fd)(struct virtio_dev *dev, unsigned q);
	int (*bell_watch)(struct virtio_dev *dev, unsigned q, bool watch);
	/*
	 * For virtio_call.h: eventfd FD, which such a worker signals, stands for queue Q's interrupt; -1: no more.  0: while the
	 * host delivers it by itself, FD is not readable; when it is, and for ever if not 0, queue_irq() is to be called.  On the
	 * loop.  NULL: not to be had.
	 */
	int (*queue_call)(struct virtio_dev *dev, unsigned q, int fd);
	/* The device is being reset: so are the transport's own registers.  Under dev->lock. */
	void (*reset)(struct virtio_dev *dev);
};

struct virtio_queue {
	struct virtq vq;            /* the owner thread's */
	struct virtio_dev *dev;
	unsigned index;
	uint16_t max_size;          /* constant */
	struct virtq_layout layout; /* shadow registers, under dev->lock */
	bool enabled;               /* queue_enable, under dev->lock */
};

struct virtio_dev {
	const struct virtio_class *cls;
	const char *name;      /* "disk 0", for messages; the owner's storage */
	unsigned n_queues;
	unsigned config_len;   /* bytes of device configuration */
	uint64_t features;     /* offered; the core adds VERSION_1, EVENT_IDX and INDIRECT_DESC */
	const struct gmem *mem;
	struct evloop *loop;
	struct log *log;
	const struct virtio_transport *transport; /* set by the transport, before the guest runs */

	/*
	 * One status write at a time: held while the owner thread activates or resets, so never taken by an owner.
	 * Taken before lock.
	 */
	pthread_mutex_t status_lock;
	bool active;           /* the class was activated and not reset since; under status_lock */
	atomic_bool settling;  /* it was reset, and something is in flight still; written under status_lock */

	pthread_mutex_t lock;  /* guards what follows; leaf, but for the interrupt path */
	uint8_t status;
	uint64_t driver_features;
	uint32_t config_generation;
	struct virtio_queue queue[VIRTIO_MAX_QUEUES];
};

/* ---- for classes -------------------------------------------------------------------------------------------------- */

/* Fills the common part; the class has set nothing yet.  QUEUE_SIZE: power of two up to VIRTQ_MAX_SIZE. */
void virtio_init(struct virtio_dev *dev, const struct virtio_class *cls, const char *name, unsigned n_queues,
		 uint16_t queue_size, unsigned config_len, uint64_t features, const struct gmem *mem,
		 struct evloop *loop, struct log *log);
void virtio_fini(struct virtio_dev *dev);

/* Was the device reset, with nothing in flight any more?  Holding nothing. */
bool virtio_is_quiet(struct virtio_dev *dev);

/* Was this feature negotiated?  Stable while the device is active. */
bool virtio_has(const struct virtio_dev *dev, uint64_t feature);

/* After pushing to queue Q: interrupts the driver if it wants to be. */
void virtio_signal(struct virtio_dev *dev, unsigned q);

/* There is more in queue Q, but others shall have their turn first: notify comes again, later, on the loop. */
void virtio_again(struct virtio_dev *dev, unsigned q);

/*
 * The configuration changed: new generation, configuration interrupt.  Any thread, in the same hold of dev->lock that
 * changed it, or a driver could read half of the change under the old generation.
 */
void virtio_config_changed_locked(struct virtio_dev *dev);

/*
 * The driver broke a rule of the device that its queue could not see: all queues stop, NEEDS_RESET, counted and logged.
 * Owner thread.
 */
void virtio_break(struct virtio_dev *dev, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The device cannot go on, or has lost requests: NEEDS_RESET, which the driver is told of.  The owner's thread. */
void virtio_want_reset(struct virtio_dev *dev);

/* ---- for transports ----------------------------------------------------------------------------------------------- */

uint8_t virtio_status(struct virtio_dev *dev); /* vCPU thread, holding nothing */
void virtio_set_status(struct virtio_dev *dev, uint8_t status); /* vCPU thread, holding nothing */
uint32_t virtio_features(struct virtio_dev *dev, uint32_t select); /* offered, 32 bits at a time */
uint32_t virtio_driver_features(struct virtio_dev *dev, uint32_t select);
void virtio_set_driver_features(struct virtio_dev *dev, uint32_t select, uint32_t bits);
uint32_t virtio_generation(struct virtio_dev *dev);
void virtio_config_read(struct virtio_dev *dev, uint64_t off, void *buf, unsigned len); /* beyond the end: zeroes */
void virtio_config_write(struct virtio_dev *dev, uint64_t off, const void *buf, unsigned len);
/* A queue's shadow registers; NULL outside n_queues.  Take and release dev->lock around use. */
struct virtio_queue *virtio_queue(struct virtio_dev *dev, uint32_t index);
/* May the driver still change the layout?  Not once the queue is enabled or the device runs.  Under dev->lock. */
bool virtio_queue_is_open(const struct virtio_queue *q);
/* Ignored when the queue is not open, or SIZE is no power of two up to max_size.  Under dev->lock. */
void virtio_queue_set_size(struct virtio_queue *q, uint16_t size);
void virtio_queue_enable(struct virtio_queue *q);
/* The driver notified queue INDEX (checked here).  Loop thread, or a vCPU for sync_notify. */
void virtio_notify(struct virtio_dev *dev, uint32_t index);

#endif
