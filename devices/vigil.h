/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vigil.h - whether to go on looking for work with open eyes, for a while, before a thread sleeps.
 *
 * To sleep and be woken costs more than a few looks, and the one who is waited for pays an exit to wake us.  So where what
 * comes next usually comes soon, looking on is cheaper for both; where it does not, it is time thrown away.  Which of the
 * two it is here shows by trying.  The rarer that succeeds, the rarer it is tried.
 *
 * Pure; for the owner of a queue, who does the looking (pace.h is the counterpart for what waits to be looked at).
 */
#ifndef TVMM_DEVICES_VIGIL_H
#define TVMM_DEVICES_VIGIL_H

#include <stdbool.h>
#include <stdint.h>

struct vigil {
	uint32_t since, patience; /* turns since the last try; how many before the next */
	bool on, poor;            /* looking on is the rule; the last time nothing came of it */
};

/* Work was done, and for now that was all.  Is it worth to look on? */
bool vigil_is_worth(struct vigil *l);

/* One has looked on.  CAME: something came of it that would have found the thread asleep. */
void vigil_ended(struct vigil *l, bool came);

#endif
