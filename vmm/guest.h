/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest.h - the guest's half of a machine (machine.h): building it, quieting it, taking it away.
 *
 * Called on the loop's thread, or while no loop runs.  machine.c is the only caller.
 */
#ifndef TVMM_GUEST_H
#define TVMM_GUEST_H

#include "machine.h"

/* RAM and configuration pages are zero.  On failure nothing of it is left. */
int guest_build(struct machine *m, struct tvmm_error *err);

/* Resets every device, so that no request is in flight.  The vCPUs have ended. */
void guest_quiesce(struct machine *m);

void guest_destroy(struct machine *m); /* harmless when there is none */

/* What was built, for people. */
void guest_describe(const struct machine *m, char *buf, size_t len);

/* vcpu_env.ended: ARG is the machine. */
void guest_ended(void *arg, const struct tvmm_result *why);

#endif
