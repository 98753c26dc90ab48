/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vigil.c - to look on or to sleep (vigil.h).  Called by a queue's owner; pure.
 */
#include "vigil.h"
#include "bits.h"

#define TRY_FIRST 16u /* turns before the first try, and after a time in which looking on was the rule */
#define TRY_LAST  4096u

bool vigil_is_worth(struct vigil *l)
{
	if (l->on)
		return true;
	if (++l->since <= (l->patience ? l->patience : TRY_FIRST))
		return false;
	l->since = 0;
	return true;
}

void vigil_ended(struct vigil *l, bool came)
{
	if (came) {
		*l = (struct vigil){ .on = true };
	} else if (l->on && !l->poor) { /* by chance, maybe */
		l->poor = true;
	} else {
		l->patience = l->on ? TRY_FIRST : MIN(2 * MAX(l->patience, TRY_FIRST), TRY_LAST);
		l->on = l->poor = false;
	}
}
