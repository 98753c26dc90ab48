/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memctl.h - a machine's memory, once it runs: what the guest is asked to give back, and what came of it.
 *
 * Ties together the balloon (devices/virtio_balloon.h), the discarding behind it (discard.h), the host's figures
 * (pressure.h) and the policy (overcommit.h).  Lives in the host's half of a machine, so that a restart changes nothing
 * here; the guest's balloon comes and goes by memctl_attach() and memctl_detach().
 *
 * Threads: all of it belongs to the I/O loop, whose own timers run it.  The calls of the last section may come from any
 * thread, and go there; only the host's map of our memory is read where the caller is.  Where nothing is asked for and
 * nothing waits, no timer is armed.
 */
#ifndef TVMM_MEMCTL_H
#define TVMM_MEMCTL_H

#include "config.h"
#include "discard.h"
#include "evloop.h"
#include "log.h"
#include "overcommit.h"
#include "pressure.h"
#include "virtio_balloon.h"

struct memctl {
	const struct host *host;
	struct evloop *loop;
	struct log *log;
	enum config_reclaim mode;
	uint64_t configured, min; /* bytes */
	unsigned weight;
	bool fixed;               /* the user set the target; the policy rests */
	uint64_t target;          /* guest-visible bytes asked for; configured: all of it */

	struct discard discard;
	struct evsource tick;     /* a timer: given pages have waited */
	int smaps;                /* /proc/self/smaps, or -1 */

	struct evsource clock;    /* a timer: the next decision; armed with reclaim=auto only, while nothing is fixed */
	struct pressure pressure;
	struct oc_state policy;
	struct oc_decision last;  /* the latest decision, and when */
	struct oc_sample last_sample;
	struct balloon_stats word; /* the guest's, of a time when it did not trim */
	uint64_t decided_ns, trim_ns, paged_out; /* trim_ns: when a trim was last decided */
	uint32_t told;            /* bit per reason: the log has had it since the host's state changed */
	bool decided;
	bool asked;               /* the guest was asked how it is; the clock rings when it has had time to tell */
	struct virtio_balloon *balloon; /* the present guest's, or NULL */
	bool ok;
};

/* BACK[i] lies behind region i of MEM; NULL: private memory behind all. */
int memctl_init(struct memctl *c, const struct tvmm_config *cfg, const struct gmem *mem, const struct discard_backing *back,
		struct evloop *loop, struct log *log, struct tvmm_error *err);
void memctl_fini(struct memctl *c); /* the loop has ended */

/* Is there to be a balloon device at all? */
static inline bool memctl_wants_balloon(const struct memctl *c)
{
	return c->mode != CONFIG_RECLAIM_OFF;
}

/* The machine starts to run: so do decisions, where they are wanted. */
void memctl_start(struct memctl *c);

void memctl_attach(struct memctl *c, struct virtio_balloon *b);
void memctl_detach(struct memctl *c);

/* ---- from any thread; not under a lock that the loop could want ---------------------------------------------------- */

/* tvmm_vm_set_memory(), tvmm_vm_trim_memory(), tvmm_vm_memory(). */
int memctl_set(struct memctl *c, uint64_t bytes, struct tvmm_error *err);
int memctl_trim(struct memctl *c, struct tvmm_error *err);
void memctl_read(struct memctl *c, struct tvmm_memory *out);

#endif
