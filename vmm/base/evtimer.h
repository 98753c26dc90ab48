/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * evtimer.h - a timer as a source of a loop (evloop.h): made and finished as sources are, set on any thread.
 *
 * Its fd is -1 where there is none, and then it may be finished, but not set.
 */
#ifndef TVMM_BASE_EVTIMER_H
#define TVMM_BASE_EVTIMER_H

#include "evloop.h"

/* EVENTS: EPOLLIN, and READY takes each expiry with evtimer_take(); with EPOLLET it need not, and sets it anew each time. */
int evtimer_init(struct evsource *t, struct evloop *l, uint32_t events, void (*ready)(struct evsource *t, uint32_t events),
		 struct tvmm_error *err);

/* Harmless when there is none. */
void evtimer_fini(struct evsource *t, struct evloop *l);

/* At AT_NS of the host's clock, in place of what it was set to; 0: not at all.  0 or -errno. */
int evtimer_set(const struct evsource *t, const struct evloop *l, uint64_t at_ns);

void evtimer_take(const struct evsource *t, const struct evloop *l);

#endif
