/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.h - lines for the operator, through the embedder's callback (tinyvmm.h: tvmm_log_fn).
 *
 * What a guest can cause goes through log_guest(): a token bucket per machine lets a burst of ten lines pass, then one
 * a second; what it swallows is counted, and the count is told with the next line.  Callable from any thread.
 */
#ifndef TVMM_BASE_LOG_H
#define TVMM_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "host.h"
#include "tinyvmm.h"

struct log {
	tvmm_log_fn *fn; /* NULL: nothing is logged */
	void *arg;
	int level;
	const struct host *host;
	_Atomic uint64_t guest_faults; /* every log_guest() call, logged or not */
	_Atomic uint64_t bucket_ns;    /* time up to which the bucket's tokens are spent */
	_Atomic uint64_t swallowed;
};

void log_init(struct log *log, const struct host *host, tvmm_log_fn *fn, void *arg, int level);

/* One line.  LOG may be NULL. */
void log_line(struct log *log, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The guest did what it may do, and the operator wants to know: at WARN, within the same limit, not counted. */
void log_event(struct log *log, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The guest broke a rule of device WHO.  Counts always, logs at WARN within the limit. */
void log_guest(struct log *log, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
