/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostile.h - what the hostile payloads share: a device under attack, and the lists of attacks on it.
 *
 * An attack is a row in a list: a name, what must come of it, and a function.  It may do what it likes to its own
 * device, and aims at nothing but invalid addresses and its target's own pages, so that whatever else changes in memory
 * or on another disk is a bug of the host's.  Attacks print nothing: the payload that runs them does.
 *
 * One CPU attacks at a time; a second one may be lent to it as a helper, which changes memory or registers under the
 * device's hands.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "virtio.h"

#define QUEUE_SIZE  16
#define BUF_PAGES   8
#define TABLE_PAGES 2
#define MAX_CHAIN   4

struct attack;

struct target {
	struct vdev v;
	const char *name;
	unsigned kind, nth;
	unsigned q, n_queues;        /* the queue under attack, and all that a driver sets up */
	uint64_t want;               /* features to take */
	uint64_t bar;
	/* Fills D with an ordinary request, linked 0, 1, 2; how many descriptors.  And: was it done as it should be? */
	unsigned (*chain)(struct target *t, struct vdesc *d);
	bool (*done)(struct target *t, uint32_t len);
	volatile uint8_t *buf;       /* BUF_PAGES, with a guard page on each side */
	struct vdesc *table;         /* TABLE_PAGES */
	bool optional, missing;      /* not every machine has it; this one has not */
	const struct attack *own[2]; /* attacks on this device alone */
	uint8_t *ring[VIRTIO_MAX_Q]; /* three pages each */
	unsigned latched;            /* times NEEDS_RESET was seen */
};

/* What must come of an attack.  In any case the device must work again after a reset. */
enum outcome {
	LATCHES,  /* the device says NEEDS_RESET, and does nothing more */
	WORKS,    /* nothing happens: it goes on working without a reset */
	EITHER,   /* the specification leaves it open */
};

struct attack {
	const char *name;
	enum outcome want;
	bool (*fn)(struct target *t);
	uint64_t only;               /* device kinds it is for, as bits; 0: all */
	bool rare;                   /* takes long or prints much: once, not in a soak */
};

/* Each ends with a row without name. */
extern const struct attack ring_attacks[], setup_attacks[], register_attacks[], race_attacks[], event_attacks[], port_attacks[];
extern const struct attack blk_attacks[], range_attacks[], balloon_attacks[], net_attacks[], control_attacks[], vsock_attacks[];

/* Damage to one descriptor of a chain, tried on the first and the last one, in the ring and in an indirect table. */
struct edit {
	const char *name;
	enum outcome want;
	void (*fn)(struct target *t, struct vdesc *d, unsigned n, unsigned k, uint64_t arg);
	uint64_t arg;
};
extern const struct edit edits[];

/* ---- target.c ---- */

bool target_open(struct target *t);               /* finds the device, takes memory; once */
void target_negotiate(struct target *t);          /* reset up to FEATURES_OK */
void target_begin(struct target *t);              /* that, and queues set up and enabled */
void target_start(struct target *t);              /* and DRIVER_OK */
void target_queue_raw(struct target *t, unsigned q, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used);
bool target_latched(struct target *t);            /* waits for NEEDS_RESET, a second or so */
bool target_request(struct target *t);            /* an ordinary request: is it done, and right? */
bool target_recovers(struct target *t);           /* reset, start, request; nothing outside its buffers was touched */
/* The attack and all that must hold afterwards.  *WHY: what did not. */
bool run_attack(struct target *t, const struct attack *a, const char **why);
bool run_edit(struct target *t, const struct edit *e, bool last, bool indirect, const char **why);
/* Puts N descriptors into the table as a chain behind descriptor 0 of the ring. */
void offer_direct(struct target *t, const struct vdesc *d, unsigned n);
void offer_indirect(struct target *t, const struct vdesc *d, unsigned n);
struct vqueue *target_queue(struct target *t);

/*
 * Offers a chain of N on queue Q, linked here, rings, and waits: what the device says it wrote, or why there is no answer.
 */
enum { LATCHED = -1, SILENT = -2 };
long target_ask(struct target *t, unsigned q, const struct vdesc *d, unsigned n);
/* The same, for what must break the device, which is set up again then. */
bool target_refuses(struct target *t, unsigned q, const struct vdesc *d, unsigned n);
/* Starts it with FEATURES, those that it offers, for this life only. */
void target_start_with(struct target *t, uint64_t features);

/* Addresses no DMA may reach; the Nth, or 0 behind the last. */
uint64_t bad_address(const struct target *t, unsigned n);

uint64_t rnd(void);
void rnd_seed(uint64_t seed);
/* A random value that cannot hurt a CPU when it becomes an interrupt message: fixed delivery, a harmless vector. */
uint64_t rnd_message(void);

/* ---- helper CPU (target.c) ---- */
bool helper_init(unsigned cpu);                   /* starts CPU number CPU; it sleeps */
void helper_start(void (*fn)(void *arg), void *arg); /* FN returns soon after helper_stopping() */
bool helper_stopping(void);
void helper_stop(void);                           /* waits until FN has returned */
extern bool helper_there;

/* ---- the targets (devices.c) ---- */
enum { T_RNG, T_BLK, T_TX, T_RX, T_BALLOON, T_NET_TX, T_NET_RX, T_CONTROL, T_VSOCK, N_TARGETS };
extern struct target targets[N_TARGETS];
/* Finds all of them; false if one is missing that every machine has. */
bool targets_open(void);
/* One request to a block device through QUEUE's first descriptors: its status byte, or -1. */
int blk_do(struct target *t, uint32_t type, uint64_t sector, volatile void *data, uint32_t len, bool write);

#endif
