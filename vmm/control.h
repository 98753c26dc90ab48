/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control.h - a machine's control socket: a unix socket by which other processes of the same user see and steer it.
 *
 * Owns the socket, its lock file and a thread with a loop of its own, which reads calls and writes answers
 * (control_calls.h).  It is nothing but a user of tinyvmm.h that sits in the same process: no device knows of it, and no
 * client, slow, dead or hostile, is ever waited for.  Clients, messages and answers are bounded, and all memory is had at
 * creation.  Refuses clients of other users.
 */
#ifndef TVMM_CONTROL_H
#define TVMM_CONTROL_H

#include "error.h"
#include "host.h"

struct control;
struct control_desc {
	const struct host *host;
	struct tvmm_vm *vm; /* complete; outlives the control socket */
	const char *path;
	const char *name;
	unsigned cpus;
};

/*
 * Listens, from now on.  A socket that a dead process left behind is replaced; -EBUSY where a live one listens.  Not from
 * a thread that the machine waits for.
 */
int control_create(struct control **out, const struct control_desc *d, struct tvmm_error *err);

/* Whoever waits for the machine's end is told if it has come; then all is closed and removed.  NULL is fine. */
void control_destroy(struct control *c);

#endif
