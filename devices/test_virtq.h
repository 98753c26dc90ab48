/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtq.h - for the tests of virtq: one queue in fake guest memory, and what it said when it broke.  One queue at a time.
 */
#ifndef TVMM_DEVICES_TEST_VIRTQ_H
#define TVMM_DEVICES_TEST_VIRTQ_H

#include "test_driver.h"
#include "virtq.h"

/* Where tests put buffers and indirect tables, and where RAM ends. */
#define BUF   (TD_BASE + 0x100000)
#define TABLE (TD_BASE + 0x50000)
#define END   (TD_BASE + TD_RAM)

struct fix {
	struct td t;
	struct td_ring r;
	struct virtq vq;
	struct virtq_req req;
};

/* Queues report faults without an argument; the tests run in one process, one after the other. */
static unsigned faults;
static char fault_text[200];

static inline void on_fault(struct virtq *q, const char *why)
{
	faults++;
	snprintf(fault_text, sizeof(fault_text), "%s", why);
}

static inline void activate(struct fix *f, bool event_idx, bool indirect)
{
	struct virtq_layout l = td_layout(&f->r);
	const char *why;

	TD_ASSERT(vq_activate(&f->vq, &f->t.mem, &l, event_idx, indirect, &why) == 0);
}

static inline void setup(struct fix *f, uint16_t size, bool event_idx, bool indirect)
{
	memset(f, 0, sizeof(*f));
	faults = 0;
	td_init(&f->t);
	td_ring_init(&f->t, &f->r, size);
	f->vq.fault = on_fault;
	activate(f, event_idx, indirect);
}

static inline void teardown(struct fix *f)
{
	td_fini(&f->t);
}

#endif
