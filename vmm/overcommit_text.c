/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overcommit_text.c - decisions in words: the line that can be replayed, and the names of regimes and reasons.
 *
 * Pure; called where decisions are logged and told of (memctl.c), and by replays.
 */
#include "overcommit.h"

#include <stdio.h>
#include <stdlib.h>
#include "bits.h"

enum { FIELDS = 24 };

int oc_format(char *buf, size_t len, const struct oc_policy *p, const struct oc_sample *s)
{
	const uint64_t v[FIELDS] = { p->min, p->max, p->weight, s->now_ms, s->total, s->available, s->psi, s->some_us,
				     s->full_us, s->swap_free, s->resident, s->swapped, s->held, s->driver, s->can_trim,
				     s->last_trim, s->seq, s->g_total, s->g_free, s->g_avail, s->majflt, s->swap_in, s->stalls, s->ooms };
	int n = 0;

	for (unsigned i = 0; i < FIELDS; i++)
		n += snprintf(buf + MIN((size_t)n, len), len - MIN((size_t)n, len), "%s%lu", i ? "," : "", v[i]);
	return n;
}

bool oc_parse(const char *text, struct oc_policy *p, struct oc_sample *s)
{
	uint64_t v[FIELDS];

	for (unsigned i = 0; i < FIELDS; i++) {
		char *end;

		v[i] = strtoull(text, &end, 10);
		if (end == text || *end != (i < FIELDS - 1 ? ',' : '\0'))
			return false;
		text = end + 1;
	}
	*p = (struct oc_policy){ v[0], v[1], (uint32_t)v[2] };
	*s = (struct oc_sample){ v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15],
				 v[16], v[17], v[18], v[19], v[20], v[21], v[22], v[23] };
	return true;
}

const char *oc_regime_name(enum oc_regime r)
{
	static const char *const name[] = { "green", "yellow", "orange", "red" };

	return (unsigned)r < ARRAY_SIZE(name) ? name[r] : "?";
}

const char *oc_reason_text(enum oc_reason r)
{
	static const char *const text[OC_REASONS] = {
		[OC_STEADY] = "nothing to change",
		[OC_PLENTY] = "the host has room",
		[OC_SHARE] = "towards its share by weight",
		[OC_IDLE] = "the guest does not use it",
		[OC_HURT] = "the guest is short of memory",
		[OC_CUT] = "the host is short of memory",
		[OC_BRAKE] = "the guest grows into the last that the host has",
		[OC_PAGEOUT] = "the host is very short: to its swap",
		[OC_NO_SWAP] = "the host is very short, and has no swap",
		[OC_THRASH] = "the host is very short, but what went to its swap came back",
		[OC_NO_DRIVER] = "the guest runs no balloon driver",
		[OC_DEAF] = "the guest does not give what it is asked for",
		[OC_NO_EFFECT] = "the guest gave memory that the host still holds",
		[OC_BLIND] = "the host's figures cannot be read",
	};

	return (unsigned)r < OC_REASONS ? text[r] : "?";
}
