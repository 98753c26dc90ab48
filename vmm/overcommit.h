/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overcommit.h - how much of its memory a machine should have, decided by itself.
 *
 * A pure function: one sample of the host and of the guest, the policy, and what was remembered from the last time, give
 * a target and what else to do.  No clock, no file, no allocation, so a log of samples replays to the same decisions.
 *
 * Several machines share a host and know nothing of one another; what they have in common is what the host says is left.
 *   share    Below a watermark of total/8 each machine lets that figure name its share: weight times a factor that falls
 *            with what is left.  All see the same figure, so shares come to stand in the proportion of the weights, and
 *            what is left settles where the shares add up.  Followed slowly (SHARE_TAU), because everyone does it.
 *   want     What the guest seems to need.  It grows fast while the guest hurts, sinks slowly to what is in use while it
 *            does not, and rises to everything where the host has plenty.  So idle memory moves to who can use it.
 *   cut      When the host is short, each machine gives the same part of what it has, the part that would end the
 *            shortage if all do.
 *   brake    A guest that grows is not promised more than the host has left: it drops page cache of its own first.
 * The target is the smaller of share and want, between min and max.  A guest's word moves its own want only: it can never
 * raise its share, nor is memory counted as free before the host has it.
 */
#ifndef TVMM_OVERCOMMIT_H
#define TVMM_OVERCOMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum oc_regime { OC_GREEN, OC_YELLOW, OC_ORANGE, OC_RED };

enum oc_reason {
	OC_STEADY,     /* nothing to change */
	OC_PLENTY,     /* the host has room: the guest gets more */
	OC_SHARE,      /* towards the share that its weight gives it */
	OC_IDLE,       /* the guest does not use what it has */
	OC_HURT,       /* the guest is short: it gets more */
	OC_CUT,        /* the host is short: everyone gives */
	OC_BRAKE,      /* the guest grows into the last that the host has */
	OC_PAGEOUT,    /* the host is very short: guest memory goes to its swap */
	OC_NO_SWAP,    /* it would, but the host has no swap */
	OC_THRASH,     /* it would, but what went to the swap came back */
	OC_NO_DRIVER,  /* the guest runs no balloon driver: it cannot be asked */
	OC_DEAF,       /* the guest does not follow */
	OC_NO_EFFECT,  /* the guest gave pages, the host does not have them */
	OC_BLIND,      /* the host's figures cannot be read */
	OC_REASONS
};

struct oc_policy {
	uint64_t min, max; /* bytes; max is what the guest was given */
	uint32_t weight;   /* 100: the usual */
};

struct oc_sample {
	uint64_t now_ms;
	uint64_t total, available; /* the supply that is nearest to its end; total 0: not known */
	bool psi;
	uint64_t some_us, full_us; /* its pressure stall totals */
	uint64_t swap_free;
	uint64_t resident;         /* of guest memory, by the host's count */
	uint64_t swapped;          /* of this process, in the host's swap */
	uint64_t held;             /* given by the guest and not taken back, by our count */
	bool driver, can_trim;
	uint64_t last_trim;        /* bytes that the latest trim gave */
	/* The guest's word, counters since its boot; seq 0: it never told. */
	uint64_t seq, g_total, g_free, g_avail, majflt, swap_in, stalls, ooms;
};

struct oc_state {
	bool started;
	enum oc_regime regime;
	uint64_t target, share, want;
	uint64_t last_ms, word_ms, cut_ms, hurt_ms, trim_ms, red_ms;
	uint64_t grew_ms;           /* when it last took more and more */
	uint64_t badly_ms, pain_ms; /* when it last hurt badly, and since when it does */
	uint64_t excess_ms;         /* since when there is something to trim; 0: there is not */
	uint64_t trim_expect;
	uint64_t some, full;        /* of the latest time, what was lost to stalls on the host: permille */
	uint64_t deaf_ms, ghost_ms; /* without progress, without effect */
	uint32_t trim_backoff;
	uint64_t out_ms, out_sent, out_new, out_back; /* the latest paging out: when, how much, what came back; see wants_pageout() */
	uint32_t out_backoff;
	uint64_t low_held;          /* most held since the target was last missed */
	struct oc_sample last;      /* its guest's counters are those of the guest's last word */
};

struct oc_decision {
	uint64_t target;
	bool changed;      /* the target differs from the last one */
	bool trim;
	uint64_t pageout;  /* bytes to send to the host's swap now; 0: none */
	enum oc_regime regime;
	enum oc_reason reason;
	bool hurt;
	uint32_t stall_permille; /* of the time since the last sample, on the host */
	uint32_t wait_ms;  /* until the next sample */
};

void oc_decide(const struct oc_policy *p, struct oc_state *st, const struct oc_sample *s, struct oc_decision *d);

/*
 * A policy and a sample as text and back, so that a log can be replayed: 24 numbers with commas, in the order of the
 * structures above.  Format returns what snprintf() does.
 */
int oc_format(char *buf, size_t len, const struct oc_policy *p, const struct oc_sample *s);
bool oc_parse(const char *text, struct oc_policy *p, struct oc_sample *s);

const char *oc_regime_name(enum oc_regime r);
const char *oc_reason_text(enum oc_reason r);

#endif
